"""The coded concepts that a reader may name: those of the registered models, and a few of every day.

A reader chooses and does not type: what has a code can be compared with what models say, and names nobody.
"""

from collections.abc import Iterable

from firstread.result import Code
from firstread.review import Rejection
from firstread.routing import RegisteredModel
from firstread.value import Value


def _sct(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="SCT", meaning=meaning)


# PS3.16 CID 6102, 6335 and 7151, by the names there.
FINDINGS = (
    _sct("44132006", "Abscess"),
    _sct("85659009", "Aneurysm"),
    _sct("40779009", "Plate-like atelectasis"),
    _sct("367643001", "Cyst"),
    _sct("79654002", "Edema"),
    _sct("19227008", "Foreign body"),
    _sct("35566002", "Hematoma"),
    _sct("50960005", "Hemorrhage"),
    _sct("52988006", "Lesion"),
    _sct("4147007", "Mass"),
    _sct("108369006", "Neoplasm"),
    _sct("27925004", "Nodule"),
    _sct("60046008", "Pleural effusion"),
    _sct("36118008", "Pneumothorax"),
    _sct("415582006", "Stenosis"),
    _sct("396339007", "Thrombus"),
)
"""What is often seen and no model need have named."""

# PS3.16 CID 4031 and 7151.
SITES = (
    _sct("818981001", "Abdomen"),
    _sct("12738006", "Brain"),
    _sct("76752008", "Breast"),
    _sct("816094009", "Chest"),
    _sct("69536005", "Head"),
    _sct("80891009", "Heart"),
    _sct("64033007", "Kidney"),
    _sct("10200004", "Liver"),
    _sct("39607008", "Lung"),
    _sct("45048000", "Neck"),
    _sct("816092008", "Pelvis"),
    _sct("3120008", "Pleura"),
    _sct("5665001", "Retina"),
    _sct("421060004", "Spine"),
)
"""Where in the body."""


class Vocabulary(Value):
    """What a reader may choose from.

    Parameters
    ----------
    findings, sites
        In the order of their meaning.
    rejections
        Reasons why a finding is rejected.
    """

    findings: tuple[Code, ...]
    sites: tuple[Code, ...]
    rejections: tuple[Rejection, ...] = tuple(Rejection)

    def finding(self, value: str, scheme: str) -> Code | None:
        """Return a finding by its code, with the meaning that it has here; None where it is not one."""
        return _find(self.findings, value, scheme)

    def site(self, value: str, scheme: str) -> Code | None:
        """Return a site by its code, with the meaning that it has here; None where it is not one."""
        return _find(self.sites, value, scheme)


def vocabulary(models: Iterable[RegisteredModel]) -> Vocabulary:
    """Return the vocabulary of a site with these models; where two mean the same, the model's word counts."""
    known = list(models)
    return Vocabulary(
        findings=_merged((code for model in known for code in model.concepts), FINDINGS),
        sites=_merged((code for model in known for code in model.sites), SITES),
    )


def _merged(first: Iterable[Code], then: Iterable[Code]) -> tuple[Code, ...]:
    found: dict[tuple[str, str], Code] = {}
    for code in (*first, *then):
        found.setdefault((code.scheme, code.value), code)
    return tuple(sorted(found.values(), key=lambda code: (code.meaning.casefold(), code.value)))


def _find(codes: Iterable[Code], value: str, scheme: str) -> Code | None:
    return next((code for code in codes if (code.value, code.scheme) == (value, scheme)), None)

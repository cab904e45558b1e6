"""An object that was read, before anything in it is changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from firstread.clock import from_text
from firstread.deid import IdentityVault
from firstread.dicom import DicomFile, Timing
from firstread.dicom.metadata import text
from firstread.intake.copies import keyed_core
from firstread.intake.orders import order_refs
from firstread.receipt import Receipt
from firstread.refs import References


@dataclass(frozen=True)
class Arrived:
    """An object that was read, and what is known of it before anything in it is changed.

    Parameters
    ----------
    receipt
        Pending.
    file
        The object; its dataset will be changed.
    digest, core
        Of its content, keyed; see `firstread.intake.copies`.
    order_refs
        References of its accession and order numbers.
    timing
        What only the true dates can say.
    """

    receipt: Receipt
    file: DicomFile
    digest: str
    core: str
    order_refs: tuple[str, ...]
    timing: Timing

    @classmethod
    def of(cls, receipt: Receipt, file: DicomFile, vault: IdentityVault, references: References) -> Self:
        """Take down what cleaning will change: digests, references, what the true dates say."""
        dataset = file.dataset
        known = {
            "study_ref": references.study(text(dataset, "StudyInstanceUID")),
            "sop_ref": references.instance(text(dataset, "SOPInstanceUID")),
        }
        return cls(
            receipt=receipt.model_copy(update=known),
            file=file,
            core=keyed_core(file, vault),
            digest=vault.keyed_digest(file.digest()),
            order_refs=order_refs(dataset, references),
            timing=Timing.of(dataset, received=from_text(receipt.received_at).date()),
        )


Work = Callable[[Arrived], Receipt | None]
"""What a step does with an object that was read; None where it leaves the object to another step."""

SamePixels = Callable[[DicomFile, DicomFile], bool]
"""Tells whether two files have the same images, however they are encoded."""

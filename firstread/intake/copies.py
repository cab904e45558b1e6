"""Another object with the UID of an instance that is recorded: what it is (ADR 0012)."""

from enum import StrEnum

from firstread.deid import IdentityVault
from firstread.dicom.reader import DicomFile
from firstread.errors import Reason
from firstread.intake.core import core_of
from firstread.study import Instance, InstanceFacts, InstanceState

_REMEMBERED = 20
"""Corrections of one instance that are remembered; a row has its limit."""


class Copy(StrEnum):
    """What a second object is to the first.

    ``duplicate``: the same content, now or before a correction. ``correction``: patient or order differ. ``recoded``:
    header alike, pixels encoded in another way; whether they are the same is to be seen. ``conflict``: another image.
    """

    DUPLICATE = "duplicate"
    CORRECTION = "correction"
    RECODED = "recoded"
    CONFLICT = "conflict"


def keyed_core(file: DicomFile, vault: IdentityVault) -> str:
    """Return what of a file a correction leaves alone, as two keyed digests."""
    core = core_of(file)
    return f"{vault.keyed_digest(core.header)}:{vault.keyed_digest(core.pixels)}"


def compare(existing: Instance, digest: str, core: str, transfer_syntax: str) -> Copy:
    """Tell what an object is to the instance that is recorded under its UID.

    Parameters
    ----------
    existing
        The instance.
    digest, core
        Of the object, keyed.
    transfer_syntax
        UID of its encoding.
    """
    if digest == existing.digest or digest in existing.superseded_digests:
        return Copy.DUPLICATE
    if existing.state is not InstanceState.STORED:
        return Copy.CONFLICT
    header, _, pixels = core.partition(":")
    known_header, _, known_pixels = existing.core_digest.partition(":")
    if not known_header or header != known_header:
        return Copy.CONFLICT
    if pixels == known_pixels:
        return Copy.CORRECTION
    recoded = transfer_syntax != existing.transfer_syntax_uid
    return Copy.RECODED if recoded else Copy.CONFLICT


def supersedes(new: Instance, existing: Instance) -> bool:
    """Tell whether an instance takes the place of the one that is recorded under its UID.

    Never that of a stored one; unless it comes from the very same object, which somebody has asked for again.
    """
    if existing.object_key == new.object_key or existing.state is InstanceState.DISCARDED:
        return True
    return existing.state is InstanceState.HELD and new.state is InstanceState.STORED


def correct(existing: Instance, new: Instance) -> Instance:
    """Return a recorded instance with whose it is now; its images stay as they are."""
    return existing.model_copy(
        update={
            "digest": new.digest,
            "superseded_digests": (*existing.superseded_digests, existing.digest)[-_REMEMBERED:],
            "superseded_owners": (*existing.superseded_owners, _owner(existing))[-_REMEMBERED:],
            "patient": new.patient,
            "order_refs": new.order_refs,
            "facts": _corrected(existing.facts, new.facts),
        }
    )


def is_of_another(new: Instance, existing: Instance) -> bool:
    """Tell whether a copy in another encoding was corrected on its way, too, and is not what was corrected."""
    return _owner(new) not in {_owner(existing), *existing.superseded_owners}


def reason_of(found: Copy, new: Instance | None) -> str:
    """Return the reason of a second copy; what is wrong with it by itself says more than that it differs."""
    if found is Copy.CONFLICT:
        return new.reason if new is not None and new.reason else Reason.CONFLICT.value
    return "" if found is Copy.DUPLICATE else found.value


def _owner(instance: Instance) -> str:
    return "\n".join((instance.patient, *instance.order_refs))


def _corrected(facts: InstanceFacts, new: InstanceFacts) -> InstanceFacts:
    """Return what an image is, with what is said of the patient and the study as it was corrected.

    Whether the study is recent stays: a correction that comes late must not silence an alert.
    """
    said = new.model_dump(include={"age_years", "sex", "study_description"})
    return facts.model_copy(update=said)

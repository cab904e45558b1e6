"""Another object with the UID of an instance that is recorded: what it is (design.md §2.1)."""

from enum import StrEnum

from firstread.deid import IdentityVault
from firstread.dicom.reader import DicomFile
from firstread.intake.core import core_of
from firstread.study import Instance, InstanceState


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

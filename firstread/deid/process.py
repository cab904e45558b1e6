"""One file in, one de-identified file out: pixels judged and cleaned, header cleaned, both written."""

from collections.abc import Set
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

import pydicom
from pydicom.dataset import Dataset, FileDataset

from firstread.deid import gate
from firstread.deid.engine import Deidentified, clean_header, header, write
from firstread.deid.options import Option, Profile
from firstread.deid.rules import Rules, rules
from firstread.deid.vault import IdentityVault
from firstread.dicom.guard import Limits
from firstread.dicom.reader import DicomFile, chunks, quiet, read
from firstread.errors import QuarantineError, Reason

if TYPE_CHECKING:
    from firstread.deid.burned_in import TextDetector

_IN_MEMORY_BYTES = 64 * 1024 * 1024


def process(
    file: DicomFile,
    target: IO[bytes],
    *,
    vault: IdentityVault,
    rules: Rules,
    detector: "TextDetector | None" = None,
    inspected: Set[str] = frozenset(),
) -> Deidentified:
    """De-identify a file, pixels included.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it; its dataset is changed.
    target
        Binary file to write to. Nothing is written if the file is quarantined.
    vault, rules
        Pseudonyms and profile.
    detector
        Looks for text in the pixels of images that may carry some; None where no such image may pass.
    inspected
        Digests of files whose pixels a person has looked at.

    Returns
    -------
    Deidentified
        The new header, as written.

    Raises
    ------
    QuarantineError
        With the typed reason why the file cannot be passed on.
    """
    look = gate.look(file, file.digest, inspected)
    cleans = Option.CLEAN_PIXEL_DATA in rules.options
    if look is gate.Look.DETECTOR and (detector is None or not cleans):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    if detector is None or not cleans or look is gate.Look.NOTHING_TO_SEE:
        result = clean_header(file, vault, rules)
        write(result, file, target)
        return result
    from firstread.deid.burned_in import clean  # numpy and decoders, for images that need them

    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as pixels:
        cleaned = clean(file, pixels, detector, prefilter=True)
        result = clean_header(file, vault, rules)
        with quiet():
            cleaned.update(result.dataset)
        target.write(header(result, file.transfer_syntax))
        for chunk in chunks(pixels, 0, pixels.tell()):
            target.write(chunk)
        return replace(result, actions={**result.actions, "blank": cleaned.blanked})


def deidentify(
    source: Dataset | str | Path,
    *,
    vault: IdentityVault,
    profile: Profile | str = Profile.LONGITUDINAL,
    options: Set[Option] | None = None,
    detector: "TextDetector | None" = None,
) -> FileDataset:
    """De-identify a dataset or a file, and return it as a new dataset with its pixel data.

    Parameters
    ----------
    source
        A dataset with its file meta information, which stays as it is; or the path of a DICOM file.
    vault
        Gives pseudonyms, new UIDs and the date shift, the same ones for the same originals.
    profile
        A ready-made set of options.
    options
        Applied instead of the profile's.
    detector
        Looks for burned-in text; by default RapidOCR where its packages are installed (``firstread[pixels]``).

    Returns
    -------
    pydicom.dataset.FileDataset
        De-identified and marked as such (PS3.15 E.1.1).

    Raises
    ------
    QuarantineError
        With the typed reason why nothing may be passed on.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from pydicom import examples
    >>> from firstread.deid import deidentify, open_vault
    >>> with TemporaryDirectory() as folder:
    ...     vault = open_vault(Path(folder) / "link.sqlite", Path(folder) / "key")
    ...     found = deidentify(examples.get_path("ct"), vault=vault)
    >>> found.PatientIdentityRemoved
    'YES'
    """
    chosen = rules(Profile(profile).options if options is None else frozenset(options))
    target = BytesIO()
    with _opened(source) as stream, read(stream, Limits()) as file:
        process(file, target, vault=vault, rules=chosen, detector=detector)
    target.seek(0)
    return pydicom.dcmread(target)


def _opened(source: Dataset | str | Path) -> IO[bytes]:
    if isinstance(source, Dataset):
        written = BytesIO()
        with quiet():
            pydicom.dcmwrite(written, source, enforce_file_format=True)
        written.seek(0)
        return written
    return Path(source).open("rb")

"""One file in, one de-identified file out: pixels judged and cleaned, header cleaned, both written."""

from collections.abc import Set
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, NoReturn

import pydicom
from pydicom.dataset import Dataset, FileDataset

from firstread.deid import gate
from firstread.deid.engine import Deidentified, clean_header, understood, write
from firstread.deid.options import Option, Profile
from firstread.deid.rules import Rules, rules
from firstread.deid.vault import IdentityVault
from firstread.dicom.guard import Limits
from firstread.dicom.reader import DicomFile, read
from firstread.errors import QuarantineError, Reason

if TYPE_CHECKING:
    from firstread.deid.burned_in import CleanResult, TextBox, TextDetector

IN_MEMORY_BYTES = 64 * 1024 * 1024
"""Pixel data up to this size is not written to a temporary file on the disk."""


def process(
    file: DicomFile,
    target: IO[bytes],
    *,
    vault: IdentityVault,
    rules: Rules,
    detector: "TextDetector | None" = None,
) -> Deidentified:
    """De-identify a file, pixels included.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it; its dataset is changed.
    target
        Binary file to write to. Worthless if the file is quarantined.
    vault, rules
        Pseudonyms and profile.
    detector
        Looks for text in the pixels of images that may carry some; None where no such image may pass.

    Returns
    -------
    Deidentified
        The new header, as written.

    Raises
    ------
    QuarantineError
        With the typed reason why the file cannot be passed on.
    """
    # In memory up to a size: the new pixel data element, where it is not the old one.
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as pixels:
        with understood():
            looked = look_at_pixels(file, pixels, rules, detector)
        result = clean_header_of(file, vault, rules, looked)
        write(result, file, target, pixels)
        blanked = looked.cleaned.blanked if looked.cleaned else 0
        return replace(result, actions={**result.actions, "blank": blanked})


@dataclass(frozen=True)
class Looked:
    """What is known of the pixels of a file.

    Parameters
    ----------
    checked
        Whether every frame was looked at.
    cleaned
        What changed in the pixel data element; None where nobody had to look closely.
    """

    checked: bool
    cleaned: "CleanResult | None" = None


def clean_header_of(file: DicomFile, vault: IdentityVault, rules: Rules, looked: Looked) -> Deidentified:
    """De-identify the header of a file, and let it describe what was done to the pixels.

    Parameters
    ----------
    file, vault, rules
        As for `firstread.deid.engine.clean_header`.
    looked
        What is known of the pixels.

    Raises
    ------
    QuarantineError
        If an element cannot be understood well enough to be cleaned.
    """
    result = clean_header(file, vault, rules, checked=looked.checked)
    if looked.cleaned is not None:
        with understood():
            looked.cleaned.update(result.dataset)
    return result


def glance(file: DicomFile) -> Looked | None:
    """Look at pixels as far as no codec and no detector of text is needed; None where one is."""
    if not file.has_pixels:
        return Looked(checked=False)
    from firstread.deid.burned_in.scan import Trace, scan  # numpy, with the first image

    return Looked(checked=True) if scan(file) is Trace.NONE else None


def look_at_pixels(
    file: DicomFile,
    pixels: IO[bytes],
    rules: Rules,
    detector: "TextDetector | None" = None,
) -> Looked:
    """Look for burned-in text as closely as an image needs it.

    Parameters
    ----------
    file
        Before its header is cleaned.
    pixels
        Empty file; receives the pixel data element where it is not to be passed on as it is.
    rules, detector
        As for `process`.

    Raises
    ------
    QuarantineError
        With `Reason.MAY_CONTAIN_BURNED_IN_TEXT` where text may be left.
    """
    looked = glance(file)
    if looked is not None:
        return looked
    if Option.CLEAN_PIXEL_DATA not in rules.options:
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    from firstread.deid.burned_in import clean  # decoders

    known = _known(file) if gate.look(file) is gate.Look.DETECTOR else []
    cleaned = clean(file, pixels, detector or NoDetector(), prefilter=True, known=known)
    return Looked(checked=cleaned.checked, cleaned=cleaned)


def _known(file: DicomFile) -> "list[TextBox]":
    """Return where a device is known to burn text into its images, if the package with the rules is installed."""
    if find_spec("deid") is None:
        return []
    from firstread.deid.burned_in.known_devices import boxes_to_blank

    return boxes_to_blank(file.dataset, int(file.dataset.Rows), int(file.dataset.Columns))


@lru_cache(maxsize=1)
def default_detector() -> "TextDetector | None":
    """Return the detector of burned-in text, one per process; None where the extra `pixels` is not installed."""
    if find_spec("rapidocr") is None:
        return None
    from firstread.deid.burned_in import RapidTextDetector

    return RapidTextDetector(threads=1)


class NoDetector:
    """Stands where nobody can look for text: what must be looked at is not passed on."""

    def find(self, _image: object) -> NoReturn:
        """Refuse."""
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)


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
        process(file, target, vault=vault, rules=chosen, detector=detector or default_detector())
    target.seek(0)
    return pydicom.dcmread(target)


def _opened(source: Dataset | str | Path) -> IO[bytes]:
    if isinstance(source, Dataset):
        written = BytesIO()
        with understood():  # pydicom's errors quote the value that cannot be written
            pydicom.dcmwrite(written, source, enforce_file_format=True)
        written.seek(0)
        return written
    return Path(source).open("rb")

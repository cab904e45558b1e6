"""The real sample files that pip brings with `pydicom` and `pydicom-data` (both MIT)."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from firstread.errors import NotFoundError


@dataclass(frozen=True)
class Sample:
    """One sample.

    Parameters
    ----------
    name
        File name within the packages.
    what
        What it is, for the table of the demonstration.
    """

    name: str
    what: str

    def path(self) -> Path:
        """Return where the file lies.

        Raises
        ------
        NotFoundError
            If the package that brings it is not installed.
        """
        from pydicom.data import get_testdata_file

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_testdata_file(self.name, download=False)
        if not isinstance(found, str):
            raise NotFoundError(f"sample {self.name} is not installed; install `pydicom-data`")
        return Path(found)


SAMPLES = (
    Sample("RG1_J2KI.dcm", "CR chest, adult, 1955x1841, JPEG 2000"),
    Sample("RG3_J2KI.dcm", "CR lower leg, 1760x1760, JPEG 2000"),
    Sample("US1_J2KI.dcm", "US lymph node; an institution's name in its pixels, which is blanked"),
    Sample("693_J2KR.dcm", "CT head, 512x512, JPEG 2000"),
    Sample("CT_small.dcm", "CT, 128x128"),
    Sample("MR_small.dcm", "MR, 64x64"),
    Sample("examples_ybr_color.dcm", "US heart cine, 30 frames, JPEG"),
)

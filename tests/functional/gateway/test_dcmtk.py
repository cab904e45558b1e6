"""DCMTK's senders and real files."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from firstread.gateway.run import running
from tests.support import gateways
from tests.support.gateways import CALLER, TITLE, FakeService, until

FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "image_dfl.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "examples_ybr_color.dcm",
)


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} of DCMTK is not installed: real senders are NOT tested")
    return found


@pytest.mark.parametrize("program", ["storescu", "dcmsend"])
def test_real_files_by_real_senders(tmp_path: Path, program: str) -> None:
    service = FakeService()
    files = [str(path) for name in FILES if (path := get_testdata_file(name, download=False))]
    assert len(files) >= 9
    with running(gateways.settings(tmp_path / "spool"), service) as gateway:
        address = ["-aet", CALLER, "-aec", TITLE, "127.0.0.1", str(gateway.dimse.port)]
        sent = 0
        for file in files:
            # One by one: an association of storescu has one syntax.
            done = subprocess.run(
                [needs(program), *_syntax(program, file), *address, file], capture_output=True
            )
            sent += done.returncode == 0
        until(lambda: len(service.uploads) >= sent)
    assert sent >= 9
    assert {dcmread(file).SOPInstanceUID for file in files} >= service.sop_uids


def _syntax(program: str, file: str) -> list[str]:
    if program == "dcmsend":
        return ["--decompress-never"]
    uid = dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID
    return {
        "1.2.840.10008.1.2.5": ["-xr"],
        "1.2.840.10008.1.2.4.90": ["-xv"],
        "1.2.840.10008.1.2.4.91": ["-xw"],
        "1.2.840.10008.1.2.4.50": ["-xy"],
        "1.2.840.10008.1.2.1.99": ["-xd"],
        "1.2.840.10008.1.2.2": ["-xb"],
        "1.2.840.10008.1.2": ["-xi"],
    }.get(uid, ["-xe"])


def test_echoscu(tmp_path: Path) -> None:
    with running(gateways.settings(tmp_path / "spool"), FakeService()) as gateway:
        address = ["-aet", CALLER, "-aec", TITLE, "127.0.0.1", str(gateway.dimse.port)]
        assert subprocess.run([needs("echoscu"), *address]).returncode == 0
        address[1] = "STRANGER"
        assert subprocess.run([needs("echoscu"), *address], capture_output=True).returncode != 0


def test_what_is_no_service_of_ours_is_not_accepted(tmp_path: Path) -> None:
    with running(gateways.settings(tmp_path / "spool"), FakeService()) as gateway:
        query = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]
        address = ["-aet", CALLER, "-aec", TITLE, "127.0.0.1", str(gateway.dimse.port)]
        found = subprocess.run([needs("findscu"), *query, *address], capture_output=True, text=True)
        assert "No Acceptable Presentation Contexts" in found.stdout + found.stderr

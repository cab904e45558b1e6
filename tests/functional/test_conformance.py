"""What comes out conforms as much as what went in: ``dciodvfy`` (dicom3tools) reports no error that is new."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest

from firstread.deid import Profile, rules
from firstread.deid.process import process
from firstread.dicom import read
from firstread.errors import QuarantineError
from tests.support.detectors import NoText
from tests.support.vaults import memory_vault

VALIDATOR = shutil.which("dciodvfy")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(VALIDATOR is None, reason="dciodvfy is not installed (Debian package dicom3tools)"),
]
FOLDER = Path(pydicom.data.__file__).parent / "test_files"
SAMPLES = sorted(path.name for path in FOLDER.glob("*.dcm"))


def errors(path: Path) -> Iterator[str]:
    """Yield the errors that the validator reports, without the values it quotes."""
    assert VALIDATOR is not None
    found = subprocess.run([VALIDATOR, "-new", str(path)], capture_output=True, check=False)
    for line in found.stderr.decode("latin-1").splitlines():
        if line.startswith("Error"):
            yield re.sub(r"(?<== )<[^>]*>|\[[^\]]*\]|\b\d+\b", "_", line)


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("name", SAMPLES)
def test_no_error_is_new(name: str, profile: Profile, tmp_path: Path) -> None:
    target = io.BytesIO()
    try:
        with (FOLDER / name).open("rb") as source, read(source) as file:
            process(file, target, vault=memory_vault(), rules=rules(profile.options), detector=NoText())
    except QuarantineError as error:
        pytest.skip(f"quarantined: {error.reason}")
    written = tmp_path / "out.dcm"
    written.write_bytes(target.getvalue())
    before = set(errors(FOLDER / name))
    if any("read failed" in error for error in before):
        pytest.skip("dciodvfy cannot read the input")
    new = set(errors(written)) - before
    assert not new

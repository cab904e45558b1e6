"""What comes out conforms as much as what went in: ``dciodvfy`` (dicom3tools) reports no error that is new."""

import io
from pathlib import Path

import pydicom.data
import pytest

from firstread.deid import Profile, rules
from firstread.deid.process import process
from firstread.dicom import read
from firstread.errors import QuarantineError
from tests.support.conformance import errors, needs_validator
from tests.support.detectors import NoText
from tests.support.vaults import memory_vault

pytestmark = [pytest.mark.slow, needs_validator]
FOLDER = Path(pydicom.data.__file__).parent / "test_files"
SAMPLES = sorted(path.name for path in FOLDER.glob("*.dcm"))


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

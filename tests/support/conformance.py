"""``dciodvfy`` (dicom3tools), where it is installed."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

VALIDATOR = shutil.which("dciodvfy")
needs_validator = pytest.mark.skipif(
    VALIDATOR is None, reason="dciodvfy is not installed (Debian package dicom3tools)"
)


def errors(path: Path) -> Iterator[str]:
    """Yield the errors that the validator reports, without the values it quotes."""
    assert VALIDATOR is not None
    found = subprocess.run([VALIDATOR, "-new", str(path)], capture_output=True, check=False)
    for line in found.stderr.decode("latin-1").splitlines():
        if line.startswith("Error"):
            yield re.sub(r"(?<== )<[^>]*>|\[[^\]]*\]|\b\d+\b", "_", line)

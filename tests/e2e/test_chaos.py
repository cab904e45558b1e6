"""A minute of `make chaos`: nothing is lost, nothing is doubled."""

import subprocess
import sys
from pathlib import Path

import pytest

MINUTES = 1
SEED = 20


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_minute_of_chaos(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", f"--minutes={MINUTES}", f"--seed={SEED}"]
    done = subprocess.run(
        [*command, "--home", str(tmp_path / "home")],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

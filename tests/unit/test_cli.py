"""The command as a user types it; what needs a running engine is in tests/e2e."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstread import __version__
from firstread.cli import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTREAD_HOME", str(tmp_path / "home"))


def test_the_version_is_printed() -> None:
    assert runner.invoke(app, ["version"]).stdout.strip() == __version__


def test_status_of_nothing_is_stopped_and_no_problem() -> None:
    done = runner.invoke(app, ["status", "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["components"] == dict.fromkeys(
        ("engine", "worker", "identity", "portal", "ingest"), "stopped"
    )
    assert found["problems"] == []


def test_status_says_that_a_killed_engine_may_have_lost_reviews(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "engine.running").touch()
    done = runner.invoke(app, ["status"])
    assert done.exit_code == 1
    assert "the engine was killed" in done.stderr.replace("\n", " ")


def test_pushing_without_a_run_says_what_to_do(tmp_path: Path) -> None:
    done = runner.invoke(app, ["push", str(tmp_path)])
    assert done.exit_code == 1
    assert "firstread up" in done.stderr


def test_logs_without_a_run_say_what_to_do() -> None:
    done = runner.invoke(app, ["logs", "--once"])
    assert done.exit_code == 1
    assert "firstread up" in done.stderr


def test_down_without_a_run_is_fine() -> None:
    assert runner.invoke(app, ["down"]).exit_code == 0


def test_a_command_imports_nothing_of_the_others() -> None:
    code = "import sys; from firstread.cli import app; app(['version'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"boto3", "botocore", "pydicom", "numpy"} & set(done.stdout.split())

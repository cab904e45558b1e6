import os
import stat
from pathlib import Path

import pytest

from firstread.local.home import (
    Home,
    LocalError,
    Ports,
    activate,
    engine_credentials,
    process_environment,
)


def test_the_state_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_the_default_directory_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTREAD_HOME", str(tmp_path / "x"))
    assert Home.default().path == tmp_path / "x"
    monkeypatch.delenv("FIRSTREAD_HOME")
    monkeypatch.chdir(tmp_path)
    assert Home.default().path == tmp_path / ".firstread"


def test_what_is_written_is_read_and_what_is_missing_is_empty(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.write("run/worker.json", {"pid": 1})
    assert home.read("run/worker.json") == {"pid": 1}
    assert home.read("run/engine.json") == {}


def test_nothing_started_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="firstread up"):
        activate(Home(tmp_path))


def test_activation_forgets_the_users_own_aws_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "hospital", "HOME": "/h"})
    home = Home(tmp_path)
    home.write("settings.json", engine_credentials(Ports(engine=4999)))
    activate(home)
    assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"
    assert os.environ["HOME"] == "/h"


def test_a_child_never_sees_the_users_aws_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "hospital")
    environment = process_environment({"AWS_REGION": "us-east-1"})
    assert "AWS_PROFILE" not in environment
    assert environment["AWS_REGION"] == "us-east-1"

import json
import stat
from pathlib import Path

import pytest

from firstread.policy import Actor, Role
from portal.errors import LocalUsersError
from portal.local_users import is_loopback, load, seed


def test_seeded_users_can_sign_in(tmp_path: Path) -> None:
    path = tmp_path / "state" / "users.json"
    assert seed(path)
    users = json.loads(path.read_text())["users"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {user["role"] for user in users} == {role.value for role in Role} - {"service", "feed"}
    assert len({user["password"] for user in users}) == len(users)
    loaded = load(path)
    for user in users:
        assert loaded.check(user["name"], user["password"]) == Actor(user["name"], Role(user["role"]))
        assert loaded.check(user["name"], user["password"] + "x") is None
    assert loaded.check("nobody", users[0]["password"]) is None
    assert loaded.check("radiologist", "") is None


def test_seeding_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    seed(path)
    before = path.read_bytes()
    assert not seed(path)
    assert path.read_bytes() == before


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    seed(path)
    path.chmod(0o640)
    with pytest.raises(LocalUsersError, match="0600"):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalUsersError, match="cannot be read"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "text",
    [
        "not json with the password hunter2-hunter2",
        '{"users": []}',
        '{"users": [{"name": "ann", "role": "king", "password": "hunter2-hunter2"}]}',
        '{"users": [{"name": "ann", "role": "admin", "password": "hunter2"}]}',
        '{"users": [{"name": "<b>", "role": "admin", "password": "hunter2-hunter2"}]}',
    ],
)
def test_a_malformed_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(LocalUsersError) as caught:
        load(path)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost."])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "127.0.0.1.nip.io", "2130706433"],  # noqa: S104
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)

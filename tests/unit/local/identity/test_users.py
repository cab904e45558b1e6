import json
import stat
from pathlib import Path

import pytest

from firstread.local.home import LocalError
from firstread.local.identity.users import load, seed
from firstread.policy import Role


def test_seeded_users_can_sign_in(tmp_path: Path) -> None:
    path = tmp_path / "state" / "users.json"
    assert seed(path)
    users = json.loads(path.read_text())["users"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {user["role"] for user in users} == {role.value for role in Role} - {"service", "feed"}
    assert len({user["password"] for user in users}) == len(users)
    loaded = load(path)
    for user in users:
        found = loaded.check(user["name"], user["password"])
        assert found is not None
        assert (found.name, found.role) == (user["name"], Role(user["role"]))
        assert user["password"] not in repr(found)
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
    with pytest.raises(LocalError, match="0600"):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot be read"):
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
    with pytest.raises(LocalError) as caught:
        load(path)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__

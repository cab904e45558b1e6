"""Which files of a folder are opened, and in which order."""

import os
import socket
from pathlib import Path

import pytest

from firstread.deid.folder.tree import Refusal, walk


def found(root: Path) -> dict[str, Refusal | None]:
    return {os.path.relpath(path, root): refusal for path, refusal in walk(root)}


def test_every_file_in_one_order_hidden_ones_too(tmp_path: Path) -> None:
    for name in ("b/z", "b/a/x.dcm", "a.txt", ".hidden", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(found(tmp_path)) == [".hidden", "a.txt", "c", "b/z", "b/a/x.dcm"]
    assert set(found(tmp_path).values()) == {None}


def test_a_link_is_followed_inside_the_tree_only(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").touch()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").touch()
    (tmp_path / "in2").touch()  # its path begins like the root's
    (root / "inside").symlink_to(root / "sub" / "file")
    (root / "folder-inside").symlink_to(root / "sub")
    (root / "outside").symlink_to(tmp_path / "secret" / "file")
    (root / "folder-outside").symlink_to(tmp_path / "secret")
    (root / "beside").symlink_to(tmp_path / "in2")
    (root / "circle").symlink_to(root / "circle")
    (root / "nothing").symlink_to(root / "gone")
    assert found(root) == {
        "sub/file": None,
        "inside": None,
        "outside": Refusal.LINK_OUTSIDE,
        "folder-outside": Refusal.LINK_OUTSIDE,
        "beside": Refusal.LINK_OUTSIDE,
        "circle": Refusal.NOT_READABLE,
        "nothing": Refusal.NOT_READABLE,
    }


def test_a_root_that_is_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [refusal for _, refusal in walk(tmp_path / "link")] == [None]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door"))
        assert found(tmp_path) == {"pipe": Refusal.NOT_A_FILE, "door": Refusal.NOT_A_FILE}


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "open").touch()
    listed = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(tmp_path) == {"open": None, "shut": Refusal.NOT_READABLE}

"""Built scripts in pages, and pages where nothing is built."""

import json
import os
from pathlib import Path

import pytest

from portal import assets

MANIFEST = {
    "_deep.js": {"file": "assets/deep-1.js"},
    "_shared.js": {"file": "assets/shared-1.js", "imports": ["_deep.js"], "css": ["assets/shared-1.css"]},
    "src/study.ts": {"file": "assets/study-1.js", "isEntry": True, "imports": ["_shared.js", "_deep.js"]},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    return tmp_path


def test_an_entry_loads_its_styles_its_chunks_and_itself(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    assert assets.is_built()
    assert assets.asset("study").splitlines() == [
        '<link rel="stylesheet" href="/static/app/assets/shared-1.css">',
        '<link rel="modulepreload" href="/static/app/assets/deep-1.js">',
        '<link rel="modulepreload" href="/static/app/assets/shared-1.js">',
        '<script type="module" src="/static/app/assets/study-1.js"></script>',
    ]


@pytest.mark.usefixtures("folder")
def test_nothing_is_loaded_where_nothing_is_built() -> None:
    assert not assets.is_built()
    assert assets.asset("study") == ""


def test_an_unknown_entry_loads_nothing(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    assert assets.asset("nothing") == ""


def test_a_new_build_is_seen_at_once(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(MANIFEST))
    assert "study-1.js" in assets.asset("study")
    path.write_text(json.dumps(MANIFEST).replace("study-1", "study-2"))
    os.utime(path, ns=(1, 1))
    assert "study-2.js" in assets.asset("study")

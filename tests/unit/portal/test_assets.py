"""Built scripts in pages, and pages where nothing is built."""

import gzip
import json
import os
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from portal import assets

MANIFEST = {
    "_deep.js": {"file": "assets/deep-1.js"},
    "_shared.js": {"file": "assets/shared-1.js", "imports": ["_deep.js"], "css": ["assets/shared-1.css"]},
    "src/study.ts": {
        "file": "assets/study-1.js",
        "isEntry": True,
        "imports": ["_shared.js", "_deep.js"],
        "dynamicImports": ["src/viewer.ts"],
    },
    "src/viewer.ts": {"file": "assets/viewer-1.js", "isDynamicEntry": True, "imports": ["src/study.ts"]},
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
        '<link rel="modulepreload" href="/static/app/assets/viewer-1.js">',
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


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    built = tmp_path / "app" / "assets"
    built.mkdir(parents=True)
    (built / "a.js").write_text("let a = 1;")
    (built / "a.js.gz").write_bytes(gzip.compress(b"let a = 1;"))
    (built / "b.css").write_text("b {}")
    (tmp_path / "plain.css").write_text("p {}")
    return TestClient(assets.Zipped(directory=tmp_path))


@pytest.mark.parametrize(
    ("asked", "encoding"),
    [({"Accept-Encoding": "gzip, br"}, "gzip"), ({"Accept-Encoding": "br"}, None)],
)
def test_a_script_goes_out_zipped_to_whoever_takes_it(
    client: TestClient, asked: dict[str, str], encoding: str | None
) -> None:
    answer = client.get("/app/assets/a.js", headers=asked)
    assert (answer.status_code, answer.text) == (200, "let a = 1;")
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_part_of_a_script_is_a_part_of_its_text(client: TestClient) -> None:
    answer = client.get("/app/assets/a.js", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-2"})
    assert (answer.status_code, answer.text) == (206, "let")
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/app/assets/b.css", "/plain.css"])
def test_what_is_not_zipped_goes_out_as_it_is(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.text.endswith("{}")
    assert "Content-Encoding" not in answer.headers


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    with pytest.raises(HTTPException) as caught:  # which the application answers
        client.get("/app/assets/c.js")
    assert caught.value.status_code == 404

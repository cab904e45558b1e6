"""From where somebody has a bundle to a folder of ours: a folder, an archive, an address."""

import shutil
import tempfile
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urljoin, urlsplit

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from firstread.errors import NotFoundError
from firstread.storage import Bucket
from model_service.archive import LIMITS, unpack
from model_service.errors import BundleError
from model_service.manifest import MANIFEST

_CHUNK = 1024 * 1024
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_MOST_REDIRECTS = 5
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What a bundle is made of. Code, pickles and whatever else lies in the folder is left where it is.
_TAKEN = frozenset(
    {"", ".csv", ".jpeg", ".jpg", ".json", ".md", ".onnx", ".png", ".safetensors", ".svg", ".txt"}
)
_CONFIGURATION = frozenset({".yaml", ".yml"})
_PICKLES = frozenset({".pt", ".pth"})


class _Body(Protocol):
    def read(self, amount: int, /) -> bytes: ...


def fetch(source: str, folder: Path) -> Path:
    """Bring a bundle into a folder, and return the folder that is its root.

    Parameters
    ----------
    source
        A folder, a zip archive, ``https://...`` (``http://`` on this machine only) or ``s3://bucket/key`` of one.
    folder
        An empty folder, which is the caller's to delete.

    Raises
    ------
    BundleError
        If it cannot be had, is too large, or is no bundle.
    """
    scheme = urlsplit(source).scheme
    if scheme in ("http", "https", "s3"):
        with tempfile.TemporaryFile() as archive:
            (_from_s3 if scheme == "s3" else _from_web)(source, archive)
            archive.seek(0)
            unpack(archive, folder)
        return _root(folder)
    path = Path(source)
    if path.is_dir():
        return _root(path)
    try:
        with path.open("rb") as archive:
            unpack(archive, folder)
    except OSError as error:
        raise BundleError(f"the bundle cannot be read: {error.strerror}") from None
    return _root(folder)


def copy(root: Path, target: Path) -> list[str]:
    """Copy what a bundle is made of, and return the names of what was left out.

    Parameters
    ----------
    root
        The bundle, as it came.
    target
        A new folder.

    Raises
    ------
    BundleError
        If it is larger than a bundle may be.
    """
    left: list[str] = []
    total = count = 0
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not path.is_file():
            if path.is_symlink():
                left.append(name)
            continue
        if not _is_taken(Path(name)):
            left.append(name)
            continue
        count, total = count + 1, total + path.stat().st_size
        if count > LIMITS.files or total > LIMITS.total_bytes:
            raise BundleError("the bundle is larger than a bundle may be")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
    return left


def place_manifest(file: Path, folder: Path) -> None:
    """Put a manifest of the user's own into a bundle."""
    try:
        shutil.copyfile(file, folder / MANIFEST)
    except OSError as error:
        raise BundleError(f"the manifest cannot be read: {error.strerror}") from None


def checkpoint(root: Path) -> Path | None:
    """Return the weights of a bundle as PyTorch saves them, where there are some; ``models/model.pt`` first."""
    models = root / "models"
    if not models.is_dir():
        return None
    found = [path for path in sorted(models.iterdir()) if path.suffix in _PICKLES and path.is_file()]
    usual = [path for path in found if path.stem == "model"]
    if len(found) > 1 and len(usual) != 1:
        raise BundleError(
            "models/ holds several checkpoints; leave the one that inference uses, as models/model.pt"
        )
    return next(iter(usual or found), None)


def _is_taken(name: Path) -> bool:
    if any(part.startswith(".") or part == "__pycache__" for part in name.parts):
        return False
    if name.suffix in _CONFIGURATION:
        return name.parts[0] == "configs" or name.as_posix() == MANIFEST
    return name.suffix in _TAKEN


def _root(folder: Path) -> Path:
    """Return the folder itself, or the only one in it: archives often hold one."""
    inside = [path for path in folder.iterdir() if path.name != "__MACOSX"]
    if not _is_bundle(folder) and len(inside) == 1 and inside[0].is_dir():
        folder = inside[0]
    if not _is_bundle(folder):
        raise BundleError(f"this is no bundle: there is neither {MANIFEST} nor configs/")
    return folder


def _is_bundle(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() or (folder / "configs").is_dir()


def _from_s3(source: str, archive: IO[bytes]) -> None:
    parts = urlsplit(source)
    try:
        with Bucket(parts.netloc).stored(parts.path.lstrip("/")) as found:
            _copy_bounded(found.body, archive)
    except (NotFoundError, BotoCoreError, ClientError) as error:
        raise BundleError(f"the bundle cannot be read from S3: {type(error).__name__}") from None


def _from_web(source: str, archive: IO[bytes]) -> None:
    # An address may carry a token: it is never part of an error.
    http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)
    for _ in range(_MOST_REDIRECTS + 1):
        _check_address(source)
        try:
            with http.request("GET", source, preload_content=False, redirect=False) as response:
                location = response.get_redirect_location()
                if not location:
                    if response.status != 200:
                        raise BundleError(f"the server answers {response.status}")
                    _copy_bounded(response, archive)
                    return
                source = urljoin(source, location)
        except urllib3.exceptions.HTTPError as error:
            raise BundleError(f"the bundle cannot be fetched: {type(error).__name__}") from None
    raise BundleError("the address leads from one to another too often")


def _check_address(source: str) -> None:
    parts = urlsplit(source)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise BundleError("a bundle comes by https:// only; http:// is for this machine itself")


def _copy_bounded(body: _Body, archive: IO[bytes]) -> None:
    total = 0
    while chunk := body.read(_CHUNK):
        total += len(chunk)
        if total > LIMITS.total_bytes:
            raise BundleError(f"the archive is larger than {LIMITS.total_bytes} bytes")
        archive.write(chunk)

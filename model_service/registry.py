"""The bundles that this service brings, and what the pipeline is told of them."""

import hashlib
from functools import lru_cache
from pathlib import Path

from firstread.routing import RegisteredModel
from model_service.manifest import BundleManifest, load_manifest

BUNDLES = Path(__file__).parent / "bundles"


def model_id(manifest: BundleManifest) -> str:
    """Return the identity that results carry: name and version."""
    return f"{manifest.name}@{manifest.version}"


@lru_cache(maxsize=1)
def bundles() -> dict[str, Path]:
    """Return the shipped bundles, by model id."""
    folders = sorted(folder for folder in BUNDLES.iterdir() if (folder / "firstread.yaml").exists())
    return {model_id(load_manifest(folder)): folder for folder in folders}


def registration(folder: Path) -> RegisteredModel:
    """Return what the pipeline must know of a bundle to route to it."""
    manifest = load_manifest(folder)
    return RegisteredModel(
        model_id=model_id(manifest),
        title=manifest.title,
        intended_use=manifest.intended_use,
        rule=manifest.routing,
        bundle_sha256=digest(folder),
    )


def digest(folder: Path) -> str:
    """Return the SHA-256 over all files of a bundle: their paths and contents, in order."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()

"""The bundles that this service brings, and what the pipeline is told of them."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from firstread.result import Code
from firstread.routing import ModelRole, RegisteredModel
from model_service.manifest import (
    BundleManifest,
    Classification,
    CodedConcept,
    Detection,
    Recognition,
    Segmentation,
    load_manifest,
)
from model_service.manifest.outputs import ModelOutput

BUNDLES = Path(__file__).parent / "bundles"


def model_id(manifest: BundleManifest) -> str:
    """Return the identity that results carry: name and version."""
    return f"{manifest.name}@{manifest.version}"


@lru_cache(maxsize=1)
def bundles() -> dict[str, Path]:
    """Return the shipped bundles, by model id."""
    folders = sorted(folder for folder in BUNDLES.iterdir() if (folder / "firstread.yaml").exists())
    return {model_id(load_manifest(folder)): folder for folder in folders}


def registration(folder: Path, bundle_key: str = "") -> RegisteredModel:
    """Return what the pipeline must know of a bundle to route to it.

    Parameters
    ----------
    folder
        The bundle.
    bundle_key
        Where its archive is in the models bucket; "" for a bundle that comes with the program.
    """
    manifest = load_manifest(folder)
    named = _named(manifest.output)
    return RegisteredModel(
        model_id=model_id(manifest),
        title=manifest.title,
        intended_use=manifest.intended_use,
        rule=manifest.routing,
        bundle_sha256=digest(folder),
        bundle_key=bundle_key,
        role=ModelRole.AID if isinstance(manifest.output, Recognition) else ModelRole.FINDING,
        concepts=_codes(concept for concept, _ in named),
        sites=_codes(site for _, site in named if site is not None),
    )


def _named(output: ModelOutput) -> list[tuple[CodedConcept, CodedConcept | None]]:
    """Return what a model can find, each with its place."""
    match output:
        case Classification():
            return [(each.finding.concept, each.finding.site) for each in output.classes]
        case Detection():
            return [(output.finding.concept, output.finding.site)]
        case Segmentation():
            return [(each.concept, each.site) for each in output.segments]
        case Recognition():
            return []


def _codes(concepts: Iterable[CodedConcept]) -> tuple[Code, ...]:
    codes = (Code(value=each.value, scheme=each.scheme, meaning=each.meaning) for each in concepts)
    return tuple(dict.fromkeys(codes))


def files(folder: Path) -> list[Path]:
    """Return the files that a bundle is made of, in the order in which they count."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(found)


def digest(folder: Path) -> str:
    """Return the SHA-256 over all files of a bundle: their paths and contents, in order."""
    total = hashlib.sha256()
    for path in files(folder):
        total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()

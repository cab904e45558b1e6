"""The code of the functions: one zip, built without Docker, or the shim of the local engine."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra.config import REPOSITORY, LambdaAssets

REQUIREMENTS: Final = REPOSITORY / "infra" / "lambda-requirements.txt"
SHIM: Final = REPOSITORY / "infra" / "lambda_shim"
PACKAGES: Final = ("firstread", "functions")
IMAGES: Final = ("clean_pixels", "describe_series")
"""Functions that decode pixels: they are in the container image (`functions/Dockerfile`) and not in the zip."""
# The commands, the local engine and the demonstration are for a laptop.
_NOT_DEPLOYED: Final = ("__pycache__", "*.pyc", "local", "demo", "cli.py", "*_cli.py", "Dockerfile", *IMAGES)


@dataclass(frozen=True)
class Target:
    """The interpreter that wheels are chosen for."""

    python: str
    platforms: tuple[str, ...]


# Amazon Linux 2023 below the python3.13 runtime has glibc 2.34.
LAMBDA: Final = Target("3.13", ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"))


class BuildError(RuntimeError):
    """The zip could not be built."""


def build(output: Path, target: Target | None = LAMBDA, requirements: Path = REQUIREMENTS) -> None:
    """Put the functions and all they import into a folder.

    Parameters
    ----------
    output
        The folder; it becomes the root of the zip.
    target
        The interpreter to choose wheels for; None takes the running one.
    requirements
        Pinned and hashed. The AWS SDK is not among them: the runtime brings it, at 50 MB.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--no-compile", "--only-binary=:all:", "--target", str(output)]
    if target is not None:
        command += ["--python-version", target.python, "--implementation", "cp"]
        command += [part for platform in target.platforms for part in ("--platform", platform)]
    command += ["--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    if done.returncode != 0:
        message = f"pip could not install the functions' requirements:\n{done.stderr.strip()}"
        raise BuildError(message)
    shutil.rmtree(output / "bin", ignore_errors=True)
    for package in PACKAGES:
        ignore = shutil.ignore_patterns(*_NOT_DEPLOYED)
        shutil.copytree(REPOSITORY / package, output / package, ignore=ignore, dirs_exist_ok=True)


@jsii.implements(ILocalBundling)
class _WithoutDocker:
    """Builds on this machine; a failure stops synthesis instead of asking for a Docker daemon."""

    # jsii hands the options over as one object, unlike its type stub says; hence the cast below.
    def try_bundle(self, output_dir: str, _options: object) -> bool:
        build(Path(output_dir))
        return True


def lambda_code(assets: LambdaAssets) -> lambda_.Code:
    """Return the code that all functions share; they differ in their handler only."""
    if assets is LambdaAssets.SHIM:
        return lambda_.Code.from_asset(str(SHIM))
    return lambda_.Code.from_asset(
        str(SHIM),
        # By what goes in: the zip is built again only if one of its sources changed.
        asset_hash=_digest(_sources()),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            image=DockerImage.from_registry("public.ecr.aws/sam/build-python3.13"),
            local=cast(ILocalBundling, _WithoutDocker()),
        ),
    )


def _sources() -> Sequence[Path]:
    def files() -> Iterator[Path]:
        for package in PACKAGES:
            yield from (REPOSITORY / package).rglob("*")

    found = [path for path in files() if path.is_file() and "__pycache__" not in path.parts]
    return sorted([*found, REQUIREMENTS, Path(__file__)])


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(str(path.relative_to(REPOSITORY)).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

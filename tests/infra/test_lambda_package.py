"""The real zip of the functions, built for this machine and imported where nothing else is."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.capabilities.lambda_code import IMAGES, SHIM, BuildError, build
from infra.config import REPOSITORY

# What the Lambda runtime itself brings.
RUNTIME_BRINGS = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
OFFLINE = ("NameResolutionError", "NewConnectionError", "Failed to establish a new connection", "ProxyError")
HANDLERS = sorted(
    {path.parent.name for path in (REPOSITORY / "functions").glob("*/handler.py")} - set(IMAGES)
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that becomes the zip, with wheels for this interpreter and platform."""
    folder = tmp_path_factory.mktemp("package")
    try:
        build(folder, target=None)
    except BuildError as error:
        if any(sign in str(error) for sign in OFFLINE):
            pytest.skip("the package index cannot be reached")
        raise
    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the AWS SDK."""
    folder = tmp_path_factory.mktemp("runtime")
    libraries = Path(pytest.importorskip("boto3").__file__).parent.parent
    for name in RUNTIME_BRINGS:
        source = libraries / name
        target = source if source.is_dir() else source.with_suffix(".py")
        (folder / target.name).symlink_to(target)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", HANDLERS)
def test_the_handler_imports_in_a_clean_environment(package: Path, runtime: Path, name: str) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(package)!r}, {str(runtime)!r}]; "
        f"import functions.{name}.handler as module; assert callable(module.handle); print(module.__file__); "
        # what `deidentify` imports with its first image
        "import firstread.deid.burned_in.scan"
    )
    # -I and -S: no site-packages, no environment, no working directory
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(package))


@pytest.mark.slow
def test_the_zip_holds_no_sdk_no_tests_and_fits(package: Path) -> None:
    names = {path.name for path in package.iterdir()}
    assert not names & set(RUNTIME_BRINGS)
    assert {"firstread", "functions"} <= names
    assert not (package / "firstread" / "local").exists()
    assert not any((package / "functions" / name).exists() for name in IMAGES)
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    assert size < 150 * 1024 * 1024  # of 250 MB, unzipped


def test_the_shim_hides_no_installed_handler() -> None:
    assert [path.name for path in SHIM.iterdir()] == ["README.md"]


def test_requirements_that_cannot_be_installed_stop_the_build(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"missing\.txt"):
        build(tmp_path / "out", target=None, requirements=tmp_path / "missing.txt")

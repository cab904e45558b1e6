"""Peers, each in an environment of its own below a cache folder: made once, from the registry that pip knows."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from shutil import rmtree

REQUIREMENTS = {
    "dcm2niix": "dcm2niix==1.0.20260724",
    "dicom2nifti": "dicom2nifti==2.6.2",
    "med-imagetools": "med-imagetools==2.16.0",
}
_LONGEST_S = 600


def programs(peer: str) -> Path:
    """Return the folder of a peer's programs, whether they are there or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return cache / "firstread" / "benchmarks" / f"{REQUIREMENTS[peer]}-{python}" / "bin"


def missing(peer: str) -> str:
    """Make a peer's environment where there is none; return why it cannot be made, "" where it is there."""
    place = programs(peer).parent
    if (place / "complete").exists():
        return ""
    rmtree(place, ignore_errors=True)
    print(f"installing {REQUIREMENTS[peer]}", file=sys.stderr, flush=True)
    try:
        venv.create(place, with_pip=True)
        command = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "--only-binary", ":all:"]
        subprocess.run(  # noqa: S603
            [*command, "--disable-pip-version-check", REQUIREMENTS[peer]],
            check=True,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
        )
        # So that no start compiles, as ours do not.
        compiled = [str(place / "bin" / "python"), "-m", "compileall", "-q", str(place / "lib")]
        subprocess.run(compiled, check=False, capture_output=True)  # noqa: S603 - some wheels have old syntax
    except subprocess.TimeoutExpired:
        return f"not installed in {_LONGEST_S} s"
    except subprocess.CalledProcessError as error:
        told = [each for each in str(error.stderr or "").splitlines() if each.startswith("ERROR")]
        return told[-1] if told else "pip failed"
    except OSError as error:
        return os.strerror(error.errno or 0)
    (place / "complete").touch()
    return ""

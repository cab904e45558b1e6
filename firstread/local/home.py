"""The state directory of a local run: where everything is, and how programs are told."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstread.errors import FirstReadError

HOME_VARIABLE = "FIRSTREAD_HOME"
REGION = "us-east-1"


class LocalError(FirstReadError):
    """The local run cannot go on; the text tells the user why and what to do."""


@dataclass(frozen=True)
class Home:
    """A state directory.

    Parameters
    ----------
    path
        The directory; made by `prepare`.
    """

    path: Path

    @classmethod
    def default(cls) -> "Home":
        """Return the directory named by ``FIRSTREAD_HOME``, else ``.firstread`` in the working directory."""
        return cls(Path(os.environ.get(HOME_VARIABLE) or ".firstread").resolve())

    def prepare(self) -> None:
        """Make the directory, readable by its owner only: the vault lies in it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        for folder in (self.logs, self.processes, self.engine_state, self.engine_objects):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def logs(self) -> Path:
        """Return the folder of component logs."""
        return self.path / "logs"

    @property
    def processes(self) -> Path:
        """Return the folder of process files."""
        return self.path / "run"

    @property
    def engine_state(self) -> Path:
        """Return where the engine keeps its state."""
        return self.path / "engine"

    @property
    def engine_objects(self) -> Path:
        """Return where the engine keeps S3 objects."""
        return self.path / "objects"

    @property
    def vault(self) -> Path:
        """Return the identity vault, outside the engine on purpose (ADR 0004)."""
        return self.path / "vault.sqlite"

    @property
    def engine_choices(self) -> Path:
        """Return the folder that remembers which inference engine was fastest."""
        return self.path / "engines"

    @property
    def vault_key(self) -> Path:
        """Return the vault's key file."""
        return self.path / "vault.key"

    @property
    def reference_key(self) -> Path:
        """Return the key file of references to original identifiers."""
        return self.path / "reference.key"

    @property
    def sources(self) -> Path:
        """Return who may send."""
        return self.path / "sources.json"

    @property
    def push_token(self) -> Path:
        """Return the token of `firstread push`."""
        return self.path / "push.token"

    @property
    def users(self) -> Path:
        """Return the seeded users of the local identity provider."""
        return self.path / "users.json"

    @property
    def ohif(self) -> Path:
        """Return where OHIF is, if it was fetched."""
        return self.path / "ohif"

    @property
    def clients(self) -> Path:
        """Return the clients of the local identity provider, with their secrets."""
        return self.path / "clients.json"

    @property
    def identity_key(self) -> Path:
        """Return the signing key of the local identity provider."""
        return self.path / "identity.key"

    @property
    def unclean(self) -> Path:
        """Return the mark that exists while the engine runs; found without an engine, it was killed."""
        return self.path / "engine.running"

    @property
    def lost_state(self) -> Path:
        """Return the mark that the engine was killed, kept until it was stopped cleanly again."""
        return self.path / "engine.lost-state"

    @property
    def unreconciled(self) -> Path:
        """Return the mark that the engine was killed, kept until what arrived was compared with the records."""
        return self.path / "engine.unreconciled"

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace a JSON file of the directory in one step."""
        target = self.path / name
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_text(json.dumps(value, indent=2, sort_keys=True), encoding="utf-8")
        draft.replace(target)

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the directory; empty where it is missing."""
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found


@dataclass(frozen=True)
class Ports:
    """Loopback ports of a local run."""

    engine: int = 4566
    portal: int = 8080
    ingest: int = 8081
    identity: int = 8082


def endpoint(ports: Ports) -> str:
    """Return the engine's URL."""
    return f"http://127.0.0.1:{ports.engine}"


def portal_url(ports: Ports) -> str:
    """Return the portal's URL."""
    return f"http://127.0.0.1:{ports.portal}"


def ingest_url(ports: Ports) -> str:
    """Return the ingest service's URL."""
    return f"http://127.0.0.1:{ports.ingest}"


def identity_url(ports: Ports) -> str:
    """Return the URL of the local identity provider."""
    return f"http://127.0.0.1:{ports.identity}"


def engine_credentials(ports: Ports) -> dict[str, str]:
    """Return the variables that point an AWS SDK at the engine and at nothing else."""
    return {
        "AWS_ENDPOINT_URL": endpoint(ports),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # the engine takes any
        # A user's own profiles must never reach a real account from here.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def process_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child: this one without AWS profiles, plus `settings`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    inherited["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return {**inherited, "PYTHONUNBUFFERED": "1", **settings}


def activate(home: Home) -> dict[str, str]:
    """Point this process at the local run, and return the settings.

    Raises
    ------
    LocalError
        If nothing was ever started here.
    """
    settings = {name: str(value) for name, value in home.read("settings.json").items()}
    if not settings:
        raise LocalError("nothing runs here; start it with `firstread up`")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(settings)
    return settings

"""One file: read, de-identified, written as a draft. Runs in this process or in one of several."""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from firstread.deid.folder.errors import JobError
from firstread.deid.folder.tree import Refusal
from firstread.deid.options import Option
from firstread.deid.process import default_detector, process
from firstread.deid.recipe import read_recipe
from firstread.deid.rules import rules
from firstread.deid.vault import IdentityVault
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.dicom import read
from firstread.errors import FirstReadError, QuarantineError, Reason

if TYPE_CHECKING:
    from firstread.deid.burned_in import TextDetector
    from firstread.deid.engine import Deidentified

_SAFE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.]{0,62}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know, in a form that travels to another process.

    Parameters
    ----------
    key, link
        Files of the identity vault.
    options
        Of the profile, as chosen.
    drafts
        Folder for what is not finished, on the disk of the output.
    detector
        Makes the detector of burned-in text.
    recipe
        A site's own rules.
    """

    key: Path
    link: Path
    options: frozenset[Option]
    drafts: Path
    detector: "Callable[[], TextDetector | None]" = default_detector
    recipe: Path | None = None


@dataclass(frozen=True)
class Task:
    """A file to be done.

    Parameters
    ----------
    number
        Its place in the order of the walk.
    path
        Where it is.
    key
        What the journal knows it by.
    known_sha256
        Digest under which this job has settled it before; None if it has not.
    """

    number: int
    path: str = field(repr=False)
    key: str
    known_sha256: str | None = None


@dataclass(frozen=True)
class Done:
    """What became of a file.

    Parameters
    ----------
    sha256
        Of the input; None if it could not be read.
    reason
        Why nothing came out; None if something did.
    known
        Whether the file is still the one that was settled before; it was not done again.
    draft
        What came out, under a name that is not its last.
    name
        The name it is to get, below the output folder.
    size
        Of the draft, in bytes.
    actions
        `Deidentified.actions`.
    """

    sha256: str | None
    reason: Reason | Refusal | None = None
    known: bool = False
    draft: Path = Path()
    name: str = ""
    size: int = 0
    actions: Mapping[str, int] = field(default_factory=dict)


def sha256_of(source: IO[bytes]) -> str:
    """Return the digest of a whole file, in hexadecimal."""
    return hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]


class Worker:
    """De-identifies one file after the other.

    Parameters
    ----------
    settings
        What is done with them.
    """

    def __init__(self, settings: Settings) -> None:
        self._store = SqliteVaultStore(settings.link)
        self._vault = IdentityVault(self._store, master_key_from_file(settings.key))
        overlay = None if settings.recipe is None else read_recipe(settings.recipe)
        self._rules = rules(settings.options, overlay=overlay)
        self._detector = settings.detector()
        self._drafts = settings.drafts

    def __call__(self, tasks: Sequence[Task]) -> list[Done]:
        """De-identify some files; their pseudonyms are on the disk when this returns.

        Raises
        ------
        JobError
            If the disk or the vault fails.
        """
        try:
            with self._store.group():
                return [self._one(task) for task in tasks]
        except sqlite3.Error as error:
            raise JobError(f"the link file cannot be used now ({type(error).__name__})") from None

    def _one(self, task: Task) -> Done:
        sha256 = None
        try:
            with open(task.path, "rb") as source:  # noqa: PTH123
                sha256 = sha256_of(source)
                if sha256 == task.known_sha256:
                    return Done(sha256, known=True)
                source.seek(0)
                return self._deidentify(source, sha256, self._drafts / str(task.number))
        except QuarantineError as error:
            return Done(sha256, error.reason)
        except OSError as error:
            if sha256 is None:
                return Done(None, Refusal.NOT_READABLE)
            if error.errno is None:  # no error of the system: decoders raise these about damaged pixels
                return Done(sha256, Reason.UNREADABLE)
            raise JobError(f"the output cannot be written: {os.strerror(error.errno)}") from None
        except sqlite3.Error:
            raise
        except FirstReadError as error:  # the vault's
            raise JobError(str(error)) from None
        except Exception:
            # One file that nobody has thought of must not stop a million others. It is not passed on either.
            return Done(sha256, Reason.UNREADABLE)

    def _deidentify(self, source: IO[bytes], sha256: str, draft: Path) -> Done:
        try:
            with draft.open("wb") as target, read(source) as file:
                found = process(file, target, vault=self._vault, rules=self._rules, detector=self._detector)
                size = target.tell()
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return Done(sha256, draft=draft, name=self._name(found), size=size, actions=found.actions)

    def _name(self, found: "Deidentified") -> str:
        """Return where the file goes; with retained UIDs these may be whatever the sender wrote."""
        parts = (found.patient, found.study_uid, found.series_uid, found.sop_uid)
        safe = (part if _SAFE_NAME.fullmatch(part) else self._vault.keyed_digest(part)[:32] for part in parts)
        return "/".join(safe) + ".dcm"

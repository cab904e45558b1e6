"""What a run keeps beside its outputs: the key of names, what was made of what, a lock."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from firstread.imaging.convert.options import ConvertError, ConvertReason


@dataclass(frozen=True)
class Record:
    """What was made of a series.

    Parameters
    ----------
    signature
        What it depends on: files, options, version.
    done
        Whether all of it is in its place.
    outputs
        Paths below the output folder, and bytes; 0 for a folder.
    """

    signature: str
    done: bool
    outputs: Mapping[str, int]


@dataclass(frozen=True)
class Home:
    """The output folder.

    Parameters
    ----------
    out
        Where volumes go; what the command keeps is in `.firstread` of it.
    """

    out: Path

    @property
    def kept(self) -> Path:
        """Return the folder of what is kept."""
        return self.out / ".firstread"

    @property
    def parts(self) -> Path:
        """Return the folder of what is not finished: on the disk of the output, so that it can be moved at once."""
        return self.kept / "parts"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs away, and clear what a killed one left.

        Raises
        ------
        ConvertError
            If another run is at work here.
        """
        (self.kept / "series").mkdir(parents=True, exist_ok=True)
        with (self.kept / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConvertError(ConvertReason.IN_USE) from None
            shutil.rmtree(self.parts, ignore_errors=True)
            yield
            shutil.rmtree(self.parts, ignore_errors=True)

    def record(self, series: str) -> Record | None:
        """Return what was made of a series; None where nothing is known."""
        try:
            found = json.loads((self.kept / "series" / f"{series}.json").read_text(encoding="utf-8"))
            return Record(**found)
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, series: str, record: Record) -> None:
        """Write down what was made of a series."""
        write_json(self.kept / "series" / f"{series}.json", asdict(record))

    def has(self, record: Record) -> bool:
        """Return whether all that was made is where it was put."""
        return record.done and all(
            (path := self.out / name).exists() and (not size or path.stat().st_size == size)
            for name, size in record.outputs.items()
        )


def write_json(path: Path, said: object) -> None:
    """Write a file that is either there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    part.replace(path)

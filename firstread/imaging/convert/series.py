"""One series: loaded, written beside its final place, and moved there at once."""

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.dicom.silence import quiet
from firstread.imaging.convert import facts
from firstread.imaging.convert.home import Home, Record
from firstread.imaging.convert.names import Pseudonyms
from firstread.imaging.convert.options import ConvertError, ConvertReason, Existing, Options, Target
from firstread.imaging.convert.stores import store_for, suffix
from firstread.imaging.convert.tree import Source
from firstread.imaging.pixels import PixelError
from firstread.imaging.plain import NotPlainError
from firstread.imaging.prepare.subject import PrepareError
from firstread.imaging.reading import PlainFiles
from firstread.imaging.series import load_files
from firstread.imaging.verdict import MEND, STRICT, Geometry, VolumeError
from firstread.imaging.volume import Volume

if TYPE_CHECKING:  # where there is no pipeline, and plain files alone, nothing of these is loaded
    from pydicom.dataset import Dataset

    from firstread.imaging.convert.preparing import Reference


class Status(StrEnum):
    """What became of a series."""

    MADE = "made"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    LEFT_OUT = "left_out"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of a series; nothing of it identifies.

    Parameters
    ----------
    series
        Digest of its UID.
    status, reason
        What, and why where it was not converted.
    files
        How many it has.
    outputs
        Paths below the output folder.
    geometry
        The verdict on each volume, in one word.
    step
        Of the pipeline, that cannot do what it is asked to: its number and kind; "" where none is.
    """

    series: str
    status: Status
    reason: str = ""
    files: int = 0
    outputs: tuple[str, ...] = ()
    geometry: tuple[str, ...] = ()
    step: str = ""


@dataclass(frozen=True)
class Task:
    """A series to convert.

    Parameters
    ----------
    series
        Digest of its UID.
    stem
        Path of its first volume below the output folder, without suffix.
    files
        Its files.
    options, home
        How, and where to.
    key
        Of the pseudonyms.
    signature
        What the outcome depends on.
    own
        Outputs that an earlier run of the command has made, or had begun to put in their places.
    replaced
        Outputs of the series as it was before, with their bytes, that go when those of this run come.
    references
        Volumes that the pipeline names.
    """

    series: str
    stem: str
    files: tuple[Source, ...]
    options: Options
    home: Home
    key: bytes
    signature: str
    own: frozenset[str] = frozenset()
    replaced: Mapping[str, int] = field(default_factory=dict)
    references: tuple["Reference", ...] = ()

    def name(self, number: int) -> str:
        """Return the path of a volume, 0 first, without its suffix."""
        name = self.stem if not number else f"{self.stem}_{number + 1}"
        return f"imagesTr/{name.replace('/', '_')}_0000" if self.options.to is Target.NNUNET else name

    def outputs(self, number: int) -> tuple[str, ...]:
        """Return the paths of what is written of a volume, 0 first: itself, its sidecar, the same of its masks."""
        names = (self.name(number), *(self.mask(number, each) for each in self.options.masks))
        return tuple(name + end for name in names for end in (suffix(self.options), ".json"))

    def mask(self, number: int, name: str) -> str:
        """Return the path of a mask of a volume, without its suffix."""
        return f"{self.name(number)}.{name}"

    def outcome(
        self, status: Status, reason: str = "", outputs: Sequence[str] = (), step: str = ""
    ) -> Outcome:
        """Return an outcome of this series."""
        return Outcome(self.series, status, reason, len(self.files), tuple(outputs), step=step)


def make(task: Task) -> Outcome:
    """Convert a series; never raises.

    Parameters
    ----------
    task
        Which, how and where to.
    """
    parts = task.home.parts / task.series
    try:
        return _make(task, parts)
    except (VolumeError, PixelError, ConvertError) as error:
        return task.outcome(Status.FAILED, error.reason.value)
    except PrepareError as error:
        return task.outcome(Status.FAILED, error.reason.value, step=error.step)
    except MemoryError:
        return task.outcome(Status.FAILED, ConvertReason.OUT_OF_MEMORY)
    except Exception:
        # Whatever a hostile file makes a parser raise; its text may quote the file.
        return task.outcome(Status.FAILED, ConvertReason.NOT_READ)
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def _make(task: Task, parts: Path) -> Outcome:
    if _in_the_way(task, 0):
        return task.outcome(Status.KEPT, ConvertReason.EXISTS)
    paths = [each.path for each in task.files]
    with ThreadPoolExecutor(1) as beside:
        digests = beside.submit(_digests, paths)
        repairs = STRICT if task.options.strict else MEND
        volumes = load_files(paths, repairs, [each.header for each in task.files])
        inputs = digests.result()
    if any(_is_other(each) for each in task.files):
        raise ConvertError(ConvertReason.INPUT_CHANGED)
    for number in range(1, len(volumes)):
        if _in_the_way(task, number):
            return task.outcome(Status.KEPT, ConvertReason.EXISTS)
    try:
        outputs = [
            name
            for number, volume in enumerate(volumes)
            for name in _write(task, parts, number, volume, inputs, alone=len(volumes) == 1)
        ]
        _place(task, parts, outputs)
    except OSError:
        raise ConvertError(ConvertReason.CANNOT_WRITE) from None
    geometry = tuple(each.verdict.geometry.value for each in volumes)
    return Outcome(task.series, Status.MADE, "", len(paths), tuple(outputs), geometry)


def _in_the_way(task: Task, number: int) -> bool:
    """Return whether somebody else's file is where a volume is to be, and stays.

    Raises
    ------
    ConvertError
        If it is, and that is a failure.
    """
    if task.options.existing is Existing.OVERWRITE or not any(
        name not in task.own and (task.home.out / name).exists() for name in task.outputs(number)
    ):
        return False
    if task.options.existing is Existing.FAIL:
        raise ConvertError(ConvertReason.EXISTS)
    return True


def _digests(paths: Sequence[Path]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for path in paths:
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
            found.append({"sha256": digest, "bytes": file.tell()})
    return sorted(found, key=lambda each: str(each["sha256"]))


def _is_other(source: Source) -> bool:
    state = source.path.stat()
    return (state.st_size, state.st_mtime_ns) != (source.size, source.mtime_ns)


def _write(
    task: Task, parts: Path, number: int, volume: Volume, inputs: list[dict[str, object]], *, alone: bool
) -> tuple[str, ...]:
    """Write a volume, masks and their sidecars among the parts; return their names."""
    header = _header(task, volume, alone=alone)
    masks: Mapping[str, Volume] = {}
    said: dict[str, object] = {}
    if task.options.pipeline is not None:
        from firstread.imaging.convert.preparing import prepared

        volume, masks, how = prepared(volume, task.options.pipeline, task.references)
        said = {"prepared": how}
    if task.options.to is Target.NNUNET and not _is_for_nnunet(volume):
        raise ConvertError(ConvertReason.NOT_FOR_FORMAT)
    beside: dict[str, object] = {"series": task.series, "options": task.options.to_json(), "inputs": inputs}
    if header is not None:
        beside["dicom"] = facts.dicom_facts(header)
        beside["references"] = facts.references(header, volume, Pseudonyms(task.key))
        beside |= facts.identifying_facts(header, volume) if task.options.identifying else {}
    names = {name: task.mask(number, name) for name in task.options.masks}
    if names:
        beside["masks"] = {each: Path(name).name + suffix(task.options) for each, name in names.items()}
    _store(task, parts, task.name(number), volume, facts.about(volume, header, task.options) | said, beside)
    for each, name in names.items():
        about = facts.about(masks[each], header, task.options) | {"mask": each}
        _store(task, parts, name, masks[each], about, {"series": task.series})
    return task.outputs(number)


def _store(
    task: Task,
    parts: Path,
    name: str,
    volume: Volume,
    said: Mapping[str, object],
    beside: Mapping[str, object],
) -> None:
    """Write one volume, with what is said in and beside it, and beside it alone."""
    path = parts / (name + suffix(task.options))
    path.parent.mkdir(parents=True, exist_ok=True)
    store = store_for(path, compress=task.options.compress, filter=task.options.filter)
    assert store is not None  # noqa: S101 - the suffix is that of the options
    store.write(volume, path, said)
    text = json.dumps({**said, "file": path.name, **beside}, indent=1, allow_nan=False)
    (parts / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _is_for_nnunet(volume: Volume) -> bool:
    return not (volume.is_in_time or volume.is_colour) and volume.is_upright


def _header(task: Task, volume: Volume, *, alone: bool) -> "Dataset | None":
    """Return the header of the first image of a volume; None where it cannot be told which images those were."""
    sources = {each.sop_uid: each for each in task.files}
    source = sources.get(volume.frames[0].sop_uid) if volume.frames else None
    if source is None and alone:
        source = task.files[0]
    if source is None:
        return None
    if not task.options.identifying and volume.verdict.geometry is not Geometry.PLANAR:
        try:
            (plain,) = PlainFiles([source.path], [source.header]).headers
            # Whatever is asked of it later is asked here first.
            facts.dicom_facts(plain), facts.references(plain, volume, Pseudonyms(task.key))
        except NotPlainError:
            pass
        else:
            return plain
    import pydicom

    with quiet():
        return pydicom.dcmread(source.path, stop_before_pixels=True)


def _place(task: Task, parts: Path, outputs: Sequence[str]) -> None:
    """Move what was written to where it belongs; after a kill in between, the next run knows what is its own."""
    for name in task.replaced.keys() - set(outputs):
        _take_away(task.home.out / name, task.replaced[name], parts)
    task.home.keep(task.series, Record(task.signature, done=False, outputs=dict.fromkeys(outputs, 0)))
    sizes: dict[str, int] = {}
    for name in outputs:
        target = task.home.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():  # a folder cannot be replaced by a rename
            target.rename(parts / f"{Path(name).name}.before")
        (parts / name).replace(target)
        sizes[name] = target.stat().st_size if target.is_file() else 0
    task.home.keep(task.series, Record(task.signature, done=True, outputs=sizes))


def _take_away(path: Path, size: int, parts: Path) -> None:
    """Remove what an earlier run wrote, as it wrote it: a volume or a mask that there is no more."""
    if path.is_dir() and not size:
        path.rename(parts / f"{path.name}.before")
    elif path.is_file() and path.stat().st_size == size:
        path.unlink()

"""A tree of DICOM files as volumes: planned, converted by processes, counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING

from firstread import __version__
from firstread.imaging.convert import nnunet
from firstread.imaging.convert.home import Home, Record, write_json
from firstread.imaging.convert.names import Pseudonyms, key_of, stem
from firstread.imaging.convert.options import ConvertError, ConvertReason, Existing, Options, Target
from firstread.imaging.convert.series import Outcome, Status, Task, make
from firstread.imaging.convert.tree import Series, Tree, grow

if TYPE_CHECKING:  # where there is no pipeline, nothing of it is loaded
    from firstread.imaging.convert.preparing import Reference

REPORT = "convert-report.json"
_MASKS_AND_DOSES = frozenset({"SEG", "RTDOSE", "RTSTRUCT"})


@dataclass(frozen=True)
class Summary:
    """What became of a tree.

    Parameters
    ----------
    outcomes
        Of each series with images, in the order of their digests.
    other_files
        How many files were no DICOM instances.
    broken_files
        SHA-256 of files that begin as DICOM and cannot be read; "" where not even that.
    unlisted_folders
        How many folders could not be listed.
    """

    outcomes: tuple[Outcome, ...]
    other_files: int
    broken_files: tuple[str, ...]
    unlisted_folders: int = 0

    @property
    def failed(self) -> int:
        """Return how many series, files and folders failed."""
        series = sum(each.status is Status.FAILED for each in self.outcomes)
        return series + len(self.broken_files) + self.unlisted_folders

    @property
    def totals(self) -> dict[str, int]:
        """Return how many series had which outcome."""
        counted = Counter(each.status.value for each in self.outcomes)
        return {status.value: counted[status.value] for status in Status}

    def to_json(self) -> dict[str, object]:
        """Return it as the report has it."""
        return {"tool": {"name": "firstread", "version": __version__}, "totals": self.totals, **asdict(self)}


def convert(
    sources: Sequence[Path],
    out: Path,
    options: Options,
    *,
    jobs: int = 1,
    key: Path | None = None,
    settled: Callable[[int, int], object] = lambda _done, _total: None,
) -> Summary:
    """Convert all series of a tree, and write `convert-report.json` into the output folder.

    Parameters
    ----------
    sources
        Folders and files.
    out
        Where volumes go; made where it is missing.
    options
        How.
    jobs
        Processes; each holds one volume or two in memory.
    key
        File with the key of pseudonyms, made where it is missing; None: in `.firstread` of the output folder.
    settled
        Told how many series are done, of how many.

    Raises
    ------
    ConvertError
        If there is no input, another run is at work in the output folder, or two series would have one name.
    OSError
        If the output folder cannot be written to.
    """
    if not all(each.exists() for each in sources):
        raise ConvertError(ConvertReason.NO_INPUT)
    home = Home(out)
    with home.locked():
        secret = key_of(key or home.kept / "key")
        references = _references(options)
        tree = grow(sources, out)
        outcomes, tasks = _plan(tree, home, options, secret, references)
        total = len(outcomes) + len(tasks)
        for outcome in _run(tasks, jobs):
            outcomes.append(outcome)
            settled(len(outcomes), total)
        if options.to is Target.NNUNET:
            nnunet.describe(out, options.licence)
        broken = tuple(_digest(each) for each in tree.broken)
        ordered = tuple(sorted(outcomes, key=lambda each: each.series))
        summary = Summary(ordered, tree.others, broken, tree.unlisted)
        write_json(out / REPORT, summary.to_json())
    return summary


def _references(options: Options) -> tuple["Reference", ...]:
    if options.pipeline is None:
        return ()
    from firstread.imaging.convert.preparing import references_of

    return references_of(options)


def _plan(
    tree: Tree, home: Home, options: Options, key: bytes, references: tuple["Reference", ...]
) -> tuple[list[Outcome], list[Task]]:
    names = Pseudonyms(key)
    outcomes: list[Outcome] = []
    tasks: list[Task] = []
    wanted = nnunet.modality(home.out, tree.series.values()) if options.to is Target.NNUNET else ""
    for series in tree.series.values():
        digest = names.of("series", series.ids.series_uid)
        if not series.has_images or series.ids.modality in _MASKS_AND_DOSES:
            reason = (
                ConvertReason.MASK_OR_DOSE
                if series.ids.modality in _MASKS_AND_DOSES
                else ConvertReason.NO_IMAGES
            )
            outcomes.append(Outcome(digest, Status.LEFT_OUT, reason, len(series.files)))
            continue
        if wanted and series.ids.modality != wanted:
            reason = ConvertReason.OTHER_MODALITY
            outcomes.append(Outcome(digest, Status.FAILED, reason, len(series.files)))
            continue
        signature = _signature(series, options, key, references)
        record = home.record(digest)
        task = Task(
            series=digest,
            stem=stem(series.ids, options, names),
            files=tuple(series.files),
            options=options,
            home=home,
            key=key,
            signature=signature,
            own=frozenset(record.outputs if record and _is_own(record, signature) else ()),
            references=references,
        )
        if record and options.existing is Existing.OVERWRITE and task.outputs(0)[0] in record.outputs:
            task = replace(task, replaced=record.outputs)
        if record and record.signature == signature and home.has(record):
            outcomes.append(task.outcome(Status.UNCHANGED, outputs=tuple(record.outputs)))
        tasks.append(task)
    _check_names(tasks)
    settled = {each.series for each in outcomes}
    return outcomes, [task for task in tasks if task.series not in settled]


def _is_own(record: Record, signature: str) -> bool:
    """Return whether outputs may be replaced: killed on their way, or made of the same, and some are gone."""
    return not record.done or record.signature == signature


def _check_names(tasks: Iterable[Task]) -> None:
    # Disks that do not tell capitals from small letters would lose one of two.
    if any(count > 1 for count in Counter(each.name(0).casefold() for each in tasks).values()):
        raise ConvertError(ConvertReason.SAME_NAME)


def _signature(series: Series, options: Options, key: bytes, references: Iterable["Reference"]) -> str:
    files = sorted((each.sop_uid, each.size, each.mtime_ns) for each in series.files)
    said = [__version__, options.to_json(), sha256(key).hexdigest(), files]
    said += [[each.name, each.sha256] for each in references]
    return sha256(json.dumps(said).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _run(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    if jobs == 1 or len(tasks) < 2:
        yield from map(make, tasks)
        return
    left = {each.series: each for each in tasks}
    for outcome in _in_pool(tasks, min(jobs, len(tasks))):
        del left[outcome.series]
        yield outcome
    # A process died, and took the others' work along: each once more by itself, to see whose it was.
    for task in left.values():
        yield next(iter(_in_pool([task], 1)), None) or task.outcome(Status.FAILED, ConvertReason.DIED)


def _in_pool(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """Yield what processes made, until one of them dies."""
    # Imported here: a run in this process starts without them.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(make, each) for each in tasks]
        try:
            for each in as_completed(waiting):
                try:
                    outcome = each.result()
                except BrokenProcessPool:
                    continue
                yield outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

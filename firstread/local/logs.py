"""Follow the logs of all components: the files of the processes and the log groups of the functions."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from firstread.local.home import Home, LocalError, activate

_POLL_SECONDS = 0.5
_GROUP_PREFIX = "/aws/"


@dataclass(frozen=True)
class Line:
    """One line of a log, and whose it is."""

    component: str
    text: str


class _File:
    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._path = path
        self._offset = path.stat().st_size if from_end else 0
        self._rest = b""

    def lines(self) -> Iterator[Line]:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield Line(self._path.stem, line.decode(errors="replace"))


class _Functions:
    def __init__(self, since: float) -> None:
        self._client: Any = boto3.client("logs")
        self._since = int(since * 1000)
        self._seen: set[str] = set()

    def lines(self) -> Iterator[Line]:
        groups = self._client.describe_log_groups(logGroupNamePrefix=_GROUP_PREFIX)["logGroups"]
        for group in groups:
            name = str(group["logGroupName"])
            events = self._client.filter_log_events(logGroupName=name, startTime=self._since)["events"]
            for event in events:
                identity = f"{name}{event.get('eventId')}{event['timestamp']}{event['message']}"
                if identity not in self._seen:
                    self._seen.add(identity)
                    yield Line(_function(name), event["message"].rstrip())


def _function(group: str) -> str:
    """Return the function's name: ``.../GatheringCompleteStudyLogs8383D4EC`` -> ``complete_study``."""
    last = group.rsplit("/", 1)[-1]
    words = re.findall(r"[A-Z][a-z]+", last.split("Logs")[0])
    return "_".join(word.lower() for word in words[1:]) or last


def follow(home: Home, *, once: bool = False) -> Iterator[Line]:
    """Yield log lines: what is there with `once`, else what comes from now on, until interrupted.

    Raises
    ------
    LocalError
        If there are no logs.
    """
    if not home.logs.is_dir():
        raise LocalError("there are no logs here; start with `firstread up`")
    files: dict[Path, _File] = {}
    functions = _functions(home, since=0.0 if once else time.time())
    first = True
    while True:
        for path in sorted(home.logs.glob("*.log")):
            reader = files.setdefault(path, _File(path, from_end=first and not once))
            yield from reader.lines()
        if functions is not None:
            try:
                yield from functions.lines()
            except (BotoCoreError, ClientError):
                yield Line("logs", "the engine does not answer; only processes are followed")
                functions = None
        if once:
            return
        first = False
        time.sleep(_POLL_SECONDS)


def _functions(home: Home, since: float) -> _Functions | None:
    try:
        activate(home)
    except LocalError:
        return None
    return _Functions(since)

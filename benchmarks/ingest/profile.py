"""The stress hour of a large hospital, at 1, 5 and 10 times its pace, with the analysis stubbed and with it real.

A pace is held for a while, not for an hour: what counts is whether the system keeps up. Everything runs on this
machine: engine, functions, doors, model service, and the sender itself, which all share its processors.
"""

import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import page
from benchmarks.ingest.load import SENDERS, SentStudy, hospital, send
from benchmarks.ingest.measure import Observer, percentiles
from benchmarks.ingest.stub import Settings as StubSettings
from benchmarks.ingest.stub import StubService, register
from benchmarks.ingest.studies import PROFILE, by_modality
from benchmarks.ports import free_port
from firstread.environment import (
    AlertsSettings,
    BatchesSettings,
    InstancesSettings,
    LedgerSettings,
    ReferenceSettings,
)
from firstread.local import processes
from firstread.local.home import Home, Ports, ingest_url
from firstread.local.run import WORKER, down, up
from firstread.receipt import Receipt
from firstread.records import tables
from firstread.refs import open_references
from firstread.uploads.client import IngestClient

TITLE = "A hospital's stress hour at the way in"
CT_TITLE = "Last slice of a CT to its alert"
PACES = (1, 5, 10)
SECONDS = 30.0
_DRAIN = 60.0
_CTS = 3


class Settings(
    StubSettings, LedgerSettings, InstancesSettings, BatchesSettings, AlertsSettings, ReferenceSettings
):
    """What this benchmark reads."""


@dataclass(frozen=True)
class System:
    """A running system, as the benchmark sees it."""

    home: Home
    client: IngestClient
    observer: Observer
    settings: Settings


@contextmanager
def running() -> Iterator[System]:
    """Start everything in a directory of its own, and stop it."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder))
        ports = Ports(engine=free_port(), portal=free_port(), ingest=free_port(), identity=free_port())
        up(home, ports, lambda _text: None)
        try:
            settings = Settings()
            tables.bind(settings)
            client = IngestClient(ingest_url(ports), home.push_token.read_text().strip())
            yield System(home, client, Observer(open_references(settings)), settings)
        finally:
            down(home, lambda _text: None)


def run() -> None:
    """Measure, print and write."""
    rows: list[list[str]] = []
    stages: list[list[str]] = []
    numbers = itertools.count(1)
    with running() as system:
        for real in (True, False):
            if not real:
                processes.stop(system.home, WORKER)
                register()
                stub = StubService(system.settings)
                stub.start()
            for pace in PACES:
                print(f"pace {pace}, analysis {'real' if real else 'stubbed'}", file=sys.stderr)
                row, more = _pace(system, pace, real, numbers)
                rows.append(row)
                stages += more
        cts = [_one_ct(system, next(numbers)) for _ in range(_CTS + 1)][1:]
        stub.stop()
    _write(rows, stages, cts)


def _pace(system: System, pace: int, real: bool, numbers: Iterator[int]) -> tuple[list[str], list[list[str]]]:
    load = os.getloadavg()[0]
    start = time.monotonic()
    sent = hospital(system.client, pace, SECONDS, numbers)
    sending = time.monotonic() - start
    draining = system.observer.wait(sent, _DRAIN)
    receipts = {receipt.object_key: receipt for receipt in system.observer.receipts(sent)}
    outcomes = system.observer.outcomes(sent)
    number = sum(len(study.acknowledged) for study in sent)
    balanced = sum(outcomes.values()) == number and not outcomes["pending"]
    told = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    mode = "real" if real else "stubbed"
    offered = sum(kind.per_hour * kind.images for kind in PROFILE) * pace / 3600
    row = [
        f"{pace}x, {mode}",
        str(len(sent)),
        str(number),
        f"{offered:.1f}",
        f"{number / (sending + draining):.1f}",
        f"{sending - SECONDS:.0f}",
        f"{draining:.0f}",
        f"{told}{'' if balanced else ' NOT AT REST'}",
        f"{load:.1f}",
    ]
    return row, [_stage_row(system, f"{pace}x, {mode}", kind.modality, sent, receipts) for kind in PROFILE]


def _stage_row(
    system: System, name: str, modality: str, sent: list[SentStudy], receipts: dict[str, Receipt]
) -> list[str]:
    found = [system.observer.stages(each, receipts) for each in sent if each.kind.modality == modality]
    versions = sum(each.versions for each in found)
    return [
        name,
        modality,
        str(len(found)),
        percentiles([value for each in found for value in each.settled]),
        percentiles([each.complete for each in found if each.complete is not None]),
        percentiles([each.result for each in found if each.result is not None]),
        percentiles([each.alert for each in found if each.alert is not None]),
        f"{versions / len(found):.2f}" if found else "–",
    ]


def _one_ct(system: System, number: int) -> tuple[float, float]:
    """Send one CT to a system at rest; return seconds from its last slice to version and to delivered alert."""
    sent = send(system.client, by_modality("CT"), number)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        receipts = {receipt.object_key: receipt for receipt in system.observer.receipts([sent])}
        found = system.observer.stages(sent, receipts)
        if found.complete is not None and found.alert is not None:
            return found.complete, found.alert
        time.sleep(0.2)
    raise TimeoutError("the CT raised no alert in 120 s")


def _write(rows: list[list[str]], stages: list[list[str]], cts: list[tuple[float, float]]) -> None:
    heads = [
        "pace, analysis",
        "studies",
        "instances",
        "offered/s",
        "sustained/s",
        "sender behind, s",
        "drained in, s",
        "ledger",
        "load before",
    ]
    stage_heads = [
        "pace, analysis",
        "modality",
        "studies",
        "acknowledged to settled",
        "last sent to version",
        "to result",
        "to alert",
        "versions per study",
    ]
    mix = "; ".join(
        f"{kind.modality} {kind.per_hour:g} studies of {kind.images} images {kind.rows}x{kind.columns}"
        for kind in PROFILE
    )
    body = "\n".join(
        [
            f"Per hour: {mix}. Each pace is held for {SECONDS:.0f} s by {SENDERS} senders through the presigned door, "
            "and then left to come to rest. Sustained is what was settled per second from the first object sent to "
            "rest. Seconds, median / 95th percentile. The model in the repository is for chest X-rays of children "
            "only: real analysis is of those. Stubbed analysis records a finding for every study at once.",
            "",
            page.table(heads, rows),
            "",
            page.table(stage_heads, stages),
        ]
    )
    print(f"{TITLE}\n\n{body}")
    page.write(TITLE, body)
    complete, alert = ([each[index] for each in cts] for index in (0, 1))
    ct = by_modality("CT")
    body = (
        f"One CT of {ct.images} slices at a time on a system at rest, analysis stubbed, {len(cts)} runs after one to "
        f"warm up; its door says how many it brought. From S3's acknowledgement of the last slice: version closed "
        f"after "
        f"{percentiles(complete)} s, alert delivered after {percentiles(alert)} s (median / 95th percentile; slowest "
        f"{max(alert):.2f} s). A second of that is the wait for another batch."
    )
    print(f"\n{CT_TITLE}\n\n{body}")
    page.write(CT_TITLE, body)

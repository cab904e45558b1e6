"""The demonstration: push the samples, watch their way live, show the alert and the worklist."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.pretty import Pretty
from rich.table import Table

from firstread.clock import from_text, now
from firstread.demo.samples import SAMPLES
from firstread.demo.simulate import write_radiograph
from firstread.demo.subscriber import Subscriber
from firstread.demo.track import Tracker, Way
from firstread.environment import (
    IngestClientSettings,
    InstancesSettings,
    LedgerSettings,
    ResultsSettings,
    StudiesSettings,
)
from firstread.errors import NotFoundError
from firstread.local.home import Home, Ports, portal_url
from firstread.local.run import users
from firstread.push import Push
from firstread.receipt import Outcome, Receipt
from firstread.records import tables
from firstread.records.instances import LedgerRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.study import AnalysisStatus, Risk, Study
from firstread.uploads.client import open_client
from firstread.uploads.journal import Journal

STAGES = ("received", "de-identified", "complete", "analysed")
_COLOURS = {Risk.HIGH: "bold red", Risk.UNKNOWN: "yellow", Risk.NOT_FLAGGED: "default"}


class DemoSettings(IngestClientSettings, LedgerSettings, InstancesSettings, StudiesSettings, ResultsSettings):
    """What the demonstration reads and writes."""

    alert_topic_arn: str


@dataclass(frozen=True)
class Item:
    """One file of the demonstration and its receipt."""

    name: str
    what: str
    receipt: Receipt


def run(console: Console, home: Home, wait_seconds: float = 180.0) -> bool:
    """Run the demonstration against the active local run.

    Parameters
    ----------
    console
        Where to show it.
    home
        Its state directory.
    wait_seconds
        How long the files may take.

    Returns
    -------
    bool
        Whether every file is accounted for and the alert arrived.
    """
    settings = DemoSettings()
    tables.bind(settings)
    tracker = Tracker(LedgerRepository(), StudyRepository(), ResultRepository())
    subscriber = Subscriber(settings.alert_topic_arn)
    try:
        items = _push(settings, home)
        ways = _watch(console, tracker, items, wait_seconds)
        alerted = _show_alerts(console, subscriber, ways)
        _show_worklist(console, tracker.studies.worklist())
    finally:
        subscriber.close()
    missing = [item.name for item, way in zip(items, ways, strict=True) if not way.accounted_for]
    if missing:
        console.print(f"[red]not accounted for:[/red] {', '.join(missing)}")
    else:
        console.print(f"[green]all {len(items)} files are accounted for[/green]")
    return not missing and alerted


def _push(settings: DemoSettings, home: Home) -> list[Item]:
    client = open_client(settings.ingest_url, Path(settings.ingest_token_file))
    with TemporaryDirectory() as folder:
        simulated = write_radiograph(Path(folder) / "simulated.dcm", seed=1, when=now())
        named = [(sample.name, sample.what, sample.path()) for sample in SAMPLES]
        named.append(("simulated.dcm", "DX chest, child; SIMULATED", simulated))
        items = []
        for name, what, path in named:
            journal = Journal.of(home.path / "push", ["demo", name], again=True)
            (sent,) = Push(client, journal).send([path])
            if sent.receipt is None:
                raise NotFoundError(f"sample {name} could not be sent: {sent.refusal}")
            items.append(Item(name, what, sent.receipt))
        return items


def _watch(console: Console, tracker: Tracker, items: Sequence[Item], seconds: float) -> list[Way]:
    deadline = time.monotonic() + seconds
    receipts = [item.receipt for item in items]
    ways = [Way(receipt) for receipt in receipts]
    with Live(_way_table(items, ways), console=console, refresh_per_second=8) as live:
        while time.monotonic() < deadline:
            ways = tracker.ways(receipts)
            live.update(_way_table(items, ways))
            if all(way.accounted_for for way in ways):
                break
            time.sleep(0.25)
    return ways


def _way_table(items: Sequence[Item], ways: Sequence[Way]) -> RenderableType:
    table = Table(title="The way of each file: time of arrival, then seconds since", expand=True)
    table.add_column("file", overflow="fold", ratio=3)
    table.add_column("outcome", ratio=3)
    table.add_column("arrived", no_wrap=True)
    for heading in ("de-id.", "complete", "analysed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item, way in zip(items, ways, strict=True):
        passed = [_since(way, stage) for stage in STAGES[1:]]
        received = f"{from_text(way.receipt.received_at):%H:%M:%S}"
        table.add_row(f"{item.name}\n[dim]{item.what}[/dim]", _outcome(way), received, *passed)
    return table


def _since(way: Way, stage: str) -> str:
    seconds = way.seconds(stage)
    if seconds is None:
        return ""
    # A duplicate's study was done before it arrived.
    return f"{seconds:.1f} s" if seconds >= 0 else "earlier"


def _outcome(way: Way) -> str:
    if way.receipt.outcome is Outcome.PENDING:
        return "[dim]waiting[/dim]"
    if way.receipt.outcome is Outcome.QUARANTINED:
        return f"[yellow]held[/yellow]\n[dim]{way.receipt.reason.replace('_', ' ')}[/dim]"
    if way.receipt.outcome is Outcome.DUPLICATE:
        return "duplicate"
    return _study_outcome(way.study) if way.study else "[dim]stored[/dim]"


def _study_outcome(study: Study) -> str:
    if study.status is AnalysisStatus.NO_MODEL:
        why = "; ".join(study.not_applicable.values())
        return f"[yellow]no model applies[/yellow]\n[dim]{why}[/dim]"
    if study.status is AnalysisStatus.ANALYSED and study.probability is not None:
        return (
            f"[{_COLOURS[study.risk]}]{study.risk.value}[/]\n[dim]probability {study.probability:.3f}[/dim]"
        )
    return f"[dim]{study.status.value}[/dim]"


def _show_alerts(console: Console, subscriber: Subscriber, ways: Sequence[Way]) -> bool:
    """Print the alert as a subscriber receives it; return whether every high risk had one."""
    expected = sum(way.study is not None and way.study.risk is Risk.HIGH for way in ways)
    received: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20
    while len(received) < expected and time.monotonic() < deadline:
        # Further levels may be of alerts of before.
        received += [each for each in subscriber.receive(wait_seconds=1) if not each["Message"]["level"]]
    for envelope in received:
        shown = {key: envelope[key] for key in ("Type", "Subject", "Message", "Timestamp") if key in envelope}
        console.print(
            Panel(Pretty(shown), title="The alert, as a subscriber receives it", border_style="red")
        )
    if not expected:
        console.print("[yellow]no study is at high risk, so there is no alert[/yellow]")
    return expected > 0 and len(received) >= expected


def _show_worklist(console: Console, studies: Sequence[Study]) -> None:
    table = Table(title="Worklist: highest risk first, then the longest wait. Research use only.")
    table.add_column("risk", no_wrap=True)
    for column in ("prob.", "waiting", "modality", "body part", "description", "analysis"):
        table.add_column(column)
    for study in studies:
        held = f"\n{study.gathering.held_count} held" if study.gathering.held_count else ""
        table.add_row(
            f"[{_COLOURS[study.risk]}]{study.risk.value}[/]",
            "" if study.probability is None else f"{study.probability:.3f}",
            _waiting(study, now()),
            ", ".join(study.gathering.modalities),
            ", ".join(study.gathering.body_parts),
            study.gathering.description + ("\n[magenta]SIMULATED[/]" if study.gathering.simulated else ""),
            study.status.value + held,
        )
    console.print(table)


def _waiting(study: Study, at: datetime) -> str:
    seconds = int((at - from_text(study.gathering.first_arrival)).total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"


def show_portal(console: Console, home: Home, ports: Ports) -> None:
    """Print the portal's address and its seeded users."""
    table = Table(title=f"Portal: {portal_url(ports)} (this machine only)")
    for column in ("user", "role", "password"):
        table.add_column(column)
    for user in users(home):
        table.add_row(user["name"], user["role"], user["password"])
    console.print(table)

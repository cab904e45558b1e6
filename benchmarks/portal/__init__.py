"""How long do the worklist and a DICOMweb search take with 1,000 and with 100,000 studies?

``python -m benchmarks portal``: the portal in this process, asked request by request, over tables whose queries cost
what they return (`benchmarks.portal.engine`). Measured is the program, from the request to the answer: queries, rows
to studies, order, filters, HTML or JSON. The time of DynamoDB is not in it; how many requests, rows and bytes it is
asked for is counted. The two sizes take turns; the ratio of the median CPU time leaves out what else the machine does.
`FIRSTREAD_BENCH_ROUNDS` and `FIRSTREAD_BENCH_STUDIES` make it small.
"""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from starlette.testclient import TestClient

from benchmarks.page import table, write
from benchmarks.portal.engine import Count, Engine
from benchmarks.portal.studies import alert_of, studies
from firstread.alerting import AlertingPolicy
from firstread.clock import now, to_text
from firstread.policy import Role
from firstread.records import alerts as alert_records
from firstread.records import studies as study_records
from firstread.records.tables import TABLES, bind
from firstread.session import Session
from portal import access
from portal.app import create_app
from portal.logic.looks import Looks
from portal.settings import PortalSettings

SIZES = (1_000, 100_000)
ROUNDS = 120
_WARM = 3
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass
class Case:
    """One request, and what it took."""

    name: str
    path: str
    role: Role = Role.RADIOLOGIST
    times: dict[int, list[float]] = field(default_factory=dict)
    work: dict[int, list[float]] = field(default_factory=dict)
    counts: dict[int, Count] = field(default_factory=dict)


class Portal:
    """A portal over a number of studies."""

    def __init__(self, count: int) -> None:
        self.engine = Engine()
        for each in TABLES.values():
            self.engine.define(each)
        self.page_two = ""
        for study in studies(count, now()):
            self.engine.put(study_records._head(study, 1))
            if study.alert_id:
                self.engine.put(alert_records._row(alert_of(study), 1))

    @contextmanager
    def serving(self, role: Role) -> Iterator[TestClient]:
        """Ask this one, as a reader of a role."""
        undo = self.engine.install()
        names: dict[str, Any] = {name: name for name in TABLES}
        settings = PortalSettings(
            studies_bucket="studies",
            results_bucket="results",
            alerting=AlertingPolicy(),
            portal_url="http://127.0.0.1:8080",
            reference_key_file="unused",
            vault="sqlite",
            vault_path="unused",
            vault_key_file="unused",
            **names,
        )
        try:
            # Who signs in and how is another matter: nobody's session is looked up here.
            # The look of a page is written once in hours, and not here.
            with (
                patch.object(access, "session_of", lambda *_, **__: session_as(role)),
                patch.object(Looks, "write", lambda *_, **__: None),
            ):
                yield TestClient(create_app(settings), headers={"X-FirstRead-Background": "1"})
        finally:
            undo()

    def measure(self, case: Case, count: int, rounds: int) -> bool:
        """Ask for a case; returns whether there is such a route."""
        with self.serving(case.role) as client:
            path = case.path
            if "CURSOR" in path:
                path = path.replace("CURSOR", client.get("/api/worklist").json()["next"])
            for turn in range(_WARM + rounds):
                self.engine.count = Count()
                began, worked = time.perf_counter(), time.process_time()
                answer = client.get(path)
                took, worked = time.perf_counter() - began, time.process_time() - worked
                if answer.status_code == 404:
                    return False
                assert answer.status_code == 200, (case.name, answer.status_code)
                if turn >= _WARM:
                    case.times.setdefault(count, []).append(took * 1000)
                    case.work.setdefault(count, []).append(worked * 1000)
                    case.counts[count] = self.engine.count
        return True


def session_as(role: Role) -> Session:
    """Return the session of a reader who has just signed in."""
    at = to_text(now())
    return Session(user="ann", role=role, roles=(role,), authenticated_at=at, opened_at=at, used_at=at)


def cases() -> list[Case]:
    """Return what is asked for."""
    return [
        Case("worklist, page", "/"),
        Case("worklist, page of 500", "/?limit=500"),
        Case("worklist, JSON", "/api/worklist"),
        Case("worklist, second page", "/api/worklist?cursor=CURSOR"),
        Case("worklist without risk", "/api/worklist", Role.TECHNOLOGIST),
        Case("worklist, one modality", "/api/worklist?modality=MG"),
        Case("QIDO, newest 50", "/dicomweb/studies?limit=50&offset=0"),
        Case("QIDO, one patient", "/dicomweb/studies?PatientID=FR-00000007"),
    ]


def run() -> None:
    """Measure and write the section."""
    sizes = (
        tuple(int(each) for each in os.environ.get("FIRSTREAD_BENCH_STUDIES", "").split(",") if each) or SIZES
    )
    rounds = int(os.environ.get("FIRSTREAD_BENCH_ROUNDS", str(ROUNDS)))
    with patch.dict(os.environ, _ENVIRONMENT):
        bind(type("Names", (), {name: name for name in TABLES})())
        portals = {count: Portal(count) for count in sizes}
        asked = cases()
        missing = set()
        for _ in range(4):  # in turns, so that a busy moment of the machine meets both
            for case in asked:
                for count, portal in portals.items():
                    if case.name not in missing and not portal.measure(case, count, max(1, rounds // 4)):
                        missing.add(case.name)
    rows = [_row(case, sizes) for case in asked if case.name not in missing]
    header = ["request"]
    for count in sizes:
        header += [f"p50 at {count:,}, ms", "p95, ms", "queries", "rows", "KB"]
    absent = f"\n\nNot there: {', '.join(sorted(missing))}." if missing else ""
    header += ["ratio of CPU", "ratio p50", "ratio p95"]
    write("Portal", f"{' '.join((__doc__ or '').split())}\n\n{table(header, rows)}{absent}")


def _row(case: Case, sizes: tuple[int, ...]) -> list[str]:
    cells, figures = [case.name], []
    for count in sizes:
        times = case.times[count]
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        figures.append((p50, p95))
        asked = case.counts[count]
        cells += [
            f"{p50:.1f}",
            f"{p95:.1f}",
            str(asked.requests),
            str(asked.rows),
            f"{asked.size / 1000:.0f}",
        ]
    work = [statistics.median(case.work[count]) for count in (sizes[0], sizes[-1])]
    cells.append(f"{work[1] / work[0]:.2f}")
    return [*cells, *(f"{last / first:.2f}" for first, last in zip(figures[0], figures[-1], strict=True))]

"""How long from `push` to a recorded finding and a delivered alert, for one chest X-ray on a warm CPU system?

Every figure comes from the time stamps that the records themselves carry. The floor is what nobody can do without: the
bare model on the decoded image, and one PUT of the same bytes into the same engine.
"""

import io
import statistics
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
import torch

from benchmarks import page
from benchmarks.ports import free_port
from firstread.clock import from_text, now
from firstread.demo.simulate import radiograph
from firstread.demo.track import Tracker, Way
from firstread.environment import (
    AlertsSettings,
    IncomingSettings,
    IngestClientSettings,
    InstancesSettings,
    LedgerSettings,
    ResultsSettings,
    StudiesSettings,
)
from firstread.gathering.completeness import CompletenessPolicy
from firstread.imaging.render import grayscale
from firstread.local.home import Home, Ports
from firstread.local.run import down, up
from firstread.local.template import COMPLETENESS
from firstread.push import Push
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.instances import LedgerRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.storage import Bucket
from firstread.uploads.client import IngestClient, open_client
from firstread.uploads.journal import Journal
from model_service.predict import Classifier
from model_service.registry import bundles

TITLE = "Warm push to recorded finding"
RUNS = 7
WARM_UP = 3


class Settings(
    IncomingSettings,
    IngestClientSettings,
    LedgerSettings,
    InstancesSettings,
    StudiesSettings,
    ResultsSettings,
    AlertsSettings,
):
    """What this benchmark reads and writes."""


def run() -> None:
    """Measure, print and write."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder))
        up(home, Ports(free_port(), free_port(), free_port(), free_port()), lambda _text: None)
        try:
            settings = Settings()
            tables.bind(settings)
            bucket = Bucket(settings.incoming_bucket)
            client = open_client(settings.ingest_url, Path(settings.ingest_token_file))
            samples = [_one(client, seed) for seed in range(WARM_UP + RUNS)][WARM_UP:]
            floor = _floor(bucket)
        finally:
            down(home, lambda _text: None)
    body = _body(samples, floor)
    print(f"{TITLE}\n\n{body}")
    page.write(TITLE, body)


def _one(client: IngestClient, seed: int) -> dict[str, float]:
    tracker = Tracker(LedgerRepository(), StudyRepository(), ResultRepository())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        path.write_bytes(radiograph(seed, now()))
        start = now()
        (sent,) = Push(client, Journal(Path(folder) / "journal")).send([path])
    assert sent.receipt is not None
    receipt = sent.receipt
    way = _wait(lambda: _analysed(tracker, receipt))
    return _stages(start, way)


def _analysed(tracker: Tracker, receipt: object) -> Way | None:
    (way,) = tracker.ways([receipt])  # type: ignore[list-item]
    return way if way.accounted_for and way.study is not None and way.study.alert_id else None


def _wait(ready: Callable[[], Way | None]) -> Way:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = ready()
        if found is not None:
            return found
        time.sleep(0.02)
    raise TimeoutError("the radiograph was not analysed in 120 s")


def _stages(start: datetime, way: Way) -> dict[str, float]:
    assert way.study is not None
    (result,) = way.results
    alert = AlertRepository().get(way.study.alert_id)
    deadline = time.monotonic() + 30
    while (alert is None or not alert.delivered_at) and time.monotonic() < deadline:
        time.sleep(0.05)
        alert = AlertRepository().get(way.study.alert_id)
    assert alert is not None and alert.delivered_at
    moments = [
        start,
        from_text(way.receipt.settled_at),
        from_text(way.study.completed_at),
        from_text(result.started_at),
        from_text(result.finished_at),
        from_text(alert.delivered_at),
    ]
    names = ["push to de-identified", "to complete", "to start of analysis", "analysis", "to delivered alert"]
    found = {
        name: (after - before).total_seconds()
        for name, before, after in zip(names, moments, moments[1:], strict=False)
    }
    quiet = CompletenessPolicy.model_validate(COMPLETENESS).quiet_time(("DX",), ("push",))
    found["quiet time (set)"] = quiet
    found["to complete"] -= quiet
    found["push to finding"] = (moments[4] - moments[0]).total_seconds()
    found["push to finding, without quiet time"] = found["push to finding"] - quiet
    return found


def _floor(bucket: Bucket) -> dict[str, float]:
    data = radiograph(0, now())
    puts = [_timed(lambda: bucket.put("floor", data, "application/octet-stream")) for _ in range(5)]
    classifier = Classifier.load(next(iter(bundles().values())))
    image = grayscale(pydicom.dcmread(io.BytesIO(data)), window="full")
    classifier.predict(image)
    models = [_timed(lambda: classifier.predict(image)) for _ in range(9)]
    return {"one PUT": statistics.median(puts), "bare model": statistics.median(models)}


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _body(samples: list[dict[str, float]], floor: dict[str, float]) -> str:
    order = [
        "push to de-identified",
        "quiet time (set)",
        "to complete",
        "to start of analysis",
        "analysis",
        "push to finding",
        "push to finding, without quiet time",
        "to delivered alert",
    ]
    rows = []
    for name in order:
        values = sorted(sample[name] for sample in samples)
        rows.append([name, f"{statistics.median(values):.3f}", f"{values[0]:.3f}", f"{values[-1]:.3f}"])
    total = statistics.median(sample["push to finding, without quiet time"] for sample in samples)
    analysis = statistics.median(sample["analysis"] for sample in samples)
    bottom = floor["one PUT"] + floor["bare model"]
    return "\n".join(
        [
            f"One simulated chest X-ray (768x768, 12 bits), {RUNS} runs after {WARM_UP} to warm up, one at a time, "
            f"everything on this machine, {torch.get_num_threads()} threads for the model. Seconds.",
            "",
            page.table(["stage", "median", "min", "max"], rows),
            "",
            f"Floor in the same run: one PUT of the bytes {floor['one PUT']:.3f} s, the bare model on the decoded "
            f"image {floor['bare model']:.3f} s. Without the quiet time, push to finding is {total / bottom:.1f} times "
            f"that floor; the analysis step alone is {analysis / floor['bare model']:.1f} times the bare model.",
        ]
    )

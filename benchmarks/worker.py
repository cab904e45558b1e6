"""How much of a model's throughput is left once a worker reads, decodes, writes and records around it?

``python -m benchmarks worker``: the model alone on decoded inputs, the worker one message after the other, and the
worker's pipeline, in turn, on the same studies in memory. Records and buckets cost nothing here; decoding, SEG, SR,
reports and the rest are real. The engine has one thread, so that a second core is there for the rest.
"""

import io
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from pydicom.uid import MRImageStorage

from benchmarks.page import table, write
from firstread.environment import InferenceSettings
from firstread.messages import AnalyzeRequest
from firstread.result import Result
from firstread.routing import RegisteredModel, RoutingRule, SeriesRule
from firstread.study import Instance, InstanceFacts, InstanceState, Study, StudyVersion
from model_service.analyse import Analyse
from model_service.inbox import Held, Inbox
from model_service.inference import load_model
from model_service.inputs import read
from model_service.models import Models
from model_service.prediction import Model
from model_service.registry import BUNDLES
from model_service.worker import Worker
from tests.support.dicoms import encode, header
from tests.support.records import T1, T2, study

ROUNDS = 2


@dataclass(frozen=True)
class Load:
    """Studies of one kind, and the model that looks at them."""

    title: str
    bundle: str
    studies: int
    slices: int
    side: int


LOADS = (
    Load("chest radiograph, 1024 x 1024", "cxr_opacity", 8, 1, 1024),
    Load("MR volume, 64 x 128 x 128", "hippocampus", 4, 64, 128),
)


class Store:
    """Records and buckets in memory: what `Analyse` asks of them."""

    def __init__(self, load: Load) -> None:
        self.objects: dict[str, bytes] = {}
        self.rows: dict[str, list[Instance]] = {}
        self.results: list[Result] = []
        generator = np.random.default_rng(7)
        for number in range(load.studies):
            uid = f"2.25.{number + 1}"
            self.rows[uid] = [self._put(load, uid, index, generator) for index in range(load.slices)]

    def _put(self, load: Load, uid: str, index: int, generator: np.random.Generator) -> Instance:
        grid = np.add.outer(np.arange(load.side), np.arange(load.side)) // 2
        pixels = (grid + generator.integers(0, 400, grid.shape)).astype("<u2")
        geometry: dict[str, object] = {}
        if load.slices > 1:
            geometry = {
                "SOPClassUID": MRImageStorage,
                "Modality": "MR",
                "ImagePositionPatient": [0.0, 0.0, float(index)],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "PixelSpacing": [1, 1],
                "SliceThickness": 1,
                "FrameOfReferenceUID": f"{uid}.9",
            }
        sop_uid = f"{uid}.{index + 1}"
        shape = {"Rows": load.side, "Columns": load.side}
        uids = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.0", "SOPInstanceUID": sop_uid}
        made = header(InstanceNumber=index + 1, **uids, **shape, **geometry)
        self.objects[sop_uid] = encode(made, pixels=pixels.tobytes())
        facts = InstanceFacts(
            series_uid=f"{uid}.0", sop_class_uid=str(made.SOPClassUID), rows=load.side, columns=load.side
        )
        return Instance(
            study_uid=uid,
            sop_uid=sop_uid,
            object_key="k",
            object_version="1",
            digest="d",
            state=InstanceState.STORED,
            studies_key=sop_uid,
            patient="P",
            received_at=T1,
            stored_at=T1,
            facts=facts,
        )

    @contextmanager
    def open(self, key: str) -> Iterator[IO[bytes]]:
        yield io.BytesIO(self.objects[key])

    def put(self, key: str, body: bytes, content_type: str) -> str:
        return f"{key} {content_type} {len(body)}"

    def get(self, uid: str, *_: object) -> Study | None:
        return study(version=1) if uid in self.rows else None

    def version(self, uid: str, number: int) -> StudyVersion:
        count = len(self.rows[uid])
        return StudyVersion(
            study_uid=uid, version=number, completed_at=T2, instance_count=count, held_count=0, models=()
        )

    def of_study(self, uid: str) -> list[Instance]:
        return self.rows[uid]

    def of_version(self, *_: object) -> list[Result]:
        return []

    def record(self, result: Result, _correlation: str) -> bool:
        self.results.append(result)
        return True


class NoResults:
    """The results of a store: none before."""

    def __init__(self, store: Store) -> None:
        self.record, self.of_version = store.record, store.of_version

    def get(self, *_: object) -> None:
        return None


class Registered:
    """One registered model, which applies to everything."""

    model = RegisteredModel(
        model_id="m@1", title="t", intended_use="u", rule=RoutingRule(), bundle_sha256="0" * 64
    )

    def get(self, _model_id: str) -> RegisteredModel:
        return self.model


class Messages(Inbox):
    """The queues in memory; tells when the last message is done."""

    def __init__(self, uids: Sequence[str]) -> None:
        self._left = [AnalyzeRequest(study_uid=uid, version=1, model_id="m@1") for uid in uids]
        self._hands = 0
        self.finished = threading.Event()
        self._open = len(uids)

    @property
    def in_hand(self) -> int:
        return self._hands

    def receive(self, wait_seconds: int) -> Held | None:
        if not self._left:
            time.sleep(0.005 if wait_seconds else 0)
            return None
        self._hands += 1
        return Held("q", "r", self._left.pop(0).model_dump_json(), tries=1, urgent=False)

    def done(self, held: Held) -> None:
        self._hands -= held.tries
        self._open -= 1
        if not self._open:
            self.finished.set()

    def hand_back(self, held: Held, after: int = 0) -> None:
        raise AssertionError(f"a study failed: {held} {after}")

    def close(self) -> None:
        """Nothing is kept."""


def _analyse(store: Store, model: Model) -> Analyse:
    fakes: dict[str, Any] = {
        "studies": store,
        "instances": store,
        "results": NoResults(store),
        "registrations": Registered(),
        "studies_bucket": store,
        "results_bucket": store,
    }
    return Analyse(**fakes, models=Models(lambda _registered: BUNDLES, lambda _folder: model))


def _opened(load: Load) -> Model:
    model = load_model(BUNDLES / load.bundle, device="cpu", settings=InferenceSettings(inference_threads=1))
    lax = RoutingRule(series=SeriesRule() if model.manifest.routing.series else None)
    model.manifest = model.manifest.model_copy(update={"routing": lax})
    return cast(Model, model)


def _bare(model: Model, inputs: Sequence[Any]) -> Callable[[], None]:
    def run() -> None:
        model.predict(inputs)

    return run


def _one_by_one(store: Store, model: Model) -> Callable[[], None]:
    def run() -> None:
        messages = Messages(list(store.rows))
        worker = Worker(messages, _analyse(store, model))
        while worker.poll(0):
            pass
        assert messages.finished.is_set()

    return run


def _stop_after(messages: Messages, worker: Worker) -> None:
    messages.finished.wait()
    worker.stop()


def _pipeline(store: Store, model: Model) -> Callable[[], None]:
    def run() -> None:
        messages = Messages(list(store.rows))
        worker = Worker(messages, _analyse(store, model))
        threading.Thread(target=_stop_after, args=(messages, worker)).start()
        worker.run()
        assert messages.finished.is_set()

    return run


def _rates(load: Load) -> dict[str, float]:
    store, model = Store(load), _opened(load)
    inputs = [
        each
        for rows in store.rows.values()
        for each in read(cast(Any, store), model.manifest, rows).model_inputs
    ]
    ways = {
        "model alone": _bare(model, inputs),
        "one by one": _one_by_one(store, model),
        "pipeline": _pipeline(store, model),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, run in ways.items():
            begun = time.perf_counter()
            run()
            if turn:  # the first round imports and fills caches
                seconds[name].append(time.perf_counter() - begun)
    return {name: load.studies / statistics.median(each) for name, each in seconds.items()}


def run() -> None:
    """Measure and write the section."""
    rows = []
    for load in LOADS:
        found = _rates(load)
        bare = found["model alone"]
        rows.append(
            [load.title]
            + [f"{found['model alone']:.2f}"]
            + [f"{found[name]:.2f} ({found[name] / bare:.2f})" for name in ("one by one", "pipeline")]
        )
    head = ["studies per second", "model alone", "worker, one by one (ratio)", "worker, pipeline (ratio)"]
    text = (
        f"`python -m benchmarks worker`: median of {ROUNDS} rounds in turn. One engine thread; the model alone is "
        "given decoded inputs, all at once. The worker reads, decodes, writes SEG, SR, overlays and reports, and "
        "records; buckets and tables are in memory.\n\n" + table(head, rows)
    )
    write("What a worker leaves of its model's throughput", text)
    print(table(head, rows))

"""The way of a study in one process: every event goes from one real handler to the next, as often as wished."""

import dataclasses
import hashlib
import io
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import model_service
from firstread.arrival import Arrival, Lane
from firstread.clock import to_text
from firstread.deid.burned_in import TextBox
from firstread.handling import Event
from firstread.imaging.volume import Volume
from firstread.intake import step as intake
from firstread.messages import AnalyzeRequest, BatchEnded
from firstread.queues import Queue
from firstread.receipt import Receipt
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.refs import References, open_references
from firstread.routing import RegisteredModel, RoutingRule
from firstread.storage import FEED_PREFIX, Bucket, feed_key
from firstread.uploads.contents import Content, Contents
from functions.alert import handler as alert
from functions.apply_feed import handler as apply_feed
from functions.clean_pixels import handler as clean_pixels
from functions.complete_study import handler as complete_study
from functions.deidentify import handler as deidentify
from functions.deliver import handler as deliver
from functions.describe_series import handler as describe_series
from functions.end_batch import handler as end_batch
from functions.escalate import handler as escalate
from functions.gather import handler as gather
from ingest_service.door import Door
from ingest_service.parts import Part
from model_service.analyse import Analyse
from model_service.manifest import BundleManifest, load_manifest
from model_service.models import Models
from model_service.prediction import Classified, Engine, Image, Prediction
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.events import CONTEXT

BUNDLE = Path(model_service.__file__).parent / "bundles" / "cxr_opacity"
_HANDLERS = {
    "deidentify": deidentify.handle,
    "apply_feed": apply_feed.handle,
    "clean_pixels": clean_pixels.handle,
    "gather": gather.handle,
    "complete_study": complete_study.handle,
    "end_batch": end_batch.handle,
    "deliver": deliver.handle,
    "describe_series": describe_series.handle,
    "alert": alert.handle,
    "escalate": escalate.handle,
}
_RECEIVERS = {
    "arrivals": "deidentify",
    "arrivals-urgent": "deidentify",
    "arrivals-bulk": "deidentify",
    "clean-pixels": "clean_pixels",
    "quiet-timers": "complete_study",
    "analyze": "analyse",
    "analyze-urgent": "analyse",
    "describe-series": "describe_series",
    "hints": "end_batch",
    "escalations": "escalate",
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        """Move the clock."""
        self.moment += timedelta(**by)


class StubEngine:
    """An engine that nobody asks."""

    name = "stub"
    precision = "fp32"

    def run(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the batch."""
        return [batch]


class StubModel:
    """Flags every image, with the image itself as its map."""

    bundle_sha256 = "0" * 64
    size_bytes = 1

    def __init__(self, manifest: BundleManifest, probability: float = 0.9) -> None:
        self.manifest = manifest
        self.probability = probability
        self.engine: Engine = StubEngine()
        self.seen = 0

    def predict(self, inputs: Sequence[Image | Volume]) -> list[Prediction]:
        """Classify images."""
        self.seen += len(inputs)
        return [
            Classified((self.probability,), (np.clip(each, 0.0, 1.0).astype(np.float32),))
            for each in inputs
            if not isinstance(each, Volume)
        ]


class StubDetector:
    """Finds text where it is told that there is some, until it is blanked; `stubborn`, for ever."""

    def __init__(self) -> None:
        self.where: list[TextBox] = []
        self.stubborn = False
        self.seen = 0

    def find(self, image: npt.NDArray[np.uint8]) -> Sequence[TextBox]:
        """Look at one frame."""
        self.seen += 1

        def visible(box: TextBox) -> bool:
            return len(np.unique(image[box.top : box.bottom, box.left : box.right])) > 1

        return [box for box in self.where if self.stubborn or visible(box)]


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One event that is to be delivered to one step."""

    step: str
    event: Event


class Hospital:
    """An account with a model that applies to every frontal chest radiograph, and the pump between its steps.

    Parameters
    ----------
    cloud
        The account; its settings are in the environment.
    monkeypatch
        Puts the clock into the steps.
    """

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud = cloud
        self.clock = Clock(datetime(2004, 8, 26, 19, 0, tzinfo=UTC))
        self.ledger, self.instances = LedgerRepository(), InstanceRepository()
        self.studies, self.results = StudyRepository(), ResultRepository()
        monkeypatch.setattr(intake, "now", self.clock)
        self.door = Door(Bucket("incoming"), self.ledger, References(b"k" * 32), self.clock)
        self.detector = StubDetector()
        monkeypatch.setattr(clean_pixels, "RapidTextDetector", lambda: self.detector)
        for step in (gather, complete_study, alert, apply_feed, escalate):
            made = dataclasses.replace(step.bootstrap(), clock=self.clock)
            monkeypatch.setattr(step, "bootstrap", lambda made=made: made)
        self.gather = gather.bootstrap()
        looks = dataclasses.replace(end_batch.bootstrap(), gather=self.gather)
        monkeypatch.setattr(end_batch, "bootstrap", lambda: looks)
        shipped = load_manifest(BUNDLE)
        limits = {"modalities": ("CR", "DX"), "body_parts": ("CHEST",), "views": (), "max_age_years": None}
        routing = shipped.routing.model_copy(update={**limits, "min_age_years": None})
        manifest = shipped.model_copy(update={"routing": routing})
        self.model = StubModel(manifest)
        self.model_id = f"{manifest.name}@{manifest.version}"
        ModelRepository().register(
            RegisteredModel(
                model_id=self.model_id,
                title="t",
                intended_use="tests",
                rule=RoutingRule.model_validate(routing.model_dump()),
                bundle_sha256="0" * 64,
            )
        )
        self.analyse = self.new_analyse()
        self._keys = itertools.count()
        self._arrived: set[tuple[str, str]] = set()
        self._streamed: set[str] = set()
        self._heard = 0
        self.failures: list[str] = []
        cloud.wire.calls.clear()

    def new_analyse(self) -> Analyse:
        """Return the step `analyse` as a new process has it."""
        return Analyse(
            studies=self.studies,
            instances=self.instances,
            results=self.results,
            studies_bucket=Bucket("studies"),
            results_bucket=Bucket("results"),
            registrations=ModelRepository(),
            models=Models(lambda _registered: BUNDLE, lambda _folder: self.model),
            clock=self.clock,
        )

    def push(self, *paths: Path) -> list[Receipt]:
        """Keep files as the ingest service does, and what is in archives; what is missing is passed over."""
        with TemporaryDirectory() as folder:
            contents = Contents(Path(folder))
            return [self._keep(each) for path in paths if path.exists() for each in contents.of(path)]

    def _keep(self, content: Content) -> Receipt:
        data = content.path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        part = Part(1, "application/dicom", io.BytesIO(data), len(data), sha256)
        return self.door.keep(part, Arrival(source="push", sha256=sha256), Lane.ROUTINE)

    def put(self, data: bytes, lane: str = "routine", **said: str) -> tuple[str, str]:
        """Put an object as a door does that writes no receipt; return its identity.

        Parameters
        ----------
        said
            Fields of the door's `Arrival`; none for a writer that knows nothing of them.
        """
        key = f"in/{lane}/{next(self._keys):032d}"
        metadata = Arrival(**{"source": "ct1", **said}).metadata() if said else {}
        return key, Bucket("incoming").put_once(key, data, "application/octet-stream", metadata=metadata)

    def end(self, batch: str, studies: Mapping[str, int], source: str = "ct1") -> None:
        """Say that a batch is over, by original Study Instance UIDs."""
        references = open_references(deidentify.Settings())
        hint = BatchEnded(
            source=source,
            batch=batch,
            studies={references.study(uid): count for uid, count in studies.items()},
            ended_at=to_text(self.clock()),
        )
        Queue(self.cloud.urls["hints"]).send(hint)

    def say(self, message: bytes) -> tuple[str, str]:
        """Hand in a message of a feed; return the identity of its object."""
        key, metadata = feed_key(), Arrival(source="hl7", batch="b-feed").metadata()
        version = Bucket("incoming").put_once(key, message, "application/hl7-v2+er7", metadata=metadata)
        return key, version

    def arrivals(self) -> list[Delivery]:
        """Return the events of objects that nobody was told of."""
        found = []
        for entry in self.cloud.s3.list_object_versions(Bucket="incoming").get("Versions", []):
            identity = entry["Key"], entry["VersionId"]
            if identity not in self._arrived:
                self._arrived.add(identity)
                event = events.object_created(
                    "incoming", *identity, time=f"{self.clock():%Y-%m-%dT%H:%M:%SZ}"
                )
                step = "apply_feed" if identity[0].startswith(FEED_PREFIX) else "deidentify"
                found.append(Delivery(step, events.sqs(event)))
        return found

    def streams(self) -> list[Delivery]:
        """Return the stream events of rows that are new."""
        tables = (
            ("instances_table", "gather", ("study_uid", "sop_uid")),
            ("outbox_table", "deliver", ("message_id",)),
        )
        found = []
        for table, step, names in tables:
            for row in self.cloud.rows(table):
                keys = {name: row[name] for name in names}
                state = [
                    row[name] for name in ("state", "digest") if name in row
                ]  # of an instance that changes
                identity = f"{table} {json.dumps([keys, state], sort_keys=True)}"
                if identity not in self._streamed:
                    self._streamed.add(identity)
                    found.append(Delivery(step, events.stream((keys, row))))
        return found

    def messages(self) -> list[Delivery]:
        """Return what the steps have sent since the last look."""
        calls = self.cloud.wire.calls[self._heard :]
        self._heard = len(self.cloud.wire.calls)
        found = []
        for operation, parameters in calls:
            if operation in ("SendMessage", "SendMessageBatch"):
                queue = parameters["QueueUrl"].rsplit("/", 1)[-1]
                if queue.endswith("-dead"):
                    continue
                step = _RECEIVERS[queue]
                for each in parameters.get("Entries", [parameters]):
                    found.append(Delivery(step, events.sqs(each["MessageBody"])))
            elif operation == "PutEvents":
                for entry in parameters["Entries"]:
                    event = events.result_recorded(json.loads(entry["Detail"]))
                    found.append(Delivery("alert", events.sqs(event)))
        return found

    def deliver(self, delivery: Delivery) -> Mapping[str, Any]:
        """Deliver one event, as a new execution environment would get it."""
        if delivery.step == "analyse":
            for record in delivery.event["Records"]:
                self.analyse.request(AnalyzeRequest.model_validate_json(record["body"]))
            return {"batchItemFailures": []}
        answer = _HANDLERS[delivery.step](delivery.event, CONTEXT)
        self.failures += [delivery.step for _ in answer["batchItemFailures"]]
        return answer

    def pump(self, seed: int | None = None, times: int = 1) -> None:
        """Deliver everything, and what follows from it, until nothing happens any more.

        Parameters
        ----------
        seed
            Of what comes next and how often; None for the order of things, once each.
        times
            How often each event comes at most.
        """
        waiting: list[Delivery] = []
        chance = None if seed is None else random.Random(seed)  # noqa: S311 - to be repeated
        while True:
            new = self._new()
            waiting += [each for each in new for _ in range(chance.randint(1, times) if chance else 1)]
            if not waiting:
                return
            self._next(waiting, chance)

    def _new(self) -> list[Delivery]:
        written = {operation for operation, _ in self.cloud.wire.calls[self._heard :]}
        found = self.arrivals() if "PutObject" in written else []
        found += self.streams() if written & {"PutItem", "TransactWriteItems"} else []
        return found + self.messages()

    def _next(self, waiting: list[Delivery], chance: random.Random | None) -> None:
        # Timers come when their time has come: the clock moves only where nothing else is left.
        ready = [each for each in waiting if each.step != "complete_study"]
        if not ready:
            self.clock.forward(seconds=901)
            ready = waiting
        chosen = chance.choice(ready) if chance else ready[0]
        waiting.remove(chosen)
        self.clock.forward(milliseconds=1)
        self.deliver(chosen)

    def state(self) -> dict[str, Any]:
        """Return records and objects, without random names, to compare two runs."""
        kept = ("ledger", "instances", "studies", "results", "alerts")
        tables = {name: [_plain(row) for row in self.cloud.rows(f"{name}_table")] for name in kept}
        outbox = [row["message_id"]["S"] for row in self.cloud.rows("outbox_table")]
        objects = {bucket: self.cloud.objects(bucket) for bucket in ("studies", "results")}
        return {**tables, "outbox": sorted(outbox), "objects": objects}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without its revision, and with its JSON decoded."""
    found: dict[str, Any] = {}
    for name, typed in row.items():
        ((kind, value),) = typed.items()
        found[name] = json.loads(value) if kind == "S" and value.startswith("{") else value
    found.pop("revision", None)
    return found

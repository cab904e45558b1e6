"""Does an instance cost more when a hundred thousand are stored? One instance through intake, at three sizes.

The store is filled with rows of the same form: ledger, instances and heads in the engine, surrogates in the vault.
The objects that are measured go through the code of `deidentify` and of the look at a study, in this process, against
the same engine; their keys are outside the prefixes that wake its functions.
"""

import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3

from benchmarks import page
from benchmarks.ingest.profile import System, running
from benchmarks.ingest.studies import Kind, by_modality, images
from firstread.arrival import Arrival
from firstread.clock import now, to_text
from firstread.gathering.step import GatherStudy
from firstread.gathering.summary import gathering
from firstread.gathering.wiring import GatheringSettings, open_gathering
from firstread.intake.wiring import IntakeSettings, open_intake
from firstread.queues import Queue
from firstread.receipt import Outcome, Receipt
from firstread.records.tables import InstanceRow, LedgerRow, StudyRow
from firstread.storage import Bucket
from firstread.study import Instance, InstanceFacts, InstanceState, Study
from functions.deidentify.logic import Deidentify

TITLE = "What an instance costs as the store grows"
SIZES = (1_000, 10_000, 100_000)
_STUDY = 300
_SAMPLE = 10
_PER_STUDY = 20


def run() -> None:
    """Measure, print and write."""
    rows: list[list[str]] = []
    with running() as system:
        settings = _in_this_process(system)
        _let_streams_rest()
        intake = open_intake(settings)
        gather = open_gathering(GatheringSettings())
        step = Deidentify(intake, Queue(os.environ["FIRSTREAD_CLEAN_PIXELS_QUEUE_URL"]))
        kind = by_modality("MR")
        _measure(step, gather, intake.incoming, kind, range(10, 12))
        stored, first = 0, 0.0
        for position, size in enumerate(SIZES, start=1):
            print(f"filling to {size}", file=sys.stderr)
            _fill(intake.vault, stored, size)
            stored = size
            numbers = range(position * 1000, position * 1000 + _SAMPLE)
            costs, looks, floor = _measure(step, gather, intake.incoming, kind, numbers)
            median = statistics.median(costs)
            first = first or median / floor
            rows.append(
                [
                    f"{size:,}",
                    f"{median * 1000:.1f}",
                    f"{statistics.median(looks) * 1000:.1f}",
                    f"{floor * 1000:.1f}",
                    f"{median / floor:.2f}",
                    f"{median / floor / first:.2f}",
                ]
            )
    heads = ["stored", "instance, ms", "look, ms", "floor, ms", "instance to floor", "against the first"]
    body = "\n".join(
        [
            f"Medians over {_SAMPLE} studies of {_PER_STUDY} MR images of 320x320 each, through `deidentify` in one "
            "process, and of one look at each study. The floor is one PUT and one GET of the same bytes and one "
            "conditional write and one read of a row, in the same engine at the same size. Everything reads and writes "
            "by key, so neither should grow.",
            "",
            page.table(heads, rows),
        ]
    )
    print(f"{TITLE}\n\n{body}")
    page.write(TITLE, body)


def _in_this_process(system: System) -> IntakeSettings:
    """Set what only functions are told."""
    os.environ |= {
        "FIRSTREAD_VAULT": "sqlite",
        "FIRSTREAD_VAULT_PATH": str(system.home.vault),
        "FIRSTREAD_VAULT_KEY_FILE": str(system.home.vault_key),
        "FIRSTREAD_COMPLETENESS": '{"quiet_seconds": {"*": 900}}',
    }
    return IntakeSettings()


def _let_streams_rest() -> None:
    """Stop the functions behind streams: rows that fill the store are no news."""
    client: Any = boto3.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        if ":dynamodb:" in mapping["EventSourceArn"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def _measure(
    step: Deidentify, gather: GatherStudy, incoming: Bucket, kind: Kind, numbers: range
) -> tuple[list[float], list[float], float]:
    """Return seconds per instance, per look, and of the floor per instance."""
    costs: list[float] = []
    looks: list[float] = []
    floors: list[float] = []
    for number in numbers:
        study_uid = ""
        for _, image in zip(range(_PER_STUDY), images(kind, number), strict=False):
            key = f"bench/{uuid.uuid4().hex}"
            metadata = Arrival(source="bench", batch="b").metadata()
            incoming.put_once(key, image.data, "application/octet-stream", metadata=metadata)
            costs.append(_timed(lambda key=key: step.object(key, None, f"{now():%Y-%m-%dT%H:%M:%SZ}")))
            floors.append(_timed(lambda data=image.data: _floor(incoming, data)))
            study_uid = image.study_uid
        pseudonym = step.intake.vault.uids([study_uid])[study_uid]
        looks.append(_timed(lambda uid=pseudonym: gather.look(uid)))
    return costs, looks, statistics.median(floors)


def _floor(incoming: Bucket, data: bytes) -> None:
    key = f"bench/{uuid.uuid4().hex}"
    incoming.put(key, data, "application/octet-stream")
    incoming.get(key)
    row = LedgerRow(
        object_key=key,
        version_id="floor",
        received_at=to_text(now()),
        outcome=Outcome.STORED.value,
        door={"source": "floor"},
    )
    row.save(condition=LedgerRow.object_key.does_not_exist())
    LedgerRow.get(key, "floor", consistent_read=True)


def _timed(work: Any) -> float:  # noqa: ANN401 - any callable
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _fill(vault: Any, start: int, stop: int) -> None:  # noqa: ANN401 - an IdentityVault
    at = to_text(now())
    client: Any = boto3.client("dynamodb")
    for study in range(start // _STUDY, -(-stop // _STUDY)):
        originals = [f"2.25.9{study:010d}{index:05d}" for index in range(_STUDY + 2)]
        surrogates = vault.uids(originals)
        vault.patient("", f"FILL{study}", originals[0])
        made = list(_rows(surrogates[originals[0]], [surrogates[uid] for uid in originals[2:]], at))
        for table in (LedgerRow, InstanceRow, StudyRow):
            mine = [row.serialize() for row in made if isinstance(row, table)]
            for first in range(0, len(mine), 25):  # as many as BatchWriteItem takes
                requests = [{"PutRequest": {"Item": item}} for item in mine[first : first + 25]]
                client.batch_write_item(RequestItems={table.Meta.table_name: requests})


def _rows(study_uid: str, sop_uids: list[str], at: str) -> Iterator[Any]:
    facts = InstanceFacts(
        series_uid="2.25.2", sop_class_uid="1.2.840.10008.5.1.4.1.1.2", modality="CT", rows=512, columns=512
    )
    instances = []
    for sop_uid in sop_uids:
        key = f"bench/{uuid.uuid4().hex}"
        instance = Instance(
            study_uid=study_uid,
            sop_uid=sop_uid,
            object_key=key,
            object_version="v",
            digest=sop_uid,
            state=InstanceState.STORED,
            studies_key=f"studies/{sop_uid}",
            patient="P",
            received_at=at,
            stored_at=at,
            facts=facts,
        )
        instances.append(instance)
        receipt = Receipt(
            object_key=key, version_id="v", source="bench", received_at=at, outcome=Outcome.STORED
        )
        yield LedgerRow(
            object_key=key,
            version_id="v",
            received_at=at,
            outcome=receipt.outcome.value,
            study_ref=study_uid,
            batch_object=f"b#{key}",
            door={"source": "bench", "size": 1, "sha256": ""},
            settlement={"reason": "", "settled_at": at, "study_uid": study_uid, "sop_uid": sop_uid},
        )
        yield InstanceRow(
            study_uid=study_uid,
            sop_uid=sop_uid,
            digest=sop_uid,
            object_key=key,
            state=instance.state.value,
            instance=instance.model_dump(mode="json"),
        )
    seen = gathering(study_uid, instances)
    head = Study(gathering=seen, version=1, version_fingerprint=seen.fingerprint)
    yield StudyRow(
        study_uid=study_uid,
        item="head",
        worklist="open",
        rank=f"1#{at}#{study_uid}",
        revision=1,
        body=head.model_dump(mode="json"),
    )

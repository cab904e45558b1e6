"""A small hospital in moto: tables, buckets, and studies put where the pipeline would put them."""

import copy
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from fastapi import FastAPI
from pydicom import Dataset

from firstread import storage
from firstread.alert import Alert, AlertState, Call
from firstread.alerting import AlertingPolicy
from firstread.clock import to_text
from firstread.gathering.step import frozen
from firstread.gathering.summary import gathering
from firstread.policy import Role, group_of
from firstread.receipt import Outcome, Receipt
from firstread.records.alerts import new_alert
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository, new_version
from firstread.records.tables import TABLES, bind
from firstread.records.transactions import commit
from firstread.result import Code, Finding, OperatingPoint, Result, ResultStatus, result_id
from firstread.routing import RegisteredModel, RoutingRule
from firstread.study import (
    AnalysisStatus,
    Instance,
    InstanceFacts,
    InstanceState,
    Risk,
    Study,
    StudyGathering,
    mark_of,
)
from portal.settings import PortalSettings
from tests.support import aws
from tests.support.snapshot import Snapshot

MODEL = "chest_xray_opacity@0.1.0"
URL = "http://127.0.0.1:8080"
STUDIES = "studies"
RESULTS = "results"


@contextmanager
def account() -> Iterator[None]:
    """An empty account in this process, with FirstRead's tables and the portal's buckets."""
    outer = {name: os.environ.pop(name, None) for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE")}
    with aws.account():
        storage.client.cache_clear()
        bind(type("Names", (), {name: name for name in TABLES})())
        _empty().restore()
        yield
    storage.client.cache_clear()
    os.environ.update({name: value for name, value in outer.items() if value is not None})


@cache
def _empty() -> Snapshot:
    """Make the account; once in a process, as it takes longer than most tests."""
    for bucket in (STUDIES, RESULTS):
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
    aws.create_tables()
    return Snapshot.take()


def settings(
    folder: Path,
    *,
    issuer: str = "",
    host: str = "127.0.0.1",
    url: str = URL,
    **more: Any,  # noqa: ANN401 - settings of any type
) -> PortalSettings:
    """Return the settings of a portal on `account`; without an issuer nobody can sign in but by `open_session`."""
    tables: dict[str, Any] = {name: name for name in PortalSettings.model_fields if name.endswith("_table")}
    return PortalSettings(
        studies_bucket=STUDIES,
        results_bucket=RESULTS,
        alerting=AlertingPolicy(),
        portal_host=host,
        reference_key_file=str(reference_key(folder)),
        portal_url=url,
        oidc_issuer=issuer,
        vault="sqlite",
        vault_path=str(folder / "vault.sqlite"),
        vault_key_file=str(folder / "vault.key"),
        **tables,
        **more,
    )


def reference_key(folder: Path) -> Path:
    """Return the key file of references, made where it is not there."""
    file = folder / "reference.key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(bytes(range(32)))
    return file


def open_session(
    app: FastAPI, role: Role, *, roles: tuple[Role, ...] = (), user: str = ""
) -> tuple[str, str]:
    """Open a session without the way through the identity provider; returns name and value of its cookie."""
    services = app.state.services
    session_id = services.sessions.open(user or name_of(role), role, roles or (role,), services.clock())
    return "firstread-session", session_id


def name_of(role: Role) -> str:
    """Return the user name of a role."""
    return group_of(role)


def uid(*parts: int) -> str:
    """Return a UID under the root that the pipeline uses for pseudonyms."""
    return "2.25." + ".".join(str(part) for part in (7001, *parts))


class Hospital:
    """Puts studies where the pipeline would have put them.

    Parameters
    ----------
    moment
        The present.
    """

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self._count = 0
        ModelRepository().register(
            RegisteredModel(
                model_id=MODEL,
                title="Chest X-ray opacity",
                intended_use="Frontal chest X-rays of children from 1 to 5 years. Research use only.",
                rule=RoutingRule(modalities=("CR", "DX"), body_parts=("CHEST",)),
                bundle_sha256="0" * 64,
            )
        )

    def minutes_ago(self, minutes: float) -> str:
        """Return a moment as text."""
        return to_text(self.moment - timedelta(minutes=minutes))

    def study(
        self,
        images: list[Dataset],
        *,
        waits: float = 10,
        held: tuple[tuple[str, str], ...] = (),
        modality: str = "CR",
        body_part: str = "CHEST",
        description: str = "",
        simulated: bool = False,
        age_years: float | None = None,
        sex: str = "",
        change: dict[str, object] | None = None,
    ) -> str:
        """Store a study and return its UID; `held` lists modality and reason of held instances."""
        self._count += 1
        study_uid = uid(self._count)
        arrived = self.minutes_ago(waits)
        for index, dataset in enumerate(images, start=1):
            self._store(study_uid, index, dataset, arrived, description, simulated)
        for index, (held_modality, reason) in enumerate(held, start=900):
            facts = InstanceFacts(series_uid=uid(self._count, 9), sop_class_uid="", modality=held_modality)
            self._add(study_uid, uid(self._count, 9, index), arrived, facts, InstanceState.HELD, reason)
        study = Study(
            gathering=StudyGathering(
                study_uid=study_uid,
                patient=f"FR-{self._count * 7919 % 100000:05d}-{'KXQRTWNP'[self._count % 8]}",
                stored_count=len(images),
                held_count=len(held),
                first_arrival=arrived,
                last_arrival=arrived,
                modalities=(modality,),
                body_parts=(body_part,) if body_part else (),
                description=description,
                age_years=age_years,
                sex=sex,
                is_recent=True,
                simulated=simulated,
            )
        ).model_copy(update=change or {})
        StudyRepository().change(study_uid, lambda _: study)
        return study_uid

    def late(self, study_uid: str, index: int, dataset: Dataset, *, waits: float) -> str:
        """Store another image of a study, so many minutes ago; return its UID."""
        self._store(study_uid, index, dataset, self.minutes_ago(waits), "", False)
        return f"{study_uid}.{int(dataset.get('SeriesNumber') or 1)}.{index}"

    def withdraw(self, study_uid: str, sop_uid: str, *, waits: float) -> None:
        """Record a rejection note on an image (IHE IOCM), so many minutes ago."""
        facts = InstanceFacts(series_uid=f"{study_uid}.99", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.59")
        note, at = f"{study_uid}.99.1", self.minutes_ago(waits)
        self._add(study_uid, note, at, facts, InstanceState.STORED, "", rejects=(mark_of(sop_uid),))

    def close(self, study_uid: str, version: int, *, waits: float, closed_by: str = "quiet") -> None:
        """Close a version of a study, of what was recorded by then, so many minutes ago."""
        at = self.minutes_ago(waits)
        seen = gathering(
            study_uid, [each for each in InstanceRepository().of_study(study_uid) if each.stored_at <= at]
        )
        update = {
            "version": version,
            "version_count": seen.count,
            "version_fingerprint": seen.fingerprint,
            "closed_by": closed_by,
            "completed_at": at,
        }

        def decide(study: Study | None) -> Study:
            assert study is not None
            kept = {"patient": study.gathering.patient}
            return study.model_copy(update={"gathering": seen.model_copy(update=kept), **update})

        StudyRepository().change(study_uid, decide, lambda study: [new_version(frozen(study), {})])

    def _store(
        self, study_uid: str, index: int, dataset: Dataset, arrived: str, description: str, simulated: bool
    ) -> None:
        series = int(dataset.get("SeriesNumber") or 1)
        series_uid, sop_uid = f"{study_uid}.{series}", f"{study_uid}.{series}.{index}"
        key = storage.instance_key(study_uid, series_uid, sop_uid, f"{index:064d}")
        dataset = copy.copy(dataset)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = (
            study_uid,
            series_uid,
            sop_uid,
        )
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        storage.Bucket(STUDIES).put(key, buffer.getvalue(), "application/dicom")
        facts = InstanceFacts(
            series_uid=series_uid,
            sop_class_uid=dataset.SOPClassUID,
            modality=dataset.Modality,
            body_part=dataset.get("BodyPartExamined", ""),
            view_position=dataset.get("ViewPosition", ""),
            rows=dataset.Rows,
            columns=dataset.Columns,
            frames=int(dataset.get("NumberOfFrames", 1)),
            series_number=series,
            instance_number=index,
            series_description=dataset.get("SeriesDescription", "") or description,
            simulated=simulated,
            transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
        )
        self._add(study_uid, sop_uid, arrived, facts, InstanceState.STORED, "", key)

    def _add(
        self,
        study_uid: str,
        sop_uid: str,
        arrived: str,
        facts: InstanceFacts,
        state: InstanceState,
        reason: str,
        key: str = "",
        rejects: tuple[str, ...] = (),
    ) -> None:
        instance = Instance(
            study_uid=study_uid,
            sop_uid=sop_uid,
            object_key=f"in/{sop_uid}",
            object_version="1",
            digest=sop_uid,
            state=state,
            reason=reason,
            studies_key=key,
            patient="FR-0",
            received_at=arrived,
            stored_at=arrived,
            rejects=rejects,
            facts=facts,
        )
        outcome = Outcome.STORED if state is InstanceState.STORED else Outcome.QUARANTINED
        pending = Receipt(object_key=instance.object_key, version_id="1", source="push", received_at=arrived)
        LedgerRepository().open(pending)
        assert InstanceRepository().add(instance, pending.model_copy(update={"outcome": outcome}))

    def analysed(self, study_uid: str, probability: float, *, overlay: bytes = b"") -> str:
        """Record a result on version 1, and an alert where the risk is high; return the alert's id or ""."""
        risk = Risk.HIGH if probability >= 0.43 else Risk.NOT_FLAGGED
        key = storage.result_key(study_uid, hashlib.sha256(overlay).hexdigest(), "png") if overlay else ""
        if overlay:
            storage.Bucket(RESULTS).put(key, overlay, "image/png")
        finding = Finding(
            label="Pulmonary opacity",
            code=Code(value="128309002", scheme="SCT", meaning="Opacity"),
            probability=probability,
            operating_point=OperatingPoint(
                threshold=0.43, chosen_on="validation", sensitivity=0.94, specificity=0.87
            ),
            risk=risk,
            sop_uid=f"{study_uid}.1.1",
            overlay_key=key,
        )
        self.result(study_uid, findings=(finding,))
        alert_id = self.alert(study_uid) if risk is Risk.HIGH else ""
        self.change(
            study_uid,
            status=AnalysisStatus.ANALYSED,
            risk=risk,
            probability=probability,
            alert_id=alert_id,
            models=(MODEL,),
        )
        return alert_id

    def failed(self, study_uid: str) -> None:
        """Record that the model failed on version 1."""
        self.result(study_uid, failed="out_of_memory")
        self.change(study_uid, status=AnalysisStatus.FAILED, models=(MODEL,))

    def result(
        self,
        study_uid: str,
        *,
        findings: tuple[Finding, ...] = (),
        failed: str = "",
        model: str = MODEL,
        version: int = 1,
        **values: object,
    ) -> None:
        """Record a result on a version."""
        made = Result(
            study_uid=study_uid,
            result_id=result_id(version, model),
            version=version,
            model_id=model,
            status=ResultStatus.FAILED if failed else ResultStatus.DONE,
            reason=failed,
            findings=findings,
            started_at=self.minutes_ago(2),
            finished_at=self.minutes_ago(1),
        )
        ResultRepository().record(made.model_copy(update=values))

    def alert(self, study_uid: str, *, simulated: bool = False) -> str:
        """Create a delivered alert and return its id."""
        alert = Alert(
            alert_id=f"{abs(hash(study_uid)):032x}"[-32:],
            study_uid=study_uid,
            result_id=result_id(1, MODEL),
            risk=Risk.HIGH,
            model_id=MODEL,
            simulated=simulated,
            state=AlertState.DELIVERED,
            created_at=self.minutes_ago(1),
            delivered_at=self.minutes_ago(1),
            due_at=self.minutes_ago(-9),
            calls=(Call(level=0, group="reading-room", at=self.minutes_ago(1)),),
        )

        commit(new_alert(alert))
        return alert.alert_id

    def change(self, study_uid: str, **update: object) -> None:
        """Change the head of a study; it has version 1 from then on."""

        def decide(study: Study | None) -> Study:
            assert study is not None
            count = study.gathering.count
            return study.model_copy(
                update={
                    "version": 1,
                    "version_count": count,
                    "version_fingerprint": study.gathering.fingerprint,
                    **update,
                }
            )

        StudyRepository().change(study_uid, decide)

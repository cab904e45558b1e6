"""Real studies through the shipped models: volumes, SEG, SR, alerts, and what does not apply."""

import io
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import UID, CTImageStorage, UltrasoundImageStorage

from firstread.records.instances import InstanceRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.result import ObjectKind, Result, ResultStatus
from firstread.storage import Bucket
from firstread.study import AnalysisStatus, Risk, Study
from tests.support.dicoms import encode, header
from tests.support.system import Run, wait_for
from tests.support.zoo import manifest, write_manifest, zoo

pytestmark = [pytest.mark.engine, pytest.mark.slow]

DATA = Path(__file__).resolve().parents[3] / "shared/data"


def real(path: str) -> Path:
    if not (DATA / path).exists():
        pytest.skip(f"{path} is not there: real studies through the models are NOT tested")
    return DATA / path


def analysed(run: Run, paths: list[Path]) -> tuple[Study, dict[str, Result]]:
    """Push files, and return their study with its results by name of the model."""
    sent = run.push(*paths)
    assert sent and all(each["receipt"] for each in sent)
    uids = pydicom.dcmread(paths[0], stop_before_pixels=True)
    batch = sent[0]["batch"] if "batch" in sent[0] else ""

    def rests() -> Study | None:
        with run.records():
            for study in StudyRepository().worklist():
                found = InstanceRepository().of_study(study.study_uid)
                here = len(found) == len(paths) and any(each.facts.rows == uids.Rows for each in found)
                answered = {
                    each.model_id for each in ResultRepository().of_version(study.study_uid, study.version)
                }
                busy = study.status in (AnalysisStatus.RECEIVING, AnalysisStatus.ANALYSING)
                if here and not busy and answered >= {*study.models, *study.beside}:
                    return study
        return None

    study = wait_for(f"the study of batch {batch} to be analysed", rests)
    with run.records():
        results = ResultRepository().of_version(study.study_uid, study.version)
    return study, {each.model_id.partition("@")[0]: each for each in results}


def objects(run: Run, result: Result, kind: ObjectKind) -> list[pydicom.Dataset]:
    with run.records():
        bucket = Bucket(os.environ["FIRSTREAD_RESULTS_BUCKET"])
        return [
            pydicom.dcmread(io.BytesIO(bucket.get(each.key))) for each in result.objects if each.kind is kind
        ]


def test_a_real_mr_study_gives_hippocampus_volumes_of_its_crop_series_only(run: Run, tmp_path: Path) -> None:
    for path in real("mr-brain-dicom/Study1").rglob("*.dcm"):
        shutil.copyfile(path, tmp_path / f"{path.parent.name}-{path.name}")
    study, results = analysed(run, sorted(tmp_path.iterdir()))
    found = results["hippocampus"]
    assert (found.status, found.reason) == (ResultStatus.DONE, "")
    with run.records():
        series = {
            each.facts.series_uid: each.facts for each in InstanceRepository().of_study(study.study_uid)
        }
    (crop,) = [uid for uid, facts in series.items() if facts.series_description == "HippoCrop"]
    assert found.series == (crop,)
    assert set(found.passed_over) == set(series) - {crop}
    volumes = {each.label: each.measurements[0].value for each in found.findings}
    assert len(volumes) == 2 and all(200 < value < 6000 for value in volumes.values()), volumes
    (segmentation,) = objects(run, found, ObjectKind.SEGMENTATION)
    assert segmentation.Modality == "SEG" and segmentation.StudyInstanceUID == study.study_uid
    assert {each.SeriesInstanceUID for each in segmentation.ReferencedSeriesSequence} == {crop}
    (report,) = objects(run, found, ObjectKind.STRUCTURED_REPORT)
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    # Measured and not assessed: nothing lets it sink on the worklist.
    assert study.risk is Risk.UNKNOWN and study.status is AnalysisStatus.ANALYSED


def with_uids(paths: list[Path], folder: Path) -> list[Path]:
    """Copy a series that has lost its UIDs, with UIDs; the files are named by those of the instances."""
    copies = []
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.840.99.11", "1.2.840.99.12"
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = UID(path.name.removeprefix("CT."))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        copies.append(folder / f"{number}.dcm")
        dataset.save_as(copies[-1])
    return copies


def test_a_real_ct_series_travels_as_a_volume_through_a_bundle_that_was_added(
    run: Run, tmp_path: Path
) -> None:
    paths = with_uids(sorted(real("ct-torso/example_ct_dicom").iterdir()), tmp_path)
    folder = zoo(tmp_path / "zoo_volumes", "volumes")
    write_manifest(folder, manifest("volumes") | {"routing": {"modalities": ["CT"], "series": {}}})
    run.firstread("model", "add", str(folder), "--shadow")
    study, results = analysed(run, paths)
    assert study.version_count == len(paths)
    assert results["modality_anatomy"].status is ResultStatus.DONE
    (reason,) = [why for model, why in study.not_applicable.items() if model.startswith("hippocampus@")]
    assert reason == "modality is CT"
    found = results["zoo_volumes"]
    assert (found.status, found.reason, found.shadow) == (ResultStatus.DONE, "", True)
    (segmentation,) = objects(run, found, ObjectKind.SEGMENTATION)
    assert (segmentation.Rows, segmentation.Columns) == (512, 512)
    (referenced,) = segmentation.ReferencedSeriesSequence
    assert len(referenced.ReferencedInstanceSequence) == len(paths)
    assert study.status is AnalysisStatus.NO_MODEL and study.risk is Risk.UNKNOWN
    run.firstread("model", "off", "zoo_volumes")


def test_a_breast_ultrasound_of_a_malignant_mass_alerts(run: Run, tmp_path: Path) -> None:
    folder = real("busi/malignant")
    for number, path in enumerate(sorted(folder.iterdir())[:6]):
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L"))
        made = header(
            SOPClassUID=UltrasoundImageStorage,
            SOPInstanceUID=f"1.2.840.99.7.{number}",
            StudyInstanceUID="1.2.840.99.7",
            SeriesInstanceUID="1.2.840.99.8",
            StudyDate=f"{datetime.now(UTC):%Y%m%d}",
            StudyDescription="US BREAST",
            Modality="US",
            BodyPartExamined="BREAST",
            BurnedInAnnotation="NO",
            ViewPosition=None,
            InstanceNumber=number + 1,
            Rows=grey.shape[0],
            Columns=grey.shape[1],
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
        )
        (tmp_path / f"{number}.dcm").write_bytes(encode(made, pixels=grey.tobytes()))
    study, results = analysed(run, sorted(tmp_path.iterdir()))
    found = results["breast_us_malignancy"]
    assert found.status is ResultStatus.DONE and found.risk is Risk.HIGH
    assert study.risk is Risk.HIGH and study.alert_id
    (report,) = objects(run, found, ObjectKind.STRUCTURED_REPORT)
    assert "esearch" in report.SeriesDescription

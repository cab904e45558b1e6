"""Whole evaluations, of models that say what is plain to see."""

import csv
import json
import logging
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from firstread.imaging.volume import Volume
from model_service.evaluation import command, nifti
from model_service.evaluation.overlap import hausdorff_95
from model_service.evaluation.page import METRICS, render
from model_service.evaluation.reasons import EvaluationError
from model_service.evaluation.report import Report
from model_service.evaluation.run import Options, evaluate
from model_service.prediction import Prediction
from tests.support import models
from tests.support.dicoms import encode, header

FEW = 50  # resamples: what is tested is not the intervals


def png(path: Path, values: npt.NDArray[Any] | float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.broadcast_to(np.asarray(values, dtype=np.float64), (16, 12)) if np.ndim(values) == 0 else values
    Image.fromarray(np.rint(np.asarray(grey) * 255).astype(np.uint8)).save(path)


def on(tmp_path: Path, **more: Any) -> Options:  # noqa: ANN401
    return Options(tmp_path / "data", tmp_path / "report", repeats=FEW, **more)


def rows(options: Options) -> list[dict[str, str]]:
    with (options.report / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def two_folders(tmp_path: Path) -> Path:
    """Six sick and six well, one of each on the wrong side of 0.5, and what is no image."""
    for i, value in enumerate((0.4, 0.6, 0.7, 0.8, 0.9, 1.0)):
        png(tmp_path / "data" / "sick" / f"{i}.png", value)
        png(tmp_path / "data" / "well" / f"{i}.png", 1 - value)
    (tmp_path / "data" / "sick" / "broken.png").write_bytes(b"no")
    (tmp_path / "data" / "README").write_text("x")
    return tmp_path


def test_classifier(two_folders: Path) -> None:
    options = on(two_folders, positive=("sick",))
    made, shown = evaluate(models.classifier(), options)
    (figures,) = made.figures
    assert figures.counts == {"positive": 6, "negative": 6}
    assert figures.metrics["sensitivity"].value == 5 / 6
    assert figures.metrics["specificity"].value == 5 / 6
    assert figures.metrics["auroc"].value == pytest.approx(34 / 36)  # two ties, and one outranked
    assert {each.name: each.reason for each in made.data.refused} == {
        "sick/broken.png": "not_decoded",
        "README": "not_an_image",
    }
    assert (made.data.labels_from, made.data.patients_known, made.data.patients) == ("class_folders", 0, 12)
    assert [(each.name, each.fault.title) for each in shown] == [
        ("well/0.png", "Flagged, though labelled negative"),
        ("sick/0.png", "Not flagged, though labelled positive"),
    ]
    first = rows(options)[0]
    assert first == {
        "file": "sick/0.png",
        "label": "sick",
        "probability Brightness": "0.4",
        "flagged Brightness": "0",
        "truth Brightness": "1",
    }
    assert made == Report.model_validate_json(made.model_dump_json())


def test_the_same_cases_give_the_same_figures(two_folders: Path) -> None:
    options = on(two_folders, positive=("sick",))
    assert (
        evaluate(models.classifier(), options)[0].figures == evaluate(models.classifier(), options)[0].figures
    )


def test_subgroups_and_patients_come_from_the_csv(two_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["file,label,patient,scanner,age,site"]
    for i in range(6):
        lines += [f"sick/{i}.png,1,p{i},A,{i},X", f"well/{i}.png,0,p{i},{'' if i else 'A'},{i + 30},X"]
    labels = two_folders / "labels.csv"
    labels.write_text("\n".join(lines))
    made, _ = evaluate(models.classifier(), on(two_folders, labels=labels))
    assert (made.data.patients, made.data.patients_known, made.data.refused) == (6, 12, ())
    groups = {(each.column, each.value): each for each in made.figures[0].subgroups}
    assert {column for column, _ in groups} == {"scanner", "age"}  # one site is no subgroup
    assert groups["scanner", "A"].counts == {"positive": 6, "negative": 1}
    assert groups["scanner", "(empty)"].metrics["specificity"].value == 1
    assert groups["scanner", "(empty)"].metrics["auroc"].value is None
    monkeypatch.setattr("model_service.evaluation.run._MOST_VALUES", 11)
    made, _ = evaluate(models.classifier(), on(two_folders, labels=labels))
    assert {each.column for each in made.figures[0].subgroups} == {"scanner"}  # twelve ages are no groups


def test_without_labels_there_are_predictions_only(two_folders: Path) -> None:
    options = on(two_folders)
    made, shown = evaluate(models.classifier(), options)
    assert made.figures == ()
    assert len(rows(options)) == 12
    assert "nobody has said" in shown[0].fault.title
    assert [each.name for each in shown[:4]] == [f"sick/{i}.png" for i in (5, 4, 3, 2)]
    assert {each.name for each in shown[4:]} == {"sick/1.png", "well/0.png"}  # both 0.6, and no more than six
    assert "predictions only" in render(made, shown)


def test_several_classes_by_a_csv(tmp_path: Path) -> None:
    half = np.zeros((8, 8))
    half[:, :4] = 0.9
    png(tmp_path / "data" / "l.png", half)
    png(tmp_path / "data" / "r.png", half[:, ::-1])
    png(tmp_path / "data" / "odd.png", half)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\nl.png,left side\nr.png,right side\nodd.png,middle\n")
    made, _ = evaluate(models.two_classes(), on(tmp_path, labels=labels))
    assert [each.label for each in made.figures] == ["Left side", "Right side"]
    assert [each.metrics["auroc"].value for each in made.figures] == [1, 1]
    assert [each.reason for each in made.data.refused] == ["unknown_label"]


def test_recognition(tmp_path: Path) -> None:
    for folder, value in (("dark_ct", 0.1), ("Bright-MR", 0.9), ("unknown", 0.5), ("unknown", 0.95)):
        png(tmp_path / "data" / folder / f"{value}.png", value)
    made, shown = evaluate(models.recognition(), on(tmp_path))
    assert made.figures[0].metrics["accuracy"].value == 3 / 4
    assert [each.name for each in shown] == ["unknown/0.95.png"]


def disc(radius: float) -> npt.NDArray[np.float64]:
    row, column = np.mgrid[0:24, 0:20]
    return np.asarray((row - 12) ** 2 + (column - 10) ** 2 <= radius**2, dtype=np.float64)


def test_segmentation_of_images(tmp_path: Path) -> None:
    for i, (said, true) in enumerate(((6, 6), (5, 6), (3, 6))):
        png(tmp_path / "data" / "images" / f"{i}.png", disc(said))
        png(tmp_path / "data" / "labels" / f"{i}.png", disc(true))
    png(tmp_path / "data" / "images" / "odd.png", disc(3))
    png(tmp_path / "data" / "labels" / "odd.png", disc(3)[:10])
    options = on(tmp_path, save=True)
    made, shown = evaluate(models.segmenter(), options)
    (figures,) = made.figures
    wanted = np.mean([2 * disc(said).sum() / (disc(said).sum() + disc(6).sum()) for said in (6, 5, 3)])
    assert figures.metrics["dice"].value == pytest.approx(wanted)
    apart = [hausdorff_95(disc(6) > 0, disc(said) > 0, (1, 1)) for said in (6, 5, 3)]
    assert figures.metrics["hd95"].value == pytest.approx(np.mean(apart))
    assert figures.size_unit == "px"
    assert [each.name for each in shown] == ["images/2.png", "images/1.png", "images/0.png"]
    assert [(each.name, each.reason) for each in made.data.refused] == [
        ("images/odd.png", "mask_does_not_fit")
    ]
    with Image.open(options.report / "labels" / "images" / "2.png") as saved:
        assert np.array_equal(np.asarray(saved), disc(3))


def saved(path: Path, values: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> None:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def test_segmentation_of_volumes(tmp_path: Path) -> None:
    steps = np.zeros((6, 8, 8), np.float32)
    steps[2:5, 2:6, 2:6] = 0.4  # the first of two
    steps[3:5, 3:5, 3:5] = 0.9
    affine = np.diag([-1.5, 2.0, 1.0, 1.0])
    for folder, values in (("images", steps), ("labels", np.minimum(steps * 3, 2).astype(np.uint8))):
        (tmp_path / "data" / folder).mkdir(parents=True)
        saved(tmp_path / "data" / folder / "a.nii.gz", values, affine)
    options = on(tmp_path, save=True)
    made, _ = evaluate(models.segmenter(2, kind="volume"), options)
    assert [each.metrics["dice"].value for each in made.figures] == [1, 1]
    assert made.figures[1].size_unit == "mm3"
    assert made.figures[1].sizes[0].predicted == 8 * 3
    back = nibabel.load(options.report / "labels" / "images" / "a.nii.gz")
    assert np.allclose(back.affine, affine)  # type: ignore[attr-defined]
    assert np.array_equal(np.asarray(back.dataobj), np.minimum(steps * 3, 2).astype(np.uint8))  # type: ignore[attr-defined]


def test_a_series_with_a_nifti_mask(tmp_path: Path) -> None:
    """DICOM and NIfTI count axes in other orders and point them elsewhere; the mask still lies where it should."""
    bright = np.zeros((4, 8, 8), np.uint16)
    bright[1, 2:5, 3:7] = 1
    (tmp_path / "data" / "s").mkdir(parents=True)
    for number in range(4):
        where = {
            "ImagePositionPatient": [0, 0, 5 * number],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [1, 1],
            "FrameOfReferenceUID": "1.2.9",
            "SOPInstanceUID": f"1.2.3.{number + 1}",
        }
        content = encode(header(**where), pixels=bright[number].astype("<u2").tobytes())
        (tmp_path / "data" / "s" / f"{number}.dcm").write_bytes(content)
    turned = np.ascontiguousarray(
        bright.T[::-1, ::-1].astype(np.uint8)
    )  # towards the right and the front of the patient
    affine = np.array([[1.0, 0, 0, -7], [0, 1, 0, -7], [0, 0, 5, 0], [0, 0, 0, 1]])
    saved(tmp_path / "mask.nii.gz", turned, affine)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,mask\ns,../mask.nii.gz\n")
    made, _ = evaluate(models.segmenter(kind="volume"), on(tmp_path, labels=labels))
    assert made.data.refused == ()
    assert made.figures[0].metrics["dice"].value == 1
    assert made.data.patients_known == 1  # by Patient ID


def spots(*places: tuple[int, int, float]) -> npt.NDArray[np.float64]:
    image = np.zeros((32, 32))
    for row, column, value in places:
        image[row : row + 5, column : column + 5] = value
    return image


def test_detection_by_boxes_and_by_masks(tmp_path: Path) -> None:
    png(tmp_path / "data" / "a.png", spots((2, 2, 0.9), (20, 20, 0.4)))
    png(tmp_path / "data" / "b.png", spots((10, 10, 0.7)))
    png(tmp_path / "data" / "c.png", spots((4, 4, 0.8)))
    png(tmp_path / "mask.png", spots((4, 4, 1.0), (20, 20, 1.0)))
    labels = tmp_path / "labels.csv"
    lines = [
        "file,top,bottom,left,right,mask",
        "a.png,2,7,2,7,",
        "a.png,20,25,20,25,",
        "b.png,,,,,",
        "c.png,,,,,../mask.png",
    ]
    labels.write_text("\n".join(lines))
    made, shown = evaluate(models.detector(), on(tmp_path, labels=labels))
    lesions, images = made.figures
    assert lesions.counts == {"images": 3, "lesions": 4}
    assert lesions.metrics["lesion_sensitivity"].value == 2 / 4
    assert lesions.metrics["sensitivity_at_1_fp"].value == 3 / 4
    assert images.metrics["specificity"].value == 0
    assert {each.fault.title.split()[0] for each in shown} == {"Lesions", "False"}


def test_options_that_contradict_the_model(two_folders: Path) -> None:
    with pytest.raises(EvaluationError, match="--positive"):
        evaluate(models.recognition(), on(two_folders, positive=("sick",)))
    with pytest.raises(EvaluationError, match="--save"):
        evaluate(models.classifier(), on(two_folders, save=True))
    with pytest.raises(EvaluationError, match="no case has the label sikc"):
        evaluate(models.classifier(), on(two_folders, positive=("sikc",)))


def test_nothing_to_evaluate(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(EvaluationError, match="no image or volume"):
        evaluate(models.classifier(), on(tmp_path))
    (tmp_path / "data" / "Quimby.png").write_bytes(b"")
    with pytest.raises(EvaluationError, match="1 not_decoded") as raised:
        evaluate(models.classifier(), on(tmp_path))
    assert "Quimby" not in str(raised.value)


def test_a_case_that_the_model_fails_on_costs_no_other(
    two_folders: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = models.classifier()
    said = model.rule

    def moody(image: Any) -> Prediction:  # noqa: ANN401
        if image.mean() > 0.99:
            raise RuntimeError("Quimby^Theodora")
        return said(image)

    model.rule = moody
    with caplog.at_level(logging.WARNING):
        made, _ = evaluate(model, on(two_folders, positive=("sick",)))
    assert made.data.cases == 11
    assert ("sick/5.png", "model_failed") in [(each.name, each.reason) for each in made.data.refused]
    assert "RuntimeError" in caplog.text
    assert "Quimby" not in caplog.text


def test_images_are_batched_across_cases(two_folders: Path) -> None:
    model = models.classifier()
    seen: list[tuple[int, int]] = []
    evaluate(model, on(two_folders), progress=lambda done, of: seen.append((done, of)))
    assert model.batches == [12]
    assert seen == [(13, 13)]  # the broken one is done too


def test_several_frames_have_no_one_label_map(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    frames = np.full((3, 8, 8), 7, "<u2")
    (tmp_path / "data" / "cine.dcm").write_bytes(encode(header(NumberOfFrames=3), pixels=frames.tobytes()))
    with pytest.raises(EvaluationError, match="1 several_frames"):
        evaluate(models.segmenter(frames="all"), on(tmp_path))
    made, _ = evaluate(models.classifier(frames="all"), on(tmp_path))
    assert made.data.cases == 1


class Page(HTMLParser):
    """What a page has that matters here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        assert not {name for name, _ in attrs} & {"onclick", "onerror", "href"}


def test_the_page_stands_alone_and_quotes_nothing_raw(two_folders: Path) -> None:
    png(two_folders / "data" / "well" / "<script>alert(1)</script>.png", 0.9)
    made, shown = evaluate(models.classifier(), on(two_folders, positive=("sick",)))
    text = render(made, shown)
    page = Page(text)
    assert "script" not in page.tags
    assert len(page.images) == 3 + 4
    assert all(str(each["src"]).startswith("data:image/") and each["alt"] for each in page.images)
    assert page.tags.count("h1") == 1
    assert "Research use only" in text
    for name, estimate in made.figures[0].metrics.items():
        assert METRICS[name].title in text
        assert estimate.value is not None
        assert f"{estimate.value:.3f}" in text


def test_every_figure_of_every_task_can_be_shown(tmp_path: Path) -> None:
    png(tmp_path / "data" / "a.png", spots((2, 2, 0.9)))
    labels = tmp_path / "labels.csv"
    labels.write_text("file,top,bottom,left,right,label,mask\na.png,2,7,2,7,1,a.png\n")
    shown_titles = set()
    for model in (models.classifier(), models.segmenter(), models.detector()):
        made, shown = evaluate(model, on(tmp_path, labels=labels))
        render(made, shown)
        shown_titles |= {name for figures in made.figures for name in figures.metrics}
    assert shown_titles | {"accuracy", "coverage", "accuracy_answered"} == set(METRICS)


class Told:
    """The command with a model of ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "load_model", lambda _folder: models.classifier())

    def __call__(self, data: Path, report: Path, *more: str) -> int:
        return command.main(["--data", str(data), "--report", str(report), *more, "--", "cxr_opacity"])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def test_the_command_writes_three_files_and_names_no_case(
    told: Told, two_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = two_folders / "new" / "report"
    assert told(two_folders / "data", report, "--positive", "sick") == 0
    assert sorted(path.name for path in report.iterdir()) == ["predictions.csv", "report.html", "report.json"]
    assert json.loads((report / "report.json").read_text())["bundle"]["name"] == "bright"
    said = capsys.readouterr()
    assert "12 cases analysed" in said.out
    assert "auroc 0.944" in said.out
    assert "sick/" not in said.out + said.err


def test_errors_of_the_command_are_one_line(
    told: Told, two_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(two_folders / "none", two_folders / "report") == 1
    assert told(two_folders / "data", two_folders / "data" / "report") == 1
    assert command.main(["--data", ".", "--report", "x", "no_such_bundle"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("evaluate: ") for line in said)


def test_evaluating_needs_neither_torch_nor_monai() -> None:
    """The extra `evaluation` does not bring them."""
    code = "import sys, model_service.evaluation.command; print({'torch', 'monai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_volume_s_nifti_is_written_as_it_came(tmp_path: Path) -> None:
    volume = Volume(np.zeros((2, 3, 4), np.float32), np.diag([3.0, 2.0, 1.0, 1.0]), ())
    nifti.save(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.uint8), volume.affine)
    assert nifti.load(tmp_path / "a.nii.gz").spacing_mm == (3, 2, 1)

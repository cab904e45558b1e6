"""A run: resumed, killed, in the way of others, with broken input; and what it says of patients, which is nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

import firstread.imaging.convert as conversion
from firstread.imaging import reading
from firstread.imaging import series as imaging_series
from firstread.imaging.convert import (
    ConvertError,
    ConvertReason,
    Existing,
    Options,
    Summary,
    Target,
    convert,
    run,
)
from firstread.imaging.convert import series as series_module
from firstread.imaging.convert import tree as convert_tree
from firstread.imaging.convert.home import Home
from firstread.imaging.convert.tree import grow
from firstread.imaging.index import Index, build
from tests.support.phantoms import series
from tests.unit.imaging.convert.trees import PLANTED, files, write
from tests.unit.imaging.test_geometry import two_times, with_localizer

NIFTI = Options(Target.NIFTI)


def another(number: int) -> list[Dataset]:
    made = series()
    for each in made:
        each.SeriesInstanceUID = f"2.25.{number}0{number}"
        each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = UID(
            f"{each.SOPInstanceUID}{number}"
        )
    return made


def times(uid: str, count: int) -> list[Dataset]:
    made = two_times("EchoTime")[:count]
    for each in made:
        each.SeriesInstanceUID = uid
    return made


def tree(tmp_path: Path) -> Path:
    write(tmp_path / "in" / "one", series())
    write(tmp_path / "in" / "two", another(5))
    return tmp_path / "in"


def volumes(out: Path) -> list[Path]:
    return sorted(out.rglob("*.nii.gz"))


def sidecar(summary: Summary, out: Path) -> dict[str, object]:
    found = json.loads((out / summary.outcomes[0].outputs[1]).read_text())
    assert isinstance(found, dict)
    return found


def test_a_tree_by_series_with_sidecars(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    (source / "notes.txt").write_text("nothing")
    for path in (source / "one").iterdir():
        path.rename(source / "two" / f"mixed-{path.name}")
    summary = convert([source], out, Options(Target.NIFTI, licence="CC BY 4.0"))
    assert summary.totals == {"made": 2, "unchanged": 0, "kept": 0, "left_out": 0, "failed": 0}
    assert summary.other_files == 1 and len(volumes(out)) == 2
    said = sidecar(summary, out)
    assert said["shape"] == [28, 48, 64] and said["axes"] == ["slice", "row", "column"]
    assert said["dtype"] == "int16" and said["value_range"] == [-1000, 1000]
    assert said["spacing_mm"] == [3.0, 2.0, 1.5] and said["size_mm"] == [84.0, 96.0, 96.0]
    assert said["verdict"] == {"geometry": "regular", "done": []}
    assert said["licence"] == "CC BY 4.0" and said["units"] == "[hnsf'U]"
    inputs = said["inputs"]
    assert isinstance(inputs, list)
    digests = {sha256(path.read_bytes()).hexdigest() for path in source.rglob("*.dcm")}
    assert len(inputs) == 28 and {each["sha256"] for each in inputs} < digests


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    convert([source], out, NIFTI)
    before = {path: path.stat().st_mtime_ns for path in volumes(out)}
    assert convert([source], out, NIFTI).totals["unchanged"] == 2
    volumes(out)[0].unlink()
    assert convert([source], out, NIFTI).totals == {
        "made": 1,
        "unchanged": 1,
        "kept": 0,
        "left_out": 0,
        "failed": 0,
    }
    assert len(volumes(out)) == 2 and before[volumes(out)[1]] == volumes(out)[1].stat().st_mtime_ns


def test_changed_input_or_options_are_made_anew_where_they_may(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    convert([source], out, NIFTI)
    (source / "one" / "0027.dcm").unlink()
    assert convert([source], out, NIFTI).totals["kept"] == 1
    refused = convert([source], out, Options(Target.NIFTI, existing=Existing.FAIL))
    assert (refused.failed, refused.totals["unchanged"]) == (1, 1)
    assert {each.reason for each in refused.outcomes} == {"", "exists"}
    over = Options(Target.NIFTI, existing=Existing.OVERWRITE)
    assert convert([source], out, over).totals["made"] == 1
    assert sorted(conversion.open(path).values.shape[0] for path in volumes(out)) == [27, 28]
    assert convert([source], out, Options(Target.NIFTI, licence="x")).totals["kept"] == 2


@pytest.mark.parametrize("target", [Target.ZARR, Target.HDF5])
def test_other_formats_are_overwritten_too(target: Target, tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    convert([source], out, Options(target))
    made = convert([source], out, Options(target, existing=Existing.OVERWRITE, licence="x"))
    assert made.totals["made"] == 2
    for outcome in made.outcomes:
        assert conversion.open(out / outcome.outputs[0]).values.shape == (28, 48, 64)


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    options = Options(Target.NIFTI, "{modality}-{series}")
    convert([source], out, options, key=tmp_path / "key")
    first = volumes(out)[0]
    shutil.rmtree(out / ".firstread")
    first.write_bytes(b"mine")
    assert convert([source], out, options, key=tmp_path / "key").totals["kept"] == 2
    assert first.read_bytes() == b"mine"


def test_killed_between_two_renames_it_knows_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tree(tmp_path), tmp_path / "out"

    class KilledError(BaseException):
        pass

    replace, count = Path.replace, iter(range(100))

    def killed(self: Path, target: Path) -> Path:
        if "parts" in self.parts and next(count) == 1:
            raise KilledError
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KilledError):
        convert([source], out, NIFTI)
    monkeypatch.undo()
    assert len(volumes(out)) == 1
    assert convert([source], out, NIFTI).totals["made"] == 2
    assert not (out / ".firstread" / "parts").exists()


def test_killed_at_any_time_the_same_command_ends_it(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; from firstread.imaging.convert import *;"
        "print('go', flush=True); convert([Path(sys.argv[1])], Path(sys.argv[2]), Options(Target.NIFTI))"
    )
    for wait in (0.05, 0.4):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(source), str(out)], stdout=subprocess.PIPE, cwd=Path.cwd()
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        for path in volumes(out):
            if "parts" not in path.parts:
                assert conversion.open(path).values.shape == (28, 48, 64)
    assert not convert([source], out, NIFTI).failed
    assert len(volumes(out)) == 2


def test_two_runs_do_not_meet(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    with Home(out).locked(), pytest.raises(ConvertError) as caught:
        convert([source], out, NIFTI)
    assert caught.value.reason is ConvertReason.IN_USE


def test_failures_are_listed_and_stop_nobody(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    broken = another(6)
    for each in broken:
        each.PixelData = each.PixelData[:50]
    write(source / "three", broken)
    (source / "torn.dcm").write_bytes((source / "one" / "0000.dcm").read_bytes()[:300])
    summary = convert([source], out, NIFTI)
    assert summary.totals["made"] == 2 and summary.totals["failed"] == 1 and summary.failed == 2
    assert {each.reason for each in summary.outcomes} == {"", "not_decoded"}
    assert summary.broken_files == (sha256((source / "torn.dcm").read_bytes()).hexdigest(),)
    report = json.loads((out / "convert-report.json").read_text())
    assert report["totals"] == summary.totals and len(report["outcomes"]) == 3
    assert convert([source], out, NIFTI).totals["failed"] == 1  # tried again


def test_masks_doses_and_reports_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write(source / "dose", another(7), Modality="RTDOSE")
    report = another(8)[:1]
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report[0], keyword)
    write(source / "report", report, Modality="SR")
    summary = convert([source], tmp_path / "out", NIFTI)
    assert summary.totals["left_out"] == 2 and not summary.failed
    assert {each.reason for each in summary.outcomes} == {"mask_or_dose", "no_images"}


def test_strict_refuses_what_would_be_mended(tmp_path: Path) -> None:
    write(tmp_path / "in", with_localizer(labelled=True))
    assert convert([tmp_path / "in"], tmp_path / "a", NIFTI).outcomes[0].geometry == ("mended",)
    strict = convert([tmp_path / "in"], tmp_path / "b", Options(Target.NIFTI, strict=True))
    assert strict.failed == 1 and not volumes(tmp_path / "b")


def test_input_that_changes_meanwhile_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    paths = write(source, series())
    load_files = imaging_series.load_files

    def meanwhile(*given: object) -> object:
        found = load_files(*given)  # type: ignore[arg-type]
        os.utime(paths[0], ns=(1, 1))
        return found

    monkeypatch.setattr(series_module, "load_files", meanwhile)
    assert convert([source], tmp_path / "out", NIFTI).outcomes[0].reason == "input_changed"
    assert not volumes(tmp_path / "out")


def test_processes_make_what_one_makes(tmp_path: Path) -> None:
    source = tree(tmp_path)
    key = tmp_path / "key"
    seen: list[tuple[int, int]] = []
    convert([source], tmp_path / "a", NIFTI, key=key)
    convert([source], tmp_path / "b", NIFTI, key=key, jobs=2, settled=lambda *each: seen.append(each))
    one, two = files(tmp_path / "a"), files(tmp_path / "b")
    assert one == two and seen == [(1, 2), (2, 2)]


def test_a_process_that_dies_takes_nobody_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path)
    tasks: list[int] = []
    in_pool = run._in_pool

    def dying(given: list[series_module.Task], jobs: int) -> object:
        tasks.append(len(given))
        if len(given) > 1 or len(tasks) == 2:
            return iter(())
        return in_pool(given, jobs)

    monkeypatch.setattr(run, "_in_pool", dying)
    summary = convert([source], tmp_path / "out", NIFTI, jobs=2)
    assert tasks == [2, 1, 1]
    assert sorted(each.reason for each in summary.outcomes) == ["", "process_died"]


def test_nobody_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write(source / "Zyxwvut Quentin", series())
    write(source / "four", times("2.25.77", 40))
    for target in (Target.NIFTI, Target.HDF5, Target.ZARR, Target.NNUNET):
        convert([source], out / target, Options(target))
    captured = capfd.readouterr()
    words = {part for value in PLANTED.values() for part in (value, *value.replace("^", " ").split())}
    planted = {word.strip("!.").lower().encode() for word in words if len(word.strip("!.")) > 3}
    planted |= {b'2.25.1"', b'2.25.2"', b"2.25.70"}
    planted -= {b"thin", b"saint", b"slices", b"follow-up"}
    told = {name: text for name, text in files(out).items() if name.endswith(".json")}
    assert len(told) > 8
    for name, text in (told | {"output": (captured.out + captured.err).encode()}).items():
        for word in planted:
            assert word not in (name.encode() + text).lower(), (name, word)


def test_identifiers_are_written_where_somebody_asks(tmp_path: Path) -> None:
    write(tmp_path / "in", series())
    options = Options(Target.NIFTI, "{patient_id}/{series_description}", identifying=True)
    summary = convert([tmp_path / "in"], tmp_path / "out", options)
    assert summary.outcomes[0].outputs[0] == "MRN90817263/Quentin_thin_slices.nii.gz"
    said = sidecar(summary, tmp_path / "out")
    assert said["identifiers"]["PatientID"] == "MRN90817263"  # type: ignore[index]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{patient_id}", ConvertReason.IDENTIFYING_PATTERN),
        ("{nonsense}", ConvertReason.BAD_PATTERN),
        ("../{series}", ConvertReason.BAD_PATTERN),
        ("/{series}", ConvertReason.BAD_PATTERN),
        (".firstread/{series}", ConvertReason.BAD_PATTERN),
        ("{series!r}", ConvertReason.BAD_PATTERN),
        ("{series.__class__}", ConvertReason.BAD_PATTERN),
        ("{series", ConvertReason.BAD_PATTERN),
        ("always", ConvertReason.BAD_PATTERN),
    ],
)
def test_patterns_that_are_refused(pattern: str, reason: ConvertReason) -> None:
    with pytest.raises(ConvertError) as caught:
        Options(Target.NIFTI, pattern)
    assert caught.value.reason is reason


def test_two_series_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError) as caught:
        convert([tree(tmp_path)], tmp_path / "out", Options(Target.NIFTI, "{modality}"))
    assert caught.value.reason is ConvertReason.SAME_NAME


def test_an_id_with_slashes_stays_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "in", series(), PatientID="../../etc/x")
    options = Options(Target.NIFTI, "{patient_id}", identifying=True)
    assert convert([tmp_path / "in"], tmp_path / "out", options).outcomes[0].outputs[0] == "etc_x.nii.gz"


def test_nnunet_has_its_layout(tmp_path: Path) -> None:
    source, out = tree(tmp_path), tmp_path / "out"
    write(source / "mr", another(9), Modality="MR")
    write(source / "times", times("2.25.88", 56))
    summary = convert([source], out, Options(Target.NNUNET))
    assert sorted(each.reason for each in summary.outcomes) == ["", "", "not_for_format", "other_modality"]
    assert len(list((out / "imagesTr").glob("*_0000.nii.gz"))) == 2
    made = json.loads((out / "dataset.json").read_text())
    assert made == {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (out / "dataset.json").write_text(json.dumps(made | {"labels": {"background": 0, "liver": 1}}))
    assert convert([source], out, Options(Target.NNUNET)).totals["unchanged"] == 2
    assert json.loads((out / "dataset.json").read_text())["labels"]["liver"] == 1


def test_no_input_and_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConvertError) as caught:
        convert([tmp_path / "none"], tmp_path / "out", NIFTI)
    assert caught.value.reason is ConvertReason.NO_INPUT
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ConvertError) as caught:
        convert([tree(tmp_path)], tmp_path / "out", NIFTI, key=tmp_path / "key")
    assert caught.value.reason is ConvertReason.BAD_KEY


def test_what_a_walk_cannot_reach_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    paths = write(source, series())
    (source / "closed").mkdir()
    (source / "link.dcm").symlink_to(paths[0])
    (source / "nowhere.dcm").symlink_to(tmp_path / "gone")
    scandir = os.scandir

    def closed(path: str | int) -> object:
        if str(path).endswith("closed"):  # as for whoever may not read it; tests may run as root
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    summary = convert([source, source], tmp_path / "out", NIFTI)
    (outcome,) = summary.outcomes
    assert (outcome.status, outcome.files, outcome.geometry) == ("made", len(paths), ("regular",))
    assert (summary.unlisted_folders, summary.broken_files, summary.failed) == (2, ("",), 3)


def test_each_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write(tmp_path / "in", series())
    opened: list[Path] = []
    monkeypatch.setattr(reading, "_plain_header", opened.append)
    convert([tmp_path / "in"], tmp_path / "out", NIFTI)
    assert opened == []
    monkeypatch.undo()
    monkeypatch.setattr(convert_tree, "_MOST_HEADERS", 2)  # of more, they are read when they are needed
    assert not convert([tmp_path / "in"], tmp_path / "other", NIFTI).failed
    assert len(paths) > 2
    (one,), (other,) = (list((tmp_path / name).rglob("*.nii*")) for name in ("out", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_images_without_uids_are_series_by_their_folders(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / "in" / name, series(), SOPInstanceUID="", SeriesInstanceUID="", StudyInstanceUID="")
    summary = convert([tmp_path / "in"], tmp_path / "out", NIFTI)
    assert [(each.status, each.files, each.geometry) for each in summary.outcomes] == [
        ("made", 28, ("regular",))
    ] * 2
    assert not summary.failed
    again = convert([tmp_path / "in"], tmp_path / "out", NIFTI)
    assert again.totals["unchanged"] == 2
    build(tmp_path / "in", tmp_path / "index")
    indexed = {row["series_uid"] for row in Index(tmp_path / "index").series()}
    assert set(grow([tmp_path / "in"], tmp_path / "out").series) == indexed

"""Who is in which part, with which regions and labels."""

from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.dicom.silence import quiet
from firstread.imaging.index import Index, build
from firstread.imaging.learn import (
    LearnError,
    LearnReason,
    Sample,
    from_folders,
    from_index,
    part_of,
    read_labels,
    split,
    with_labels,
)
from firstread.imaging.masks.mask import Mask
from firstread.imaging.masks.written import to_segmentation, to_structures
from firstread.imaging.series import load
from tests.unit.imaging.learn.makers import write


def sample(patient: str, number: int) -> Sample:
    return Sample(patient, f"2.25.{number}", ())


@given(
    st.lists(st.tuples(st.text(max_size=6), st.integers(0, 99)), max_size=40),
    st.tuples(*[st.integers(0, 9)] * 3).filter(any),
    st.integers(),
)
def test_no_patient_is_in_two_parts(
    found: list[tuple[str, int]], weights: tuple[int, int, int], seed: int
) -> None:
    shares = {name: each / sum(weights) for name, each in zip(("train", "val", "test"), weights, strict=True)}
    samples = [sample(*each) for each in found]
    parts = split(samples, shares, seed)
    assert sorted(map(hash, samples)) == sorted(hash(each) for part in parts.values() for each in part)
    patients = [{each.patient for each in part} for part in parts.values()]
    assert sum(map(len, patients)) == len(set().union(*patients))
    assert all(share or not parts[name] for name, share in shares.items())
    # One who comes later moves nobody.
    assert (
        split([*samples, sample("later", 100)], shares, seed)["train"][: len(parts["train"])]
        == parts["train"]
    )


def test_shares_are_met_and_seeds_differ() -> None:
    patients = [f"P{each}" for each in range(4000)]
    parts = [part_of(each) for each in patients]
    assert parts.count("train") == pytest.approx(3200, abs=120)
    assert parts.count("test") == pytest.approx(400, abs=80)
    assert parts != [part_of(each, seed=1) for each in patients]


@pytest.mark.parametrize(
    "shares", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": float("nan")}]
)
def test_shares_that_are_none(shares: dict[str, float]) -> None:
    with pytest.raises(LearnError) as caught:
        part_of("P", shares)
    assert caught.value.reason is LearnReason.BAD_SHARES


def test_a_sample_names_nobody() -> None:
    assert repr(sample("Doe", 1)) == "Sample(label=None)"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two series; the first with a segmentation and a structure set of its sphere."""
    root = tmp_path_factory.mktemp("tree")
    for number, patient in enumerate(("A", "B")):
        write(root / patient, patient, number)
    files = sorted((root / "A").iterdir())
    images, volume = [pydicom.dcmread(each) for each in files], load(files)
    mask = Mask("Ball", volume.values > 0)
    drawn = {"seg": to_segmentation([mask], volume, images)}
    drawn["rt"] = to_structures([mask], volume, images, datetime(2026, 1, 1))
    (root / "drawn").mkdir()
    for name, made in drawn.items():
        with quiet():
            made.save_as(root / "drawn" / f"{name}.dcm", enforce_file_format=True)
    return root


def test_an_index_and_folders_find_the_same(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    found = from_index(index)
    assert [each.patient for each in found.samples] == ["A", "B"]
    assert [each.name for each in found.samples[0].regions] == ["rt.dcm", "seg.dcm"]
    assert len(found.samples[0].paths) == 20
    assert found.samples[1].regions == ()
    assert found.left_out == {"region_object": 2}
    assert from_folders([tree]) == found
    assert from_index(index, "patient_id = ?", ["B"]).samples == found.samples[1:]
    assert (
        from_index(index, index.query("SELECT * FROM series WHERE patient_id = 'B'")).samples
        == found.samples[1:]
    )


def test_what_is_no_volume_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "in" / "C", "C", 3)
    for number, path in enumerate(sorted((tmp_path / "in" / "C").iterdir())):
        if number not in (0, 1, 19):
            path.unlink()
    build(tmp_path / "in", tmp_path / "index")
    found = from_index(Index.open(tmp_path / "index"))
    assert not found.samples
    assert sum(found.left_out.values()) == 1


def test_labels(tmp_path: Path) -> None:
    samples = [sample("A", 1), sample("B", 2)]
    assert [each.label for each in with_labels(samples, {"A": 1, "2.25.2": 0, "B": 5})] == [1, 0]
    with pytest.raises(LearnError) as caught:
        with_labels(samples, {"A": 1})
    assert caught.value.reason is LearnReason.NO_LABEL
    file = tmp_path / "labels.csv"
    for cells, labels in (("1", "0"), (1, 0)), (("1", "0.5"), (1.0, 0.5)), (("1", "x"), ("1", "x")):
        file.write_text("patient_id,label\nA,{}\nB,{}\n".format(*cells))
        assert read_labels(file) == dict(zip("AB", labels, strict=True))
    for text in "", "patient,label\nA,1\n", "patient_id,label\nA,\n", "patient_id,label\nA,1\nA,2\n":
        file.write_text(text)
        with pytest.raises(LearnError) as caught:
            read_labels(file)
        assert caught.value.reason is LearnReason.BAD_LABELS

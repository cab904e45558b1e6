"""Coordinate rules of known devices: with rules of a test, and with those of the real package."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset

from firstread.deid.burned_in import TextBox, clean
from firstread.deid.burned_in.known_devices import Rules, boxes_to_blank
from firstread.dicom import read
from firstread.errors import QuarantineError, Reason
from tests.unit.deid.burned_in.making import Blind, native


def _header(**values: object) -> FileDataset:
    dataset = FileDataset("", {}, file_meta=FileMetaDataset())
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _rules(*coordinates: tuple[int, object], group: str = "graylist") -> Rules:
    def evaluate(_dataset: FileDataset) -> Mapping[str, Any]:
        return {"results": [{"group": group, "coordinates": [list(one) for one in coordinates]}]}

    return evaluate


def test_boxes_end_with_the_image() -> None:
    rules = _rules((0, "0,0,512,20"), (0, ["5,90,20,200", "3,3,3,9"]))
    assert boxes_to_blank(_header(), 100, 60, rules) == [TextBox(0, 0, 60, 20), TextBox(5, 90, 20, 100)]


def test_what_is_to_be_kept_is_cut_out_of_what_came_before() -> None:
    boxes = boxes_to_blank(_header(), 40, 60, _rules((0, "all"), (1, "10,5,30,25"), (0, "12,6,14,8")))
    canvas = np.zeros((40, 60), int)
    for box in boxes:
        canvas[box.top : box.bottom, box.left : box.right] += 1
    wanted = np.ones((40, 60), int)
    wanted[5:25, 10:30] = 0
    wanted[6:8, 12:14] = 1
    assert (canvas == wanted).all()


def test_other_lists_of_a_recipe_have_no_say() -> None:
    assert boxes_to_blank(_header(), 10, 10, _rules((0, "all"), group="blacklist")) == []


def test_what_cannot_be_evaluated_is_quarantined_and_says_nothing() -> None:
    def broken(_dataset: FileDataset) -> Mapping[str, Any]:
        raise ValueError("QUIMBY")

    with pytest.raises(QuarantineError) as caught:
        boxes_to_blank(_header(), 10, 10, broken)
    assert caught.value.reason is Reason.UNREADABLE
    assert caught.value.__cause__ is None


def test_known_boxes_are_blanked_on_every_frame_and_nothing_else() -> None:
    frames = np.random.default_rng(1).integers(10, 90, (2, 20, 30)).astype(np.uint8)
    target = BytesIO()
    with read(BytesIO(native(frames, 2))) as file:
        result = clean(file, target, Blind(), known=[TextBox(0, 0, 400, 5)])
    after = np.frombuffer(target.getvalue()[-frames.size :], np.uint8).reshape(frames.shape)
    assert all(len(np.unique(frame[:5])) == 1 for frame in after)
    assert (after[:, 5:] == frames[:, 5:]).all()
    assert (result.touched, result.checked) == (2, True)


@pytest.mark.slow  # imports matplotlib
def test_rules_of_the_real_package() -> None:
    pytest.importorskip("deid", reason="needs the extra `recipes`")
    known = _header(Modality="US", Manufacturer="GE Healthcare", ManufacturerModelName="LOGIQE9")
    assert boxes_to_blank(known, 720, 960) == [TextBox(0, 0, 960, 70)]
    assert boxes_to_blank(_header(Modality="US", Manufacturer="Elsewhere"), 720, 960) == []

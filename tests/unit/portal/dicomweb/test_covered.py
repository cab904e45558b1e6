"""What of a segmentation is shown once some of the images that it was drawn on are gone."""

from typing import Any

import pytest

from portal.logic.dicomweb.covered import is_covered, without_gone

Json = dict[str, Any]


def items(*found: Json) -> Json:
    return {"vr": "SQ", "Value": list(found)}


def names(uid: str) -> Json:
    return {"00081155": {"vr": "UI", "Value": [uid]}}


def drawn_on(*uids: str) -> Json:
    return {"00089124": items({"00082112": items(*(names(uid) for uid in uids))}), "00209111": items({})}


def segmentation(*frames: Json, refers: tuple[str, ...] = ("a", "b"), more: Json | None = None) -> Json:
    made = {"00080018": {"vr": "UI", "Value": ["s"]}, "52009230": items(*frames), **(more or {})}
    if refers:
        made["00081115"] = items({"0008114A": items(*(names(uid) for uid in refers))})
    return made


def test_a_frame_goes_with_its_image_and_the_others_keep_their_numbers() -> None:
    sources = {"00082112": items(names("a"), names("b"))}
    found = segmentation(drawn_on("a"), drawn_on("b"), drawn_on("a"), more=sources)
    assert [is_covered(found, frame, {"a"}) for frame in (1, 2, 3)] == [True, False, True]
    shown = without_gone(found, {"a"})
    assert shown is not None
    assert shown["52009230"]["Value"] == [drawn_on("a"), {}, drawn_on("a")]
    assert "'b'" not in str(shown)
    assert without_gone(found, {"a", "b"}) == found
    assert without_gone(found, set()) is None


def test_a_frame_of_several_images_needs_all_of_them() -> None:
    assert not is_covered(segmentation(drawn_on("a", "b")), 1, {"a"})
    assert is_covered(segmentation(drawn_on("a", "b")), 1, {"a", "b"})


@pytest.mark.parametrize("images", [{"a"}, {"a", "b"}])
def test_a_frame_that_names_none_is_drawn_on_all_that_the_object_refers_to(images: set[str]) -> None:
    assert is_covered(segmentation({}), 1, images) is (images == {"a", "b"})
    shared = {"52009229": items(drawn_on("a"))}
    assert is_covered(segmentation({}, more=shared), 1, images)


def test_what_refers_to_nothing_is_not_shown() -> None:
    assert not is_covered(segmentation({}, refers=()), 1, {"a"})
    assert without_gone(segmentation({}, refers=()), {"a"}) is None
    assert without_gone({"00080018": {"vr": "UI", "Value": ["s"]}}, {"a"}) is None

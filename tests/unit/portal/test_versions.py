"""What a version is said to differ in from the one before."""

import pytest

from firstread.study import StudyVersion
from portal.logic.versions import change_words


def version(count: int, withdrawn: int = 0) -> StudyVersion:
    return StudyVersion(
        study_uid="2.25.1",
        version=1,
        completed_at="",
        instance_count=count,
        held_count=0,
        withdrawn_count=withdrawn,
        models=(),
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (version(2), version(3), "1 image came"),
        (version(2), version(4), "2 images came"),
        (version(3), version(2, 1), "1 image withdrawn"),
        (version(3), version(3, 1), "1 image came, 1 image withdrawn"),
        (version(3), version(2), "1 image given up"),
        (version(2, 1), version(3, 0), "1 image back"),
        (version(3), version(3), "images were corrected or released"),
    ],
)
def test_what_came_and_what_went(before: StudyVersion, after: StudyVersion, words: str) -> None:
    assert change_words(after, before) == words


def test_the_first_version_has_nothing_before_it() -> None:
    assert change_words(version(2), None) == ""

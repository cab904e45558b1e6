from datetime import UTC, datetime, timedelta

import pytest

from firstread.alert import AlertState
from firstread.clock import to_text
from firstread.study import AnalysisStatus, Risk
from portal.logic import display

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(-5, "< 1 min"), (0.9, "< 1 min"), (1, "1 min"), (59, "59 min"), (60, "1 h 00 min"), (1500, "1 d 1 h")],
)
def test_waiting(minutes: float, words: str) -> None:
    assert display.waiting(to_text(NOW - timedelta(minutes=minutes)), NOW) == words


@pytest.mark.parametrize(
    ("age", "sex", "words"),
    [
        (4.9, "F", "4 years, female"),
        (1.99, "M", "23 months, male"),
        (0.1, "", "1 month, sex unknown"),
        (0.0, "O", "0 months, other"),
        (None, "F", "age unknown, female"),
        (None, "<b>", "age and sex unknown"),
    ],
)
def test_person(age: float | None, sex: str, words: str) -> None:
    assert display.person(age, sex) == words


def test_every_state_has_words_and_none_says_normal() -> None:
    tables = (
        (display.RISK_WORDS, Risk),
        (display.STATUS_WORDS, AnalysisStatus),
        (display.ALERT_WORDS, AlertState),
    )
    for words, kinds in tables:
        assert set(words) == set(kinds)
        assert not any("normal" in word.lower() for word in words.values())


def test_when() -> None:
    assert display.when("") == ""
    assert display.when("2026-03-02T08:00:01.500000Z") == "2026-03-02 08:00:01 UTC"

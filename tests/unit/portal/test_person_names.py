"""Names of DICOM as people read them (PS3.5 6.2.1, with the examples of its table)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.logic.person_names import PersonName

CHIEF = "Morrison-Jones, Susan (Ph.D., Chief Executive Officer)"
YAMADA = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}


@pytest.mark.parametrize(
    ("groups", "shown"),
    [
        ({"Alphabetic": "Adams^John Robert Quincy^^Rev.^B.A. M.Div."}, "Adams, John Robert Quincy (Rev., B.A. M.Div.)"),
        ({"Alphabetic": "Morrison-Jones^Susan^^^Ph.D., Chief Executive Officer"}, CHIEF),
        ({"Alphabetic": "Doe^John"}, "Doe, John"),
        ({"Alphabetic": "Smith^Fluffy^^^"}, "Smith, Fluffy"),
        ({"Alphabetic": "Doe^John^Q"}, "Doe, John Q"),
        ({"Alphabetic": "NOBODY"}, "NOBODY"),
        ({"Alphabetic": "^Prince"}, "Prince"),
        ({"Alphabetic": "^^^Dr."}, "Dr."),
        (YAMADA, "Yamada, Tarou 山田 太郎 (やまだ たろう)"),
        ({"Ideographic": "洪^吉洞", "Phonetic": "홍^길동"}, "洪 吉洞 (홍 길동)"),
        ({"Alphabetic": " Doe ^\nJohn\t ^^^"}, "Doe, John"),
        ({}, ""),
        (None, ""),
        ("Doe^John", ""),
    ],
)  # fmt: skip
def test_names(groups: object, shown: str) -> None:
    assert str(PersonName.of(groups)) == shown


@given(st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]), st.text()))
def test_any_text_is_one_printable_line(groups: dict[str, str]) -> None:
    shown = str(PersonName.of(groups))
    assert shown.isprintable()
    assert "^" not in shown

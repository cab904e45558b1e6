"""Values of real headers, as they are and not as they should be."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.imaging.index.record import decoder
from firstread.imaging.index.values import age_years, body_parts, day, figures, integer, number, sex


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("064Y", 64),
        ("47", 47),
        ("042y", 42),
        ("018M", 1.5),
        ("N-A", None),
        ("", None),
        ("999Y", None),
        (" 7Y ", 7),
        ("052W", 0.997),
        ("010D", 0.027),
        ("-4Y", None),
        ("000Y", 0),
    ],
)
def test_ages(text: str, years: float | None) -> None:
    assert age_years(text, "", "") == years


def test_an_age_of_dates() -> None:
    assert age_years("", "19600229", "20240318") == pytest.approx(64.05, abs=0.01)
    assert age_years("", "20240318", "19600229") is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("CHEST", ["CHEST"]),
        ("Thorax", ["CHEST"]),
        ("CHESTABDPELVIS", ["CHEST", "ABDOMEN", "PELVIS"]),
        ("ABDOMENPELVIS", ["ABDOMEN", "PELVIS"]),
        ("Chest_Abd-Pel", ["CHEST", "ABDOMEN", "PELVIS"]),
        ("ABD W/O CHEST", ["ABDOMEN"]),
        ("C-A-P", None),
        ("CAP", ["CHEST", "ABDOMEN", "PELVIS"]),
        ("C SPINE", ["CSPINE"]),
        ("HEAD AND NECK", ["HEAD", "NECK"]),
        ("ARMADILLO", None),
        ("", None),
        ("0001", None),
    ],
)
def test_body_parts(text: str, parts: list[str] | None) -> None:
    assert body_parts(text) == parts


def test_small_values() -> None:
    assert [sex(each) for each in ("M ", "female", "0000", "6657", "")] == ["M", "F", None, None, None]
    assert day("20240229") == date(2024, 2, 29)
    assert day("2024.02.29") == date(2024, 2, 29)
    assert [day(each) for each in ("20230229", "", "２0240229", "1")] == [None] * 4
    assert figures("1\\ 2.5 \\-3") == (1.0, 2.5, -3.0)
    assert figures("1\\\\3") == figures("nan") == figures("1,5") == ()
    assert (number("120 \0"), integer("12.0"), integer("1.5"), integer("1e40")) == (120.0, 12, None, None)


@given(st.text(max_size=20))
def test_no_text_is_an_error(text: str) -> None:
    for read in (body_parts, sex, day, number, integer):
        read(text)
    age_years(text, text, text)


def test_character_sets() -> None:
    assert decoder(b"ISO_IR 192")("Zoë".encode()) == "Zoë"
    assert decoder(b"ISO_IR 100 ")("Zoë".encode("latin-1")) == "Zoë"
    assert decoder(b"ISO_IR 144")("Люкceмбypг".encode("iso8859_5")) == "Люкceмбypг"
    assert decoder(b"nonsense")("Zoë".encode("latin-1"))[:2] == "Zo"
    assert decoder(b"\\ISO 2022 IR 87")(b"\033$B;3ED\033(B") == "山田"

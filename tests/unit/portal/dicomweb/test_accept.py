"""What clients write into Accept, and what they get for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.logic.dicomweb.accept import EVERYTHING, parse_accept
from portal.logic.dicomweb.errors import NotAcceptableError
from portal.logic.dicomweb.media import (
    NATIVE,
    Form,
    check_json,
    choose_bulk,
    choose_frames,
    choose_instance,
    choose_rendered,
)

J2K = "1.2.840.10008.1.2.4.90"
IMPLICIT = "1.2.840.10008.1.2"
OHIF_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
OHIF_QUIDO = "application/dicom+json, application/json, multipart/related; type=application/octet-stream"


@pytest.mark.parametrize("header", ["", "garbage", "a/b;q=0", ";;;,,,", '"', "q=1"])
def test_a_header_that_says_nothing_takes_everything(header: str) -> None:
    assert parse_accept(header) == EVERYTHING


def test_quotes_keep_separators() -> None:
    (found,) = parse_accept('multipart/related; type="a/b,c;d"; transfer-syntax="1.2"')
    assert (found.media_type, found.transfer_syntax, found.multipart) == ("a/b,c;d", "1.2", True)


def test_quality_orders() -> None:
    found = parse_accept("image/png;q=0.2, image/jpeg;q=0.9, text/html;q=0")
    assert [each.media_type for each in found] == ["image/jpeg", "image/png"]


@given(st.text(max_size=300))
def test_no_header_is_an_error(header: str) -> None:
    assert parse_accept(header)


@given(st.lists(st.sampled_from(["multipart/related", ";", ",", "=", '"', "type", "a/b", "q", "*", " "])))
def test_no_shuffled_header_is_an_error(parts: list[str]) -> None:
    for each in parse_accept("".join(parts)):
        assert 0 < each.quality <= 1


@pytest.mark.parametrize(
    "header",
    [
        "",
        "*/*",
        "application/json",
        OHIF_QUIDO,
        OHIF_FRAMES,
        "application/dicom+xml, application/dicom+json;q=0.5",
        "multipart/related; type=application/dicom+json",
    ],
)
def test_json_is_given(header: str) -> None:
    check_json(parse_accept(header))


@pytest.mark.parametrize(
    "header", ['multipart/related; type="application/dicom+xml"', "text/html", "image/jpeg"]
)
def test_json_cannot_be_given(header: str) -> None:
    with pytest.raises(NotAcceptableError):
        check_json(parse_accept(header))


@pytest.mark.parametrize(
    ("header", "stored", "expected"),
    [
        (OHIF_FRAMES, J2K, Form("image/jp2", True, J2K)),
        (OHIF_FRAMES, IMPLICIT, Form("application/octet-stream", True, NATIVE)),
        ("", J2K, Form("image/jp2", True, J2K)),
        ("*/*", NATIVE, Form("application/octet-stream", True, NATIVE)),
        ('multipart/related; type="*/*"', J2K, Form("image/jp2", True, J2K)),
        ("application/octet-stream", J2K, Form("application/octet-stream", False, NATIVE)),
        (
            f"multipart/related; type=application/octet-stream; transfer-syntax={NATIVE}",
            J2K,
            Form("application/octet-stream", True, NATIVE),
        ),
        (
            f"multipart/related; type=image/jp2; transfer-syntax={J2K}",
            J2K,
            Form("image/jp2", True, J2K),
        ),
        ("image/jls, image/jp2", J2K, Form("image/jp2", False, J2K)),
        (
            "multipart/related; type=image/jls, multipart/related; type=application/octet-stream",
            J2K,
            Form("application/octet-stream", True, NATIVE),
        ),
    ],
)
def test_frames(header: str, stored: str, expected: Form) -> None:
    assert choose_frames(parse_accept(header), stored, single=True) == expected


@pytest.mark.parametrize(
    ("header", "stored", "single"),
    [
        ("image/jp2", NATIVE, True),
        ("multipart/related; type=image/jls", J2K, True),
        (f"multipart/related; type=application/octet-stream; transfer-syntax={J2K}", NATIVE, True),
        ("application/octet-stream", NATIVE, False),
        ("application/dicom", J2K, True),
    ],
)
def test_frames_that_cannot_be(header: str, stored: str, single: bool) -> None:
    with pytest.raises(NotAcceptableError, match="frames of this object come as"):
        choose_frames(parse_accept(header), stored, single=single)


def test_instances() -> None:
    def chosen(header: str, single: bool = True) -> Form:
        return choose_instance(parse_accept(header), single=single)

    assert chosen("") == Form("application/dicom", True)
    assert chosen('multipart/related; type="application/dicom"').multipart
    assert chosen("multipart/related; type=application/dicom; transfer-syntax=*").transfer_syntax == ""
    assert not chosen("application/dicom").multipart
    assert chosen(f"application/dicom; transfer-syntax={J2K}").transfer_syntax == J2K
    for header, single in (("application/dicom", False), ("application/dicom+xml", True)):
        with pytest.raises(NotAcceptableError):
            chosen(header, single)


def test_pictures_and_long_values() -> None:
    assert choose_rendered(parse_accept("")) == "image/jpeg"
    assert choose_rendered(parse_accept("image/webp, image/png")) == "image/png"
    with pytest.raises(NotAcceptableError):
        choose_rendered(parse_accept("video/mp4"))
    assert choose_bulk(parse_accept("*/*"), "application/pdf") == Form("application/pdf", False)
    assert choose_bulk(parse_accept(OHIF_FRAMES), "application/pdf").multipart
    with pytest.raises(NotAcceptableError):
        choose_bulk(parse_accept("text/html"), "application/pdf")

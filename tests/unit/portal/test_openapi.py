"""The OpenAPI document in the repository is that of the routes, and says enough of each."""

import re
from pathlib import Path
from typing import Any

import pytest

from portal.app import routed
from portal.docstrings import described
from portal.openapi import document, listed, text

KEPT = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
PAGES = {
    "GET /",
    "GET /read-elsewhere",
    "GET /signed",
    "GET /sign-in",
    "GET /sign-in/return",
    "POST /sign-out",
    "GET /signed-out",
    "GET /studies/{study_uid}",
    "GET /studies/{study_uid}/teaching",
    "POST /studies/{study_uid}/teaching",
    "POST /studies/{study_uid}/communications",
    "GET /alerts",
    "GET /alerts/{alert_id}",
    "POST /alerts/{alert_id}/acknowledge",
    "POST /alerts/{alert_id}/close",
    "GET /audit",
    "GET /teaching",
    "GET /teaching/{collection}",
    "GET /teaching/{collection}/{number}",
    "POST /teaching/{collection}/{number}/start",
    "POST /teaching/{collection}/{number}/withdraw",
    # Links of a page to files: who is not signed in is led to the sign-in.
    "GET /studies/{study_uid}/objects/{digest}",
    "GET /studies/{study_uid}/reports/{number}/{digest}",
}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document(routed())


def operations(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{verb.upper()} {path}": each
        for path, found in made["paths"].items()
        for verb, each in found.items()
    }


def test_the_kept_document_is_that_of_the_routes(made: dict[str, Any]) -> None:
    assert KEPT.read_text(encoding="utf-8") == text(made), (
        "the API has changed: run `make api`, and look at the change"
    )


def test_every_route_is_described_or_a_page(made: dict[str, Any]) -> None:
    routes = {f"{method} {route.path}" for route, method in listed(routed())}
    assert set(operations(made)) == routes - PAGES
    assert routes >= PAGES


def test_each_operation_says_what_it_is(made: dict[str, Any]) -> None:
    found = operations(made)
    assert len({each["operationId"] for each in found.values()}) == len(found)
    for name, each in found.items():
        assert re.fullmatch(r"[A-Z][^\n]+[^.\n]", each["summary"]), name
        assert len(each["tags"]) == 1, name
        in_path = {parameter["name"] for parameter in each["parameters"] if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"{([a-z_]+)}", name)), name


def test_what_is_wrong_is_a_problem(made: dict[str, Any]) -> None:
    for name, each in operations(made).items():
        assert ("401" in each["responses"]) == bool(each["security"]), name
        for status, answer in each["responses"].items():
            if status >= "400":
                assert list(answer["content"]) == ["application/problem+json"], name
                assert answer["description"], name
            assert "HTTPValidationError" not in str(answer), name


def test_names_of_models_are_names_in_any_language(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in schemas)
    named = set(re.findall(r"#/components/schemas/([^\"]+)", text(made)))
    assert named == set(schemas)


def test_docstrings_describe_fields() -> None:
    docstring = """What it is.

    More.

    Parameters
    ----------
    one, two
        Both; ``x``
        and None.
    """
    assert described(docstring) == ("What it is. More.", dict.fromkeys(("one", "two"), "Both; `x` and null."))
    assert described("What it is.") == ("What it is.", {})

"""The pages of the gateway name every setting and status."""

from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from firstread.gateway import dimse, settings
from tests.unit.docs import pages

PAGE = "docs/reference/gateway.md"
PARTS: dict[str, type[BaseModel]] = {
    "dimse": settings.Dimse,
    "tls": settings.Tls,
    "sources": settings.Source,
    "hl7": settings.Hl7,
    "spool": settings.SpoolSettings,
    "forward": settings.Forward,
    "commitment": settings.Commitment,
}


def _default(value: Any) -> str:  # noqa: ANN401 - of any setting
    if value is PydanticUndefined or value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value) or "empty"


def test_every_part_has_its_section() -> None:
    assert set(pages.sections(PAGE)) == set(PARTS) | {"Counters"}
    assert set(settings.GatewaySettings.model_fields) == set(PARTS) - {"tls"}


@pytest.mark.parametrize("part", PARTS)
def test_settings_are_all_there_with_their_defaults(part: str) -> None:
    fields = PARTS[part].model_fields
    told = {row[0].strip("`"): row[1].strip("`") for row in pages.rows(pages.sections(PAGE)[part])}
    assert told == {name: _default(field.default) for name, field in fields.items()}
    assert all(field.description for field in fields.values())


def test_every_status_is_in_the_conformance_statement() -> None:
    rows = pages.rows(pages.sections("docs/reference/conformance-statement.md", level=3)["C-STORE"])
    assert {row[0] for row in rows} == {f"{code:04X}" for code in (dimse.SUCCESS, *dimse._COMMENTS)}

"""The data model names every table with its keys, indexes and fields of conditions."""

from typing import Any

import pytest

from firstread.records.tables import TABLES
from tests.unit.docs import pages

PAGE = "docs/explanation/data-model.md"


def test_tables_are_all_there() -> None:
    assert set(pages.sections(PAGE)) == {name.removesuffix("_table") for name in TABLES} | {
        "vault",
        "Buckets",
    }


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_its_keys_and_indexes(name: str) -> None:
    model: Any = TABLES[name]
    told = pages.code(pages.sections(PAGE)[name.removesuffix("_table")])
    keys = {
        attribute
        for attribute, kind in model.get_attributes().items()
        if kind.is_hash_key or kind.is_range_key
    }
    assert keys and keys <= told
    for index in model._indexes.values():
        assert index.Meta.index_name in told
        assert set(index.Meta.attributes) <= told


def test_the_ledger_equation_is_told_as_the_code_tells_it() -> None:
    from firstread.receipt import Outcome

    assert Outcome.__doc__ is not None
    assert "received = stored + duplicate + quarantined + pending" in Outcome.__doc__
    assert "received = stored + duplicate + quarantined + pending" in pages.text(PAGE)

"""The page on preparing volumes names every step and every reason."""

from firstread.imaging.prepare import WINDOWS, PrepareReason
from firstread.imaging.prepare.pipeline import Pipeline
from tests.unit.docs import pages

PAGE = "docs/how-to/prepare-volumes.md"


def test_steps_are_all_there() -> None:
    told = [row[0].strip("`") for row in pages.rows(pages.sections(PAGE)["Steps"])]
    schema = Pipeline.model_json_schema()["properties"]["steps"]["items"]["discriminator"]["mapping"]
    assert set(told) == set(schema) and len(told) == len(schema)
    assert set(WINDOWS) <= pages.code(pages.sections(PAGE)["Steps"])


def test_reasons_are_all_there() -> None:
    rows = pages.rows(pages.sections(PAGE)["What a step refuses"])
    assert {row[0].strip("`") for row in rows} == {reason.value for reason in PrepareReason}
    assert all(row[1] for row in rows)

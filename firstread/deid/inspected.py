"""Public sample objects whose pixels a person has looked at and found free of identifying text."""

import json
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def inspected_digests() -> frozenset[str]:
    """Return the `DicomFile.digest` of each inspected sample; `data/inspected.json` says what was seen."""
    source = resources.files("firstread.deid").joinpath("data/inspected.json").read_text()
    return frozenset(json.loads(source)["samples"])

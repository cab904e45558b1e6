"""Write firstread/deid/data/iod_types.json: what each IOD wants of the attributes that Table E.1-1 leaves a choice for.

Source: the tables of PS3.3 as the package `highdicom` (MIT) carries them, generated from innolitics/dicom-standard
(MIT). Type 1 and 2 are kept per SOP class, attribute and enclosing sequence; everything else is type 3. Text that some
object must have is listed by itself.

    python scripts/build_iod_types.py
"""

import json
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

DATA = Path(__file__).parent.parent / "firstread" / "deid" / "data"
_TEXT = ("LO", "LT", "SH", "ST", "UC", "UT")


def _standard(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        resources.files("highdicom").joinpath(f"_standard/{name}.json").read_text()
    )
    return loaded


def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)  # overlays repeat, and have none
    return "" if tag is None else dictionary_VR(tag)


def _types(modules: list[dict[str, str]], attributes: dict[str, Any], choices: set[int]) -> dict[str, int]:
    """Return "tag/parent" -> 1 or 2; the strictest of the IOD's modules counts."""
    found: dict[str, int] = {}
    for module in modules:
        for attribute in attributes.get(module["key"], []):
            tag = tag_for_keyword(attribute["keyword"])
            if tag not in choices or attribute["type"][0] not in "12":
                continue
            parent = tag_for_keyword(attribute["path"][-1]) if attribute["path"] else 0
            place = f"{tag:08x}/{parent or 0:08x}"
            found[place] = min(found.get(place, 2), int(attribute["type"][0]))
    return dict(sorted(found.items()))


def main() -> None:
    """Write the file."""
    rows = json.loads((DATA / "table_e1_1.json").read_text())["rows"]
    choices = {int(tag, 16) for tag, row in rows.items() if "/" in row["basic"]}
    modules, attributes = _standard("iod_module_map"), _standard("module_attribute_map")
    iods: dict[str, dict[str, int]] = {}
    classes: dict[str, str] = {}
    for sop_class, name in sorted(_standard("sop_class_iod_map").items()):
        if name in modules:
            classes[sop_class] = name
            iods[name] = iods.get(name) or _types(modules[name], attributes, choices)
    needed = {
        f"{tag_for_keyword(attribute['keyword']):08x}"
        for module in attributes.values()
        for attribute in module
        if attribute["type"] == "1"
        and _vr(attribute["keyword"]) in _TEXT
        # An annotation without its text goes as a whole (firstread/deid/objects).
        and attribute["keyword"] != "UnformattedTextValue"
    }
    document = {
        "title": "Types of attributes in IODs of DICOM PS3.3, for rows of PS3.15 Table E.1-1 with a choice of actions",
        "source": f"highdicom {version('highdicom')}, MIT, Copyright 2020 Imaging Data Commons; "
        "generated there from innolitics/dicom-standard, MIT",
        "classes": classes,
        "text_of_type_1": sorted(needed),
        "iods": dict(sorted(iods.items())),
    }
    (DATA / "iod_types.json").write_text(json.dumps(document, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

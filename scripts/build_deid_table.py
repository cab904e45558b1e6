"""Write firstread/deid/data/table_e1_1.json: PS3.15 Table E.1-1 as data.

Basic column: edition 2026c, from the installed package `dicom-anonymizer` (BSD-3-Clause). Option columns: edition
2024b, from `confidentiality_profile_attributes.json` of innolitics/dicom-standard (MIT), given by path. Rows that
only 2026c has get their options by the rules stated in `_rules_of_thumb`, and are marked.

    python scripts/build_deid_table.py --options PATH/confidentiality_profile_attributes.json
"""

import argparse
import json
from pathlib import Path

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as basic
from pydicom.datadict import dictionary_has_tag, dictionary_VR

TARGET = Path(__file__).parent.parent / "firstread" / "deid" / "data" / "table_e1_1.json"
OPTION_KEYS = {
    "cleanGraphOpt": "clean_graphics",
    "cleanStructContOpt": "clean_structured_content",
    "cleanDescOpt": "clean_descriptors",
    "rtnLongFullDatesOpt": "retain_full_dates",
    "rtnLongModifDatesOpt": "retain_modified_dates",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnDevIdOpt": "retain_device_identity",
    "rtnUIDsOpt": "retain_uids",
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnInstIdOpt": "retain_institution_identity",
}
ACTION_LISTS = {
    "X_TAGS": "X",
    "Z_TAGS": "Z",
    "D_TAGS": "D",
    "U_TAGS": "U",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "Z_D_TAGS": "Z/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
BIRTH = {"00100030", "00100032", "00100033", "00100034"}


def _basic() -> dict[str, str]:
    rows: dict[str, str] = {}
    for name, action in ACTION_LISTS.items():
        for tag in getattr(basic, name):
            if len(tag) == 2:
                rows[f"{tag[0]:04x}{tag[1]:04x}"] = action
    return rows


def _rules_of_thumb(tag: str, action: str) -> dict[str, str]:
    number = int(tag, 16)
    vr = dictionary_VR(number) if dictionary_has_tag(number) else ""
    if vr in {"DA", "DT", "TM"} and tag not in BIRTH:
        return {"retain_full_dates": "K", "retain_modified_dates": "C"}
    return {"retain_uids": "K"} if action == "U" else {}


def _options(path: Path) -> dict[str, dict[str, str]]:
    rows = json.loads(path.read_text())
    return {
        row["id"].lower(): {name: row[key] for key, name in OPTION_KEYS.items() if key in row} for row in rows
    }


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--options", type=Path, required=True)
    options = _options(parser.parse_args().options)
    rows = {}
    for tag, action in sorted(_basic().items()):
        known = tag in options
        entry: dict[str, object] = {"basic": action}
        found = options[tag] if known else _rules_of_thumb(tag, action)
        if found:
            entry["options"] = found
        if not known:
            entry["options_source"] = "rule"
        rows[tag] = entry
    document = {
        "title": "DICOM PS3.15 Table E.1-1, Application Level Confidentiality Profile Attributes",
        "basic": "edition 2026c; PyPI dicom-anonymizer 2.1.0, BSD-3-Clause, Copyright 2020 Kitware Europe",
        "options": (
            "edition 2024b; innolitics/dicom-standard 7f4749d09ed3ef2fa70637d376d423a4b13523cd, MIT, "
            "Copyright (c) 2017 Innolitics, LLC"
        ),
        "not_in_rows": "repeating groups 50xx and 60xx and private attributes are masks; see rules.py",
        "rows": rows,
    }
    TARGET.write_text(json.dumps(document, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

"""What a search answers of a study, a series and an instance (PS3.18 10.6.3.3), from the records alone."""

from collections.abc import Mapping, Sequence

from firstread.dicomweb.dicom_json import Json
from firstread.dicomweb.documents import ROOT, instance_path
from firstread.dicomweb.held import Held
from firstread.study import Study

Headers = Mapping[str, Json]
"""SOP Instance UID -> metadata, of the objects of results, which the records tell little of."""


def study_row(study: Study, accession: str = "") -> Json:
    """Return a study.

    Parameters
    ----------
    study
        The counts are those of its images.
    accession
        Accession Number, where the search named it.
    """
    seen = study.gathering
    return {
        **_common(study),
        "00080020": _text("DA", seen.study_date),
        "00080030": _text("TM", ""),
        "00080050": _text("SH", accession),
        "00080056": _text("CS", "ONLINE"),
        "00080061": _text("CS", *seen.modalities),
        "00081030": _text("LO", seen.description),
        "00081190": _text("UR", f"{ROOT}/studies/{study.study_uid}"),
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": seen.patient}]} if seen.patient else {"vr": "PN"},
        "00100020": _text("LO", seen.patient),
        "00100030": _text("DA", ""),
        "00100040": _text("CS", seen.sex),
        "00200010": _text("SH", ""),
        "00201206": _number("IS", seen.series_count or None),
        "00201208": _number("IS", seen.stored_count),
    }


def series_row(study: Study, members: Sequence[Held], headers: Headers) -> Json:
    """Return a series of which at least one object is there."""
    first = members[0]
    row = {
        **_common(study),
        "00080021": _text("DA", ""),
        "00080031": _text("TM", ""),
        "00080056": _text("CS", "ONLINE"),
        "00081190": _text("UR", f"{ROOT}/studies/{study.study_uid}/series/{first.series_uid}"),
        "0020000E": _text("UI", first.series_uid),
        "00201209": _number("IS", len(members)),
    }
    facts = first.facts
    if facts is not None:
        row["00080060"] = _text("CS", facts.modality)
        row["0008103E"] = _text("LO", facts.series_description)
        row["00180015"] = _text("CS", facts.body_part)
        row["00200011"] = _number("IS", facts.series_number)
    else:
        row |= _told(
            headers.get(first.sop_uid, {}), "00080021", "00080031", "00080060", "0008103E", "00200011"
        )
    return dict(sorted(row.items()))


def instance_row(study: Study, held: Held, headers: Headers) -> Json:
    """Return an instance."""
    facts = held.facts
    row = {
        **_common(study),
        "00080016": _text("UI", held.sop_class_uid),
        "00080018": _text("UI", held.sop_uid),
        "00080056": _text("CS", "ONLINE"),
        "00081190": _text("UR", instance_path(held)),
        "0020000E": _text("UI", held.series_uid),
    }
    if facts is not None:
        row["00080060"] = _text("CS", facts.modality)
        row["00083002"] = _text("UI", facts.transfer_syntax_uid)
        row["00200011"] = _number("IS", facts.series_number)
        row["00200013"] = _number("IS", facts.instance_number)
        if facts.rows and facts.columns:
            row["00280008"] = _number("IS", max(1, facts.frames))
            row["00280010"] = _number("US", facts.rows)
            row["00280011"] = _number("US", facts.columns)
    else:
        told = (
            "00080060",
            "00083002",
            "00200011",
            "00200013",
            "00280008",
            "00280010",
            "00280011",
            "00280100",
        )
        row |= _told(headers.get(held.sop_uid, {}), *told)
    return dict(sorted(row.items()))


def modality_of(held: Held, headers: Headers) -> str:
    """Return Modality (0008,0060) of an object."""
    if held.facts is not None:
        return held.facts.modality
    return str((headers.get(held.sop_uid, {}).get("00080060", {}).get("Value") or [""])[0])


def number_of(held: Held, headers: Headers, tag: str) -> int | None:
    """Return Series Number (00200011) or Instance Number (00200013) of an object."""
    if held.facts is not None:
        return held.facts.series_number if tag == "00200011" else held.facts.instance_number
    values = headers.get(held.sop_uid, {}).get(tag, {}).get("Value") or [None]
    return None if values[0] is None else int(values[0])


def _common(study: Study) -> Json:
    return {"00080005": _text("CS", "ISO_IR 192"), "0020000D": _text("UI", study.study_uid)}


def _told(header: Json, *tags: str) -> Json:
    return {tag: header[tag] for tag in tags if tag in header}


def _text(vr: str, *values: str) -> Json:
    given = [value for value in values if value]
    return {"vr": vr, "Value": given} if given else {"vr": vr}


def _number(vr: str, value: int | None) -> Json:
    return {"vr": vr} if value is None else {"vr": vr, "Value": [value]}

"""UIDs for images that came without: derived of the folder they lie in, and marked."""

import json
from typing import Any
from uuid import UUID, uuid5

Row = dict[str, Any]
NAMES = ("study_uid", "series_uid", "sop_uid")
_OURS = UUID("6f0a3c52-4a0d-5b4f-9a53-6d1f1c1f6e0b")


def identify(row: Row) -> None:
    """Give an image the UIDs that its header does not have, and name those in `derived_uids`.

    Images of one folder, study, patient, modality and Series Number are one series. The same file at the same place
    below the root has the same UIDs in every run (2.25 with a UUID of version 5, PS3.5 B.2).

    Parameters
    ----------
    row
        Of an image, with its path.
    """
    folder = row["path"].rpartition("/")[0]
    row["derived_uids"] = [name for name in NAMES if not row[name]]
    if not row["study_uid"]:
        row["study_uid"] = _uid("study", row["series_uid"] or folder, row["patient_id"])
    if not row["series_uid"]:
        row["series_uid"] = _uid(
            "series", folder, *(row[name] for name in ("study_uid", "modality", "series_number"))
        )
    if not row["sop_uid"]:
        row["sop_uid"] = _uid("instance", row["path"])


def _uid(*of: object) -> str:
    return f"2.25.{uuid5(_OURS, json.dumps(of)).int}"

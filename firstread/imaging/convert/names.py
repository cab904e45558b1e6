"""Names that tell volumes apart and nobody who they are of."""

import hmac
import os
import re
import secrets
from hashlib import sha256
from pathlib import Path

from firstread.imaging.convert.ids import Ids
from firstread.imaging.convert.options import ConvertError, ConvertReason, Options

_KEY_BYTES = 32
_DIGITS = 16
_LONGEST = 64
_MODALITY = re.compile(r"[A-Z0-9]{1,16}")


class Pseudonyms:
    """Digests in place of identifiers: the same for the same, and not to be found by trying all Patient IDs.

    Parameters
    ----------
    key
        Whoever has it can try out identifiers.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, kind: str, *parts: str) -> str:
        """Return the digest of an identifier of a kind."""
        text = "\0".join((kind, *parts)).encode()
        return hmac.new(self._key, text, sha256).hexdigest()[:_DIGITS]

    def patient(self, ids: Ids) -> str:
        """Return the digest of a patient; one without an id is known by the study alone."""
        if not ids.patient_id:
            return self.of("patient of study", ids.study_uid)
        return self.of("patient", ids.issuer, ids.patient_id)


def key_of(path: Path) -> bytes:
    """Read the key of pseudonyms; make it where there is none.

    Raises
    ------
    ConvertError
        If what is there is no key.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(_KEY_BYTES)
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
    if len(key) != _KEY_BYTES:
        raise ConvertError(ConvertReason.BAD_KEY)
    return key


def stem(ids: Ids, options: Options, names: Pseudonyms) -> str:
    """Return the path of a series' first volume below the output folder, without its suffix.

    Parameters
    ----------
    ids
        Of the series.
    options
        With the pattern.
    names
        Makes digests.
    """
    fields = {
        "patient": names.patient(ids),
        "study": names.of("study", ids.study_uid),
        "series": names.of("series", ids.series_uid),
        "modality": ids.modality if _MODALITY.fullmatch(ids.modality) else "unknown",
        "series_number": ids.series_number if re.fullmatch(r"\d{1,9}", ids.series_number) else "unknown",
    }
    if options.identifying:
        fields |= {
            "patient_id": _safe(ids.patient_id),
            "study_uid": _safe(ids.study_uid),
            "series_uid": _safe(ids.series_uid),
            "study_date": _safe(ids.study_date),
            "study_description": _safe(ids.study_description),
            "series_description": _safe(ids.series_description),
        }
    return options.names.format_map(fields)


def _safe(value: str) -> str:
    """Return a value as a part of a file name that all systems take."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", value)[:_LONGEST].strip("._") or "unknown"

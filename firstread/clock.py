"""Time in UTC, as the fixed-width text that the records sort by."""

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Return `moment` as fixed-width ISO 8601 text in UTC; such texts sort as the moments do."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def from_text(text: str) -> datetime:
    """Return the moment written by `to_text`.

    Raises
    ------
    ValueError
        If the text is not of that form.
    """
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)

"""What a door knows of an object, as it travels with it: the lane in its key, everything else in its metadata.

A presigned upload never comes back to its door, and an event may be faster than a receipt. What was said when the
object was written is on the object, so it can neither be lost nor come too late.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field

from firstread.value import Value

PREFIX = "in/"
SOURCE_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
"""Names of sources."""
_BATCH = r"^[A-Za-z0-9-]{0,64}$"
_REFERENCE = r"^[0-9a-f]{0,40}$"
_METADATA = ("source", "batch", "study_ref", "sop_ref", "sha256")


class Lane(StrEnum):
    """Which queue an object waits in.

    ``urgent`` is STAT, by source or by tag. ``bulk`` is what nobody waits for (priors, backfill) and the rest of a
    large study, so that a thousand slices do not stand in the way of an X-ray.
    """

    URGENT = "urgent"
    ROUTINE = "routine"
    BULK = "bulk"


FIRST_IN_LINE = 40
"""So many objects of one study and batch go by the routine lane; those after them by the bulk lane."""


def lane_of(*, urgent: bool, number: int, backfill: bool = False) -> Lane:
    """Return the lane of an object.

    Parameters
    ----------
    urgent
        Its source or its tags say STAT.
    number
        Counts from 1 within its study and batch.
    backfill
        Nobody waits for it.
    """
    if backfill:
        return Lane.BULK
    if urgent:
        return Lane.URGENT
    return Lane.ROUTINE if number <= FIRST_IN_LINE else Lane.BULK


class Arrival(Value):
    """What a door says of one object.

    Parameters
    ----------
    source
        Name of the sender as the site configured it, such as ``ct1`` or ``push``; never text from outside.
    batch
        The request, association or command it came with: a random name, or where the sender has made one, its
        reference (`firstread.refs.References.batch`). Also the correlation id of its logs.
    study_ref, sop_ref
        References (`firstread.refs`) of the original UIDs; "" where the door did not read them.
    sha256
        Digest of the bytes in hexadecimal; "" where the door did not see them.
    """

    source: str = Field(pattern=SOURCE_PATTERN)
    batch: str = Field("", pattern=_BATCH)
    study_ref: str = Field("", pattern=_REFERENCE)
    sop_ref: str = Field("", pattern=_REFERENCE)
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")

    def metadata(self) -> dict[str, str]:
        """Return the user metadata of the S3 object (``x-amz-meta-...``)."""
        return {_name(field): value for field in _METADATA if (value := getattr(self, field))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], otherwise: str = "event") -> Self:
        """Return what an object's metadata says.

        Metadata comes from whoever wrote the object: what does not have the form of a name is passed over.

        Parameters
        ----------
        metadata
            As S3 returned it; names in lower case.
        otherwise
            Source of an object that names none.
        """
        found: dict[str, str] = {"source": otherwise}
        for field, info in cls.model_fields.items():
            value = metadata.get(_name(field), "")
            patterns = [each.pattern for each in info.metadata if getattr(each, "pattern", None)]
            if value and all(re.fullmatch(pattern, value) for pattern in patterns):
                found[field] = value
        return cls(**found)


def _name(field: str) -> str:
    return field.replace("_", "-")

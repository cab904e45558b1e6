"""The base of everything that is recorded."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value without unknown fields; records are these."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        json_schema_serialization_defaults_required=True,  # what has a default is written down, too
    )

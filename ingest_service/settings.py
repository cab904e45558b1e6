"""The settings of the ingest service."""

from pydantic import Field

from firstread.environment import (
    HintsQueueSettings,
    IncomingSettings,
    LedgerSettings,
    ReferenceSettings,
    SourcesSettings,
)

_GIB = 1024**3


class IngestSettings(
    IncomingSettings, LedgerSettings, HintsQueueSettings, ReferenceSettings, SourcesSettings
):
    """What the ingest service needs to know; it may write to the incoming bucket and not read it."""

    ingest_host: str = Field("127.0.0.1", description="Address the ingest service listens on.")
    ingest_port: int = Field(8081, ge=0, le=65535, description="Port the ingest service listens on.")
    ingest_requests: int = Field(16, ge=1, description="How many STOW-RS requests are served at a time.")
    ingest_request_bytes: int = Field(
        4 * _GIB, ge=1, le=5 * _GIB, description="Largest STOW-RS request in bytes, inflated."
    )
    ingest_spool_bytes: int = Field(
        8 * _GIB, ge=1, description="Bytes of all STOW-RS requests at work; their parts wait on disk."
    )

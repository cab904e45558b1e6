"""The portal's settings."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from firstread.environment import (
    AlertsSettings,
    AuditSettings,
    InstancesSettings,
    ModelsSettings,
    ResultsBucketSettings,
    ResultsSettings,
    ReviewsSettings,
    SessionsSettings,
    StudiesBucketSettings,
    StudiesSettings,
    VaultSettings,
    parse_json,
)
from portal.logic.limits import WaitLimits


class PortalSettings(
    StudiesBucketSettings,
    ResultsBucketSettings,
    InstancesSettings,
    StudiesSettings,
    ResultsSettings,
    AlertsSettings,
    ModelsSettings,
    AuditSettings,
    ReviewsSettings,
    SessionsSettings,
    VaultSettings,
):
    """What the portal needs to know; not the incoming bucket, and of the vault only to look up (ADR 0020)."""

    portal_host: str = Field("127.0.0.1", description="Address the portal listens on.")
    portal_port: int = Field(8080, ge=0, le=65535, description="Port the portal listens on.")
    local_users_file: str = Field(
        "", description="JSON file of local users, for loopback only; empty for no local sign-in."
    )
    wait_limits: Annotated[WaitLimits, NoDecode, BeforeValidator(parse_json)] = Field(
        WaitLimits(),
        description="Minutes after which a study is overdue, by priority, as JSON.",
    )

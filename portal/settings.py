"""The portal's settings."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from firstread.environment import (
    AlertingSettings,
    AlertsSettings,
    AuditSettings,
    Environment,
    InstancesSettings,
    ModelsSettings,
    OrdersSettings,
    ReferenceSettings,
    ResultsBucketSettings,
    ResultsSettings,
    ReviewsSettings,
    SessionsSettings,
    StudiesBucketSettings,
    StudiesSettings,
    TeachingSettings,
    VaultSettings,
    parse_json,
)
from portal.logic.limits import WaitLimits
from portal.logic.review.overlay import OverlayPolicy


class ReadingSettings(Environment):
    """How studies are read here."""

    overlay_policy: OverlayPolicy = Field(
        OverlayPolicy.HIDDEN,
        description="When readers see what models say: `hidden` until they ask, `after_first_read` once they have said "
        "what they see themselves, `shown` from the start.",
    )
    organisation: str = Field(
        "FirstRead site",
        min_length=1,
        max_length=64,
        pattern=r"^[^\\]*$",
        description="Organisation that signed reports name as that of their readers.",
    )


class PortalSettings(
    StudiesBucketSettings,
    ResultsBucketSettings,
    InstancesSettings,
    StudiesSettings,
    ResultsSettings,
    AlertsSettings,
    AlertingSettings,
    ModelsSettings,
    AuditSettings,
    ReviewsSettings,
    SessionsSettings,
    OrdersSettings,
    ReferenceSettings,
    VaultSettings,
    ReadingSettings,
    TeachingSettings,
):
    """What the portal needs to know; not the incoming bucket, and of the vault only to look up (ADR 0020)."""

    portal_host: str = Field("127.0.0.1", description="Address the portal listens on.")
    portal_port: int = Field(8080, ge=0, le=65535, description="Port the portal listens on.")
    ohif_dir: str = Field("", description="Folder of OHIF (`firstread ohif`); empty where it is not served.")
    local_users_file: str = Field(
        "", description="JSON file of local users, for loopback only; empty for no local sign-in."
    )
    wait_limits: Annotated[WaitLimits, NoDecode, BeforeValidator(parse_json)] = Field(
        WaitLimits(),
        description="Minutes after which a study is overdue, by priority, as JSON.",
    )

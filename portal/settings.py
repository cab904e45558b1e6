"""The portal's settings."""

from pydantic import Field

from firstread.environment import (
    AlertsSettings,
    AuditSettings,
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
    VaultSettings,
)


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
    OrdersSettings,
    ReferenceSettings,
    VaultSettings,
):
    """What the portal needs to know; not the incoming bucket, and of the vault only to look up (ADR 0020)."""

    portal_host: str = Field("127.0.0.1", description="Address the portal listens on.")
    portal_port: int = Field(8080, ge=0, le=65535, description="Port the portal listens on.")
    ohif_dir: str = Field("", description="Folder of OHIF (`firstread ohif`); empty where it is not served.")
    local_users_file: str = Field(
        "", description="JSON file of local users, for loopback only; empty for no local sign-in."
    )

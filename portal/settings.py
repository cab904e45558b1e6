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
):
    """What the portal needs to know; it knows neither the incoming bucket nor the vault (design.md §2.3)."""

    portal_host: str = Field("127.0.0.1", description="Address the portal listens on.")
    portal_port: int = Field(8080, ge=0, le=65535, description="Port the portal listens on.")
    local_users_file: str = Field(
        "", description="JSON file of local users, for loopback only; empty for no local sign-in."
    )

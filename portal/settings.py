"""The portal's settings."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
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
from firstread.loopback import is_loopback_url
from firstread.policy import MACHINES, Role
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
    wait_limits: Annotated[WaitLimits, NoDecode, BeforeValidator(parse_json)] = Field(
        WaitLimits(),
        description="Minutes after which a study is overdue, by priority, as JSON.",
    )
    portal_url: str = Field(description="Root of the portal, as browsers reach it.")
    trusted_proxies: str = Field(
        "", description="Addresses or networks of proxies whose X-Forwarded headers are believed."
    )
    oidc_issuer: str = Field(
        "", description="Identity provider (OpenID Connect issuer); empty: nobody can sign in."
    )
    oidc_client_id: str = Field("", description="What the identity provider calls the portal.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Secret of that client.")
    oidc_user_claim: str = Field("cognito:username", description="Claim with the user name.")
    oidc_groups_claim: str = Field("cognito:groups", description="Claim with the groups of a user.")
    oidc_groups: Annotated[dict[str, Role], NoDecode, BeforeValidator(parse_json)] = Field(
        {}, description="Group of the identity provider -> role, as JSON; empty: groups are named as roles."
    )
    machine_clients: Annotated[dict[str, Role], NoDecode, BeforeValidator(parse_json)] = Field(
        {}, description="Client id -> role of programs that bring access tokens, as JSON."
    )
    fresh_seconds: int = Field(300, ge=30, le=3600, description="How recent a sign-in must be for signing.")

    @field_validator("portal_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        if not value.startswith("https://") and not (value.startswith("http://") and is_loopback_url(value)):
            raise ValueError("the portal is reached over https, or on this machine")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _roles(self) -> Self:
        if not set(self.machine_clients.values()) <= MACHINES or MACHINES & set(self.oidc_groups.values()):
            raise ValueError("programs have the roles of programs, and people have others")
        return self

"""What a deployment may choose: CDK context, read once, checked and typed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from constructs import Node

REPOSITORY: Final = Path(__file__).resolve().parent.parent
DEFAULT_QUIET_SECONDS: Final[Mapping[str, int]] = MappingProxyType(
    {"*": 120, "CR": 20, "DX": 20, "MG": 45, "US": 180}
)
# SQS delays one message by at most 15 minutes.
LONGEST_DELAY_SECONDS: Final = 900

_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+")
_CIDR = re.compile(r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}")


class ConfigError(ValueError):
    """A context value that this application cannot deploy."""


class LambdaAssets(StrEnum):
    """Where the functions' code comes from."""

    PACKAGE = "package"
    SHIM = "shim"


@dataclass(frozen=True)
class Config:
    """The choices of one deployment.

    Parameters
    ----------
    lambda_assets
        ``package`` builds the real zip; ``shim`` ships an empty one, for the local engine and for tests.
    quiet_seconds
        Modality to seconds without a new image after which a study counts as complete; ``*`` is the default.
    portal_url
        Where an alert sends its reader.
    certificate_arn
        ACM certificate of the portal; without one the portal's template asks for it as a parameter.
    portal_cidrs
        Networks that may reach the portal over the internet; without any it is reachable inside the VPC only.
    max_workers
        Upper bound of model workers, each with one GPU.
    """

    lambda_assets: LambdaAssets = LambdaAssets.PACKAGE
    quiet_seconds: Mapping[str, int] = field(default_factory=lambda: DEFAULT_QUIET_SECONDS)
    portal_url: str = "https://firstread.invalid"
    certificate_arn: str | None = None
    portal_cidrs: tuple[str, ...] = ()
    max_workers: int = 4

    @classmethod
    def from_context(cls, node: Node) -> "Config":
        """Read and check the context of an application."""
        return cls(
            lambda_assets=_lambda_assets(node.try_get_context("lambda_assets")),
            quiet_seconds=_quiet_seconds(node.try_get_context("quiet_seconds")),
            portal_url=_portal_url(node.try_get_context("portal_url")),
            certificate_arn=_certificate(node.try_get_context("certificate_arn")),
            portal_cidrs=_cidrs(node.try_get_context("portal_cidrs")),
            max_workers=_max_workers(node.try_get_context("max_workers")),
        )

    def __post_init__(self) -> None:
        if self.portal_cidrs and self.certificate_arn is None:
            message = "portal_cidrs opens the portal to the internet and needs certificate_arn"
            raise ConfigError(message)

    @property
    def quiet_seconds_json(self) -> str:
        """The quiet times as the functions read them."""
        return json.dumps(dict(self.quiet_seconds), sort_keys=True, separators=(",", ":"))


def _parsed(value: object) -> object:
    """Return a structured value: ``-c`` on a command line only carries text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        message = f"not JSON: {value!r}"
        raise ConfigError(message) from error


def _lambda_assets(value: object) -> LambdaAssets:
    try:
        return LambdaAssets(str(value or LambdaAssets.PACKAGE))
    except ValueError as error:
        message = f"lambda_assets is 'package' or 'shim', not {value!r}"
        raise ConfigError(message) from error


def _quiet_seconds(value: object) -> Mapping[str, int]:
    if value is None:
        return DEFAULT_QUIET_SECONDS
    times = _parsed(value)
    if not isinstance(times, dict) or "*" not in times:
        message = "quiet_seconds maps modalities to seconds and needs the default '*'"
        raise ConfigError(message)
    for modality, seconds in times.items():
        # jsii hands every number of cdk.json over as a float
        if not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_DELAY_SECONDS:
            message = f"quiet_seconds[{modality}] must be 1 to {LONGEST_DELAY_SECONDS}, not {seconds!r}"
            raise ConfigError(message)
    return MappingProxyType({str(modality): int(seconds) for modality, seconds in times.items()})


def _portal_url(value: object) -> str:
    url = str(value or Config.portal_url).rstrip("/")
    if not url.startswith("https://"):
        message = f"portal_url must be https, not {url!r}"
        raise ConfigError(message)
    return url


def _certificate(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not _CERTIFICATE.fullmatch(str(value)):
        message = f"certificate_arn is no ACM certificate: {value!r}"
        raise ConfigError(message)
    return str(value)


def _cidrs(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    blocks = value if isinstance(value, list) else str(value).split(",")
    for block in blocks:
        if not _CIDR.fullmatch(str(block)) or str(block).endswith("/0"):
            message = f"portal_cidrs names the readers' networks, not {block!r}"
            raise ConfigError(message)
    return tuple(str(block) for block in blocks)


def _max_workers(value: object) -> int:
    workers = int(float(str(value))) if value is not None else Config.max_workers
    if workers < 1:
        message = f"max_workers must be at least 1, not {workers}"
        raise ConfigError(message)
    return workers

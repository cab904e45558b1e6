"""What a deployment may choose: CDK context, read once, checked and typed."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from constructs import Node
from pydantic import ValidationError

from firstread.alerting import AlertingPolicy

REPOSITORY: Final = Path(__file__).resolve().parent.parent
DEFAULT_COMPLETENESS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "quiet_seconds": {"*": 120, "CR": 20, "DX": 20, "MG": 45, "US": 180},
        "sources": {},
        "after_hint_seconds": 1,
        "max_seconds": 900,
    }
)
LONGEST_WAIT_SECONDS: Final = 24 * 3600
_MOST_YEARS: Final = 100  # of S3's object lock
_DAY_MINUTES: Final = 24 * 60

_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_GROUP = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ENDPOINTS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "email": _EMAIL,
        "sms": re.compile(r"\+[1-9]\d{6,14}"),  # E.164
        "https": re.compile(r"https://[^\s]+"),
    }
)
_CIDR = re.compile(r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}")


class ConfigError(ValueError):
    """A context value that this application cannot deploy."""


class LambdaAssets(StrEnum):
    """Where the functions' code comes from."""

    PACKAGE = "package"
    SHIM = "shim"


class WorkerDevice(StrEnum):
    """What a model worker computes on."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True)
class Subscriber:
    """Somebody who is called by alerts.

    Parameters
    ----------
    protocol
        ``email``, ``sms`` or ``https``.
    endpoint
        Address, telephone number with ``+`` and country code, or URL.
    groups
        On-call groups that it is called for; none for every one.
    """

    protocol: str
    endpoint: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """The choices of one deployment.

    Parameters
    ----------
    lambda_assets
        ``package`` builds the real zip; ``shim`` ships an empty one, for the local engine and for tests.
    completeness
        When a study counts as complete: ``quiet_seconds`` (modality to seconds without a new image; ``*`` is the
        default), what differs by source in ``sources``, ``after_hint_seconds`` and ``max_seconds``.
    alerting
        Whom alerts call and how long they have (`firstread.alerting.AlertingPolicy`); what is left out has a default.
    alert_subscribers
        Who is called: e-mail, text message, webhook.
    feed_issuers
        Assigning authority of a feed's patient identifiers to the Issuer of Patient ID in DICOM; ``*`` is every other.
    portal_url
        Where an alert sends its reader.
    certificate_arn
        ACM certificate of the portal; without one the portal's template asks for it as a parameter.
    portal_cidrs
        Networks that may reach the portal over the internet; without any it is reachable inside the VPC only.
    max_workers
        Upper bound of model workers.
    worker_device
        ``gpu``: ECS Managed Instances with one GPU each; ``cpu``: Fargate.
    operations_email
        Who is told of alarms, besides whoever subscribes to the topic.
    audit_years
        How long nobody can delete an export of the audit trail.
    expect_arrivals_minutes
        Minutes without a single object after which somebody is told; None where that is no news.
    """

    lambda_assets: LambdaAssets = LambdaAssets.PACKAGE
    completeness: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_COMPLETENESS)
    alerting: Mapping[str, Any] = field(default_factory=dict)
    alert_subscribers: tuple[Subscriber, ...] = ()
    feed_issuers: Mapping[str, str] = field(default_factory=dict)
    portal_url: str = "https://firstread.invalid"
    certificate_arn: str | None = None
    portal_cidrs: tuple[str, ...] = ()
    max_workers: int = 4
    worker_device: WorkerDevice = WorkerDevice.GPU
    operations_email: str | None = None
    expect_arrivals_minutes: int | None = None
    audit_years: int = 6

    @classmethod
    def from_context(cls, node: Node) -> "Config":
        """Read and check the context of an application."""
        return cls(
            lambda_assets=_lambda_assets(node.try_get_context("lambda_assets")),
            completeness=_completeness(node.try_get_context("completeness")),
            alerting=_alerting(node.try_get_context("alerting")),
            alert_subscribers=_subscribers(node.try_get_context("alert_subscribers")),
            feed_issuers=_issuers(node.try_get_context("feed_issuers")),
            portal_url=_portal_url(node.try_get_context("portal_url")),
            certificate_arn=_certificate(node.try_get_context("certificate_arn")),
            portal_cidrs=_cidrs(node.try_get_context("portal_cidrs")),
            max_workers=_max_workers(node.try_get_context("max_workers")),
            worker_device=_worker_device(node.try_get_context("worker_device")),
            operations_email=_email(node.try_get_context("operations_email")),
            expect_arrivals_minutes=_arrivals(node.try_get_context("expect_arrivals_minutes")),
            audit_years=_years(node.try_get_context("audit_years")),
        )

    def __post_init__(self) -> None:
        if self.portal_cidrs and self.certificate_arn is None:
            message = "portal_cidrs opens the portal to the internet and needs certificate_arn"
            raise ConfigError(message)

    @property
    def completeness_json(self) -> str:
        """The rule of completeness as the functions read it."""
        return json.dumps(dict(self.completeness), sort_keys=True, separators=(",", ":"))

    @property
    def alerting_json(self) -> str:
        """The policy of alerts as the programs read it."""
        return json.dumps(dict(self.alerting), sort_keys=True, separators=(",", ":"))

    @property
    def feed_issuers_json(self) -> str:
        """The issuers as the function reads them."""
        return json.dumps(dict(self.feed_issuers), sort_keys=True, separators=(",", ":"))


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


def _completeness(value: object) -> Mapping[str, Any]:
    if value is None:
        return DEFAULT_COMPLETENESS
    given = _known("completeness", _parsed(value), DEFAULT_COMPLETENESS)
    rule = {**DEFAULT_COMPLETENESS, **given}
    rule["quiet_seconds"] = _quiet_seconds("completeness.quiet_seconds", rule["quiet_seconds"])
    if "*" not in rule["quiet_seconds"]:
        message = "completeness.quiet_seconds needs the default '*'"
        raise ConfigError(message)
    sources = rule["sources"]
    if not isinstance(sources, dict):
        message = "completeness.sources maps the names of sources to what differs for them"
        raise ConfigError(message)
    rule["sources"] = {
        str(name): _source(f"completeness.sources.{name}", own) for name, own in sources.items()
    }
    for name in ("after_hint_seconds", "max_seconds"):
        rule[name] = _seconds(f"completeness.{name}", rule[name])
    return MappingProxyType(rule)


def _source(where: str, value: object) -> dict[str, Any]:
    own = _known(where, value, ("quiet_seconds", "trust_single"))
    if "quiet_seconds" in own:
        own["quiet_seconds"] = _quiet_seconds(f"{where}.quiet_seconds", own["quiet_seconds"])
    if not isinstance(own.get("trust_single", False), bool):
        message = f"{where}.trust_single is true or false"
        raise ConfigError(message)
    return own


def _known(where: str, value: object, names: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= set(names):
        message = f"{where} is an object of {', '.join(names)}, not {value!r}"
        raise ConfigError(message)
    return dict(value)


def _quiet_seconds(where: str, value: object) -> dict[str, int | float]:
    if not isinstance(value, dict):
        message = f"{where} maps modalities to seconds"
        raise ConfigError(message)
    return {str(modality): _seconds(f"{where}[{modality}]", each) for modality, each in value.items()}


def _seconds(where: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_WAIT_SECONDS:
        message = f"{where} is more than 0 and at most {LONGEST_WAIT_SECONDS} seconds, not {value!r}"
        raise ConfigError(message)
    # jsii hands every number of cdk.json over as a float
    return int(value) if value == int(value) else value


def _alerting(value: object) -> Mapping[str, Any]:
    given = _parsed(value) if value is not None else {}
    try:
        policy = AlertingPolicy.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = f"alerting.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise ConfigError(message) from error
    # Through the model: jsii hands every number of cdk.json over as a float.
    dumped: dict[str, Any] = policy.model_dump(mode="json", exclude_unset=True)
    return dumped


def _subscribers(value: object) -> tuple[Subscriber, ...]:
    listed = _parsed(value) if value is not None else []
    if not isinstance(listed, list):
        message = "alert_subscribers is a list of protocol, endpoint and groups"
        raise ConfigError(message)
    return tuple(_subscriber(each) for each in listed)


def _subscriber(value: object) -> Subscriber:
    # Neither address nor number in what is said: it ends in a log.
    if not isinstance(value, dict) or not {"protocol", "endpoint"} <= set(value) <= {
        "protocol",
        "endpoint",
        "groups",
    }:
        message = "a subscriber of alert_subscribers has protocol, endpoint and groups"
        raise ConfigError(message)
    protocol, groups = str(value["protocol"]), value.get("groups", [])
    if protocol not in _ENDPOINTS or not _ENDPOINTS[protocol].fullmatch(str(value["endpoint"])):
        message = "the endpoint of a subscriber of alert_subscribers fits its protocol: email, sms or https"
        raise ConfigError(message)
    if not isinstance(groups, list) or not all(_GROUP.fullmatch(str(each)) for each in groups):
        message = "groups of alert_subscribers are names such as on-call"
        raise ConfigError(message)
    return Subscriber(protocol, str(value["endpoint"]), tuple(str(each) for each in groups))


def _issuers(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    issuers = _parsed(value)
    if not isinstance(issuers, dict) or not all(isinstance(each, str) for each in issuers.values()):
        message = f"feed_issuers maps assigning authorities to issuers, not {issuers!r}"
        raise ConfigError(message)
    return issuers


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


def _worker_device(value: object) -> WorkerDevice:
    try:
        return WorkerDevice(str(value or WorkerDevice.GPU))
    except ValueError as error:
        message = f"worker_device is 'gpu' or 'cpu', not {value!r}"
        raise ConfigError(message) from error


def _email(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not _EMAIL.fullmatch(str(value)):
        message = f"operations_email is an address, not {value!r}"
        raise ConfigError(message)
    return str(value)


def _arrivals(value: object) -> int | None:
    if value is None or value == "":
        return None
    text = str(value).removesuffix(".0")
    # CloudWatch looks back by a day at most.
    if not text.isdecimal() or not 5 <= int(text) <= _DAY_MINUTES or int(text) % 5:
        message = f"expect_arrivals_minutes is a multiple of 5, at most {_DAY_MINUTES}, not {value!r}"
        raise ConfigError(message)
    return int(text)


def _years(value: object) -> int:
    if value is None:
        return Config.audit_years
    text = str(value).removesuffix(".0")
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_YEARS:
        message = f"audit_years is a number from 1 to {_MOST_YEARS}, not {value!r}"
        raise ConfigError(message)
    return int(text)

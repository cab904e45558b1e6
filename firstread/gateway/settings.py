"""The gateway's configuration: one TOML file, checked when it is read."""

import ipaddress
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from firstread.errors import FirstReadError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MEBIBYTE = 1024 * 1024


class ConfigurationError(FirstReadError):
    """A configuration file that cannot be used; the text names the settings, never a value."""


def _title(value: str) -> str:
    # PS3.5 6.2: VR AE has 1 to 16 characters without backslash and control characters; spaces around it mean nothing.
    if not value.strip() or value != value.strip() or "\\" in value or not value.isprintable():
        raise ValueError("an AE title has 1 to 16 characters, without a backslash or spaces around it")
    return value


AETitle = Annotated[
    str, Field(min_length=1, max_length=16, pattern=r"^[\x20-\x7e]+$"), AfterValidator(_title)
]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Part):
    """TLS of a listener (PS3.15 B.12: BCP 195, RFC 8996 and RFC 9325)."""

    certificate: Path = Field(description="Certificate chain, PEM.")
    key: Path = Field(description="Private key, PEM.")
    client_ca: Path | None = Field(
        None, description="Authorities of the peers' certificates, PEM; peers without one are refused."
    )


class Source(_Part):
    """Who may send: one or more AE titles from one or more networks."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Name in the log and in `status`.")
    ae_titles: tuple[AETitle, ...] = Field(min_length=1, description="Calling AE titles.")
    peers: tuple[Network, ...] = Field(min_length=1, description="Addresses or networks (CIDR).")
    urgent: bool = Field(False, description="Everything it sends is STAT.")
    backfill: bool = Field(False, description="Nobody waits for what it sends, as for an archive.")
    report_to: str = Field(
        "", pattern=r"^([^:\s]+:\d{1,5})?$", description="host:port for reports of storage commitment."
    )
    report_tls: bool = Field(False, description="Those reports go by TLS, with the listener's certificate.")


class Dimse(_Part):
    """The DICOM listener."""

    ae_title: AETitle = Field(description="Own AE title; an association that calls another one is rejected.")
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a door
    port: Port = Field(11112, description="TCP port; 2762 is the registered one for TLS.")
    tls: Tls | None = Field(None, description="TLS; without it the network has to be trusted.")
    associations: int = Field(25, ge=1, le=1000, description="Associations at the same time.")
    timeout: float = Field(60, gt=0, description="Seconds without a byte before an association is aborted.")


class Hl7(_Part):
    """The HL7 v2 listener."""

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a door
    port: Port = Field(2575, description="TCP port.")
    tls: Tls | None = Field(None, description="TLS; without it the network has to be trusted.")
    peers: tuple[Network, ...] = Field(min_length=1, description="Addresses or networks (CIDR).")
    message_bytes: int = Field(16 * _MEBIBYTE, ge=1024, description="Longest message in bytes.")
    timeout: float = Field(300, gt=0, description="Seconds without a byte before a connection is closed.")


class SpoolSettings(_Part):
    """Where objects wait."""

    path: Path = Field(description="Folder; made with mode 0700.")
    free_bytes: int = Field(2 * 1024**3, ge=0, description="Below so many free bytes objects are refused.")
    free_percent: float = Field(5, ge=0, lt=100, description="Below this share of free space likewise.")
    max_bytes: int = Field(0, ge=0, description="Most bytes that may wait; 0: as the disk allows.")


class Forward(_Part):
    """Where objects go."""

    url: str = Field(
        pattern=r"^https?://[^\s]+$", description="Ingest service, such as https://reads.example.org."
    )
    token_file: Path = Field(description="File with the bearer token of this gateway; mode 0600.")
    uploads: int = Field(4, ge=1, le=64, description="Uploads at the same time.")
    timeout: float = Field(60, gt=0, description="Seconds to wait for an answer.")
    longest_pause: float = Field(300, gt=0, description="Longest time between two attempts in seconds.")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        host = self.url.split("://", 1)[1].split("/", 1)[0].rsplit("@", 1)[-1]
        if self.url.startswith("http://") and host.partition(":")[0] not in ("127.0.0.1", "localhost"):
            raise ValueError("http is for this machine only; everything else is https")
        return self


class Commitment(_Part):
    """Storage commitment (PS3.4 Annex J)."""

    commit_storage: bool = Field(
        False, description="Commit what has been uploaded: for a site whose store never expires."
    )
    keep_days: float = Field(7, gt=0, description="How long it is remembered that an instance was uploaded.")
    wait_hours: float = Field(24, gt=0, description="How long an answer waits for uploads, or for the peer.")


class GatewaySettings(_Part):
    """The whole file."""

    dimse: Dimse = Field(description="The DICOM listener.")
    sources: tuple[Source, ...] = Field(min_length=1, description="Who may send.")
    hl7: Hl7 | None = Field(None, description="The HL7 v2 listener; none where it is missing.")
    spool: SpoolSettings = Field(description="Where objects wait.")
    forward: Forward = Field(description="Where objects go.")
    commitment: Commitment = Field(default_factory=lambda: Commitment(), description="Storage commitment.")

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same name")
        if any(source.report_tls for source in self.sources) and self.dimse.tls is None:
            raise ValueError("report_tls needs the certificate of dimse.tls")
        return self

    def source_of(self, ae_title: str, address: str) -> Source | None:
        """Return who calls; None if nobody may call so from there."""
        for source in self.sources:
            if ae_title in source.ae_titles and is_in(address, source.peers):
                return source
        return None

    def may_connect(self, address: str) -> bool:
        """Return whether any source has this address."""
        return any(is_in(address, source.peers) for source in self.sources)


def is_in(address: str, networks: Iterable[Network]) -> bool:
    """Return whether an address is in one of the networks; an IPv4 address may come in IPv6 clothes."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks if network.version == found.version)


def load(path: Path) -> GatewaySettings:
    """Read a configuration file.

    Raises
    ------
    ConfigurationError
        If it is missing, is no TOML, or a setting is missing, unknown or wrong.
    """
    try:
        with path.open("rb") as file:
            return GatewaySettings.model_validate(tomllib.load(file))
    except OSError as error:
        raise ConfigurationError(f"the configuration cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        text = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise ConfigurationError(f"the configuration is no TOML: {text}") from None
    except ValidationError as error:
        raise ConfigurationError(_told(error)) from None


def _told(error: ValidationError) -> str:
    wrong = (
        f"{'.'.join(str(step) for step in each['loc']) or 'file'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)
    )
    return "the configuration is wrong: " + "; ".join(wrong)


def token_from(path: Path) -> str:
    """Return the bearer token in a file.

    Raises
    ------
    ConfigurationError
        If it is missing or empty, or others than its owner may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError("the token file may be read by others: chmod 600")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError("the token file cannot be read") from None
    if not token:
        raise ConfigurationError("the token file is empty")
    return token

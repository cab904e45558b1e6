"""Who may send: the sources that a site has configured, each with its token.

A token is 32 random bytes in Base64; only its SHA-256 is kept. No salt and no slow hash: nobody can guess it.
"""

import hashlib
import hmac
import json
import secrets
from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from firstread.arrival import SOURCE_PATTERN
from firstread.environment import SourcesSettings
from firstread.errors import FirstReadError
from firstread.value import Value

PUSH = "push"
"""The source of `firstread push` in a local run."""


class SourcesError(FirstReadError):
    """The configured sources cannot be used; the text says where, and quotes nothing."""


class Source(Value):
    """One sender.

    Parameters
    ----------
    name
        As it stands in receipts and logs.
    token_sha256
        Of its bearer token, in hexadecimal.
    urgent
        All that it sends is STAT, as from an emergency department.
    backfill
        Nobody waits for what it sends.
    """

    name: str = Field(pattern=SOURCE_PATTERN)
    token_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    urgent: bool = False
    backfill: bool = False


class Sources(Value):
    """All senders; no two share a name or a token."""

    sources: tuple[Source, ...]

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        for each in ("name", "token_sha256"):
            if any(n > 1 for n in Counter(getattr(source, each) for source in self.sources).values()):
                raise ValueError(f"two sources have the same {each}")
        return self

    def by_token(self, token: str) -> Source | None:
        """Return whose token it is, or None; the time it takes does not depend on the token."""
        digest = token_digest(token)
        found = None
        for source in self.sources:
            if hmac.compare_digest(source.token_sha256, digest):
                found = source
        return found


def new_token() -> str:
    """Return a new random token."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def open_sources(settings: SourcesSettings) -> Sources:
    """Return the configured sources.

    Raises
    ------
    SourcesError
        If the JSON is missing, unreadable or not of the right form.
    """
    try:
        text = settings.sources or Path(settings.sources_file).read_text(encoding="utf-8")
        return Sources.model_validate(json.loads(text))
    except OSError:
        raise SourcesError("the file in FIRSTREAD_SOURCES_FILE cannot be read") from None
    except (ValidationError, ValueError):
        raise SourcesError("FIRSTREAD_SOURCES is not JSON of the form that the reference describes") from None

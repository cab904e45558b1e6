"""Users of one machine, for trying FirstRead out: a file with a random password per role."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstread.local.home import LocalError
from firstread.policy import MACHINES, Role, group_of


class LocalUser(BaseModel):
    """One user of this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    role: Role
    password: str = Field(min_length=12, max_length=128, repr=False)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[LocalUser, ...] = Field(min_length=1)


class LocalUsers:
    """The users of a file, and the check of their passwords.

    Parameters
    ----------
    users
        The users; names are unique.
    """

    def __init__(self, users: Iterable[LocalUser]) -> None:
        self._by_name = {user.name: user for user in users}

    def check(self, name: str, password: str) -> LocalUser | None:
        """Return who signs in, or None; takes as long for an unknown name as for a wrong password."""
        user = self._by_name.get(name)
        expected = user.password if user else secrets.token_urlsafe(16)
        right = hmac.compare_digest(_digest(expected), _digest(password))
        return user if right else None


def _digest(text: str) -> bytes:
    # Equal lengths, so that the comparison says nothing about the length of the password.
    return hashlib.sha256(text.encode()).digest()


def load(path: Path) -> LocalUsers:
    """Read the file of local users.

    Raises
    ------
    LocalError
        If it is missing, readable for others, or malformed.
    """
    text = read_private(path, "the file of local users")
    try:
        return LocalUsers(_File.model_validate_json(text).users)
    except ValidationError:
        # Not chained: pydantic's text quotes the input, which holds passwords.
        raise LocalError("the file of local users is malformed") from None


def seed(path: Path) -> bool:
    """Create the file with one user per role that a person can have and random passwords.

    Parameters
    ----------
    path
        Where; an existing file stays as it is.

    Returns
    -------
    bool
        Whether the file was created.
    """
    users = [
        LocalUser(name=group_of(role), role=role, password=secrets.token_urlsafe(12))
        for role in Role
        if role not in MACHINES
    ]
    return write_once(path, json.dumps({"users": [user.model_dump(mode="json") for user in users]}, indent=2))


def write_once(path: Path, text: str) -> bool:
    """Create a file that only its owner can read; False where there is one already, which stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return True


def read_private(path: Path, what: str) -> str:
    """Return a file that only its owner can read.

    Raises
    ------
    LocalError
        If it is missing, or readable for others.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise LocalError(f"{what} cannot be read") from None
    if mode & 0o077:
        raise LocalError(f"{what} must be readable for its owner only (mode 0600)")
    return text

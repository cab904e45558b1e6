"""From the claims of a verified token to somebody with a role."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from firstread.policy import MACHINES, Role, group_of
from portal.errors import PortalError
from portal.identity.tokens import Claims

# No space and no "@": a name goes into records and logs, and an e-mail address does not.
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:|-]{0,127}")
DEFAULT_GROUPS: Mapping[str, Role] = {group_of(role): role for role in Role if role not in MACHINES}


class Refusal(StrEnum):
    """Why somebody whom the provider knows may not come in."""

    NO_ROLE = "no_role"
    OTHER_ROLE = "other_role"


class SignInRefusedError(PortalError):
    """The provider knows the person, and FirstRead does not let them in."""

    status = 403
    title = "You cannot sign in here"

    def __init__(self, refusal: Refusal, user: str) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.user = user


class NoUserNameError(PortalError):
    """The claim with the user name is missing or is no name that may stand in records."""

    status = 403
    title = "You cannot sign in here"


@dataclass(frozen=True)
class Person:
    """Somebody whom the provider knows.

    Parameters
    ----------
    user
        User name; the provider never gives it to another person.
    roles
        Every role that their groups give, in the order of `firstread.policy.Role`.
    """

    user: str
    roles: tuple[Role, ...]

    def role(self, wanted: Role | None) -> Role:
        """Return the one role of a session: what is asked for, else the first.

        Raises
        ------
        SignInRefusedError
            If there is no role, or not the one that is asked for.
        """
        if not self.roles:
            raise SignInRefusedError(Refusal.NO_ROLE, self.user)
        if wanted is not None and wanted not in self.roles:
            raise SignInRefusedError(Refusal.OTHER_ROLE, self.user)
        return wanted or self.roles[0]


@dataclass(frozen=True)
class Naming:
    """Which claims say who somebody is.

    Parameters
    ----------
    user_claim
        Claim with the user name; one that the provider's users cannot change.
    groups_claim
        Claim with the list of groups.
    groups
        Group -> role.
    """

    user_claim: str
    groups_claim: str
    groups: Mapping[str, Role]

    def person(self, claims: Claims) -> Person:
        """Return who a token speaks of.

        Raises
        ------
        NoUserNameError
            If there is no usable name.
        """
        user = claims.get(self.user_claim)
        if not isinstance(user, str) or not _USER.fullmatch(user):
            raise NoUserNameError("the provider gives no user name that may stand in records")
        given = claims.get(self.groups_claim, [])
        listed: Sequence[object] = given if isinstance(given, list) else [given]
        found = {self.groups[group] for group in listed if isinstance(group, str) and group in self.groups}
        return Person(user, tuple(role for role in Role if role in found))

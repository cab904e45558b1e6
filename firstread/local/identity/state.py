"""What the provider keeps in the state directory: users, clients with random secrets, and its signing key."""

import json
from dataclasses import dataclass

from joserfc.jwk import RSAKey

from firstread.local.home import Home, LocalError
from firstread.local.identity import users
from firstread.local.identity.clients import Clients, clients
from firstread.local.identity.users import LocalUsers, read_private, write_once

_KEY_BITS = 2048


@dataclass(frozen=True)
class IdentityState:
    """Everything that outlives the process."""

    users: LocalUsers
    clients: Clients
    key: RSAKey


def load(home: Home) -> IdentityState:
    """Return the state; the key is made the first time.

    Raises
    ------
    LocalError
        If a file is missing, readable for others, or malformed.
    """
    return IdentityState(users.load(home.users), clients(home), _key(home))


def _key(home: Home) -> RSAKey:
    if not home.identity_key.exists():
        made = RSAKey.generate_key(_KEY_BITS)
        write_once(home.identity_key, json.dumps(made.as_dict(private=True)))
    text = read_private(home.identity_key, "the provider's key")
    try:
        given = json.loads(text)
        named = {"kid": RSAKey.import_key(given).thumbprint(), "use": "sig", "alg": "RS256"}
        return RSAKey.import_key({**given, **named})
    except ValueError:
        raise LocalError("the provider's key is malformed") from None

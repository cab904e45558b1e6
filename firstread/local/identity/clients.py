"""The programs that the provider knows, and what is made before it is started the first time."""

import json
import secrets

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstread.local.home import Home, LocalError
from firstread.local.identity import users
from firstread.local.identity.users import read_private, write_once


class Client(BaseModel):
    """A program that the provider knows, and its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str
    client_secret: str = Field(min_length=32, repr=False)


class Clients(BaseModel):
    """The portal, through which people sign in, and a machine, which signs in for itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    portal: Client
    machine: Client


def prepare(home: Home) -> Clients:
    """Make what is missing of users and clients, and return the clients."""
    users.seed(home.users)
    made = Clients(
        portal=Client(client_id="firstread-portal", client_secret=secrets.token_urlsafe(32)),
        machine=Client(client_id="firstread-machine", client_secret=secrets.token_urlsafe(32)),
    )
    write_once(home.clients, json.dumps(made.model_dump(mode="json"), indent=2))
    return clients(home)


def clients(home: Home) -> Clients:
    """Return the clients.

    Raises
    ------
    LocalError
        If the file is missing, readable for others, or malformed.
    """
    text = read_private(home.clients, "the file of clients")
    try:
        return Clients.model_validate_json(text)
    except ValidationError:
        # Not chained: pydantic's text quotes the input, which holds secrets.
        raise LocalError("the file of clients is malformed") from None

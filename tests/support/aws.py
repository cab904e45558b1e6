"""AWS in this process for tests; its clients are made once, as making one costs more than most tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws
from pynamodb.models import Model

from firstread.records.tables import TABLES
from tests.support.unmeasured import unmeasured

_make, _make_rsa = boto3.client, rsa.generate_private_key
_call = unmeasured(BaseClient._make_api_call)  # type: ignore[attr-defined]
_kept: dict[str, Any] = {}


def client(service: str, **options: Any) -> Any:  # noqa: ANN401 - as boto3
    """Return the process's client of a service; moto's accounts come and go behind it."""
    name = f"{service} {options.get('endpoint_url')} {options.get('config') and vars(options['config'])}"
    if name not in _kept:
        _kept[name] = _make(service, **{"region_name": "us-east-1", **options})  # type: ignore[call-overload]
    return _kept[name]


def forget_clients() -> None:
    """Let clients be made anew: what botocore is told to do with requests holds for sessions that are made after it."""
    _kept.clear()
    boto3.setup_default_session()


@cache
def rsa_key(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
    return _make_rsa(public_exponent, key_size)


@contextmanager
def account() -> Iterator[None]:
    """Give an empty account, in which everything that asks for a client has the kept one."""
    dynamodb = property(lambda _connection: client("dynamodb"))
    with (
        patch("boto3.client", client),
        patch.object(BaseClient, "_make_api_call", _call),
        patch("pynamodb.connection.base.Connection.client", dynamodb),
        # moto makes an RSA key for each KMS key, of whatever kind: a tenth of a second that nobody here needs.
        patch("moto.kms.utils.rsa.generate_private_key", rsa_key),
        mock_aws(),
    ):
        yield


def create_tables() -> None:
    """Make the tables; pynamodb would ask first whether they are there."""
    with patch.object(Model, "exists", return_value=False):
        for table in TABLES.values():
            table.create_table(billing_mode="PAY_PER_REQUEST", wait=False)

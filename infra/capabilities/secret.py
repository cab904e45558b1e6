"""A secret under a key of its own, which nothing rotates by itself."""

from aws_cdk import RemovalPolicy, SecretValue
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from infra.guard import HIPAA, acknowledge


def secret_with_key(
    scope: Construct,
    construct_id: str,
    *,
    key_id: str,
    key_for: str,
    description: str,
    value: SecretValue,
    keep: bool,
    unrotated: str,
) -> secrets.Secret:
    """Make a secret and its key.

    Parameters
    ----------
    key_id, key_for
        Construct id and description of the key.
    value
        What the secret holds at first.
    keep
        Whether the secret outlives its stack; the key does in any case.
    unrotated
        Why nothing rotates it.
    """
    key = kms.Key(
        scope, key_id, description=key_for, enable_key_rotation=True, removal_policy=RemovalPolicy.RETAIN
    )
    secret = secrets.Secret(
        scope,
        construct_id,
        description=description,
        encryption_key=key,
        secret_string_value=value,
        removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
    )
    acknowledge(secret, "SMG4", reason=unrotated)
    acknowledge(secret, "SecretsManagerRotationEnabled", reason=unrotated, pack=HIPAA)
    return secret

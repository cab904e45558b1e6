"""Least privilege in words: what a role may do with a table, a bucket, a queue or a key.

The grants of the CDK library add `index/*`, `s3:GetObject*` or `kms:ReEncrypt*`; these here name each action
and each index.
"""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Aws, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import IConstruct

from infra.capabilities.keys import USE_KEY
from infra.guard import HIPAA, acknowledge

READ: Final = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
# TransactWriteItems has no permission of its own: it needs that of each of its parts.
WRITE: Final = ("dynamodb:ConditionCheckItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
UPDATE: Final = ("dynamodb:ConditionCheckItem", "dynamodb:UpdateItem")
APPEND: Final = ("dynamodb:PutItem",)


def acknowledge_own_policy(construct: IConstruct) -> None:
    """Acknowledge that a role has its permissions in a policy of its own."""
    acknowledge(
        construct,
        "IAMNoInlinePolicy",
        reason="It says what this one program may do; as a managed policy it could be attached to another.",
        pack=HIPAA,
    )


def use_key(role: iam.IRole, key: kms.IKey) -> None:
    """Allow to encrypt and decrypt what a service keeps under a key."""
    key.grant(role, *USE_KEY)


def use_table(role: iam.IRole, table: dynamodb.ITable, *actions: str, indexes: Sequence[str] = ()) -> None:
    """Allow actions on a table, and Query on the indexes named."""
    _allow(role, actions, [table.table_arn])
    if indexes:
        _allow(role, ["dynamodb:Query"], [f"{table.table_arn}/index/{index}" for index in indexes])


def read_objects(role: iam.IRole, bucket: s3.IBucket, *, below: str = "", listing: bool = True) -> None:
    """Allow to read objects and their versions.

    Parameters
    ----------
    below
        Only keys with this prefix.
    listing
        Whether to allow listing too: that makes S3 say "not found" instead of "forbidden".
    """
    _allow(role, ["s3:GetObject", "s3:GetObjectVersion"], [bucket.arn_for_objects(f"{below}*")])
    if listing:
        _allow(role, ["s3:ListBucket"], [bucket.bucket_arn])
    _accept_all_objects(role, bucket, below)


def write_objects(role: iam.IRole, bucket: s3.IBucket, *, below: str = "") -> None:
    """Allow to write objects below a prefix, in one piece or in parts; not to delete any."""
    _allow(role, ["s3:AbortMultipartUpload", "s3:PutObject"], [bucket.arn_for_objects(f"{below}*")])
    _accept_all_objects(role, bucket, below)


def put_objects_only(role: iam.IRole, bucket: s3.IBucket, key: kms.IKey, *, below: Sequence[str]) -> None:
    """Allow to write objects below some prefixes, in one piece or in parts, and never to read one.

    S3 asks for ``kms:Decrypt`` when the parts of an object are put together: each part has a data key of its own.
    The key alone opens nothing, as S3 gives out no object, and so no data key, without ``s3:GetObject``. A condition
    keeps the role from using the key in any other way than through S3.
    """
    objects = [bucket.arn_for_objects(f"{prefix}*") for prefix in below]
    _allow(role, ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"], objects)
    for prefix in below:
        _accept_all_objects(role, bucket, prefix)
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"s3.{Aws.REGION}.amazonaws.com"}},
        )
    )


def send_messages(role: iam.IRole, queue: sqs.IQueue) -> None:
    """Allow to send; the role may use the data key already."""
    queue.grant(role, "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage")


def receive_messages(role: iam.IRole, queue: sqs.IQueue) -> None:
    """Allow to receive, to ask for more time and to finish; the role may use the data key already."""
    queue.grant(
        role,
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
    )


def publish(role: iam.IRole, topic: sns.ITopic) -> None:
    """Allow to publish; the role may use the data key already."""
    _allow(role, ["sns:Publish"], [topic.topic_arn])


def make_references(role: iam.IRole, key: kms.IKey) -> None:
    """Allow to ask for the key of references to original identifiers."""
    key.grant(role, "kms:GenerateMac")


def _accept_all_objects(role: iam.IRole, bucket: s3.IBucket, below: str = "") -> None:
    """Acknowledge the wildcard over a bucket's objects, by the name under which other stacks import it."""
    owner = Stack.of(bucket)
    imported = owner.resolve(owner.export_value(bucket.bucket_arn))["Fn::ImportValue"]
    acknowledge(
        role,
        f"IAM5[Resource::{imported}/{below}*]",
        reason="Objects of this one bucket: keys are generated, unknown beforehand; actions are named.",
    )


def _allow(role: iam.IRole, actions: Sequence[str], resources: list[str]) -> None:
    role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=resources))

"""Customer-managed keys: who may read what is decided by the key as well as by the policy."""

from typing import Final

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

# What a client of an encrypted table, queue, topic or bucket needs, each spelled out instead of a wildcard.
USE_KEY: Final = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class Keys(Construct):
    """A key for each circle of trust, so that one stolen role opens one of them at most.

    Attributes
    ----------
    incoming
        Objects as they arrived, with names in them: only de-identification may use it.
    data
        Everything that is de-identified: buckets, tables, queues, topics, logs.
    vault
        The identity vault: the table that leads back to a person, and the key of its pseudonyms.
    references
        Makes what stands for an original identifier (HMAC); it encrypts nothing.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.incoming = self._key("Incoming", "FirstRead: objects as they arrived, before de-identification")
        self.data = self._key("Data", "FirstRead: de-identified studies, records, messages and logs")
        self.vault = self._key("Vault", "FirstRead: identity vault and the key of its pseudonyms")
        self.references = self._mac_key(
            "References", "FirstRead: references to original identifiers of studies and orders"
        )
        self._let_services_use(self.data)

    def _key(self, name: str, description: str) -> kms.Key:
        return kms.Key(
            self,
            name,
            description=description,
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _mac_key(self, name: str, description: str) -> kms.Key:
        """Make a key for HMAC-SHA-256. It must stay as it is: under another one no study would be found again."""
        return kms.Key(
            self,
            name,
            description=description,
            key_spec=kms.KeySpec.HMAC_256,
            key_usage=kms.KeyUsage.GENERATE_VERIFY_MAC,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _let_services_use(self, key: kms.Key) -> None:
        """Let services of AWS write to what is encrypted, in this account.

        EventBridge to queues, alarms to their topic, CloudWatch Logs to groups. Without the first two, every event
        and every alarm would be dropped silently: the policy of a queue or topic is not enough.
        """
        for sid, service in (("EventBridgeToQueues", "events"), ("AlarmsToTopic", "cloudwatch")):
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                )
            )
        groups = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:*"
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EncryptedLogGroups",
                actions=[
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            )
        )

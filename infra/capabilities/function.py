"""One Lambda function as FirstRead wants it: its own role and log group, and nothing it was not given."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import Size as StorageSize
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.capabilities.access import acknowledge_own_policy, use_key
from infra.guard import HIPAA, acknowledge
from infra.settings import ENV_PREFIX

RUNTIME = lambda_.Runtime.PYTHON_3_13


@dataclass(frozen=True)
class Size:
    """What a function may use: memory and disk in MiB, and time."""

    memory: int = 512
    seconds: int = 60
    disk: int = 512

    @property
    def timeout(self) -> Duration:
        """Longest run of one invocation."""
        return Duration.seconds(self.seconds)

    @property
    def visibility(self) -> Duration:
        """Visibility timeout of a queue that feeds the function: AWS asks for six times the timeout."""
        return Duration.seconds(6 * self.seconds)


class Function(Construct):
    """A function, named by what it does.

    Parameters
    ----------
    name
        Folder below ``functions/``; the handler is its ``handler.handle``.
    code
        The zip that functions share, or an image of the function's own.
    environment
        Settings without their prefix; the function gets these and nothing else.
    key
        Encrypts the environment and the logs; the role may use it.
    at_once
        Invocations at the same time at most, kept free for the function; None for what the account allows.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        code: lambda_.Code,
        environment: Mapping[str, str],
        key: kms.IKey,
        size: Size,
        at_once: int | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)
        use_key(self.role, key)
        is_image = isinstance(code, lambda_.AssetImageCode)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"FirstRead: {name}",
            runtime=lambda_.Runtime.FROM_IMAGE if is_image else RUNTIME,
            # Images are built for the processor of the machines that build them.
            architecture=lambda_.Architecture.X86_64 if is_image else lambda_.Architecture.ARM_64,
            code=code,
            handler=lambda_.Handler.FROM_IMAGE if is_image else f"functions.{name}.handler.handle",
            environment={
                **{ENV_PREFIX + setting: value for setting, value in environment.items()},
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_LOG_LEVEL": "INFO",
            },
            environment_encryption=key,
            role=self.role,
            memory_size=size.memory,
            ephemeral_storage_size=StorageSize.mebibytes(size.disk),
            timeout=size.timeout,
            reserved_concurrent_executions=at_once,
            tracing=lambda_.Tracing.ACTIVE,
            logging_format=lambda_.LoggingFormat.JSON,
            log_group=log_group,
        )
        acknowledge(
            self.role,
            "IAM5[Resource::*]",
            reason="Only PutTraceSegments (X-Ray) and ListStreams (DynamoDB): neither knows a resource.",
        )
        acknowledge_own_policy(self.role)
        acknowledge(
            self.function,
            "LambdaConcurrency",
            reason="Bounded where its work comes from: by the queue's mapping, or one per shard of the stream.",
            pack=HIPAA,
        )
        acknowledge(
            self.function,
            "LambdaDLQ",
            reason="Its queue or stream has dead letters; a lost tick of the clock is made up for by the next.",
            pack=HIPAA,
        )
        acknowledge(
            self.function,
            "LambdaInsideVPC",
            reason="It talks to AWS interfaces only, by TLS and under its own role; nothing in a VPC is for it.",
            pack=HIPAA,
        )
        if not is_image:
            acknowledge(
                self.function,
                "L1",
                reason="Pinned to Python 3.13, which the hashed wheels are chosen for; moved on purpose.",
            )

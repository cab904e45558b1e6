"""What the containers of FirstRead have in common."""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.capabilities.access import acknowledge_own_policy
from infra.config import REPOSITORY
from infra.guard import acknowledge
from infra.settings import ENV_PREFIX

PROGRAMS: Final = ("functions", "ingest_service", "model_service", "portal")
_SCRATCH: Final = "scratch"


def image(program: str, *, variant: str = "") -> ecs.ContainerImage:
    """Return the image of a program, built from the repository; Docker is needed at deployment only.

    Parameters
    ----------
    program
        Its folder.
    variant
        Build argument ``VARIANT``, for a Dockerfile that makes several images.
    """
    return ecs.ContainerImage.from_asset(
        str(REPOSITORY),
        file=f"{program}/Dockerfile",
        build_args={"VARIANT": variant} if variant else None,
        platform=ecr_assets.Platform.LINUX_AMD64,
        exclude=_others(program),
    )


def function_image(name: str) -> lambda_.AssetImageCode:
    """Return the image of the functions that are too large for a zip, with the handler of one as command."""
    return lambda_.Code.from_asset_image(
        str(REPOSITORY),
        file="functions/Dockerfile",
        platform=ecr_assets.Platform.LINUX_AMD64,
        exclude=_others("functions"),
        cmd=[f"functions.{name}.handler.handle"],
    )


def _others(program: str) -> Sequence[str]:
    """Leave out, on top of .dockerignore: a change of the portal must not roll the workers, nor the other way round."""
    return [other for other in PROGRAMS if other != program]


def log_driver(scope: Construct, *, program: str, key: kms.IKey) -> ecs.LogDriver:
    """Return a log driver with a log group of its own."""
    group = logs.LogGroup(
        scope,
        "Logs",
        retention=logs.RetentionDays.THREE_MONTHS,
        encryption_key=key,
        removal_policy=RemovalPolicy.RETAIN,
    )
    return ecs.LogDriver.aws_logs(
        log_group=group, stream_prefix=program, mode=ecs.AwsLogDriverMode.NON_BLOCKING
    )


def variables(settings: Mapping[str, str], *, program: str) -> dict[str, str]:
    """Return the environment of a program, as its functions get theirs."""
    return {
        **{ENV_PREFIX + setting: value for setting, value in settings.items()},
        "POWERTOOLS_SERVICE_NAME": program,
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


def give_scratch_space(task: ecs.TaskDefinition, container: ecs.ContainerDefinition) -> None:
    """Mount a volume at /tmp: the root file system is read-only, so that nothing can be planted in it."""
    task.add_volume(name=_SCRATCH)
    container.add_mount_points(
        ecs.MountPoint(container_path="/tmp", source_volume=_SCRATCH, read_only=False)  # noqa: S108 - the container's
    )


def acknowledge_task(task: ecs.TaskDefinition) -> None:
    """Acknowledge what every task definition here has."""
    acknowledge(
        task,
        "ECS2",
        reason="Only names of tables, buckets and queues: no secret is there, access comes from the role.",
    )
    execution = task.obtain_execution_role()
    acknowledge(
        execution,
        "IAM5[Resource::*]",
        reason="ecr:GetAuthorizationToken knows no resource; pulling is limited to the one repository.",
    )
    for role in (task.task_role, execution):
        acknowledge_own_policy(role)

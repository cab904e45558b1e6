"""A program that answers HTTP on Fargate, behind the entrance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.capabilities.container import acknowledge_task, give_scratch_space, image, log_driver, variables
from infra.capabilities.network import Network, outbound_https_only
from infra.settings import ENV_PREFIX

_MOST_TASKS: Final = 6


@dataclass(frozen=True)
class Web:
    """What differs between the programs.

    Parameters
    ----------
    program
        Package, image and log stream; started with ``python -m``.
    port
        It listens on this one.
    environment
        Settings without their prefix; the program gets these and nothing else.
    secrets
        Settings that come from Secrets Manager.
    disk
        GiB at /tmp.
    reaches_out
        Whether it must reach what has no endpoint inside the network.
    farewell
        How long a request may still take when its task is being replaced.
    """

    program: str
    port: int
    environment: Mapping[str, str]
    secrets: Mapping[str, ecs.Secret] = field(default_factory=dict)
    disk: int = 21
    reaches_out: bool = False
    farewell: Duration = field(default_factory=lambda: Duration.seconds(30))


class WebService(Construct):
    """At least two tasks, with a role, a security group and a log group of their own.

    Parameters
    ----------
    key
        Encrypts the logs.

    Attributes
    ----------
    role
        What the program may do; empty at first.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, web: Web, network: Network, key: kms.IKey
    ) -> None:
        super().__init__(scope, construct_id)
        self._web = web
        self._task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=1024,
            memory_limit_mib=4096,
            ephemeral_storage_gib=web.disk,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        container = self._task.add_container(
            "Container",
            image=image(web.program),
            command=["python", "-m", web.program],
            environment=variables(web.environment, program=web.program),
            secrets={ENV_PREFIX + setting: secret for setting, secret in web.secrets.items()},
            port_mappings=[ecs.PortMapping(container_port=web.port)],
            logging=log_driver(self, program=web.program, key=key),
            readonly_root_filesystem=True,
            stop_timeout=Duration.seconds(120),
        )
        give_scratch_space(self._task, container)
        acknowledge_task(self._task)
        group = outbound_https_only(
            self, "Rooms", vpc=network.vpc, description=f"FirstRead {web.program}: tasks"
        )
        self._service = ecs.FargateService(
            self,
            "Service",
            cluster=network.cluster,
            task_definition=self._task,
            security_groups=[group],
            vpc_subnets=network.reaching_out if web.reaches_out else network.inside,
            min_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            health_check_grace_period=Duration.seconds(60),
            enable_ecs_managed_tags=True,
        )

    @property
    def role(self) -> iam.IRole:
        """The role of the program."""
        return self._task.task_role

    def stand_behind(
        self, listener: elb.ApplicationListener, *, paths: Sequence[str] = (), priority: int | None = None
    ) -> None:
        """Take the requests of a listener: all, or those below some paths."""
        listener.add_targets(
            self._web.program.title().replace("_", ""),
            port=self._web.port,
            protocol=elb.ApplicationProtocol.HTTP,
            targets=[self._service],
            conditions=[elb.ListenerCondition.path_patterns(list(paths))] if paths else None,
            priority=priority,
            deregistration_delay=self._web.farewell,
            health_check=elb.HealthCheck(
                path="/healthz", healthy_http_codes="200", interval=Duration.seconds(15)
            ),
        )
        self._service.auto_scale_task_count(
            min_capacity=2, max_capacity=_MOST_TASKS
        ).scale_on_cpu_utilization("Cpu", target_utilization_percent=60)

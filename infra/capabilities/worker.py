"""The model worker: with a GPU each, or on the CPU; none while there is nothing to analyse."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration, Size
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.access import (
    READ,
    WRITE,
    acknowledge_own_policy,
    read_objects,
    receive_messages,
    use_key,
    use_table,
    write_objects,
)
from infra.capabilities.container import acknowledge_task, give_scratch_space, image, log_driver, variables
from infra.capabilities.network import Network, outbound_https_only
from infra.capabilities.store import Store
from infra.capabilities.worker_scaling import WorkerScaling
from infra.config import Config, WorkerDevice
from infra.guard import acknowledge

_PROGRAM: Final = "model_service"


class Worker(Construct):
    """The service of model workers, on ECS Managed Instances with a GPU each or on Fargate.

    Parameters
    ----------
    analyze
        The queues the workers read, the urgent one first; their depth decides how many workers there are.
    config
        Says what they compute on, and the upper bound of workers, and so of GPU instances.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        network: Network,
        analyze: Sequence[sqs.IQueue],
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id)
        group = outbound_https_only(
            self, "SecurityGroup", vpc=network.vpc, description="FirstRead model workers"
        )
        self._gpu = config.worker_device is WorkerDevice.GPU
        self.task = ecs.TaskDefinition(
            self,
            "Task",
            compatibility=(ecs.Compatibility.MANAGED_INSTANCES if self._gpu else ecs.Compatibility.FARGATE),
            network_mode=ecs.NetworkMode.AWS_VPC,
            cpu="3072" if self._gpu else "4096",
            memory_mib="12288" if self._gpu else "16384",
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        self._add_container(store, analyze)
        self._allow(store, analyze, network.cluster)
        service = ecs.FargateService(
            self,
            "Service",
            cluster=network.cluster,
            task_definition=self.task,
            capacity_provider_strategies=self._capacity(network, group) if self._gpu else None,
            security_groups=[group],
            vpc_subnets=network.inside,
            # A queue waits while workers are replaced; a second set of GPU instances would only cost.
            min_healthy_percent=0,
            max_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            enable_ecs_managed_tags=True,
        )
        WorkerScaling(
            self,
            "Scaling",
            cluster=network.cluster,
            service=service,
            queues=analyze,
            max_workers=config.max_workers,
        )

    def _capacity(self, network: Network, group: ec2.ISecurityGroup) -> list[ecs.CapacityProviderStrategy]:
        capacity = ecs.ManagedInstancesCapacityProvider(
            self,
            "Capacity",
            subnets=network.vpc.select_subnets(subnet_group_name=network.inside.subnet_group_name).subnets,
            security_groups=[group],
            task_volume_storage=Size.gibibytes(100),
            instance_requirements=ec2.InstanceRequirementsConfig(
                v_cpu_count_min=4,
                memory_min=Size.gibibytes(16),
                accelerator_count_min=1,
                accelerator_count_max=1,
                accelerator_manufacturers=[ec2.AcceleratorManufacturer.NVIDIA],
                accelerator_types=[ec2.AcceleratorType.GPU],
                cpu_manufacturers=[ec2.CpuManufacturer.INTEL, ec2.CpuManufacturer.AMD],
            ),
        )
        network.cluster.add_managed_instances_capacity_provider(capacity)
        acknowledge(
            capacity,
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonECSInfrastructureRolePolicyForManagedInstances]",
            reason="AWS documents this policy for the service's own role; it moves with the service.",
        )
        acknowledge(
            capacity,
            "IAM5[Resource::*]",
            "IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:container-instance/*]",
            reason="The ECS agent registers an instance of unknown ARN; no data is reachable by it.",
        )
        acknowledge_own_policy(capacity)
        return [ecs.CapacityProviderStrategy(capacity_provider=capacity.capacity_provider_name, weight=1)]

    def _add_container(self, store: Store, analyze: Sequence[sqs.IQueue]) -> None:
        buckets, tables = store.buckets, store.tables
        urgent, routine = analyze
        container = self.task.add_container(
            "Worker",
            image=image(_PROGRAM, variant="gpu" if self._gpu else "cpu"),
            command=["python", "-m", _PROGRAM, "worker"],
            environment=variables(
                {
                    "STUDIES_BUCKET": buckets.studies.bucket_name,
                    "RESULTS_BUCKET": buckets.results.bucket_name,
                    "MODELS_BUCKET": buckets.models.bucket_name,
                    "INSTANCES_TABLE": tables.instances.table_name,
                    "STUDIES_TABLE": tables.studies.table_name,
                    "RESULTS_TABLE": tables.results.table_name,
                    "OUTBOX_TABLE": tables.outbox.table_name,
                    "MODELS_TABLE": tables.models.table_name,
                    "ANALYZE_URGENT_QUEUE_URL": urgent.queue_url,
                    "ANALYZE_QUEUE_URL": routine.queue_url,
                },
                program=_PROGRAM,
            ),
            gpu_count=1 if self._gpu else None,
            health_check=ecs.HealthCheck(
                # ECS passes over what the Dockerfile says.
                command=["CMD", "python", "-m", _PROGRAM, "health"],
                interval=Duration.seconds(60),
                timeout=Duration.seconds(20),
                start_period=Duration.seconds(300),
                retries=3,
            ),
            logging=log_driver(self, program=_PROGRAM, key=store.keys.data),
            readonly_root_filesystem=True,
            # Time to finish the study in hand; what is not finished becomes visible again.
            stop_timeout=Duration.seconds(120),
        )
        give_scratch_space(self.task, container)
        acknowledge_task(self.task)

    def _allow(self, store: Store, analyze: Sequence[sqs.IQueue], cluster: ecs.ICluster) -> None:
        role, buckets, tables = self.task.task_role, store.buckets, store.tables
        use_key(role, store.keys.data)
        read_objects(role, buckets.studies)
        read_objects(role, buckets.models)
        write_objects(role, buckets.results)
        for table in (tables.instances, tables.studies, tables.models):
            use_table(role, table, *READ)
        for table in (tables.results, tables.outbox):
            use_table(role, table, *READ, *WRITE)
        for queue in analyze:
            receive_messages(role, queue)
        role.add_to_principal_policy(
            iam.PolicyStatement(
                sid="ProtectTheStudyInHand",
                actions=["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"],
                resources=["*"],
                conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
            )
        )
        acknowledge(
            role,
            "IAM5[Resource::*]",
            reason="A task's ARN is unknown before it runs; a condition limits it to this cluster.",
        )

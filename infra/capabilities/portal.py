"""The portal: HTTPS only, reachable inside the network unless readers' networks are named."""

from typing import Final

from aws_cdk import CfnParameter, Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from infra.capabilities.access import APPEND, READ, WRITE, read_objects, use_key, use_table
from infra.capabilities.container import acknowledge_task, give_scratch_space, image, log_driver, variables
from infra.capabilities.network import Network, outbound_https_only
from infra.capabilities.store import Store
from infra.config import Config
from infra.guard import acknowledge

_PROGRAM: Final = "portal"
_PORT: Final = 8000
_MOST_TASKS: Final = 6


class Portal(Construct):
    """The web application on Fargate behind a load balancer.

    There is no listener without TLS in any template: a deployment without a certificate is refused.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, store: Store, network: Network, config: Config
    ) -> None:
        super().__init__(scope, construct_id)
        public = bool(config.portal_cidrs)
        self.task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=1024,
            memory_limit_mib=4096,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        self._add_container(store)
        self._allow(store)
        doors = ec2.SecurityGroup(
            self,
            "Doors",
            vpc=network.vpc,
            description="FirstRead portal: load balancer",
            allow_all_outbound=False,
        )
        rooms = outbound_https_only(self, "Rooms", vpc=network.vpc, description="FirstRead portal: tasks")
        readers = config.portal_cidrs or (network.vpc.vpc_cidr_block,)
        for cidr in readers:
            doors.add_ingress_rule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(443), "Readers")
        if not public:
            acknowledge(
                doors,
                "EC23",
                reason="The rule cannot read an attribute: the range is this VPC's own, never 0.0.0.0/0.",
            )
        service = self._service(network, rooms)
        balancer = self._balancer(network, doors, public=public)
        self._log_requests(balancer, store)
        listener = balancer.add_listener(
            "Https",
            port=443,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[self._certificate(config)],
            ssl_policy=elb.SslPolicy.TLS13_RES,
            open=False,
        )
        listener.add_targets(
            "Portal",
            port=_PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            targets=[service],
            deregistration_delay=Duration.seconds(30),
            health_check=elb.HealthCheck(
                path="/healthz", healthy_http_codes="200", interval=Duration.seconds(15)
            ),
        )
        service.auto_scale_task_count(min_capacity=2, max_capacity=_MOST_TASKS).scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=60
        )

    def _add_container(self, store: Store) -> None:
        buckets, tables = store.buckets, store.tables
        container = self.task.add_container(
            "Portal",
            image=image(_PROGRAM),
            command=["python", "-m", _PROGRAM],
            environment=variables(
                {
                    "STUDIES_BUCKET": buckets.studies.bucket_name,
                    "RESULTS_BUCKET": buckets.results.bucket_name,
                    "INSTANCES_TABLE": tables.instances.table_name,
                    "STUDIES_TABLE": tables.studies.table_name,
                    "RESULTS_TABLE": tables.results.table_name,
                    "ALERTS_TABLE": tables.alerts.table_name,
                    "MODELS_TABLE": tables.models.table_name,
                    "AUDIT_TABLE": tables.audit.table_name,
                },
                program=_PROGRAM,
            ),
            port_mappings=[ecs.PortMapping(container_port=_PORT)],
            logging=log_driver(self, program=_PROGRAM, key=store.keys.data),
            readonly_root_filesystem=True,
        )
        give_scratch_space(self.task, container)
        acknowledge_task(self.task)

    def _allow(self, store: Store) -> None:
        role, buckets, tables = self.task.task_role, store.buckets, store.tables
        use_key(role, store.keys.data)
        read_objects(role, buckets.studies)
        read_objects(role, buckets.results)
        for table in (tables.instances, tables.results, tables.models):
            use_table(role, table, *READ)
        use_table(role, tables.studies, *READ, indexes=("worklist",))
        use_table(role, tables.alerts, *READ, *WRITE, indexes=("by_study", "open"))
        # An event is added and read, never changed or taken back: no UpdateItem, no DeleteItem.
        use_table(role, tables.audit, *APPEND, *READ)

    def _service(self, network: Network, group: ec2.ISecurityGroup) -> ecs.FargateService:
        return ecs.FargateService(
            self,
            "Service",
            cluster=network.cluster,
            task_definition=self.task,
            security_groups=[group],
            min_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            health_check_grace_period=Duration.seconds(60),
            enable_ecs_managed_tags=True,
        )

    def _balancer(
        self, network: Network, group: ec2.ISecurityGroup, *, public: bool
    ) -> elb.ApplicationLoadBalancer:
        where = ec2.SubnetType.PUBLIC if public else ec2.SubnetType.PRIVATE_WITH_EGRESS
        return elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=where),
            internet_facing=public,
            security_group=group,
            deletion_protection=True,
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elb.DesyncMitigationMode.STRICTEST,
            idle_timeout=Duration.seconds(120),
        )

    def _log_requests(self, balancer: elb.ApplicationLoadBalancer, store: Store) -> None:
        """Write access logs; `log_access_logs()` would need the region, and this template fits every one."""
        balancer.set_attribute("access_logs.s3.enabled", "true")
        balancer.set_attribute("access_logs.s3.bucket", store.buckets.access_logs.bucket_name)
        balancer.set_attribute("access_logs.s3.prefix", "portal")

    def _certificate(self, config: Config) -> acm.ICertificate:
        arn = config.certificate_arn
        if arn is None:
            parameter = CfnParameter(
                self,
                "CertificateArn",
                description="ACM certificate of the portal; there is no portal without TLS",
                allowed_pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+$",
            )
            parameter.override_logical_id("CertificateArn")
            arn = parameter.value_as_string
        return acm.Certificate.from_certificate_arn(self, "Certificate", arn)

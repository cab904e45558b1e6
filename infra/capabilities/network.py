"""The network and the cluster that containers run in."""

from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.capabilities.access import acknowledge_own_policy
from infra.guard import HIPAA, acknowledge

_INSIDE: Final = "Inside"
_REACHING_OUT: Final = "ReachingOut"
_OUTSIDE: Final = "Outside"
# Everything the programs and their hosts talk to besides S3 and DynamoDB, which have gateways.
_SERVICES: Final = {
    "Ecr": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Ecs": ec2.InterfaceVpcEndpointAwsService.ECS,
    "EcsAgent": ec2.InterfaceVpcEndpointAwsService.ECS_AGENT,
    "EcsTelemetry": ec2.InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
    "Events": ec2.InterfaceVpcEndpointAwsService.EVENTBRIDGE,
    "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Sns": ec2.InterfaceVpcEndpointAwsService.SNS,
    "Sqs": ec2.InterfaceVpcEndpointAwsService.SQS,
    "Xray": ec2.InterfaceVpcEndpointAwsService.XRAY,
}


class Network(Construct):
    """A VPC over two availability zones whose programs reach AWS by endpoints, and all but one nothing else at all.

    What a program inside that was taken over could send, it could send to this account's AWS interfaces only. The
    portal alone has a way out, through a NAT gateway in each zone and over HTTPS only: the pages of a Cognito user
    pool, at which it redeems codes of those who sign in, have no endpoint (Cognito Developer Guide, "Access Amazon
    Cognito using an interface endpoint").

    Parameters
    ----------
    key
        Encrypts the flow logs and the cluster's logs of commands.
    public
        Whether the load balancer is reached over the internet.

    Attributes
    ----------
    vpc
        Every connection is in the flow logs.
    inside
        The subnets that everything but the portal runs in.
    reaching_out
        The subnets of the portal.
    cluster
        Has container insights, because scaling reads the count of tasks from there.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        flow_logs = logs.LogGroup(
            self,
            "FlowLogs",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=2,
            nat_gateway_subnets=ec2.SubnetSelection(subnet_group_name=_OUTSIDE),
            subnet_configuration=_subnets(),
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
            flow_logs={
                "All": ec2.FlowLogOptions(
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_logs),
                    traffic_type=ec2.FlowLogTrafficType.ALL,
                )
            },
        )
        self.inside = ec2.SubnetSelection(subnet_group_name=_INSIDE)
        self.reaching_out = ec2.SubnetSelection(subnet_group_name=_REACHING_OUT)
        self._add_endpoints()
        self._acknowledge()
        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=self.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED
        )

    def _add_endpoints(self) -> None:
        group = ec2.SecurityGroup(
            self,
            "EndpointGroup",
            vpc=self.vpc,
            description="FirstRead: interfaces of AWS inside the network",
            allow_all_outbound=False,
        )
        group.add_ingress_rule(
            ec2.Peer.ipv4(self.vpc.vpc_cidr_block), ec2.Port.tcp(443), "Programs of this network"
        )
        reason = "The rule cannot read an attribute: the range is this VPC's own, never 0.0.0.0/0."
        acknowledge(group, "EC23", reason=reason)
        acknowledge(group, "EC2RestrictedCommonPorts", "EC2RestrictedSSH", reason=reason, pack=HIPAA)
        for name, service in _SERVICES.items():
            self.vpc.add_interface_endpoint(
                name, service=service, subnets=self.inside, security_groups=[group], open=False
            )

    def _acknowledge(self) -> None:
        acknowledge(
            self.vpc,
            "VPCDefaultSecurityGroupClosed",
            reason="Nothing is in the default group; closing it takes a custom resource with a function of its own.",
            pack=HIPAA,
        )
        acknowledge_own_policy(self.vpc)
        acknowledge(
            self.vpc,
            "VPCNoUnrestrictedRouteToIGW",
            reason="Only NAT gateways and, where readers come over the internet, the balancer are in these subnets.",
            pack=HIPAA,
        )


def _subnets() -> list[ec2.SubnetConfiguration]:
    return [
        ec2.SubnetConfiguration(
            name=_OUTSIDE, subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
        ),
        ec2.SubnetConfiguration(
            name=_REACHING_OUT, subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=24
        ),
        ec2.SubnetConfiguration(name=_INSIDE, subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=20),
    ]


def outbound_https_only(
    scope: Construct, construct_id: str, *, vpc: ec2.IVpc, description: str
) -> ec2.SecurityGroup:
    """Make a security group that lets nothing in, and out only over HTTPS."""
    group = ec2.SecurityGroup(scope, construct_id, vpc=vpc, description=description, allow_all_outbound=False)
    group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS interfaces")
    return group

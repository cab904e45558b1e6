"""The one way in from outside: HTTPS only, behind a firewall, from inside the network unless others are named."""

from typing import Final

from aws_cdk import CfnParameter, Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from infra.capabilities.firewall import Firewall
from infra.capabilities.network import Network
from infra.capabilities.store import Store
from infra.config import Config
from infra.guard import HIPAA, acknowledge

INGEST_PATHS: Final = ("/ingest/*", "/uploads", "/uploads/*")


class Entrance(Construct):
    """The load balancer. There is no listener without TLS in any template, and no deployment without a certificate.

    Attributes
    ----------
    listener
        What stands behind it registers here.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, store: Store, network: Network, config: Config
    ) -> None:
        super().__init__(scope, construct_id)
        public = bool(config.portal_cidrs)
        doors = self._doors(network, config.portal_cidrs or (network.vpc.vpc_cidr_block,))
        if not public:
            reason = "The rule cannot read an attribute: the range is this VPC's own, never 0.0.0.0/0."
            acknowledge(doors, "EC23", reason=reason)
            acknowledge(doors, "EC2RestrictedCommonPorts", "EC2RestrictedSSH", reason=reason, pack=HIPAA)
        self.balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC) if public else network.inside,
            internet_facing=public,
            security_group=doors,
            deletion_protection=True,
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elb.DesyncMitigationMode.STRICTEST,
            # The answer to gigabytes of STOW-RS comes when the last of them is in S3.
            idle_timeout=Duration.minutes(5),
        )
        self._log_requests(store)
        self.listener = self.balancer.add_listener(
            "Https",
            port=443,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[self._certificate(config)],
            ssl_policy=elb.SslPolicy.TLS13_RES,
            open=False,
        )
        Firewall(
            self,
            "Firewall",
            balancer=self.balancer,
            large_bodies=tuple(path.removesuffix("*") for path in INGEST_PATHS),
            key=store.keys.data,
        )

    def _doors(self, network: Network, readers: tuple[str, ...]) -> ec2.SecurityGroup:
        doors = ec2.SecurityGroup(
            self,
            "Doors",
            vpc=network.vpc,
            description="FirstRead: load balancer",
            allow_all_outbound=False,
        )
        for cidr in readers:
            doors.add_ingress_rule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(443), "Readers and senders")
        return doors

    def _log_requests(self, store: Store) -> None:
        """Write access logs; `log_access_logs()` would need the region, and this template fits every one."""
        self.balancer.set_attribute("access_logs.s3.enabled", "true")
        self.balancer.set_attribute("access_logs.s3.bucket", store.buckets.access_logs.bucket_name)
        self.balancer.set_attribute("access_logs.s3.prefix", "portal")

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

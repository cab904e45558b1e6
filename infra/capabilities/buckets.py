"""Buckets: objects as they arrived, de-identified studies, results, models, and the logs of all access to them."""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.capabilities.keys import Keys
from infra.guard import HIPAA, acknowledge

_KEEP_SUPERSEDED_DAYS = 90
_KEEP_ACCESS_LOGS_DAYS = 400
_YEAR_DAYS = 366


class Buckets(Construct):
    """The buckets of the pipeline: versioned, encrypted, TLS only, never public.

    Parameters
    ----------
    keys
        The incoming bucket has a key of its own, so that reading it is a right of its own.
    audit_years
        How long nobody can delete an export of the audit trail.
    """

    def __init__(self, scope: Construct, construct_id: str, *, keys: Keys, audit_years: int) -> None:
        super().__init__(scope, construct_id)
        self.access_logs = self._access_logs()
        # Nothing incoming expires by lifecycle: a quarantined object may be the only copy there is.
        self.incoming = self._bucket("Incoming", key=keys.incoming, keep_superseded_days=None)
        self.studies = self._bucket("Studies", key=keys.data, keep_superseded_days=_KEEP_SUPERSEDED_DAYS)
        self.results = self._bucket("Results", key=keys.data, keep_superseded_days=_KEEP_SUPERSEDED_DAYS)
        self.models = self._bucket("Models", key=keys.data, keep_superseded_days=_KEEP_SUPERSEDED_DAYS)
        self.audit = self._bucket(
            "Audit", key=keys.data, keep_superseded_days=None, locked=Duration.days(audit_years * _YEAR_DAYS)
        )
        _keep(self.audit)
        _announce_objects(self.incoming)
        acknowledge(
            self,
            "S3BucketReplicationEnabled",
            reason="The hospital's archive holds the originals, and what is made of them can be made again.",
            pack=HIPAA,
        )

    def _bucket(
        self, name: str, *, key: kms.Key, keep_superseded_days: int | None, locked: Duration | None = None
    ) -> s3.Bucket:
        superseded = None if keep_superseded_days is None else Duration.days(keep_superseded_days)
        return s3.Bucket(
            self,
            name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"s3/{name.lower()}/",
            # Compliance mode: not even the account's root user deletes an object or shortens its time.
            object_lock_default_retention=s3.ObjectLockRetention.compliance(locked) if locked else None,
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="tidy",
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    noncurrent_version_expiration=superseded,
                )
            ],
        )

    def _access_logs(self) -> s3.Bucket:
        """Make the log bucket: SSE-S3, as S3 and load balancers deliver no logs under a customer's key."""
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    expiration=Duration.days(_KEEP_ACCESS_LOGS_DAYS),
                    noncurrent_version_expiration=Duration.days(30),
                )
            ],
        )
        acknowledge(
            bucket,
            "S3DefaultEncryptionKMS",
            reason="S3 and load balancers deliver no access logs into a bucket under a customer's key.",
            pack=HIPAA,
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LoadBalancerLogs",
                actions=["s3:PutObject"],
                principals=[iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
                resources=[bucket.arn_for_objects(f"portal/AWSLogs/{Aws.ACCOUNT_ID}/*")],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        return bucket


def _keep(bucket: s3.Bucket) -> None:
    """Refuse deletions to everybody: the lock keeps the bytes, but a delete marker would hide them."""
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="NobodyDeletes",
            effect=iam.Effect.DENY,
            actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
            principals=[iam.AnyPrincipal()],
            resources=[bucket.arn_for_objects("*")],
        )
    )


def _announce_objects(bucket: s3.Bucket) -> None:
    """Send the bucket's events to EventBridge.

    Set on the resource itself: `event_bridge_enabled` would add a custom resource with a Lambda function.
    """
    resource = bucket.node.default_child
    if not isinstance(resource, s3.CfnBucket):
        message = f"{bucket.node.path} is no bucket"
        raise TypeError(message)
    resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )

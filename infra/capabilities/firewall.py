"""The web application firewall before the load balancer."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

_CORE: Final = "AWSManagedRulesCommonRuleSet"
_CORE_LABELS: Final = "awswaf:managed:aws:core-rule-set:"
# Rules of the core set that look into the body, by the label that each leaves. A DICOM file is no form: its bytes are
# larger than the 8 KiB that the first allows, and may look like anything to the others.
_BODY_RULES: Final = {
    "SizeRestrictions_BODY": "SizeRestrictions_Body",
    "CrossSiteScripting_BODY": "CrossSiteScripting_Body",
    "GenericLFI_BODY": "GenericLFI_Body",
    "GenericRFI_BODY": "GenericRFI_Body",
    "EC2MetaDataSSRF_BODY": "EC2MetaDataSSRF_Body",
}
# Per address and five minutes. A whole reading room or hospital may come from one address, and a reader who
# scrolls through a CT asks for hundreds of frames; this stops what no hospital does.
MOST_REQUESTS: Final = 60_000


class Firewall(Construct):
    """AWS's own rules for known bad addresses and common attacks, and a bound of requests per address.

    Parameters
    ----------
    large_bodies
        Paths below which a body may be large and binary. All other rules hold there too.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        balancer: elb.IApplicationLoadBalancer,
        large_bodies: Sequence[str],
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        acl = waf.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            description="FirstRead: what stands before the load balancer",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility("FirstRead"),
            rules=[
                _managed("Addresses", 0, "AWSManagedRulesAmazonIpReputationList", ()),
                _managed("Core", 1, _CORE, tuple(_BODY_RULES)),
                _block("Bodies", 2, _bad_body_elsewhere(large_bodies)),
                _block(
                    "Rate",
                    3,
                    waf.CfnWebACL.StatementProperty(
                        rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(
                            aggregate_key_type="IP", limit=MOST_REQUESTS
                        )
                    ),
                ),
            ],
        )
        waf.CfnWebACLAssociation(
            self, "Association", resource_arn=balancer.load_balancer_arn, web_acl_arn=acl.attr_arn
        )
        self._log(acl, key)

    def _log(self, acl: waf.CfnWebACL, key: kms.IKey) -> None:
        """Write what was stopped, and why, without what could name a patient or open a door."""
        group = logs.LogGroup(
            self,
            "Logs",
            # The service asks for this beginning.
            log_group_name=f"aws-waf-logs-{Aws.STACK_NAME}",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )
        waf.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=acl.attr_arn,
            log_destination_configs=[group.log_group_arn],
            redacted_fields=[
                {"uriPath": {}},  # STOW-RS has a place for the original Study Instance UID in the path
                {"queryString": {}},
                {"singleHeader": {"Name": "authorization"}},
                {"singleHeader": {"Name": "cookie"}},
            ],
        )


def _visibility(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    """Count in CloudWatch, and keep no samples: they would hold paths and tokens."""
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )


def _managed(name: str, priority: int, group: str, counted: Sequence[str]) -> waf.CfnWebACL.RuleProperty:
    """Return a group of AWS's rules; those counted only leave their label."""
    return waf.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        visibility_config=_visibility(name),
        statement=waf.CfnWebACL.StatementProperty(
            managed_rule_group_statement=waf.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=group,
                rule_action_overrides=[
                    waf.CfnWebACL.RuleActionOverrideProperty(
                        name=rule, action_to_use=waf.CfnWebACL.RuleActionProperty(count={})
                    )
                    for rule in counted
                ]
                or None,
            )
        ),
    )


def _block(
    name: str, priority: int, statement: waf.CfnWebACL.StatementProperty
) -> waf.CfnWebACL.RuleProperty:
    return waf.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        action=waf.CfnWebACL.RuleActionProperty(block={}),
        visibility_config=_visibility(name),
        statement=statement,
    )


def _bad_body_elsewhere(large_bodies: Sequence[str]) -> waf.CfnWebACL.StatementProperty:
    """Match a body that a rule of the core set did not like, on any path but these."""
    labels = [
        waf.CfnWebACL.StatementProperty(
            label_match_statement=waf.CfnWebACL.LabelMatchStatementProperty(
                scope="LABEL", key=_CORE_LABELS + label
            )
        )
        for label in _BODY_RULES.values()
    ]
    paths = [
        waf.CfnWebACL.StatementProperty(
            byte_match_statement=waf.CfnWebACL.ByteMatchStatementProperty(
                field_to_match=waf.CfnWebACL.FieldToMatchProperty(uri_path={}),
                positional_constraint="STARTS_WITH" if path.endswith("/") else "EXACTLY",
                search_string=path,
                text_transformations=[waf.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
            )
        )
        for path in large_bodies
    ]
    return waf.CfnWebACL.StatementProperty(
        and_statement=waf.CfnWebACL.AndStatementProperty(
            statements=[
                _any(labels),
                waf.CfnWebACL.StatementProperty(
                    not_statement=waf.CfnWebACL.NotStatementProperty(statement=_any(paths))
                ),
            ]
        )
    )


def _any(statements: Sequence[waf.CfnWebACL.StatementProperty]) -> waf.CfnWebACL.StatementProperty:
    return waf.CfnWebACL.StatementProperty(
        or_statement=waf.CfnWebACL.OrStatementProperty(statements=list(statements))
    )

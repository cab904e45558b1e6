"""The load balancer and the firewall before it."""

import json

import pytest

from tests.infra.account import Account, Json


def test_the_portal_speaks_https_only(account: Account) -> None:
    listeners = account.properties("AWS::ElasticLoadBalancingV2::Listener").values()
    assert [(listener["Protocol"], listener["Port"]) for listener in listeners] == [("HTTPS", 443)]
    assert all(listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2") for listener in listeners)


def test_without_readers_networks_the_portal_is_internal(account: Account) -> None:
    assert account.one("AWS::ElasticLoadBalancingV2::LoadBalancer", "Entrance")["Scheme"] == "internal"
    parameter = account.stacks["FirstRead-Portal"]["Parameters"]["CertificateArn"]
    assert "Default" not in parameter


def test_the_load_balancer_logs_and_is_protected(account: Account) -> None:
    balancer = account.one("AWS::ElasticLoadBalancingV2::LoadBalancer", "Entrance")
    attributes = {a["Key"]: account.text(a["Value"]) for a in balancer["LoadBalancerAttributes"]}
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["access_logs.s3.bucket"].startswith("BucketsAccessLogs")
    assert attributes["access_logs.s3.prefix"] == "portal"
    assert attributes["deletion_protection.enabled"] == "true"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"


@pytest.mark.parametrize(("program", "port"), [("Portal", 8000), ("IngestService", 8001)])
def test_health_check(account: Account, program: str, port: int) -> None:
    group = account.one("AWS::ElasticLoadBalancingV2::TargetGroup", f"EntranceLoadBalancerHttps{program}")
    assert group["HealthCheckPath"] == "/healthz"
    assert group["Port"] == port


def test_a_long_request_is_let_through_when_its_task_is_replaced(account: Account) -> None:
    group = account.one("AWS::ElasticLoadBalancingV2::TargetGroup", "EntranceLoadBalancerHttpsIngestService")
    told = {each["Key"]: each["Value"] for each in group["TargetGroupAttributes"]}
    assert told["deregistration_delay.timeout_seconds"] == "900"


def test_paths_of_the_door_go_to_the_ingest_service_and_all_others_to_the_portal(account: Account) -> None:
    (rule,) = account.properties("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    (condition,) = rule["Conditions"]
    assert condition["PathPatternConfig"]["Values"] == ["/ingest/*", "/uploads", "/uploads/*"]
    assert "HttpsIngestService" in account.text(rule["Actions"][0]["TargetGroupArn"])
    listener = account.one("AWS::ElasticLoadBalancingV2::Listener", "Entrance")
    assert "HttpsPortal" in account.text(listener["DefaultActions"][0]["TargetGroupArn"])


def test_with_a_certificate_readers_networks_are_let_in(public_account: Account) -> None:
    assert (
        public_account.one("AWS::ElasticLoadBalancingV2::LoadBalancer", "Entrance")["Scheme"]
        == "internet-facing"
    )
    doors = public_account.one("AWS::EC2::SecurityGroup", "EntranceDoors")["SecurityGroupIngress"]
    assert {(rule["CidrIp"], rule["FromPort"]) for rule in doors} == {
        ("192.0.2.0/24", 443),
        ("198.51.100.0/24", 443),
    }
    assert "CertificateArn" not in public_account.stacks["FirstRead-Portal"]["Parameters"]


def _rules(account: Account) -> dict[str, Json]:
    (acl,) = account.properties("AWS::WAFv2::WebACL").values()
    return {rule["Name"]: rule for rule in acl["Rules"]}


def test_the_firewall_stands_before_the_load_balancer(account: Account) -> None:
    (link,) = account.properties("AWS::WAFv2::WebACLAssociation").values()
    assert account.text(link["ResourceArn"]).startswith("EntranceLoadBalancer")
    assert account.text(link["WebACLArn"]).startswith("EntranceFirewallAcl")


def test_known_bad_addresses_common_attacks_and_floods_are_stopped(account: Account) -> None:
    rules = _rules(account)
    assert sorted(rules, key=lambda name: int(rules[name]["Priority"])) == [
        "Addresses",
        "Core",
        "Bodies",
        "Rate",
    ]
    for name, group in (
        ("Addresses", "AWSManagedRulesAmazonIpReputationList"),
        ("Core", "AWSManagedRulesCommonRuleSet"),
    ):
        assert rules[name]["Statement"]["ManagedRuleGroupStatement"]["Name"] == group
        assert rules[name]["OverrideAction"] == {"None": {}}
    rate = rules["Rate"]["Statement"]["RateBasedStatement"]
    assert (rate["AggregateKeyType"], rate["Limit"]) == ("IP", 60_000)
    assert rules["Rate"]["Action"] == {"Block": {}}


def test_a_suspicious_body_is_stopped_on_every_path_but_those_of_the_door(account: Account) -> None:
    rules = _rules(account)
    counted = rules["Core"]["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    assert all(each["ActionToUse"] == {"Count": {}} for each in counted)
    assert all(each["Name"].upper().endswith("_BODY") for each in counted)
    labels, elsewhere = rules["Bodies"]["Statement"]["AndStatement"]["Statements"]
    assert rules["Bodies"]["Action"] == {"Block": {}}
    found = {each["LabelMatchStatement"]["Key"] for each in labels["OrStatement"]["Statements"]}
    assert {key.rpartition(":")[2].upper() for key in found} == {each["Name"].upper() for each in counted}
    paths = elsewhere["NotStatement"]["Statement"]["OrStatement"]["Statements"]
    assert {
        (p["ByteMatchStatement"]["SearchString"], p["ByteMatchStatement"]["PositionalConstraint"])
        for p in paths
    } == {("/ingest/", "STARTS_WITH"), ("/uploads", "EXACTLY"), ("/uploads/", "STARTS_WITH")}


def test_the_firewall_keeps_no_paths_and_no_tokens(account: Account) -> None:
    (acl,) = account.properties("AWS::WAFv2::WebACL").values()
    shown = [acl["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in acl["Rules"])]
    assert not any(each["SampledRequestsEnabled"] for each in shown)
    (logging,) = account.properties("AWS::WAFv2::LoggingConfiguration").values()
    redacted = json.dumps(logging["RedactedFields"])
    for field in ("UriPath", "QueryString", "authorization", "cookie"):
        assert field.lower() in redacted.lower()
    group = account.one("AWS::Logs::LogGroup", "EntranceFirewallLogs")
    assert account.text(group["LogGroupName"]).startswith("aws-waf-logs-")

"""The application as a whole: stacks, outputs, rules it is checked by."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

import infra.app
from infra.config import REPOSITORY, Config, ConfigError
from infra.guard import HIPAA, acknowledge, guard
from infra.settings import Setting
from infra.stacks import LOCAL_STACKS
from tests.infra.account import Account


def test_one_stack_per_reason_to_change(account: Account) -> None:
    assert set(account.stacks) == {
        "FirstRead-Data",
        "FirstRead-Pipeline",
        "FirstRead-Network",
        "FirstRead-Compute",
        "FirstRead-Portal",
        "FirstRead-Backup",
        "FirstRead-Operations",
    }


def test_no_custom_resource_and_no_hidden_function(account: Account) -> None:
    kinds = {r["Type"] for t in account.stacks.values() for r in t["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith("Custom::")}
    assert len(account.properties("AWS::Lambda::Function")) == 12


def test_outputs_are_the_settings(account: Account) -> None:
    outputs = [
        name
        for stack in LOCAL_STACKS
        for name, output in account.stacks[stack]["Outputs"].items()
        if "Export" not in output
    ]
    assert sorted(outputs) == sorted(setting.output_id for setting in Setting)


@pytest.mark.parametrize(
    ("setting", "env"),
    [
        (Setting.INCOMING_BUCKET, "FIRSTREAD_INCOMING_BUCKET"),
        (Setting.VAULT_KEY_ID, "FIRSTREAD_VAULT_KEY_ID"),
        (Setting.QUIET_TIMER_QUEUE_URL, "FIRSTREAD_QUIET_TIMER_QUEUE_URL"),
        (Setting.INGEST_URGENT_QUEUE_URL, "FIRSTREAD_INGEST_URGENT_QUEUE_URL"),
        (Setting.INGEST_DLQ_URL, "FIRSTREAD_INGEST_DLQ_URL"),
        (Setting.ALERT_TOPIC_ARN, "FIRSTREAD_ALERT_TOPIC_ARN"),
    ],
)
def test_setting_names(setting: Setting, env: str) -> None:
    assert setting.env == env


def test_member_output_and_variable_have_one_name() -> None:
    assert [setting.env for setting in Setting] == [f"FIRSTREAD_{setting.name}" for setting in Setting]


def test_the_laptop_runs_what_is_deployed(account: Account, laptop: Account) -> None:
    assert tuple(laptop.stacks) == LOCAL_STACKS
    for stack in LOCAL_STACKS:
        assert laptop.stacks[stack]["Resources"] == account.stacks[stack]["Resources"]


def test_the_engine_knows_every_type(laptop: Account) -> None:
    provisioners = pytest.importorskip("ministack.services.cloudformation.provisioners")
    kinds = {r["Type"] for t in laptop.stacks.values() for r in t["Resources"].values()}
    assert kinds <= set(provisioners._RESOURCE_HANDLERS)


def test_cloudformation_takes_each_template(account: Account) -> None:
    """The quotas: a megabyte and 500 resources (CloudFormation User Guide, "Quotas")."""
    for name, template in account.stacks.items():
        assert len(json.dumps(template)) < 1_000_000, name
        assert len(template["Resources"]) < 500, name


def test_cfn_lint_has_nothing_to_say(account: Account) -> None:
    templates = sorted(str(path) for path in account.folder.glob("*.template.json"))
    lint = Path(sys.executable).with_name("cfn-lint")
    command = [str(lint), "--config-file", str(REPOSITORY / "infra" / "cfnlint.yaml"), "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stateful_resources_stay(account: Account) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup"):
        for name, resource in account.resources(kind):
            assert resource["DeletionPolicy"] == "Retain", name
            assert resource["UpdateReplacePolicy"] == "Retain", name


def test_a_finding_nobody_acknowledged_stops_synthesis(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = App(outdir=str(tmp_path))
    s3.Bucket(Stack(app, "Naked"), "Bucket")
    guard(app)
    with pytest.raises(RuntimeError, match="ValidationFailed") as failure:
        app.synth()
    said = str(failure.value) + "".join(capfd.readouterr())
    assert "AwsSolutions-S1" in said
    assert "HIPAA.Security-S3BucketVersioningEnabled" in said


def test_an_acknowledged_finding_is_in_the_template_with_its_reason(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    stack = Stack(app, "Known")
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    bucket = s3.Bucket(
        stack,
        "Bucket",
        enforce_ssl=True,
        encryption_key=key,
        versioned=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
    )
    reason = "A bucket of a test that nobody ever reads or writes."
    acknowledge(bucket, "S1", reason=reason)
    acknowledge(bucket, "S3BucketLoggingEnabled", "S3BucketReplicationEnabled", reason=reason, pack=HIPAA)
    guard(app)
    app.synth()
    assert "nobody ever reads" in (tmp_path / "Known.template.json").read_text()


def test_a_reason_must_be_one() -> None:
    with pytest.raises(ValueError, match="a reason"):
        acknowledge(App(), "S1", reason="because")


@pytest.mark.parametrize(
    ("context", "complaint"),
    [
        ("lambda_assets=docker", "lambda_assets"),
        ("completeness=soon", "JSON"),
        ("completeness=[]", "object"),
        ('completeness={"quiet": {}}', "quiet_seconds"),
        ('completeness={"quiet_seconds": {}}', "default"),
        ('completeness={"quiet_seconds": 5}', "modalities"),
        ('completeness={"quiet_seconds": {"*": 0}}', "0"),
        ('completeness={"quiet_seconds": {"*": true}}', "True"),
        ('completeness={"max_seconds": 1e9}', "max_seconds"),
        ('completeness={"sources": ["ct1"]}', "sources"),
        ('completeness={"sources": {"ct1": {"quiet": 1}}}', "ct1"),
        ('completeness={"sources": {"ct1": {"quiet_seconds": {"CT": -1}}}}', "ct1"),
        ('completeness={"sources": {"ct1": {"trust_single": 1}}}', "trust_single"),
        ("alerting=[]", "alerting"),
        ('alerting={"time_zone": "Berlin"}', "IANA"),
        ("alert_subscribers={}", "list"),
        ('alert_subscribers=[{"protocol": "email"}]', "endpoint"),
        ('alert_subscribers=[{"protocol": "fax", "endpoint": "1"}]', "protocol"),
        ('alert_subscribers=[{"protocol": "sms", "endpoint": "0151"}]', "protocol"),
        ('alert_subscribers=[{"protocol": "https", "endpoint": "http://a"}]', "protocol"),
        ('alert_subscribers=[{"protocol": "email", "endpoint": "a@b.c", "groups": ["A B"]}]', "groups"),
        ("feed_issuers=[]", "feed_issuers"),
        ('feed_issuers={"A": 1}', "feed_issuers"),
        ("portal_url=http://portal", "https"),
        ("certificate_arn=mine", "certificate"),
        ("portal_cidrs=0.0.0.0/0", "networks"),
        ("portal_cidrs=10.0.0.0/8", "certificate_arn"),
        ("max_workers=0", "max_workers"),
        ("worker_device=tpu", "worker_device"),
        ("operations_email=me", "operations_email"),
        ("expect_arrivals_minutes=7", "expect_arrivals_minutes"),
        ("expect_arrivals_minutes=2000", "expect_arrivals_minutes"),
        ("audit_years=0", "audit_years"),
        ("audit_years=101", "audit_years"),
        ("audit_years=six", "audit_years"),
    ],
)
def test_a_bad_choice_is_named(
    context: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infra.app.main(["--local", "-c", context, "-o", str(tmp_path)]) == 2
    assert complaint in capsys.readouterr().err


def test_completeness_comes_from_the_context_and_is_completed(tmp_path: Path) -> None:
    given = {
        "quiet_seconds": {"*": 3, "CT": 1200},
        "sources": {"ct1": {"quiet_seconds": {"CT": 2.5}, "trust_single": True}},
    }
    assert infra.app.main(["--local", "-c", f"completeness={json.dumps(given)}", "-o", str(tmp_path)]) == 0
    template = json.loads((tmp_path / "FirstRead-Pipeline.template.json").read_text())
    told = {
        resource["Properties"]["Environment"]["Variables"]["FIRSTREAD_COMPLETENESS"]
        for resource in template["Resources"].values()
        if "FIRSTREAD_COMPLETENESS" in str(resource.get("Properties", {}).get("Environment"))
    }
    assert [json.loads(each) for each in told] == [{**given, "after_hint_seconds": 1, "max_seconds": 900}]


def test_subscribers_choose_by_group(tmp_path: Path) -> None:
    given = [
        {"protocol": "email", "endpoint": "desk@hospital.example", "groups": ["reading-room", "on-call"]},
        {"protocol": "https", "endpoint": "https://pager.example/hook"},
    ]
    context = f"alert_subscribers={json.dumps(given)}"
    assert infra.app.main(["--local", "-c", context, "-c", "alerting={}", "-o", str(tmp_path)]) == 0
    template = json.loads((tmp_path / "FirstRead-Pipeline.template.json").read_text())
    made = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::SNS::Subscription"]
    assert [(each["Protocol"], each["Endpoint"], each.get("FilterPolicy")) for each in made] == [
        ("email", "desk@hospital.example", {"group": ["reading-room", "on-call"]}),
        ("https", "https://pager.example/hook", None),
    ]


def test_config_errors_are_value_errors() -> None:
    assert issubclass(ConfigError, ValueError)


DOCUMENTED = (REPOSITORY / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", [field.name for field in fields(Config)])
def test_every_choice_is_documented(field: str) -> None:
    assert f"| `{field}` |" in DOCUMENTED


def test_every_stack_is_documented(account: Account) -> None:
    assert all(f"| `{stack}` |" in DOCUMENTED for stack in account.stacks)

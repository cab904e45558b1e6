"""The containers: model workers, portal and ingest service, and the network around them."""

import importlib
import json
import re

import pytest

from infra.config import REPOSITORY
from tests.infra.account import Account, Json

TASK, SERVICE = "AWS::ECS::TaskDefinition", "AWS::ECS::Service"
TOLD = {
    "Worker": {
        "STUDIES_BUCKET",
        "RESULTS_BUCKET",
        "MODELS_BUCKET",
        "INSTANCES_TABLE",
        "STUDIES_TABLE",
        "RESULTS_TABLE",
        "OUTBOX_TABLE",
        "MODELS_TABLE",
        "ANALYZE_URGENT_QUEUE_URL",
        "ANALYZE_QUEUE_URL",
    },
    "Portal": {
        "STUDIES_BUCKET",
        "RESULTS_BUCKET",
        "INSTANCES_TABLE",
        "STUDIES_TABLE",
        "RESULTS_TABLE",
        "ALERTING",
        "ALERTS_TABLE",
        "MODELS_TABLE",
        "AUDIT_TABLE",
        "ORDERS_TABLE",
        "REFERENCE_KEY_ID",
        "REVIEWS_TABLE",
        "SESSIONS_TABLE",
        "TEACHING_TABLE",
        "VAULT",
        "VAULT_TABLE",
        "VAULT_KEY_ID",
        "PORTAL_URL",
        "OIDC_ISSUER",
        "OIDC_CLIENT_ID",
        "MACHINE_CLIENTS",
        "TRUSTED_PROXIES",
    },
}
TOLD["Ingest"] = {"INCOMING_BUCKET", "LEDGER_TABLE", "HINTS_QUEUE_URL", "REFERENCE_KEY_ID"}
COMMANDS = {
    "Worker": ["python", "-m", "model_service", "worker"],
    "Portal": ["python", "-m", "portal"],
    "Ingest": ["python", "-m", "ingest_service"],
}
# Construct id of what holds the task definition.
OWNERS = {"Worker": "Worker", "Portal": "PortalWeb", "Ingest": "IngestWeb"}


def _container(account: Account, program: str) -> Json:
    container: Json
    (container,) = account.one(TASK, f"{OWNERS[program]}Task")["ContainerDefinitions"]
    return container


def _variables(account: Account, program: str) -> dict[str, str]:
    return {v["Name"]: account.text(v["Value"]) for v in _container(account, program)["Environment"]}


@pytest.mark.parametrize("program", sorted(OWNERS))
def test_container(account: Account, program: str) -> None:
    container = _container(account, program)
    assert container["Command"] == COMMANDS[program]
    assert container["ReadonlyRootFilesystem"] is True
    told = {name for name in _variables(account, program) if name.startswith("FIRSTREAD_")}
    assert told == {f"FIRSTREAD_{name}" for name in TOLD[program]}


@pytest.mark.parametrize(
    ("program", "module", "settings"),
    [
        ("Portal", "portal.settings", "PortalSettings"),
        ("Ingest", "ingest_service.settings", "IngestSettings"),
        # importing the worker imports torch
        pytest.param("Worker", "model_service.bootstrap", "Settings", marks=pytest.mark.slow),
    ],
)
def test_the_program_accepts_what_it_is_told(
    account: Account, program: str, module: str, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pytest.importorskip(module, exc_type=ModuleNotFoundError)
    for name, value in _variables(account, program).items():
        monkeypatch.setenv(name, value)
    if program == "Portal":
        monkeypatch.setenv("FIRSTREAD_MACHINE_CLIENTS", "{}")  # its key is a reference
    for secret in _container(account, program).get("Secrets", []):
        monkeypatch.setenv(secret["Name"], "{}")
    assert getattr(importlib.import_module(found.__name__), settings)()


def test_the_worker_has_one_nvidia_gpu(account: Account) -> None:
    assert _container(account, "Worker")["ResourceRequirements"] == [{"Type": "GPU", "Value": "1"}]
    assert account.one(TASK, "WorkerTask")["RequiresCompatibilities"] == ["MANAGED_INSTANCES"]
    capacity = account.one("AWS::ECS::CapacityProvider", "WorkerCapacity")["ManagedInstancesProvider"]
    wanted = capacity["InstanceLaunchTemplate"]["InstanceRequirements"]
    assert wanted["AcceleratorManufacturers"] == ["nvidia"]
    assert wanted["AcceleratorCount"] == {"Min": 1, "Max": 1}


def test_workers_without_a_gpu_run_on_fargate(public_account: Account) -> None:
    container = _container(public_account, "Worker")
    assert "ResourceRequirements" not in container
    assert container["ReadonlyRootFilesystem"] is True
    task = public_account.one(TASK, "WorkerTask")
    assert (task["RequiresCompatibilities"], task["Cpu"]) == (["FARGATE"], "4096")
    assert not public_account.properties("AWS::ECS::CapacityProvider")
    assert public_account.one(SERVICE, "WorkerService")["LaunchType"] == "FARGATE"


def test_each_kind_of_worker_has_its_image(account: Account, public_account: Account) -> None:
    for each, variant in ((account, "gpu"), (public_account, "cpu")):
        manifests = [json.loads(path.read_text()) for path in each.folder.glob("*.assets.json")]
        sources = [image["source"] for found in manifests for image in found.get("dockerImages", {}).values()]
        built = [
            source["dockerBuildArgs"]
            for source in sources
            if source["dockerFile"] == "model_service/Dockerfile"
        ]
        assert built == [{"VARIANT": variant}]


def test_a_worker_that_hangs_is_replaced(account: Account) -> None:
    check = _container(account, "Worker")["HealthCheck"]
    assert check["Command"] == ["CMD", "python", "-m", "model_service", "health"]
    text = (REPOSITORY / "model_service" / "Dockerfile").read_text()
    assert f"CMD {json.dumps(check['Command'][1:])}" in text
    assert (check["StartPeriod"], check["Retries"]) == (300, 3)


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_the_workers_requirements_are_pinned_by_hash(variant: str) -> None:
    text = (REPOSITORY / "infra" / f"worker-{variant}-requirements.txt").read_text()
    pinned = re.findall(r"^([a-z0-9][\w.-]*)==\S+ \\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(pinned) == text.count("==")
    assert {"onnxruntime", "openvino", "highdicom"} <= set(pinned)
    assert ({"torch", "monai"} <= set(pinned)) is (variant == "gpu")
    assert bool({"torch", "monai"} & set(pinned)) is (variant == "gpu")
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert f"!infra/worker-{variant}-requirements.txt" in ignored


def test_workers_scale_from_none(account: Account) -> None:
    target = account.one("AWS::ApplicationAutoScaling::ScalableTarget", "WorkerScaling")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 4)
    assert "DesiredCount" not in account.one(SERVICE, "WorkerService")


def test_a_message_in_flight_keeps_every_worker(account: Account) -> None:
    """The only rule that takes workers away counts what is in flight and asks three times."""
    policies = account.properties("AWS::ApplicationAutoScaling::ScalingPolicy")
    fewer = {
        name
        for name, policy in policies.items()
        for step in policy.get("StepScalingPolicyConfiguration", {}).get("StepAdjustments", [])
        if step["ScalingAdjustment"] <= 0
    }
    assert {name[: len("WorkerScalingRest")] for name in fewer} == {"WorkerScalingRest"}
    idle = account.one("AWS::CloudWatch::Alarm", "WorkerScalingIdleAlarm")
    assert idle["Metrics"][0]["Expression"] == (
        "FILL(waiting0, 0) + FILL(waiting1, 0) + FILL(in_flight0, 0) + FILL(in_flight1, 0)"
    )
    assert idle["ComparisonOperator"] == "LessThanOrEqualToThreshold"
    assert (idle["Threshold"], idle["EvaluationPeriods"], idle["Metrics"][1]["MetricStat"]["Period"]) == (
        0,
        3,
        300,
    )


def test_the_first_message_wakes_one_worker(account: Account) -> None:
    policy = account.one("AWS::ApplicationAutoScaling::ScalingPolicy", "WorkerScalingWake")
    steps = policy["StepScalingPolicyConfiguration"]
    assert steps["AdjustmentType"] == "ExactCapacity"
    assert steps["StepAdjustments"] == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    alarm = account.one("AWS::CloudWatch::Alarm", "WorkerScalingWaitingAlarm")
    assert alarm["Threshold"] == 1
    assert alarm["Metrics"][0]["Expression"] == (
        "IF(FILL(workers, 0) < 1, FILL(waiting0, 0) + FILL(waiting1, 0), 0)"
    )
    queues = {
        account.text(dimension["Value"]).partition(".")[0][:-8]
        for metric in alarm["Metrics"][1:]
        for dimension in metric["MetricStat"]["Metric"]["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    assert queues == {"DeliveryAnalyzeUrgentQueue", "DeliveryAnalyzeQueue"}


def test_nothing_is_open_to_the_world(account: Account) -> None:
    groups = account.properties("AWS::EC2::SecurityGroup").values()
    rules = [rule for group in groups for rule in group.get("SecurityGroupIngress", [])]
    rules += account.properties("AWS::EC2::SecurityGroupIngress").values()
    assert rules
    assert "0.0.0.0/0" not in json.dumps(rules)
    for group in groups:
        for rule in group.get("SecurityGroupEgress", []):
            assert rule.get("CidrIp") != "0.0.0.0/0" or (rule["FromPort"], rule["ToPort"]) == (443, 443)


def test_the_network_is_logged_and_reaches_aws_and_nothing_else(account: Account) -> None:
    assert account.one("AWS::EC2::FlowLog", "NetworkVpc")["TrafficType"] == "ALL"
    endpoints = {
        account.text(e["ServiceName"]).rpartition("AWS::Region.")[2]
        for e in account.properties("AWS::EC2::VPCEndpoint").values()
    }
    assert endpoints == {
        *("s3", "dynamodb", "sqs", "sns", "kms", "logs", "events", "xray", "secretsmanager"),
        *("ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry"),
    }
    assert not any(
        subnet["MapPublicIpOnLaunch"] for subnet in account.properties("AWS::EC2::Subnet").values()
    )


def test_the_portal_alone_has_a_way_out(account: Account, public_account: Account) -> None:
    """To the pages of the user pool, through NAT: nothing comes in by it."""
    for each in (account, public_account):
        for route in each.properties("AWS::EC2::Route").values():
            table = each.text(route["RouteTableId"])
            way = "GatewayId" if table.startswith("NetworkVpcOutside") else "NatGatewayId"
            assert way in route
            assert table.startswith(("NetworkVpcOutside", "NetworkVpcReachingOut"))
        for name, service in each.properties(SERVICE).items():
            where = service["NetworkConfiguration"]["AwsvpcConfiguration"]
            assert where["AssignPublicIp"] == "DISABLED"
            room = "ReachingOut" if name.startswith("PortalWeb") else "Inside"
            assert all(each.text(s).startswith(f"NetworkVpc{room}") for s in where["Subnets"]), name
    inside = account.one("AWS::ElasticLoadBalancingV2::LoadBalancer", "EntranceLoadBalancer")
    assert all(account.text(s).startswith("NetworkVpcInside") for s in inside["Subnets"])


@pytest.mark.parametrize("program", ["ingest_service", "model_service", "portal"])
def test_images_do_not_run_as_root(program: str) -> None:
    lines = (REPOSITORY / program / "Dockerfile").read_text().splitlines()
    assert "USER 10001" in lines
    assert f'"{program}"' in lines[-1]


def test_an_image_holds_only_its_own_program(account: Account) -> None:
    held = [
        {path.name for path in folder.iterdir()}
        for folder in account.folder.glob("asset.*")
        if (folder / ".dockerignore").exists()
    ]
    programs = {"functions", "ingest_service", "model_service", "portal"}
    assert sorted(sorted(names & programs) for names in held) == [[name] for name in sorted(programs)]
    assert not any(names - {".dockerignore", "firstread", "infra", *programs} for names in held)

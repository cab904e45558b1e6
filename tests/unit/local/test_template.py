import json
from pathlib import Path
from typing import Any

import pytest

from firstread.local import run, streams, template
from firstread.local.home import Home, LocalError, Ports
from infra.settings import Setting


@pytest.fixture
def assembly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny cloud assembly where `templates` looks for the cached one."""
    monkeypatch.setattr(template, "_sources_digest", lambda: "cached")
    folder = tmp_path / "assembly" / "cached"
    (folder / "asset.shim").mkdir(parents=True)
    (folder / "asset.shim" / "README.md").write_text("shim")
    artifacts: dict[str, Any] = {}
    for name, dependencies in (("B", ["A", "B.assets"]), ("A", ["A.assets"])):
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "properties": {"templateFile": f"{name}.template.json"},
            "dependencies": dependencies,
        }
        functions = {
            "Deidentify": function(
                {
                    "FIRSTREAD_VAULT": "dynamodb",
                    "FIRSTREAD_VAULT_TABLE": "t",
                    "FIRSTREAD_REFERENCE_KEY_ID": "k",
                }
            ),
            "CleanPixels": image({"FIRSTREAD_VAULT": "dynamodb"}),
            "Gather": function({"FIRSTREAD_COMPLETENESS": "{}"}),
            "FromLane": mapping({"MaximumConcurrency": 200}),
            "FromFeeds": mapping({"MaximumConcurrency": 5}),
            "FromStream": stream("Gather"),
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
        }
        (folder / f"{name}.template.json").write_text(json.dumps({"Resources": functions}))
        (folder / f"{name}.assets.json").write_text(json.dumps({"files": {"x": asset()}}))
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return tmp_path


def function(variables: dict[str, str]) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": "b", "S3Key": "k.zip"},
            "Handler": "functions.gather.handler.handle",
            "Runtime": "python3.13",
            "Environment": {"Variables": variables},
        },
    }


def image(variables: dict[str, str]) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"ImageUri": "r:tag"},
            "PackageType": "Image",
            "ImageConfig": {"Command": ["functions.clean_pixels.handler.handle"]},
            "Environment": {"Variables": variables},
        },
    }


def mapping(scaling: dict[str, int]) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"ScalingConfig": scaling}}


def stream(function: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {"FunctionName": {"Ref": function}, "StartingPosition": "TRIM_HORIZON"},
    }


def asset() -> dict[str, Any]:
    return {
        "source": {"path": "asset.shim", "packaging": "zip"},
        "destinations": {"here": {"bucketName": "b-${AWS::Region}", "objectKey": "k.zip"}},
    }


def test_stacks_come_in_the_order_of_their_dependencies(assembly: Path) -> None:
    assert [each.stack for each in template.templates(Home(assembly), Ports())] == ["A", "B"]


def test_only_the_function_with_the_vault_learns_where_the_vault_is(assembly: Path) -> None:
    (first, _) = template.templates(Home(assembly), Ports(portal=8123))
    deidentify = first.body["Resources"]["Deidentify"]["Properties"]["Environment"]["Variables"]
    gather = first.body["Resources"]["Gather"]["Properties"]["Environment"]["Variables"]
    assert deidentify["FIRSTREAD_VAULT"] == "sqlite"
    assert deidentify["FIRSTREAD_VAULT_PATH"] == str(assembly / "vault.sqlite")
    assert set(gather) == {"FIRSTREAD_COMPLETENESS"}
    assert json.loads(gather["FIRSTREAD_COMPLETENESS"]) == template.COMPLETENESS


def test_references_are_made_under_the_key_file_only(assembly: Path) -> None:
    (first, _) = template.templates(Home(assembly), Ports())
    deidentify = first.body["Resources"]["Deidentify"]["Properties"]["Environment"]["Variables"]
    assert deidentify["FIRSTREAD_REFERENCE_KEY_FILE"] == str(assembly / "reference.key")
    assert "FIRSTREAD_REFERENCE_KEY_ID" not in deidentify
    gather = first.body["Resources"]["Gather"]["Properties"]["Environment"]["Variables"]
    assert "FIRSTREAD_REFERENCE_KEY_FILE" not in gather


def test_a_laptop_runs_few_functions_at_once(assembly: Path) -> None:
    (first, _) = template.templates(Home(assembly), Ports())
    found = {name: first.body["Resources"][name]["Properties"] for name in ("FromLane", "FromFeeds")}
    assert {name: each["ScalingConfig"]["MaximumConcurrency"] for name, each in found.items()} == {
        "FromLane": 4,
        "FromFeeds": 2,
    }
    assert "ScalingConfig" not in first.body["Resources"]["FromStream"]["Properties"]


def test_a_function_that_reads_a_stream_tries_again_by_itself(assembly: Path) -> None:
    (first, _) = template.templates(Home(assembly), Ports())
    handlers = {
        name: each["Properties"]["Handler"]
        for name, each in first.body["Resources"].items()
        if each["Type"] == "AWS::Lambda::Function" and name != "CleanPixels"
    }
    assert handlers == {
        "Deidentify": "functions.gather.handler.handle",
        "Gather": "firstread.local.streams.gather",
    }
    assert callable(streams.gather)


def test_a_function_in_an_image_runs_as_the_others_do(assembly: Path) -> None:
    (first, _) = template.templates(Home(assembly), Ports())
    assert first.body["Resources"]["CleanPixels"]["Properties"] == {
        "Code": {"S3Bucket": "b", "S3Key": "k.zip"},
        "Handler": "functions.clean_pixels.handler.handle",
        "Runtime": "python3.13",
        "ReservedConcurrentExecutions": 1,
        "Environment": {
            "Variables": {
                "FIRSTREAD_VAULT": "sqlite",
                "FIRSTREAD_VAULT_PATH": str(assembly / "vault.sqlite"),
                "FIRSTREAD_VAULT_KEY_FILE": str(assembly / "vault.key"),
            }
        },
    }


def test_the_digest_follows_the_content(assembly: Path) -> None:
    (one, _) = template.templates(Home(assembly), Ports())
    (same, _) = template.templates(Home(assembly), Ports())
    assert one.digest() == same.digest()
    same.body["Resources"]["Gather"]["Properties"]["Environment"]["Variables"]["X"] = "1"
    assert one.digest() != same.digest()


def test_a_synthesis_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(LocalError, match="does not synthesise"):
        template.templates(Home(tmp_path), Ports())


def test_local_run_and_infrastructure_agree_on_the_names_of_settings() -> None:
    assert {setting.env for setting in Setting} == {run.env_name(setting.output_id) for setting in Setting}


def test_stale_stream_positions_are_forgotten_before_the_engine_starts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    state = {"payload": {"esms": {"a": 1}, "dynamodb_stream_positions": {"data": {"esm": 8}}}}
    home.write("engine/lambda.json", state)
    run._forget_stream_positions(home)
    assert home.read("engine/lambda.json")["payload"] == {
        "esms": {"a": 1},
        "dynamodb_stream_positions": {"data": {}},
    }

"""`firstread model add` against an account: folders, archives, addresses, S3; what is refused changes nothing."""

import io
import json
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from firstread.cli import app
from firstread.routing import ModelState
from firstread.storage import Bucket
from model_service.adding import command, source
from model_service.archive import Limits, pack
from model_service.inference import load_model
from model_service.store import BundleStore
from tests.functional.test_models import ADMIN, MODELS
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.operations import operations
from tests.support.zoo import zoo

ID = "zoo_images@0.0.1"


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo(tmp_path_factory.mktemp("came") / "bundle", "images")


@pytest.fixture(scope="module")
def archived(came: Path) -> bytes:
    """As a release of somebody: everything in one folder."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path in came.rglob("*"):
            archive.write(path, Path("bundle-1.0") / path.relative_to(came))
    return target.getvalue()


def add(*arguments: str) -> int:
    return command.main([*arguments, "--actor", "ann"])


def unchanged(cloud: Cloud) -> bool:
    return MODELS.all() == [] and "Contents" not in cloud.s3.list_objects_v2(Bucket="models")


@pytest.mark.usefixtures("cloud")
def test_a_bundle_is_checked_run_stored_and_registered(
    came: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(str(came), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model_id"], told["registered"], told["state"]) == (ID, True, "on")
    assert told["dry_run"]["output"] == "label map of 72 x 48" and told["dry_run"]["seconds"] > 0
    model = MODELS.get(ID)
    assert model is not None and model.bundle_sha256 == told["bundle_sha256"]
    assert model.bundle_key == f"bundles/{model.bundle_sha256}.zip"
    ((_, events),) = operations(ADMIN).models.show(ID)
    assert [(each["did"], each["actor"], each["role"]) for each in events] == [("register", "ann", "admin")]
    folder = BundleStore({}, Bucket("models"), tmp_path / "cache").folder(model)
    assert isinstance(load_model(folder, "cpu").manifest.model_id, str)


def test_adding_again_changes_nothing_and_the_switch_stays(
    cloud: Cloud, came: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(str(came)) == add(str(came)) == 0
    (stored,) = cloud.s3.list_objects_v2(Bucket="models")["Contents"]
    assert stored["Key"] == MODELS.all()[0].bundle_key
    MODELS.switch(ID, ModelState.OFF)
    assert add(str(came)) == 0
    assert [each.state for each in MODELS.all()] == [ModelState.OFF]
    assert "switched off before" in capsys.readouterr().out


def test_shadow_and_check(cloud: Cloud, came: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(str(came), "--check") == 0
    assert "nothing was registered" in capsys.readouterr().out
    assert unchanged(cloud)
    assert add(str(came), "--shadow") == 0
    assert [each.state for each in MODELS.all()] == [ModelState.SHADOW]


def test_a_check_needs_no_pipeline(came: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(str(came), "--check") == 0
    assert add(str(came)) == 1
    assert "FIRSTREAD_MODELS_TABLE" in capsys.readouterr().err


def test_a_sample_of_ones_own(came: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = tmp_path / "DOE^JANE.dcm"
    sample.write_bytes(encode(header()))
    assert add(str(came), "--check", "--sample", str(sample)) == 0
    assert "the sample -> label map of" in capsys.readouterr().out
    sample.write_bytes(b"no DICOM")
    assert add(str(came), "--check", "--sample", str(sample)) == 1
    told = capsys.readouterr()
    assert "cannot be read as DICOM" in told.err and "DOE" not in told.err + told.out


def test_an_archive_and_s3(cloud: Cloud, archived: bytes, tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(archived)
    assert add(str(tmp_path / "bundle.zip")) == 0
    (first,) = MODELS.all()
    cloud.s3.create_bucket(Bucket="elsewhere")
    cloud.s3.put_object(Bucket="elsewhere", Key="a/b.zip", Body=archived)
    assert add("s3://elsewhere/a/b.zip") == 0
    assert MODELS.all() == [first]
    assert add("s3://elsewhere/a/none.zip") == 1
    assert add("s3://nowhere/a.zip") == 1


class Server(ThreadingHTTPServer):
    answers: dict[str, tuple[int, dict[str, str], bytes]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        status, headers, body = self.server.answers[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.answers = {}
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_an_address(server: Server, archived: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = {
        "/b.zip": (200, {}, archived),
        "/moved": (302, {"Location": "/b.zip"}, b""),
        "/round": (302, {"Location": "/round"}, b""),
        "/away": (302, {"Location": "http://hospital.example/b.zip"}, b""),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
        "/gone": (404, {}, b""),
        "/none": (200, {}, b"<html>"),
    }
    assert add(f"{server.url}/moved", "--check") == 0
    for path, why in {
        "/round": "too often",
        "/away": "by https:// only",
        "/file": "by https:// only",
        "/gone": "answers 404",
        "/none": "cannot be read",
    }.items():
        server.answers[f"{path}?token=secret"] = server.answers[path]
        capsys.readouterr()
        assert add(f"{server.url}{path}?token=secret", "--check") == 1
        told = capsys.readouterr().err
        assert why in told and "secret" not in told, path
    assert add("http://hospital.example/b.zip", "--check") == 1


def test_an_address_gives_no_more_than_a_bundle_may_be(
    server: Server, archived: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = {"/b.zip": (200, {}, archived)}
    monkeypatch.setattr(source, "LIMITS", Limits(total_bytes=len(archived) - 1))
    assert add(f"{server.url}/b.zip", "--check") == 1
    assert "larger than" in capsys.readouterr().err


def traversal(bundle: Path) -> None:
    target = io.BytesIO()
    pack(bundle, target)
    shutil.rmtree(bundle)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("../outside.txt", "x")
    bundle.write_bytes(target.getvalue())


def configured(**changes: Any) -> Callable[[Path], None]:  # noqa: ANN401 - JSON
    def spoil(bundle: Path) -> None:
        path = bundle / "configs" / "inference.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        traversal,
        configured(network_def="$import os"),
        configured(preprocessing="$import os"),
        lambda bundle: (bundle / "models" / "model.pt").write_bytes(b"\x80\x04cos\nsystem\n."),
        lambda bundle: (bundle / "firstread.yaml").write_text("name: x\n"),
        lambda bundle: (bundle / "models" / "model.pt").unlink(),
    ],
)
def test_what_is_refused_changes_nothing(
    cloud: Cloud,
    came: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
) -> None:
    bundle = Path(shutil.copytree(came, tmp_path / "deep" / "bundle"))
    spoil(bundle)
    assert add(str(bundle)) == 1
    assert capsys.readouterr().err.startswith("firstread: ")
    assert unchanged(cloud)
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}


def test_a_bucket_that_is_not_there_registers_nothing(cloud: Cloud, came: Path) -> None:
    cloud.s3.delete_bucket(Bucket="models")
    assert add(str(came)) == 1
    assert MODELS.all() == []


@pytest.mark.slow
def test_the_command_runs_the_program_beside_the_library(
    came: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done = CliRunner().invoke(app, ["model", "add", "--check", "--json", str(came)])
    assert done.exit_code == 0, capfd.readouterr().err
    assert json.loads(capfd.readouterr().out)["model_id"] == ID
    done = CliRunner().invoke(app, ["model", "add", "--check", str(came / "nothing")])
    assert done.exit_code == 1
    assert "cannot be read" in capfd.readouterr().err


def test_the_command_hands_its_options_over(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    class Done:
        returncode = 0

    def run(arguments: list[str], **_options: object) -> Done:
        ran.append(arguments[1:])
        return Done()

    monkeypatch.setattr("firstread.model_cli.subprocess.run", run)
    options = ["--shadow", "--actor", "kim", "--sample", "a.dcm", "--manifest", "m.yaml"]
    done = CliRunner().invoke(app, ["model", "add", *options, "--deployed", "--", "-odd"])
    assert done.exit_code == 0
    handed = "-m model_service add --manifest m.yaml --sample a.dcm --actor kim --shadow -- -odd"
    assert ran == [handed.split()]

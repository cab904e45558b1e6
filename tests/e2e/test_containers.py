"""The images without Docker: copy what the Dockerfile copies, start what it starts, with nothing else to import."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import pytest

from firstread.records.tables import TABLES
from tests.support import events
from tests.support.system import free_port, wait_for

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parent.parent.parent


def unpack(program: str, folder: Path) -> list[str]:
    """Copy what a program's Dockerfile copies, and return its command; none where each function has its own."""
    text = (REPOSITORY / program / "Dockerfile").read_text()
    for source in re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE):
        shutil.copytree(REPOSITORY / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    commands = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    command: list[str] = json.loads(commands[-1]) if commands else []
    return command


def installed(requirements: Path, folder: Path) -> Path:
    """Return a folder with the packages of a requirements file, and no other."""
    for name in re.findall(r"^([A-Za-z0-9][\w.-]*)==", requirements.read_text(), re.MULTILINE):
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(found.locate_file(top)))
    return folder


def surroundings(folder: Path, settings: dict[str, str], libraries: Path | None = None) -> dict[str, str]:
    """Return the environment of a program that runs in a folder."""
    buckets = ("incoming_bucket", "studies_bucket", "results_bucket", "models_bucket")
    return {
        # -S: no .pth file, so that the editable install cannot lend what the image lacks.
        "PYTHONPATH": os.pathsep.join([str(folder), str(libraries or sysconfig.get_paths()["purelib"])]),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",  # nobody answers
        **{f"FIRSTREAD_{name.upper()}": name for name in (*TABLES, *buckets)},
        **settings,
    }


@contextmanager
def container(
    program: str, folder: Path, settings: dict[str, str], **libraries: Path
) -> Iterator[subprocess.Popen[str]]:
    """Run the command of a program's Dockerfile on a copy of what the image holds."""
    command = unpack(program, folder)
    assert command[0] == "python"
    log = folder / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-S", *command[1:]],
            cwd=folder,
            env=surroundings(folder, settings, **libraries),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("program", ["portal", "ingest_service"])
def test_an_image_that_serves_starts_and_answers_its_health_check(tmp_path: Path, program: str) -> None:
    port = free_port()
    name = f"FIRSTREAD_{program.removesuffix('_service').upper()}"
    settings = {
        f"{name}_HOST": "127.0.0.1",
        f"{name}_PORT": str(port),
        "FIRSTREAD_PORTAL_URL": "https://portal.example",
        "FIRSTREAD_SOURCES": '{"sources": []}',
        "FIRSTREAD_HINTS_QUEUE_URL": "http://127.0.0.1:1/0/hints",
        "FIRSTREAD_REFERENCE_KEY_FILE": str(tmp_path / "reference.key"),
        "FIRSTREAD_ALERTING": "{}",
        "FIRSTREAD_VAULT": "sqlite",
        "FIRSTREAD_VAULT_PATH": str(tmp_path / "vault.sqlite"),
        "FIRSTREAD_VAULT_KEY_FILE": str(tmp_path / "vault.key"),
    }

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as response:
                return bool(response.status == 200)
        except OSError:  # not there yet, or gone while it was asked
            return False

    with container(program, tmp_path, settings) as process:
        wait_for("the health check", lambda: healthy() or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "log").read_text()
        process.terminate()
        assert process.wait(120) in (0, -signal.SIGTERM)


SERVING = """
import sys
import model_service.objects
from model_service.inference import load_model
from model_service.registry import bundles

for folder in bundles().values():
    load_model(folder, "cpu")
assert not {"torch", "monai"} & set(sys.modules)
"""


def test_the_workers_image_without_torch_starts_is_healthy_and_stops_on_sigterm(tmp_path: Path) -> None:
    """The CPU variant holds the packages of its own requirements and nothing else."""
    root, packages = tmp_path / "root", tmp_path / "packages"
    for folder in (root, packages):
        folder.mkdir()
    installed(REPOSITORY / "infra" / "worker-cpu-requirements.txt", packages)
    assert (packages / "onnxruntime").exists() and not (packages / "torch").exists()
    log = root / "log"
    settings = {
        "FIRSTREAD_ANALYZE_QUEUE_URL": "http://127.0.0.1:1/0/analyze",
        "FIRSTREAD_ANALYZE_URGENT_QUEUE_URL": "http://127.0.0.1:1/0/urgent",
        "TMPDIR": str(tmp_path),
    }

    def run(*arguments: str) -> int:
        command = [sys.executable, "-S", *arguments]
        environment = surroundings(root, settings, packages)
        return subprocess.run(command, cwd=root, env=environment, check=False).returncode

    with container("model_service", root, settings, libraries=packages) as process:
        wait_for("the worker", lambda: "worker started" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        wait_for("its heartbeat", lambda: run("-m", "model_service", "health") == 0)
        assert run("-m", "model_service", "sbom", str(tmp_path / "sbom.cdx.json")) == 0
        assert run("-c", SERVING) == 0
        process.terminate()
        assert process.wait(120) == 0
    assert "worker stopped" in log.read_text()
    listed = {each["name"] for each in json.loads((tmp_path / "sbom.cdx.json").read_text())["components"]}
    assert "onnxruntime" in listed and "torch" not in listed


LAMBDA = """
import importlib, json, sys
import numpy
from PIL import Image, ImageDraw, ImageFont

module = importlib.import_module("functions.clean_pixels.handler")
canvas = Image.new("L", (640, 480))
ImageDraw.Draw(canvas).text((40, 40), "QUIMBY THEODORA", fill=230, font=ImageFont.load_default(28))
found = module.bootstrap().detector.find(numpy.asarray(canvas))

class Context:
    function_name = aws_request_id = invoked_function_arn = "x"
    memory_limit_in_mb = 3008
    get_remaining_time_in_millis = staticmethod(lambda: 900_000)

answer = module.handle(json.load(sys.stdin), Context)
print(json.dumps([module.__file__, len(found), len(answer["batchItemFailures"])]))
"""


def test_the_image_of_clean_pixels_finds_text_and_answers_events(tmp_path: Path) -> None:
    unpack("functions", tmp_path)
    settings = {
        "FIRSTREAD_VAULT": "sqlite",
        "FIRSTREAD_VAULT_PATH": str(tmp_path / "vault.sqlite"),
        "FIRSTREAD_VAULT_KEY_FILE": str(tmp_path / "vault.key"),
        "FIRSTREAD_REFERENCE_KEY_FILE": str(tmp_path / "reference.key"),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAMBDA],
        cwd=tmp_path,
        env=surroundings(tmp_path, settings),
        input=json.dumps(events.sqs("{")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    place, found, failed = json.loads(done.stdout.splitlines()[-1])
    assert place.startswith(str(tmp_path))
    assert (found > 0, failed) == (True, 1)

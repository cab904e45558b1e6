"""`up` and `down`: the engine, the stacks, and the processes beside them."""

import getpass
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, replace
from datetime import timedelta
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from firstread.local import processes
from firstread.local.home import (
    Home,
    LocalError,
    Ports,
    activate,
    endpoint,
    engine_credentials,
    ingest_url,
    portal_url,
    process_environment,
)
from firstread.local.processes import Component
from firstread.local.sources import prepare_sources
from firstread.local.stacks import Deployer
from firstread.local.template import ALERTING, templates
from firstread.operations.dead_letters import LINES
from firstread.policy import Actor, Role

ENGINE = "engine"
WORKER = "worker"
PORTAL = "portal"
INGEST = "ingest"
COMPONENTS = (ENGINE, WORKER, PORTAL, INGEST)
"""In the order in which they start; they stop in the other."""

_DRAIN_SECONDS = 10.0
_STREAM_SECONDS = 1.5

Say = Callable[[str], None]


def up(home: Home, ports: Ports, say: Say) -> dict[str, str]:
    """Start what does not run, create or update the stacks, and return the settings.

    Parameters
    ----------
    home
        State directory.
    ports
        Loopback ports; what runs already keeps its own.
    say
        Is told each step.

    Raises
    ------
    LocalError
        If a port is taken, a component does not start, or a stack cannot be created.
    """
    if len(set(astuple(ports))) < len(astuple(ports)):
        raise LocalError("engine, portal and ingest service need a port each")
    home.prepare()
    prepare_sources(home)
    ports = _kept_ports(home, ports, say)
    _refuse_taken_ports(home, ports)
    before = home.read("settings.json")
    say("synthesising the templates (cached after the first time)")
    found = templates(home, ports)
    _notice_kill(home, say)
    say(f"engine on {endpoint(ports)}")
    _start_engine(home, ports)
    home.write("settings.json", engine_credentials(ports))
    activate(home)
    say("stacks " + ", ".join(template.stack for template in found))
    deployer = Deployer()
    outputs = deployer.deploy(found)
    settings = _settings(home, ports, outputs)
    home.write("settings.json", settings)
    home.write("ports.json", asdict(ports))
    if deployer.changed:
        say("saving the stacks, so that they outlive a kill of the engine")
        _restart_engine(home, ports, say)
    activate(home)
    environment = process_environment(settings)
    if before != settings:
        # The stacks were made anew, and their buckets and tables with them: who knows the old names must go.
        for name in (INGEST, PORTAL, WORKER):
            processes.stop(home, name)
    say("model service")
    _register_models(environment)
    worker = environment | {"FIRSTREAD_ENGINE_CACHE_DIR": str(home.engine_choices)}
    processes.start(home, Component(WORKER, [sys.executable, "-m", "model_service", "worker"], worker))
    say(f"portal on {portal_url(ports)}")
    _seed_users(home, environment)
    processes.start(home, Component(PORTAL, [sys.executable, "-m", "portal"], environment))
    processes.wait_until_alive(home, PORTAL, lambda: _answers(f"{portal_url(ports)}/healthz"), 30)
    say(f"ingest service on {ingest_url(ports)}")
    processes.start(home, Component(INGEST, [sys.executable, "-m", "ingest_service"], environment))
    processes.wait_until_alive(home, INGEST, lambda: _answers(f"{ingest_url(ports)}/healthz"), 30)
    if home.unreconciled.exists():
        _reconcile(say)
        home.unreconciled.unlink()
    return settings


def down(home: Home, say: Say) -> None:
    """Stop everything, the engine last and gently: it saves its state only when it is asked to end."""
    for name in reversed(COMPONENTS):
        if not processes.started(home, name):
            continue
        if name == ENGINE and processes.running(home, name):
            _drain(home, say)
        say(f"stopping {name}")
        if name == ENGINE:
            clean = _stop_engine(home)
            if not home.unclean.exists():
                home.lost_state.unlink(missing_ok=True)
        else:
            clean = processes.stop(home, name, seconds=20)
        if not clean:
            say(f"{name} did not end in time and was killed")


def _notice_kill(home: Home, say: Say) -> None:
    """Mark that records were lost; another start that fails half way must not make anybody forget it."""
    if home.unclean.exists() and not processes.running(home, ENGINE):
        say("the engine was killed last time: what it had not saved is lost; received objects are on disk")
        home.lost_state.touch()
        home.unreconciled.touch()


def _stop_engine(home: Home) -> bool:
    """Let the engine save its state and end; False where it had to be killed."""
    alive = processes.running(home, ENGINE) is not None
    clean = processes.stop(home, ENGINE, seconds=60)
    if alive and clean:
        home.unclean.unlink(missing_ok=True)
    return clean


def _restart_engine(home: Home, ports: Ports, say: Say) -> None:
    """Let the engine save what was deployed: it saves only when it ends, and names are made by chance."""
    _drain(home, say)
    if not _stop_engine(home):
        raise LocalError("the engine did not end in time; start it again with `firstread up`")
    _start_engine(home, ports)


def _reconcile(say: Say) -> None:
    """Send again what arrived and is not in the records any more, as the engine was killed."""
    from firstread.operations.operator import Operator
    from firstread.operations.wiring import open_operations

    actor = Actor(getpass.getuser(), Role.ADMIN)
    report = open_operations(Operator(actor)).reconcile(timedelta(0)).run()
    say(f"reconciled: {report.objects} objects and {report.studies} studies were looked at")
    for trouble, number in sorted(report.troubles.items()):
        say(f"  {number} {trouble.value}")


def saved_ports(home: Home) -> Ports:
    """Return the ports of the last `up`, or the defaults."""
    known = home.read("ports.json")
    return Ports(**known) if known else Ports()


def _kept_ports(home: Home, ports: Ports, say: Say) -> Ports:
    """Return the ports with those of running components as they are: only a restart could change them."""
    known = saved_ports(home)
    running = {name: getattr(known, name) for name in asdict(known) if processes.running(home, name)}
    kept = replace(ports, **running)
    if kept != ports:
        listed = ", ".join(str(port) for port in astuple(kept))
        say(f"what runs keeps its ports ({listed}); `firstread down` first to change them")
    return kept


def _refuse_taken_ports(home: Home, ports: Ports) -> None:
    for name, port in asdict(ports).items():
        if processes.running(home, name):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                message = (
                    f"port {port} for the {name} is taken by another program; choose one with --{name}-port"
                )
                raise LocalError(message) from None


def _start_engine(home: Home, ports: Ports) -> None:
    environment = process_environment(
        {
            "GATEWAY_PORT": str(ports.engine),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "false",  # it would listen on 8883 of every interface
            "SFTP_ENABLED": "false",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(home.engine_state),
            "S3_DATA_DIR": str(home.engine_objects),
            "LOG_LEVEL": "WARNING",
            # What the functions' workers inherit; the engine gives each its endpoint and credentials.
            "AWS_DEFAULT_REGION": engine_credentials(ports)["AWS_REGION"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )
    if not processes.running(home, ENGINE):
        _forget_stream_positions(home)
    home.unclean.touch()
    processes.start(home, Component(ENGINE, [sys.executable, "-m", "ministack"], environment))
    processes.wait_until_alive(home, ENGINE, lambda: _answers(f"{endpoint(ports)}/_ministack/health"), 60)


def _forget_stream_positions(home: Home) -> None:
    """Let the engine's stream readers start at the beginning of streams that are empty.

    ministack 1.5.33 saves how far each event source mapping has read a DynamoDB stream, but not the stream: after a
    restart it would pass over as many new records as it had read before.
    """
    saved = home.engine_state / "lambda.json"
    if not saved.exists():
        return
    state = json.loads(saved.read_text(encoding="utf-8"))
    positions = state.get("payload", {}).get("dynamodb_stream_positions")
    if isinstance(positions, dict) and positions.get("data"):
        positions["data"] = {}
        home.write(str(saved.relative_to(home.path)), state)


def _drain(home: Home, say: Say) -> None:
    """Give functions in flight the time to finish: what a stream still holds is lost when the engine stops."""
    try:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline and in_flight(activate(home)):
            time.sleep(0.5)
    except (LocalError, BotoCoreError, ClientError):
        return  # it does not answer: nothing to wait for
    say("letting the last records through")
    time.sleep(_STREAM_SECONDS)


def in_flight(settings: Mapping[str, str]) -> int:
    """Return how many messages the functions are working on."""
    client: Any = boto3.client("sqs")
    name = "ApproximateNumberOfMessagesNotVisible"
    # A timer is always on its way, and an analysis comes back to the worker by itself.
    idle = ("quiet timer", "analyze urgent", "analyze")
    urls = [settings[line.queue_setting] for line in LINES if line.kind and line.name not in idle]
    return sum(
        int(client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"].get(name, 0))
        for url in urls
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - a loopback http URL of ours
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def env_name(output_id: str) -> str:
    """Return the setting that carries a stack output: ``IngestQueueUrl`` -> ``FIRSTREAD_INGEST_QUEUE_URL``."""
    return "FIRSTREAD_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output_id).upper()


def _settings(home: Home, ports: Ports, outputs: dict[str, str]) -> dict[str, str]:
    found = {env_name(key): value for key, value in outputs.items() if not key.startswith("Export")}
    del found["FIRSTREAD_REFERENCE_KEY_ID"]  # the key file takes its place, as in the functions
    return {
        **engine_credentials(ports),
        **found,
        "FIRSTREAD_REFERENCE_KEY_FILE": str(home.reference_key),
        "FIRSTREAD_VAULT": "sqlite",
        "FIRSTREAD_VAULT_PATH": str(home.vault),
        "FIRSTREAD_VAULT_KEY_FILE": str(home.vault_key),
        "FIRSTREAD_ALERTING": json.dumps(ALERTING),
        "FIRSTREAD_PORTAL_HOST": "127.0.0.1",
        "FIRSTREAD_PORTAL_PORT": str(ports.portal),
        "FIRSTREAD_LOCAL_USERS_FILE": str(home.users),
        "FIRSTREAD_OHIF_DIR": str(home.ohif) if home.ohif.is_dir() else "",
        "FIRSTREAD_INGEST_HOST": "127.0.0.1",
        "FIRSTREAD_INGEST_PORT": str(ports.ingest),
        "FIRSTREAD_INGEST_URL": ingest_url(ports),
        "FIRSTREAD_INGEST_TOKEN_FILE": str(home.push_token),
        "FIRSTREAD_SOURCES_FILE": str(home.sources),
    }


def _register_models(environment: dict[str, str]) -> None:
    _run([sys.executable, "-m", "model_service", "register"], environment)


def _seed_users(home: Home, environment: dict[str, str]) -> None:
    _run([sys.executable, "-m", "portal", "seed-users", str(home.users)], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise LocalError(f"`{' '.join(command[1:4])}` failed:\n{tail}")


def users(home: Home) -> list[dict[str, str]]:
    """Return the portal's seeded users, with their passwords: they exist on this machine only."""
    try:
        found: list[dict[str, str]] = json.loads(home.users.read_text())["users"]
    except FileNotFoundError:
        return []
    return found

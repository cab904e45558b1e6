"""The synthesised CloudFormation templates of the local stacks, cached by what they were made from."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstread.local.home import Home, LocalError, Ports, portal_url, process_environment

REPOSITORY = Path(__file__).resolve().parent.parent.parent
COMPLETENESS = {
    "quiet_seconds": {"*": 5, "CR": 3, "DX": 3, "US": 3},
    "sources": {"push": {"trust_single": True}},
    "after_hint_seconds": 1,
    "max_seconds": 120,
}
"""When a study counts as complete in a local run: somebody is watching."""
ALERTING = {
    "plans": {
        "*": {
            "working": [
                {"group": "reading-room", "within_minutes": 2},
                {"group": "on-call", "within_minutes": 2},
                {"group": "supervisor", "within_minutes": 5},
            ]
        }
    },
    "repeat_last": 1,
}
"""Whom an alert calls in a local run: soon enough that somebody who watches sees it."""
_TIMES_SMALLER = 50


@dataclass(frozen=True)
class Asset:
    """A file asset of a stack: where it lies, and where the template expects it."""

    source: Path
    bucket: str
    key: str


@dataclass(frozen=True)
class Template:
    """One stack's template, with the local overrides applied."""

    stack: str
    body: dict[str, Any]
    assets: tuple[Asset, ...]

    def text(self) -> str:
        """Return the template as JSON."""
        return json.dumps(self.body, sort_keys=True)

    def digest(self) -> str:
        """Return what tells two templates apart."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def templates(home: Home, ports: Ports) -> list[Template]:
    """Return the local stacks in the order in which they are created; synthesised where sources changed.

    Raises
    ------
    LocalError
        If synthesis fails.
    """
    assembly = home.path / "assembly" / _sources_digest()
    if not (assembly / "manifest.json").exists():
        _synthesise(assembly)
    manifest: dict[str, Any] = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks = {name: a for name, a in manifest.items() if a["type"] == "aws:cloudformation:stack"}
    ordered = sorted(stacks, key=lambda name: len(_stack_dependencies(name, manifest)))
    return [_load(assembly, name, stacks[name], home, ports) for name in ordered]


def _stack_dependencies(name: str, manifest: dict[str, Any]) -> set[str]:
    return {each for each in manifest[name].get("dependencies", []) if not each.endswith(".assets")}


def _load(assembly: Path, name: str, artifact: dict[str, Any], home: Home, ports: Ports) -> Template:
    body: dict[str, Any] = json.loads((assembly / artifact["properties"]["templateFile"]).read_text())
    assets = json.loads((assembly / f"{name}.assets.json").read_text())["files"]
    found = tuple(_asset(assembly, each) for each in assets.values() if each["source"]["packaging"] == "zip")
    return Template(name, _overridden(body, home, ports), found)


def _asset(assembly: Path, entry: dict[str, Any]) -> Asset:
    destination = next(iter(entry["destinations"].values()))
    source = assembly / entry["source"]["path"]
    return Asset(source, destination["bucketName"], destination["objectKey"])


def _overridden(body: dict[str, Any], home: Home, ports: Ports) -> dict[str, Any]:
    """Point the functions at what is local: vault file, short quiet times, the portal on loopback."""
    overrides = {
        "FIRSTREAD_VAULT": "sqlite",
        "FIRSTREAD_VAULT_PATH": str(home.vault),
        "FIRSTREAD_VAULT_KEY_FILE": str(home.vault_key),
        "FIRSTREAD_COMPLETENESS": json.dumps(COMPLETENESS),
        "FIRSTREAD_ALERTING": json.dumps(ALERTING),
        "FIRSTREAD_PORTAL_URL": portal_url(ports),
    }
    _run_images_from_here(body)
    _run_few_at_once(body)
    _read_streams_patiently(body)
    vault_only = {"FIRSTREAD_VAULT_PATH", "FIRSTREAD_VAULT_KEY_FILE"}
    for resource in body["Resources"].values():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        variables = resource["Properties"].get("Environment", {}).get("Variables", {})
        has_vault = "FIRSTREAD_VAULT" in variables
        for name, value in overrides.items():
            if name in variables or (has_vault and name in vault_only):
                variables[name] = value
        # One of the two may be set: the engine could make references too, but loses its keys when it is killed.
        if variables.pop("FIRSTREAD_REFERENCE_KEY_ID", None) is not None:
            variables["FIRSTREAD_REFERENCE_KEY_FILE"] = str(home.reference_key)
    return body


def _run_few_at_once(body: dict[str, Any]) -> None:
    """Scale what may run at the same time: an account has room for a thousand functions, a laptop for a few."""
    for resource in body["Resources"].values():
        scaling = resource.get("Properties", {}).get("ScalingConfig")
        if scaling is not None:
            scaling["MaximumConcurrency"] = max(2, scaling["MaximumConcurrency"] // _TIMES_SMALLER)


def _read_streams_patiently(body: dict[str, Any]) -> None:
    """Put `firstread.local.streams` before the functions that read a stream."""
    for resource in list(body["Resources"].values()):
        if "StartingPosition" in resource.get("Properties", {}):
            function = body["Resources"][resource["Properties"]["FunctionName"]["Ref"]]["Properties"]
            name = function["Handler"].split(".")[1]  # functions.<name>.handler.handle
            function["Handler"] = f"firstread.local.streams.{name}"


def _run_images_from_here(body: dict[str, Any]) -> None:
    """Turn functions with a container image into functions like the others: there is no Docker here.

    What the image brings is installed, and the image's command is the handler. One at a time, as each takes a
    gigabyte of memory.
    """
    found = [
        each["Properties"] for each in body["Resources"].values() if each["Type"] == "AWS::Lambda::Function"
    ]
    shims = [each for each in found if "Handler" in each]
    for properties in found:
        if properties.get("PackageType") != "Image":
            continue
        del properties["PackageType"]
        (handler,) = properties.pop("ImageConfig")["Command"]
        properties |= {
            "Handler": handler,
            "Runtime": shims[0]["Runtime"],
            "Code": shims[0]["Code"],
            "ReservedConcurrentExecutions": 1,
        }


def _sources_digest() -> str:
    digest = hashlib.sha256()
    files = [*sorted((REPOSITORY / "infra").rglob("*")), REPOSITORY / "cdk.json"]
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(REPOSITORY)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _synthesise(assembly: Path) -> None:
    assembly.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "infra.app", "--local", "--output", str(assembly)]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=REPOSITORY,
        env=process_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LocalError(f"the infrastructure does not synthesise:\n{tail}")

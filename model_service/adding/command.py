"""`python -m model_service add`: what `firstread model add` runs."""

import argparse
import getpass
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from pynamodb.exceptions import PynamoDBException

from firstread.environment import AuditSettings, ModelsBucketSettings, ModelsSettings
from firstread.errors import FirstReadError
from firstread.operations.models import Models
from firstread.operations.operator import Operator
from firstread.policy import Action, Actor, Role
from firstread.records import tables
from firstread.records.audit import AuditTrail
from firstread.records.models import ModelRepository
from firstread.routing import ModelState, RegisteredModel
from firstread.storage import Bucket, bundle_key
from model_service.archive import pack
from model_service.errors import BundleError
from model_service.registry import digest, registration

Say = Callable[[str], None]


class AddSettings(ModelsSettings, ModelsBucketSettings, AuditSettings):
    """The environment of `add`, where it registers."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model_service add", description=__doc__)
    parser.add_argument("source", help="folder, zip archive, https:// or s3:// address of a bundle")
    parser.add_argument("--manifest", type=Path, help="firstread.yaml, in place of that of the bundle")
    parser.add_argument("--sample", type=Path, help="DICOM file, or folder of one series, for the dry run")
    parser.add_argument("--shadow", action="store_true", help="let it run beside the other versions")
    parser.add_argument("--check", action="store_true", help="register nothing")
    parser.add_argument("--actor", default=getpass.getuser(), help="who does it, for the audit trail")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "ERROR")  # what a worker logs is no part of the output here
    try:
        found = add(options, say=_silent if options.json else _say)
    except (BundleError, FirstReadError) as error:
        return _failed(str(error))
    except ValidationError as error:
        return _failed(f"settings are missing or wrong: {', '.join(_settings(error))}")
    except (BotoCoreError, ClientError, PynamoDBException) as error:
        return _failed(f"AWS does not answer as it should ({type(error).__name__})")
    if options.json:
        print(json.dumps(found))  # noqa: T201 - a command's output
    return 0


def add(options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Take in a bundle, and return what was done.

    Parameters
    ----------
    options
        As `main` reads them.
    say
        Is told each step.

    Raises
    ------
    BundleError
        If the bundle cannot be trusted or used. Nothing was changed.
    NotAllowedError
        If the role does not allow it.
    """
    operator = Operator(Actor(options.actor, Role.ADMIN))
    operator.must(Action.MODEL_MANAGE)
    settings = None if options.check else AddSettings()
    with tempfile.TemporaryDirectory(prefix="firstread-add-") as scratch:
        folder, told = prepare(options.source, Path(scratch), options.manifest, options.sample, say)
        if settings is None:
            say("nothing was registered (--check)")
            return {**told, "registered": False}
        model = _register(folder, settings, operator, in_shadow=options.shadow)
    say(f"registered {model.model_id}: {model.state.value}")
    if model.state is ModelState.OFF:
        say("the model was switched off before; `firstread model on` uses it again")
    return {**told, "registered": True, "state": model.state.value, "bundle_key": model.bundle_key}


def prepare(
    source: str, scratch: Path, manifest_file: Path | None, sample: Path | None, say: Say
) -> tuple[Path, dict[str, Any]]:
    """Fetch, complete, export and run a bundle; return its folder and what is to be told of it.

    Parameters
    ----------
    source
        Where it is (`adding.source.fetch`).
    scratch
        An empty folder for all of it.
    manifest_file
        In place of the bundle's own ``firstread.yaml``.
    sample
        For the dry run (`adding.dry_run.dry_run`).
    say
        Is told each step.

    Raises
    ------
    BundleError
        If the bundle cannot be trusted or used.
    """
    from model_service.adding import source as sources

    (scratch / "came").mkdir()
    root = sources.fetch(source, scratch / "came")
    folder = scratch / "bundle"
    folder.mkdir()
    left = sources.copy(root, folder)  # the checkpoint among them, which is converted
    if manifest_file is not None:
        sources.place_manifest(manifest_file, folder)
    from model_service.adding.complete import complete  # torch and MONAI take seconds to import
    from model_service.adding.dry_run import dry_run
    from model_service.export import export_graph

    checkpoint = sources.checkpoint(root)
    manifest, remarks = complete(folder, checkpoint)
    say(f"{manifest.model_id}: {manifest.title}")
    for remark in remarks:
        say(f"note: {remark}")
    if checkpoint is not None:
        left.remove(checkpoint.relative_to(root).as_posix())
    if left:
        say(f"left out: {', '.join(left[:8])}{' ...' if len(left) > 8 else ''}")
    try:
        export_graph(folder)
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, BundleError):
            raise
        # Such as a side that the network cannot halve any more.
        raise BundleError(f"the network cannot be exported: {error}; see `input.multiple_of`") from None
    run = dry_run(folder, sample)
    say(f"dry run: {run.sample} -> {run.output} in {run.seconds:.3f} s ({run.engine}, {run.precision})")
    for line in run.findings:
        say(f"  {line}")
    told = {
        "model_id": manifest.model_id,
        "bundle_sha256": digest(folder),
        "remarks": remarks,
        "left_out": left,
    }
    return folder, {**told, "dry_run": asdict(run)}


def _register(folder: Path, settings: AddSettings, operator: Operator, *, in_shadow: bool) -> RegisteredModel:
    tables.bind(settings)
    key = bundle_key(digest(folder))
    model = registration(folder, key)
    if in_shadow:
        model = model.model_copy(update={"state": ModelState.SHADOW})
    with tempfile.TemporaryFile() as archive:
        pack(folder, archive)
        archive.seek(0)
        # Before the registration: a worker that hears of the model finds its bundle.
        Bucket(settings.models_bucket).put(key, archive, "application/zip")
    return Models(operator, ModelRepository(), AuditTrail()).register(model)


def _settings(error: ValidationError) -> list[str]:
    return sorted(f"FIRSTREAD_{str(each['loc'][0]).upper()}" for each in error.errors() if each["loc"])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


def _silent(_text: str) -> None:
    return


def _failed(text: str) -> int:
    sys.stderr.write(f"firstread: {text}\n")
    return 1

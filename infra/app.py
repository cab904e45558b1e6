"""Entry point of the CDK application.

Run by the CDK command line through ``cdk.json``, or as ``python -m infra.app``, which needs no command line
and writes the same cloud assembly.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import App

from infra.config import REPOSITORY, Config, ConfigError, LambdaAssets
from infra.guard import guard
from infra.stacks import (
    BACKUP_STACK,
    COMPUTE_STACK,
    DATA_STACK,
    NETWORK_STACK,
    OPERATIONS_STACK,
    PIPELINE_STACK,
    PORTAL_STACK,
    BackupStack,
    ComputeStack,
    DataStack,
    NetworkStack,
    OperationsStack,
    PipelineStack,
    PortalStack,
)

_LOCAL: Final = {"stacks": "local", "lambda_assets": LambdaAssets.SHIM.value}


def build(context: Mapping[str, Any] | None = None, outdir: str | None = None) -> App:
    """Build the application without synthesising it.

    Parameters
    ----------
    context
        Overrides what ``cdk.json`` says.
    outdir
        Where the cloud assembly goes; else ``CDK_OUTDIR``, else ``cdk.out``.
    """
    app = App(context={**_cdk_json_context(), **(context or {})}, outdir=outdir, analytics_reporting=False)
    config = Config.from_context(app.node)
    store = DataStack(app, DATA_STACK, config=config).store
    pipeline = PipelineStack(app, PIPELINE_STACK, store=store, config=config)
    if app.node.try_get_context("stacks") != "local":
        network = NetworkStack(app, NETWORK_STACK, store=store, config=config).network
        ComputeStack(
            app, COMPUTE_STACK, store=store, network=network, analyze=pipeline.analyze, config=config
        )
        PortalStack(app, PORTAL_STACK, store=store, network=network, hints=pipeline.hints, config=config)
        BackupStack(app, BACKUP_STACK, store=store)
        OperationsStack(app, OPERATIONS_STACK, store=store, pipeline=pipeline, config=config)
    guard(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=__doc__)
    parser.add_argument("--local", action="store_true", help="only the stacks that run on the local engine")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", help="folder of the cloud assembly")
    options = parser.parse_args(arguments)
    context = dict(pair.partition("=")[::2] for pair in options.context)
    if options.local:
        context = {**_LOCAL, **context}
    try:
        build(context, options.output).synth()
    except ConfigError as error:
        sys.stderr.write(f"infra: {error}\n")
        return 2
    except RuntimeError as error:
        # The findings are printed already; the stack trace of jsii says nothing more.
        sys.stderr.write(f"infra: {error}\n")
        return 1
    return 0


def _cdk_json_context() -> dict[str, Any]:
    """Read the context that the CDK command line would pass, so that both ways synthesise the same."""
    settings: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text(encoding="utf-8"))["context"]
    return settings


if __name__ == "__main__":
    raise SystemExit(main())

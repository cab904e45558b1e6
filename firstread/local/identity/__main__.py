"""Runs the provider: ``python -m firstread.local.identity --home DIR --port N --portal-url URL``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from firstread.local.home import Home, LocalError
from firstread.local.identity.app import create_app
from firstread.local.identity.state import load
from firstread.loopback import is_loopback, is_loopback_url


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until it is told to end; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m firstread.local.identity", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="state directory of the local run")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--portal-url", required=True, help="root of the portal")
    options = parser.parse_args(arguments)
    if not is_loopback(options.host) or not is_loopback_url(options.portal_url):
        sys.stderr.write("identity: these users are for this machine: host and portal must be loopback\n")
        return 2
    try:
        state = load(Home(options.home))
    except LocalError as error:
        sys.stderr.write(f"identity: {error}\n")
        return 2
    app = create_app(state, f"http://{options.host}:{options.port}", options.portal_url)
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        # Who calls is read off the connection; queries hold codes and states.
        proxy_headers=False,
        access_log=False,
        server_header=False,
        log_level="info",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

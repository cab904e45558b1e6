"""Shows a folder: ``python -m portal.folder [--port N] [--no-browser] PATH``, which is `firstread view`."""

import argparse
import secrets
import socket
import sys
import webbrowser
from pathlib import Path
from threading import Thread

_MOST_LISTED = 20
_TOKEN_BYTES = 24
_MISSING = "this needs the extras `portal` and `volumes`: pip install 'firstread[portal,volumes]'"


def main(arguments: list[str] | None = None) -> int:
    """Serve a folder until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m portal.folder")
    parser.add_argument("path", type=Path)
    parser.add_argument("--port", type=int, default=0, help="of this machine; 0 for any that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    options = parser.parse_args(arguments)
    try:
        import uvicorn

        from portal.folder.app import create_app
        from portal.folder.found import look
        from portal.folder.said import said
    except ModuleNotFoundError:
        return _failed(_MISSING)
    try:
        folder = look(options.path.resolve(strict=True))
    except OSError as error:
        return _failed(f"{error.strerror}: {error.filename}")
    sys.stdout.write("\n".join(said(folder, most=_MOST_LISTED)) + "\n")
    if not folder.studies:
        return _failed("nothing here to show")
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        return _failed(f"port {options.port} cannot be used: {error.strerror}")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/open/{token}"
    sys.stdout.write(f"{address}\nFor this machine, and for whoever has the address; Ctrl-C ends it.\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        create_app(folder, token),
        proxy_headers=False,
        access_log=False,  # the address holds the token
        server_header=False,
        log_level="warning",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    if not options.no_browser:
        # The socket listens: the browser waits for the server. Browsers of a terminal return only when they end.
        Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        uvicorn.Server(config).run([listener])
    except KeyboardInterrupt:
        pass  # how it ends
    return 0


def _failed(text: str) -> int:
    sys.stderr.write(f"firstread: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

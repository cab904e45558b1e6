"""Runs the portal: ``python -m portal``, or ``python -m portal seed-users PATH``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from portal.app import create_app
from portal.errors import PortalError
from portal.local_users import seed
from portal.settings import PortalSettings

_USAGE = "usage: python -m portal [seed-users PATH]"


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    match list(arguments):
        case []:
            return _serve()
        case ["seed-users", path]:
            created = seed(Path(path))
            _say("created" if created else "kept the users that are there")
            return 0
        case _:
            _say(_USAGE)
            return 2


def _serve() -> int:
    try:
        settings = PortalSettings()
        app = create_app(settings)
    except ValidationError as error:
        # Names of settings only, no values.
        names = sorted({f"FIRSTREAD_{str(each['loc'][0]).upper()}" for each in error.errors()})
        _say(f"missing or malformed settings: {', '.join(names)}")
        return 2
    except PortalError as error:
        _say(str(error))
        return 2
    # Headers of a proxy are not believed: the check that local users are local rests on the peer's address.
    uvicorn.run(
        app,
        host=settings.portal_host,
        port=settings.portal_port,
        proxy_headers=False,
        server_header=False,
        log_level="info",
    )
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"portal: {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

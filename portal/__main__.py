"""Runs the portal: ``python -m portal``."""

import sys

import uvicorn
from pydantic import ValidationError

from portal.app import create_app
from portal.errors import PortalError
from portal.settings import PortalSettings


def main() -> int:
    """Serve until it is told to end; returns the exit code."""
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
    # Headers of a proxy are believed from named ones only: the peer's address says who is on this machine.
    uvicorn.run(
        app,
        host=settings.portal_host,
        port=settings.portal_port,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        # The query of the way back from sign-in holds a code; the load balancer logs requests.
        access_log=False,
        server_header=False,
        log_level="info",
    )
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"portal: {text}\n")


if __name__ == "__main__":
    sys.exit(main())

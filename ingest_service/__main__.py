"""Runs the ingest service: ``python -m ingest_service``."""

import sys

import uvicorn
from pydantic import ValidationError

from firstread.sources import SourcesError
from ingest_service.app import create_app
from ingest_service.settings import IngestSettings


def main() -> int:
    """Serve until told to stop, and return the exit code."""
    try:
        settings = IngestSettings()
        app = create_app(settings)
    except ValidationError as error:
        # Names of settings only, no values.
        names = sorted({f"FIRSTREAD_{str(each['loc'][0]).upper()}" for each in error.errors() if each["loc"]})
        _say(
            f"missing or malformed settings: {', '.join(names) or 'two that exclude each other, or neither'}"
        )
        return 2
    except SourcesError as error:
        _say(str(error))
        return 2
    uvicorn.run(
        app,
        host=settings.ingest_host,
        port=settings.ingest_port,
        access_log=False,  # paths carry original UIDs
        proxy_headers=False,
        server_header=False,
        log_level="info",
    )
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"ingest: {text}\n")


if __name__ == "__main__":
    sys.exit(main())

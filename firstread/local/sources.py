"""Who may send to a local run: the `push` command of this machine's user."""

import json
import os

from firstread.local.home import Home
from firstread.sources import PUSH, new_token, token_digest


def prepare_sources(home: Home) -> None:
    """Make the token of `firstread push` and the list of sources; what is there stays."""
    if not home.push_token.exists():
        _write(home.push_token, new_token())
    if not home.sources.exists():
        digest = token_digest(home.push_token.read_text(encoding="ascii").strip())
        _write(home.sources, json.dumps({"sources": [{"name": PUSH, "token_sha256": digest}]}, indent=2))


def _write(path: os.PathLike[str], text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)

"""Who may send: tokens, and what a list of sources may be."""

import json
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from firstread.environment import SourcesSettings
from firstread.local.home import Home
from firstread.local.sources import prepare_sources
from firstread.sources import Sources, SourcesError, new_token, open_sources, token_digest


def listed(*names: str) -> dict[str, object]:
    return {"sources": [{"name": name, "token_sha256": token_digest(f"of {name}")} for name in names]}


def test_a_token_finds_its_source_and_no_other_does() -> None:
    sources = Sources.model_validate(listed("ct1", "mr1"))
    found = sources.by_token("of mr1")
    assert found is not None and found.name == "mr1"
    for token in ("", "of", "of mr1 ", "OF MR1", token_digest("of mr1"), "\udc80"):
        assert sources.by_token(token) is None


def test_every_source_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def compare(one: str, other: str) -> bool:
        calls.append(one)
        return one == other

    monkeypatch.setattr("firstread.sources.hmac.compare_digest", compare)
    Sources.model_validate(listed("a", "b", "c")).by_token("of a")
    assert len(calls) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        listed("ct1", "ct1"),
        {"sources": [{"name": name, "token_sha256": "0" * 64} for name in ("a", "b")]},
        {"sources": [{"name": "a/b", "token_sha256": "0" * 64}]},
        {"sources": [{"name": "a", "token_sha256": "token"}]},
        {"sources": [{"name": "a", "token_sha256": "0" * 64, "urgnet": True}]},
        {},
        [],
    ],
)
def test_a_list_that_means_something_else_is_refused_without_a_value(wrong: object) -> None:
    with pytest.raises(SourcesError) as caught:
        open_sources(SourcesSettings(sources=json.dumps(wrong)))
    assert "0" * 64 not in str(caught.value) and "token" not in str(caught.value)


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourcesError):
        open_sources(SourcesSettings(sources_file=str(tmp_path / "missing")))
    with pytest.raises(SourcesError):
        open_sources(SourcesSettings(sources="{"))
    with pytest.raises(ValidationError):
        SourcesSettings()
    with pytest.raises(ValidationError):
        SourcesSettings(sources="{}", sources_file="x")


def test_tokens_are_long_and_different() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100 and all(len(token) >= 43 for token in tokens)


def test_a_local_run_has_a_token_for_its_owner_only_and_keeps_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    prepare_sources(home)
    token = home.push_token.read_text()
    for path in (home.push_token, home.sources):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in home.sources.read_text()
    prepare_sources(home)
    found = open_sources(SourcesSettings(sources_file=str(home.sources))).by_token(token)
    assert found is not None and (found.name, found.urgent, found.backfill) == ("push", False, False)

"""The configuration file, and the commands that read it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from firstread.gateway.items import Identifiers, Kind
from firstread.gateway.landing import Landing
from firstread.gateway.settings import ConfigurationError, is_in, load, token_from
from firstread.gateway.spool import Spool
from firstread.gateway_cli import app
from tests.support import gateways

CONFIG = """
[dimse]
ae_title = "FIRSTREAD"
[[sources]]
name = "ct1"
ae_titles = ["CT1"]
peers = ["10.1.0.0/16"]
[spool]
path = "{spool}"
free_bytes = 0
free_percent = 0
[forward]
url = "http://127.0.0.1:9"
token_file = "{spool}.token"
"""


def write(folder: Path, text: str = CONFIG, **changes: str) -> Path:
    path = folder / "gateway.toml"
    text = text.format(spool=folder / "spool")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    assert settings.dimse.port == 11112
    assert settings.hl7 is None
    assert not settings.commitment.commit_storage
    assert settings.source_of("CT1", "10.1.2.3") is settings.sources[0]
    assert settings.source_of("CT1", "10.2.0.1") is None
    assert settings.source_of("CT2", "10.1.2.3") is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("http://127", "http://10.0", "https"),
        ('ae_titles = ["CT1"]', "ae_titles = []", "sources.0.ae_titles"),
        ('ae_titles = ["CT1"]', 'ae_titles = ["WITH\\\\BACK"]', "AE title"),
        ('ae_title = "FIRSTREAD"', 'ae_title = "LONGER THAN SIXTEEN"', "dimse.ae_title"),
        ("10.1.0.0/16", "10.1.0.0/33", "sources.0.peers"),
        ('name = "ct1"', 'name = "ct 1"', "sources.0.name"),
        ('name = "ct1"', 'name = "ct1"\nunknown = 1', "sources.0.unknown"),
        ('name = "ct1"', 'name = "ct1"\nreport_tls = true', "report_tls"),
        ("[dimse]", "[dimse", "TOML"),
        (
            "[forward]",
            '[[sources]]\nname = "ct1"\nae_titles = ["B"]\npeers = ["::1"]\n[forward]',
            "same name",
        ),
    ],
)
def test_what_is_wrong_is_told_without_values(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as error:
        load(write(tmp_path, **{old: new}))
    assert "10.1.0.0/33" not in str(error.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.toml")


@given(st.ip_addresses(v=4))
def test_an_address_in_other_clothes_is_the_same(address: object) -> None:
    settings = gateways.settings(Path("x"), sources=[
        {"name": "a", "ae_titles": ["A"], "peers": ["0.0.0.0/1"]}])  # fmt: skip
    (source,) = settings.sources
    assert is_in(f"::ffff:{address}", source.peers) == is_in(str(address), source.peers)


def test_a_token_is_the_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        token_from(path)
    path.chmod(0o600)
    assert token_from(path) == "secret"
    path.write_text("")
    with pytest.raises(ConfigurationError, match="empty"):
        token_from(path)


# ---- commands

runner = CliRunner()


def fill(folder: Path, *, refused: bool) -> None:
    with Spool(folder / "spool") as spool:
        landing = Landing(spool.objects, ".dcm", lambda _size: False)
        landing.write(b"12345")
        spool.add(landing, Kind.OBJECT, "ct1", "b", Identifiers("1", "2", "3"))
        if refused:
            spool.refuse(spool.waiting(Kind.OBJECT, 1)[0], "too_large")
        spool.count("peer_refused")


def test_status_of_a_spool_that_waits(tmp_path: Path) -> None:
    config = write(tmp_path)
    fill(tmp_path, refused=False)
    result = runner.invoke(app, ["status", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert "1 objects, 0 messages, 5 bytes" in result.output
    assert "peer_refused" in result.output


def test_status_of_what_was_refused_is_a_problem(tmp_path: Path) -> None:
    config = write(tmp_path)
    fill(tmp_path, refused=True)
    result = runner.invoke(app, ["status", "--config", str(config), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert [each["reason"] for each in found["refused"]] == ["too_large"]
    assert found["objects"] == 0 and found["problems"]
    assert "too_large" in runner.invoke(app, ["status", "--config", str(config)]).output


def test_status_before_the_first_run(tmp_path: Path) -> None:
    result = runner.invoke(app, ["status", "--config", str(write(tmp_path))])
    assert result.exit_code == 1
    assert "has not run" in result.output


def test_check_tells_every_problem(tmp_path: Path) -> None:
    result = runner.invoke(app, ["check", "--config", str(write(tmp_path))])
    assert result.exit_code == 1
    assert "token file" in result.output
    assert "does not answer" in result.output
    assert not (tmp_path / "spool").exists()


def test_check_of_a_service_that_answers(tmp_path: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        config = write(tmp_path, **{"127.0.0.1:9": f"127.0.0.1:{server.server_address[1]}"})
        (tmp_path / "spool.token").write_text("secret")
        (tmp_path / "spool.token").chmod(0o600)
        result = runner.invoke(app, ["check", "--config", str(config)])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert result.exit_code == 0, result.output


def test_a_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    result = runner.invoke(app, ["run", "--config", str(write(tmp_path, **{'name = "ct1"': 'name = ""'}))])
    assert result.exit_code == 1
    assert "sources.0.name" in result.output

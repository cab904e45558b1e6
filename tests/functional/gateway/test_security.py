"""TLS of both listeners, with certificates made here."""

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firstread.gateway.run import running
from firstread.gateway.settings import ConfigurationError
from tests.support import gateways
from tests.support.gateways import FakeService, associated, instance, until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate for both sides; another authority beside it."""
    folder = tmp_path_factory.mktemp("tls")
    for authority in ("ours", "other"):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{authority} authority")])
        _write(folder, authority, _signed(name, name, key, key, is_authority=True), key)
        leaf = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        _write(folder, f"{authority}-leaf", _signed(subject, name, leaf, key, is_authority=False), leaf)
    return folder


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(names, critical=False)
    )
    return builder.sign(by, hashes.SHA256())


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key").write_bytes(plain)


def tls(certificates: Path, *, mutual: bool) -> dict[str, str]:
    found = {"certificate": str(certificates / "ours-leaf.pem"), "key": str(certificates / "ours-leaf.key")}
    return found | ({"client_ca": str(certificates / "ours.pem")} if mutual else {})


def client(
    certificates: Path, own: str = "", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates / "ours.pem")
    context.maximum_version = version
    if own:
        context.load_cert_chain(certificates / f"{own}.pem", certificates / f"{own}.key")
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("mutual", [False, True])
def test_store_by_tls(tmp_path: Path, certificates: Path, version: ssl.TLSVersion, mutual: bool) -> None:
    service = FakeService()
    settings = gateways.settings(tmp_path / "spool", dimse={"tls": tls(certificates, mutual=mutual)})
    with running(settings, service) as gateway:
        context = client(certificates, "ours-leaf" if mutual else "", version)
        with associated(gateway.dimse.port, tls_args=(context, "127.0.0.1")) as association:
            assert association.is_established
            assert association.send_c_store(instance(1)).Status == 0
        until(lambda: service.ends)


@pytest.mark.parametrize("own", ["", "other-leaf"])
def test_without_a_certificate_of_ours_nobody_gets_in(tmp_path: Path, certificates: Path, own: str) -> None:
    settings = gateways.settings(tmp_path / "spool", dimse={"tls": tls(certificates, mutual=True)})
    with running(settings, FakeService()) as gateway:
        context = client(certificates, own, ssl.TLSVersion.TLSv1_2)
        with pytest.raises(OSError, match=r"alert|reset|EOF"):
            talk(gateway.dimse.port, context)
        until(lambda: gateway.spool._all("SELECT 1 FROM counters WHERE name = 'tls_refused'"))


def talk(port: int, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.recv(1)


def test_old_versions_and_ciphers_are_refused(tmp_path: Path, certificates: Path) -> None:
    settings = gateways.settings(tmp_path / "spool", dimse={"tls": tls(certificates, mutual=False)})
    with running(settings, FakeService()) as gateway:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(certificates / "ours.pem")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("AES256-SHA:AES128-GCM-SHA256:ECDHE+SHA1:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure"):
            talk(gateway.dimse.port, old)


def test_a_peer_that_does_not_shake_hands_keeps_nobody_waiting(tmp_path: Path, certificates: Path) -> None:
    settings = gateways.settings(tmp_path / "spool", dimse={"tls": tls(certificates, mutual=False)})
    with (
        running(settings, FakeService()) as gateway,
        socket.create_connection(("127.0.0.1", gateway.dimse.port)),
        associated(gateway.dimse.port, tls_args=(client(certificates), "127.0.0.1")) as association,
    ):
        assert association.is_established


def test_a_wrong_key_is_told_at_the_start(tmp_path: Path, certificates: Path) -> None:
    wrong = tls(certificates, mutual=False) | {"key": str(certificates / "other-leaf.key")}
    settings = gateways.settings(tmp_path / "spool", dimse={"tls": wrong})
    with pytest.raises(ConfigurationError, match="TLS"), running(settings, FakeService()):
        pass


def test_a_feed_by_tls(tmp_path: Path, certificates: Path) -> None:
    service = FakeService()
    hl7 = {"host": "127.0.0.1", "port": 0, "peers": ["127.0.0.1"], "tls": tls(certificates, mutual=True)}
    with running(gateways.settings(tmp_path / "spool", hl7=hl7), service) as gateway:
        assert gateway.feed is not None
        with (
            socket.create_connection(("127.0.0.1", gateway.feed.port)) as plain,
            client(certificates, "ours-leaf").wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(b"\x0bMSH|^~\\&|A|B|C|D|2026||ADT^A40|7|P|2.5.1\r\x1c\r")
            assert b"MSA|AA|7" in connection.recv(1000)
        until(lambda: service.messages)

"""TLS of the listeners (PS3.15 B.12: BCP 195, RFC 8996 and RFC 9325)."""

import ssl

from firstread.gateway.settings import ConfigurationError, Tls

# RFC 9325 4.2: forward secrecy and authenticated encryption. TLS 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(settings: Tls | None) -> ssl.SSLContext | None:
    """Return the context of a listener; None where it has no TLS.

    Raises
    ------
    ConfigurationError
        If a certificate or key cannot be used.
    """
    if settings is None:
        return None
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: Tls) -> ssl.SSLContext:
    """Return the context of a call to a peer, which has to be known to the same authorities, or to the system's.

    Raises
    ------
    ConfigurationError
        If a certificate or key cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings)
    if settings.client_ca is None:
        context.load_default_certs()
    return context


def _context(protocol: int, settings: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.set_ciphers(_CIPHERS)
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
    except (OSError, ssl.SSLError):
        raise ConfigurationError("a certificate or key of TLS cannot be used") from None
    return context

"""HTTP as the client of the ingest service needs it: one try per call, and every failure as one of our errors."""

import ipaddress
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from firstread.uploads.errors import BusyError, RefusedUploadError, UnreachableError

_CHUNK = 1024 * 1024
_MOST_ANSWER = 8 * 1024 * 1024
_DEFAULT_WAIT = 5.0
_LONGEST_WAIT = 300.0
# What S3 says in <Code>, and what it means for whoever sends.
_S3_REFUSALS = {
    "BadDigest": "other_bytes",
    "XAmzContentChecksumMismatch": "other_bytes",
    "XAmzContentSHA256Mismatch": "other_bytes",
    "EntityTooSmall": "other_bytes",
    "EntityTooLarge": "too_large",
    "AccessDenied": "expired",
    "ExpiredToken": "expired",
    "NoSuchUpload": "expired",
}
_REFUSALS = {401: "unauthorized", 403: "forbidden", 404: "expired", 413: "too_large"}


@dataclass(frozen=True)
class Answer:
    """An answer of status 2xx; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body.

        Raises
        ------
        ValueError
            If it is not a JSON object.
        """
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        return found


class Wire:
    """Sends requests; for several threads at a time.

    Parameters
    ----------
    timeout
        Seconds to wait for a connection, and for each answer.
    """

    def __init__(self, timeout: float) -> None:
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=timeout, read=timeout), retries=False, maxsize=32, block=False
        )

    def judge(self, url: str) -> None:
        """Judge where something is to be sent to.

        Raises
        ------
        RefusedUploadError
            With reason ``not_https`` if it would travel in clear beyond this machine.
        """
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            raise RefusedUploadError("not_https") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
            raise RefusedUploadError("not_https")

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterator[bytes]
    ) -> Answer:
        """Send one request, and return its answer.

        Raises
        ------
        BusyError
            After 408, 429 or 503.
        RefusedUploadError
            After any other 4xx.
        UnreachableError
            If there is no answer, or it is any other one.
        """
        self.judge(url)
        try:
            response = self._pool.request(
                method, url, headers=dict(headers), body=body, redirect=False, preload_content=False
            )
            try:
                content = response.read(_MOST_ANSWER)
            finally:
                response.release_conn()
        except (HTTPError, OSError, ValueError):  # what the connection, TLS or the other side made of it
            raise UnreachableError from None
        found = {name.lower(): value for name, value in response.headers.items()}
        return _judged(Answer(response.status, found, content))

    def post_form(self, url: str, fields: Mapping[str, str], file: IO[bytes], size: int) -> Answer:
        """Post a form whose last field is a file, streamed (RFC 7578, S3 POST).

        Raises
        ------
        BusyError, RefusedUploadError, UnreachableError
            As `send`; ``changed`` if the file is shorter than it was.
        """
        boundary = secrets.token_hex(16)
        named = "".join(_field(boundary, name) + value + "\r\n" for name, value in fields.items())
        # No file name: S3 does not need it.
        head = (named + _field(boundary, "file")).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        return self.send("POST", url, headers, _body(head, file, size, tail))

    def put_bytes(self, url: str, headers: Mapping[str, str], file: IO[bytes], size: int) -> Answer:
        """Put the next bytes of a file, streamed.

        Raises
        ------
        BusyError, RefusedUploadError, UnreachableError
            As `post_form`.
        """
        return self.send("PUT", url, {**headers, "Content-Length": str(size)}, chunks_of(file, size))


def _field(boundary: str, name: str) -> str:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'


def _body(head: bytes, file: IO[bytes], size: int, tail: bytes) -> Iterator[bytes]:
    yield head
    yield from chunks_of(file, size)
    yield tail


def chunks_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the next bytes of a file.

    Raises
    ------
    RefusedUploadError
        With reason ``changed`` if they are not there.
    """
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise RefusedUploadError("changed")
        yield chunk
        left -= len(chunk)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _judged(answer: Answer) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    code = _s3_code(answer.body)
    if answer.status in (408, 429, 503) or code == "RequestTimeout":
        raise BusyError(_wait(answer.headers.get("retry-after", "")))
    if 400 <= answer.status < 500:
        raise RefusedUploadError(_S3_REFUSALS.get(code) or _REFUSALS.get(answer.status, "not_understood"))
    raise UnreachableError


def _s3_code(body: bytes) -> str:
    _, begins, rest = body[:4096].partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode("ascii", "replace") if begins else ""


def _wait(text: str) -> float:
    seconds = float(text) if text.isdecimal() and text.isascii() else _DEFAULT_WAIT
    return min(seconds, _LONGEST_WAIT)

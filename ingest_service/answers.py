"""Answers: DICOM JSON for what was stored (PS3.18 10.5.3, F), problem+json (RFC 9457) for what is wrong."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pynamodb.exceptions import PynamoDBException
from starlette.exceptions import HTTPException

from firstread.handling import describe, logger
from ingest_service.errors import (
    BusyError,
    NotAcceptableError,
    RequestError,
    StalledError,
    UnknownSenderError,
    UnsupportedError,
)
from ingest_service.parts import media_type
from ingest_service.stow import Kept

DICOM_JSON = "application/dicom+json"
BATCH_HEADER = "FirstRead-Batch"
"""Its name in receipts and logs."""
RETRY_AFTER_SECONDS = 5
_ACCEPTABLE = frozenset({"", DICOM_JSON, "application/json", "application/*", "*/*"})
_RETRIEVE_URL, _WARNING, _FAILURE = "00081190", "00081196", "00081197"
_FAILED, _STORED, _OTHER_FAILURES = "00081198", "00081199", "0008119A"
_CLASS, _INSTANCE = "00081150", "00081155"

Element = dict[str, Any]


def install(app: FastAPI) -> None:
    """Install the handlers of errors."""
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(HTTPException, _http_error)
    for kind in (BotoCoreError, ClientError, PynamoDBException):
        app.add_exception_handler(kind, _unreachable)


def judge_accept(header: str) -> None:
    """Judge the Accept header of a STOW-RS request: read leniently, as senders write it loosely.

    Raises
    ------
    NotAcceptableError
        If DICOM JSON is not among what it names.
    """
    if not any(media_type(each)[0] in _ACCEPTABLE for each in header.split(",")):
        raise NotAcceptableError(f"the answer is {DICOM_JSON}")


def stored(kept: Sequence[Kept], batch: str) -> Response:
    """Return the answer to a STOW-RS request whose objects were all read.

    Raises
    ------
    BusyError
        If nothing was kept and S3 asked to slow down.
    UnsupportedError
        If no part was of the right media type.
    """
    good = [each for each in kept if each.failure is None]
    if not good and any(each.busy for each in kept):
        raise BusyError("storage asks to slow down")
    if all(each.unsupported for each in kept):
        raise UnsupportedError("parts are application/dicom")
    if not good:
        status = 409
    else:
        status = 200 if all(each.failure is None and each.concern is None for each in kept) else 202
    headers = {BATCH_HEADER: batch}
    return Response(json.dumps(_dataset(kept)), status, headers, media_type=DICOM_JSON)


def _dataset(kept: Sequence[Kept]) -> Element:
    """Return the Store Instances Response Module (PS3.18 Table 10.5.3-2).

    Retrieve URL is there and empty: what is stored is served to nobody under its original UIDs.
    """
    ordered = sorted(kept, key=lambda each: each.number)
    found: dict[str, list[Element]] = {_FAILED: [], _STORED: [], _OTHER_FAILURES: []}
    for each in ordered:
        if each.failure is None:
            concern = {} if each.concern is None else {_WARNING: _element("US", each.concern.value)}
            found[_STORED].append({**_named(each), _RETRIEVE_URL: {"vr": "UR"}, **concern})
        else:
            sequence = _OTHER_FAILURES if each.identifiers is None else _FAILED
            found[sequence].append({**_named(each), _FAILURE: _element("US", each.failure.value)})
    sequences = {tag: {"vr": "SQ", "Value": items} for tag, items in found.items() if items}
    return {_RETRIEVE_URL: {"vr": "UR"}, **sequences}


def _named(kept: Kept) -> Element:
    if kept.identifiers is None:
        return {}
    return {
        _CLASS: _element("UI", kept.identifiers.sop_class_uid),
        _INSTANCE: _element("UI", kept.identifiers.sop_uid),
    }


def _element(vr: str, value: str | int) -> Element:
    return {"vr": vr, "Value": [value]}


def problem(status: int, title: str, detail: str = "") -> Response:
    """Return an error as problem+json."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")


def _request_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    response = problem(error.status, error.title, error.detail)
    if isinstance(error, BusyError):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, StalledError):
        response.headers["Connection"] = "close"  # RFC 9110 15.5.9; its rest could come at any time
    if isinstance(error, UnknownSenderError):
        response.headers["WWW-Authenticate"] = 'Bearer realm="firstread"'
    return response


def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    response = problem(error.status_code, HTTPStatus(error.status_code).phrase)
    response.headers.update(error.headers or {})
    return response


def _unreachable(request: Request, error: Exception) -> Response:
    logger.warning("stores not reached", extra=describe(error))
    return _request_error(request, BusyError("the stores cannot be reached"))

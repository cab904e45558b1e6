"""The OpenAPI document: what programs may rely on, made of the routes and kept in the repository.

``python -m portal.openapi docs/reference/openapi.json`` writes it.
"""

import json
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from portal.access import ALERT_ID, UID, requirement_of
from portal.app import routed
from portal.docstrings import described
from portal.problems import MEDIA_TYPE, Problem
from portal.security import takes_tokens

Json = dict[str, Any]

ABOUT = (
    "What the portal's own pages and programs of the hospital ask. For research use only. Studies are named by "
    "pseudonymous UIDs. Where something is wrong the answer is a problem (RFC 9457); a parameter that is not known is "
    "one. A cookie's writes must name their origin (`Sec-Fetch-Site` or `Origin`), a token's need not."
)
_TEXT = "text/event-stream"
_PATTERNS = {"study_uid": UID.pattern, "alert_id": ALERT_ID.pattern}
_PARAMETER = re.compile(r"{([a-z_]+)}")
_MODE = re.compile(r'(?<=[/"])(\w+)-(Input|Output)(?=")')
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_SESSION, _TOKEN = "session", "token"
_SCHEMES = {
    _SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-firstread-session",
        "description": "Of a reader who has signed in; `firstread-session` where the portal is not reached over https.",
    },
    _TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Access token of a program, from the identity provider.",
    },
}
_WORDS = {
    401: "Nobody is signed in, or not recently enough",
    403: "Not for this role, or a write that does not say that it comes from the portal's own pages",
    404: "Not there, or not for who asks",
    409: "It does not fit how things stand",
    422: "Not understood, or it does not hold together",
    503: "The records cannot be reached",
}


def document(app: FastAPI) -> Json:
    """Return the OpenAPI document of the portal's routes (OpenAPI 3.1)."""
    made = app.openapi()
    made["info"]["description"] = ABOUT
    made["info"]["license"] = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
    for route, method in listed(app):
        operation = made["paths"].get(route.path, {}).get(method.lower())
        if operation is not None:
            _complete(operation, route, method)
    schemas = made["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made["components"]["securitySchemes"] = _SCHEMES
    for schema in schemas.values():
        _tidy(schema)
    named: Json = json.loads(_MODE.sub(_named, json.dumps(made)))
    return named


def listed(app: FastAPI) -> Iterator[tuple[APIRoute, str]]:
    """Yield every route with each of its methods."""
    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield route, method


def text(made: Json) -> str:
    """Return a document as it is kept: the same routes give the same text."""
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _named(found: re.Match[str]) -> str:
    """Return the name of a model that is sent and answered: without a hyphen, which no language takes in a name."""
    return f"{found[1]}Input" if found[2] == "Input" else found[1]


def _complete(operation: Json, route: APIRoute, method: str) -> None:
    words = (route.description or "").partition("\n\n")
    operation["summary"] = " ".join(words[0].split()).removesuffix(".")
    operation.pop("description", None)
    if words[2].strip():
        operation["description"] = " ".join(words[2].split())
    operation["security"] = _security(route)
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        _tidy(parameter["schema"])
    if "requestBody" not in operation and all(each["schema"] == {"type": "string"} for each in parameters):
        _forget_validation(operation["responses"])
    known = {(each["in"], each["name"]) for each in parameters}
    for name in _PARAMETER.findall(route.path):
        if ("path", name) not in known:
            schema = {"type": "string", "pattern": f"^{_PATTERNS[name]}$"}
            parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    parameters.sort(key=lambda each: (each["in"], each["name"]))
    _answers(operation, route, method)


def _security(route: APIRoute) -> list[Json]:
    required = requirement_of(route)
    if required is None:
        return [{_SESSION: []}] if route.path == "/api/session" else []
    # No token is as recent as a sign-in.
    by_token = takes_tokens(route.path) and not required.fresh
    return [{_SESSION: []}, *([{_TOKEN: []}] if by_token else [])]


def _answers(operation: Json, route: APIRoute, method: str) -> None:
    answers = operation["responses"]
    for status in _problems(operation, route, method):
        answers.setdefault(str(status), {})
    for status, answer in answers.items():
        if int(status) >= 400:
            _as_problem(int(status), answer)
        elif _TEXT in answer.get("content", {}):
            schema = answer["content"][_TEXT]["schema"]
            data = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
            answer["content"][_TEXT]["schema"] = data


def _problems(operation: Json, route: APIRoute, method: str) -> Iterator[int]:
    names = set(_PARAMETER.findall(route.path))
    of_study = bool(names & _PATTERNS.keys())
    if operation["security"]:
        yield from (401, 503)
    if method != "GET" or (operation["security"] and not of_study and requirement_of(route)):
        yield 403
    if method != "GET":
        yield 413
    if names - {"user"}:
        yield 404
    if "requestBody" in operation:
        yield 400


def _forget_validation(answers: Json) -> None:
    """Take out the 422 that FastAPI gives to every route with a parameter; any text is understood."""
    if _is_of_fastapi(answers.get("422", {})):
        del answers["422"]


def _is_of_fastapi(answer: Json) -> bool:
    return "HTTPValidationError" in str(answer.get("content", ""))


def _as_problem(status: int, answer: Json) -> None:
    said: Json = {} if _is_of_fastapi(answer) else answer.get("content", {})
    schema: Json = next((each["schema"] for each in said.values() if "schema" in each), {})
    answer["content"] = {MEDIA_TYPE: {"schema": schema if "$ref" in schema else _PROBLEM}}
    if answer.get("description", "") in ("", "Validation Error", HTTPStatus(status).phrase):
        answer["description"] = _WORDS.get(status, HTTPStatus(status).phrase)


def _tidy(schema: Json) -> None:
    """Take out the titles that pydantic makes of names, and put what docstrings say of fields where it belongs."""
    if isinstance(schema.get("title"), str):
        del schema["title"]
    properties = schema.get("properties", {})
    if "description" in schema:
        schema["description"], of_fields = described(schema["description"])
        for name, words in of_fields.items():
            if name in properties:
                properties[name].setdefault("description", words)
    nested = [*properties.values(), *schema.get("anyOf", []), *schema.get("prefixItems", [])]
    nested += [
        schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)
    ]
    for each in nested:
        _tidy(each)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(document(routed())), encoding="utf-8")

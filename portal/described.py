"""What the OpenAPI document says of a route that its types do not say (`portal.openapi`)."""

from typing import Any

from fastapi.routing import APIRoute

Json = dict[str, Any]


def operation_id(route: APIRoute) -> str:
    """Return the name of an operation: its tag and its function, as in ``worklist_get_worklist``."""
    return f"{str(route.tags[0]).lower()}_{route.name}" if route.tags else route.name


def sends(*media_types: str, schema: Json | None = None) -> dict[int | str, Json]:
    """Return the answer of a route that is no JSON of a model.

    Parameters
    ----------
    media_types
        In which it may come.
    schema
        What it is, if there is something to be said.
    """
    return {200: {"content": {each: {"schema": schema} if schema else {} for each in media_types}}}


def asks(**parameters: str) -> Json:
    """Return the parameters of a query that a route reads itself; name -> what it is."""
    return {
        "parameters": [
            {"name": name, "in": "query", "description": words, "schema": {"type": "string"}}
            for name, words in parameters.items()
        ]
    }

"""Problems (RFC 9457): what the API and images answer where something is wrong."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse
from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What is wrong.

    Parameters
    ----------
    type
        ``about:blank``, or what a program tells this problem apart by (RFC 9457, 3.1.1).
    title
        The same for all problems of a kind.
    status
        The HTTP status of the answer.
    detail
        What this one is about, without values that were sent; "" where the title says it all.
    """

    type: str
    title: str
    status: int
    detail: str


class SignInProblem(Problem):
    """Nobody is signed in, or not recently enough.

    Parameters
    ----------
    sign_in
        Where to go to, with the type ``reauthentication-required``.
    """

    sign_in: str = ""


def problem(
    status: int,
    title: str,
    detail: str = "",
    members: Mapping[str, object] | None = None,
    kind: str = "about:blank",
) -> JSONResponse:
    """Return the answer for a problem.

    Parameters
    ----------
    members
        Further members of it (RFC 9457, 3.2).
    kind
        Its type.
    """
    said = Problem(type=kind, title=title, status=status, detail=detail)
    return JSONResponse({**(members or {}), **said.model_dump()}, status_code=status, media_type=MEDIA_TYPE)

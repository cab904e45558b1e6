"""What takes a recent sign-in, on a page and in the API."""

from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from firstread.policy import Action, Role
from portal.access import Access, require
from tests.functional.portal.conftest import Clock, SignIn


def test_signing_takes_a_recent_sign_in(
    app: FastAPI, sign_in: SignIn, clock: Clock, anonymous: TestClient, morning: dict[str, str]
) -> None:
    signing = Annotated[Access, Depends(require(Action.REVIEW_SIGN, fresh=True))]

    def sign(access: signing) -> dict[str, str]:
        return {"by": access.actor.name}

    for path in ("/api/studies/{study_uid}/sign", "/studies/{study_uid}/sign"):
        app.add_api_route(path, sign, methods=["POST"])
    page = f"/studies/{morning['high']}/sign"
    radiologist, resident = sign_in(Role.RADIOLOGIST), sign_in(Role.RESIDENT)
    clock.forward(minutes=5)
    assert radiologist.post(f"/api{page}").json() == {"by": "radiologist"}
    clock.forward(seconds=1)
    where = f"/sign-in?reauthenticate=1&next=%2Fstudies%2F{morning['high']}"
    refused = radiologist.post(f"/api{page}")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["type"], problem["sign_in"]) == ("reauthentication-required", where)
    assert radiologist.post(page).headers["location"] == where
    # Who may not at all is not asked for a password, and learns nothing.
    assert resident.post(f"/api{page}").status_code == 404
    assert anonymous.post(f"/api{page}").status_code == 401

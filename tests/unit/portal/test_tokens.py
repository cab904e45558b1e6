"""Tokens that must not be believed, one fault at a time, and any bytes at all."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from firstread.policy import Role
from portal.identity.people import DEFAULT_GROUPS, Naming, NoUserNameError, Refusal, SignInRefusedError
from portal.identity.tokens import Expected, Fault, TokenError, check_access, check_identity, verified

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER = "https://identity.example/pool"
KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "one"})
EXPECTED = Expected(ISSUER, "portal", "n" * 32, timedelta(minutes=15))
IDENTITY: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "portal",
    "exp": SECONDS + 300,
    "iat": SECONDS,
    "auth_time": SECONDS - 10,
    "nonce": "n" * 32,
    "token_use": "id",
    "cognito:username": "ann",
    "cognito:groups": ["radiologist"],
}
ACCESS: dict[str, Any] = {
    "iss": ISSUER,
    "exp": SECONDS + 300,
    "token_use": "access",
    "client_id": "machine",
}


class OneKey:
    def find(self, kid: str) -> RSAKey | None:
        return RSAKey.import_key(KEY.as_dict(private=False)) if kid == "one" else None


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:  # noqa: ANN401 - a key of any kind
    algorithm = header.get("alg", "RS256")
    return jwt.encode({"alg": "RS256", "kid": "one"} | header, claims, key, algorithms=[algorithm])


def fault_of(token: str) -> Fault:
    with pytest.raises(TokenError) as caught:
        verified(token, OneKey())
    return caught.value.fault


def test_a_good_token() -> None:
    claims = verified(signed(IDENTITY), OneKey())
    assert check_identity(claims, EXPECTED, NOW) == NOW - timedelta(seconds=10)
    assert check_access(verified(signed(ACCESS), OneKey()), ISSUER, {"machine"}, NOW) == "machine"


def test_signatures_that_are_not_the_providers() -> None:
    good = signed(IDENTITY)
    head, body, signature = good.split(".")
    public = KEY.as_pem(private=False)
    secret = OctKey.import_key(base64.urlsafe_b64encode(public).decode())
    cases = {
        f"{part({'alg': 'none', 'kid': 'one'})}.{body}.": Fault.ALGORITHM,
        f"{part({'alg': 'none'})}.{body}.{signature}": Fault.ALGORITHM,
        signed(IDENTITY, secret, alg="HS256"): Fault.ALGORITHM,  # the public key taken for a secret
        signed(IDENTITY, alg="RS512"): Fault.ALGORITHM,
        signed(IDENTITY, alg="PS256"): Fault.ALGORITHM,
        signed(IDENTITY, OTHER): Fault.SIGNATURE,
        f"{head}.{part(IDENTITY | {'aud': 'x'})}.{signature}": Fault.SIGNATURE,
        f"{head}.{body}.": Fault.SIGNATURE,
        signed(IDENTITY, kid="two"): Fault.KEY,
        f"{part({'alg': 'RS256'})}.{body}.{signature}": Fault.KEY,
        f"{part({'alg': 'RS256', 'kid': ['one']})}.{body}.{signature}": Fault.KEY,
        f"{part({'alg': ['RS256'], 'kid': 'one'})}.{body}.{signature}": Fault.ALGORITHM,
    }
    for token, fault in cases.items():
        assert fault_of(token) is fault, token[:60]


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 20_000, part([1]) + ".e30.AA"])
def test_what_is_no_token(token: str) -> None:
    assert fault_of(token) is Fault.MALFORMED


@given(st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){1,4}")))
def test_anything_else_is_refused(token: str) -> None:
    fault_of(token)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "zip"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.text(max_size=4))
        ),
    )
)
def test_any_header_is_refused(header: dict[str, object]) -> None:
    fault_of(f"{part(header)}.{part(IDENTITY)}.{'A' * 342}")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"iss": "https://identity.example/other"}, Fault.ISSUER),
        ({"iss": None}, Fault.ISSUER),
        ({"aud": "another"}, Fault.AUDIENCE),
        ({"aud": None}, Fault.AUDIENCE),
        ({"aud": ["portal", "another"]}, Fault.AUDIENCE),
        ({"aud": ["portal", "another"], "azp": "another"}, Fault.AUDIENCE),
        ({"exp": SECONDS - 60}, Fault.EXPIRED),
        ({"exp": None}, Fault.EXPIRED),
        ({"exp": "tomorrow"}, Fault.MALFORMED),
        ({"exp": True}, Fault.MALFORMED),
        ({"exp": 1e300}, Fault.MALFORMED),
        ({"nbf": SECONDS + 61}, Fault.NOT_YET),
        ({"iat": SECONDS + 61}, Fault.NOT_YET),
        ({"nonce": "m" * 32}, Fault.NONCE),
        ({"nonce": None}, Fault.NONCE),
        ({"nonce": 7}, Fault.NONCE),
        ({"token_use": "access"}, Fault.USE),
        ({"auth_time": None}, Fault.MALFORMED),
        ({"auth_time": SECONDS + 61}, Fault.MALFORMED),
        ({"auth_time": SECONDS - 961}, Fault.STALE),
    ],
)
def test_an_id_token_with_one_fault(change: dict[str, Any], fault: Fault) -> None:
    claims = {name: value for name, value in (IDENTITY | change).items() if value is not None}
    with pytest.raises(TokenError) as caught:
        check_identity(claims, EXPECTED, NOW)
    assert caught.value.fault is fault
    assert str(caught.value) == fault.value


@pytest.mark.parametrize(
    "change", [{"aud": ["portal"]}, {"aud": ["portal", "another"], "azp": "portal"}, {"exp": SECONDS - 59}]
)
def test_an_id_token_that_is_good_enough(change: dict[str, Any]) -> None:
    assert check_identity(IDENTITY | change, EXPECTED, NOW) <= NOW


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"iss": "https://identity.example/other"}, Fault.ISSUER),
        ({"exp": SECONDS - 60}, Fault.EXPIRED),
        ({"token_use": "id"}, Fault.USE),
        ({"token_use": None}, Fault.USE),
        ({"client_id": "portal"}, Fault.CLIENT),
        ({"client_id": None}, Fault.CLIENT),
        ({"client_id": ["machine"]}, Fault.CLIENT),
    ],
)
def test_an_access_token_with_one_fault(change: dict[str, Any], fault: Fault) -> None:
    claims = {name: value for name, value in (ACCESS | change).items() if value is not None}
    with pytest.raises(TokenError) as caught:
        check_access(claims, ISSUER, {"machine"}, NOW)
    assert caught.value.fault is fault


NAMING = Naming("cognito:username", "cognito:groups", DEFAULT_GROUPS)


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["radiologist"], (Role.RADIOLOGIST,)),
        (["data-steward", "radiologist", "staff"], (Role.RADIOLOGIST, Role.DATA_STEWARD)),
        ("admin", (Role.ADMIN,)),
        (["service", "feed", "data steward", "Radiologist", 7, None], ()),
        ({"radiologist": True}, ()),
        ([], ()),
    ],
)
def test_groups_are_roles(groups: object, roles: tuple[Role, ...]) -> None:
    assert NAMING.person({"cognito:username": "ann", "cognito:groups": groups}).roles == roles


def test_one_role_per_session() -> None:
    person = NAMING.person({"cognito:username": "ann", "cognito:groups": ["admin", "resident"]})
    assert person.role(None) is Role.RESIDENT
    assert person.role(Role.ADMIN) is Role.ADMIN
    with pytest.raises(SignInRefusedError) as caught:
        person.role(Role.RADIOLOGIST)
    assert caught.value.refusal is Refusal.OTHER_ROLE
    with pytest.raises(SignInRefusedError) as caught:
        NAMING.person({"cognito:username": "ann"}).role(None)
    assert (caught.value.refusal, caught.value.user) == (Refusal.NO_ROLE, "ann")


@pytest.mark.parametrize(
    "name", ["ann@hospital.example", "Ann Other", "", None, 7, "-x", "a" * 129, "a\n", "#a"]
)
def test_names_that_may_not_stand_in_records(name: object) -> None:
    with pytest.raises(NoUserNameError) as caught:
        NAMING.person({"cognito:username": name, "cognito:groups": ["admin"]})
    assert "hospital" not in str(caught.value)

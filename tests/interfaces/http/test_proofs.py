"""Requests that take the password, and a code with a second factor, or a proof by a passkey in place of both."""

from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from tests.interfaces.http.conftest import PASSWORD, HttpWorld

ID: Final = UUID(int=7)
MAKE: Final = {"name": "A program", "scopes": []}

PROVEN: Final[list[tuple[str, str, dict[str, Any], set[str]]]] = [
    ("DELETE", "/accounts/me/", {}, {"password"}),
    ("POST", "/accounts/tokens/", MAKE, {"password"}),
    ("POST", "/accounts/factors/totp/", {}, {"password"}),
    ("DELETE", "/accounts/factors/totp/", {}, {"password", "code"}),
    ("POST", "/accounts/factors/recovery-codes/", {}, {"password", "code"}),
    ("POST", "/accounts/identities/", {"provider": "example"}, {"password"}),
    ("DELETE", f"/accounts/identities/{ID}/", {}, {"password"}),
    ("POST", "/accounts/passkeys/begin/", {}, {"password"}),
    ("DELETE", f"/accounts/passkeys/{ID}/", {}, {"password"}),
]
"""The method, the path, what the body has beside, and what it lacks if there is no proof."""


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(("method", "path", "beside", "needed"), PROVEN)
async def test_one_of_both_is_needed(
    world: HttpWorld, method: str, path: str, beside: dict[str, Any], needed: set[str]
) -> None:
    one = await world.person("one@example.com")
    for none in ({}, {"proof": None}, {"proof": ""}):
        answer = await one.client.request(method, path, json=beside | none)
        assert answer.status_code == 422
        assert {each["field"][-1] for each in answer.json()["error"]["fields"]} == needed
    answer = await one.client.request(method, path, json=beside | {"proof": "nonsense"})
    assert refusal(answer) == (403, "PROOF_UNFIT")
    answer = await one.client.request(method, path, json=beside | {"proof": ["nonsense"]})
    assert answer.status_code == 422
    answer = await one.client.request(method, path, json=beside | dict.fromkeys(needed, "wrong"))
    assert refusal(answer) in {(403, "PASSWORD_WRONG"), (409, "FACTOR_NOT_ON")}


async def test_a_proof_in_place_of_the_old_password(world: HttpWorld) -> None:
    one = await world.person("one@example.com")
    body = {"password": "Another-One1", "proof": "nonsense"}
    answer = await one.client.post("/accounts/password/set/", json=body)
    assert refusal(answer) == (403, "PROOF_UNFIT")
    assert (await one.client.post("/accounts/password/set/", json={"password": PASSWORD})).status_code == 200

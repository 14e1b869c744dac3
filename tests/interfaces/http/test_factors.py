"""A second factor as clients see it: set up, asked for, used up, and turned off."""

from base64 import b32decode
from typing import Any

import httpx
import pytest

from domain.factor import step_at
from infrastructure.crypto.codes import totp
from tests.interfaces.http.conftest import PASSWORD, HttpPerson, HttpWorld

EMAIL = "one@example.com"


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
async def one(world: HttpWorld) -> HttpPerson:
    return await world.person(EMAIL)


def code_of(world: HttpWorld, secret: str) -> str:
    return totp(b32decode(secret), step_at(world.clock.now()))


async def switched_on(world: HttpWorld, one: HttpPerson) -> tuple[str, list[str]]:
    """Returns the secret and the recovery codes."""
    made = data(await one.client.post("/accounts/factors/totp/", json={"password": PASSWORD}))
    confirmed = await one.client.post(
        "/accounts/factors/totp/confirm/", json={"code": code_of(world, made["secret"])}
    )
    return made["secret"], data(confirmed)["recoveryCodes"]


async def sign_in(world: HttpWorld, path: str = "/accounts/sign-in/") -> httpx.Response:
    body = {"email": EMAIL, "password": PASSWORD, "fingerprint": "other"}
    if path.endswith("swagger/"):
        return await world.client().post(path, data=body)
    return await world.client().post(path, json=body)


async def finish(world: HttpWorld, pending: str, code: str) -> httpx.Response:
    body = {"pendingToken": pending, "code": code}
    return await world.client().post("/accounts/sign-in/second/", json=body)


async def test_from_set_up_to_the_end(world: HttpWorld, one: HttpPerson) -> None:
    assert data(await one.client.get("/accounts/factors/")) == {
        "available": True,
        "totp": False,
        "recoveryCodesLeft": 0,
    }
    set_up = await one.client.post("/accounts/factors/totp/", json={"password": PASSWORD})
    assert set_up.headers["cache-control"] == "no-store"
    made = data(set_up)
    assert made["uri"].startswith("otpauth://totp/Messenger:one@example.com?secret=" + made["secret"])
    code = code_of(world, made["secret"])
    confirmed = await one.client.post("/accounts/factors/totp/confirm/", json={"code": code})
    assert confirmed.headers["cache-control"] == "no-store"
    recovery = data(confirmed)["recoveryCodes"]
    assert len(recovery) == 10
    state = data(await one.client.get("/accounts/factors/"))
    assert (state["totp"], state["recoveryCodesLeft"]) == (True, 10)

    needed = await sign_in(world)
    assert refusal(needed) == (403, "SECOND_FACTOR_NEEDED")
    assert "set-cookie" not in needed.headers
    error = needed.json()["error"]
    assert error["expiresIn"] in {299, 300}
    assert refusal(await finish(world, error["pendingToken"], code)) == (403, "CODE_WRONG")
    world.clock.pass_by(seconds=30)
    finished = await finish(world, error["pendingToken"], code_of(world, made["secret"]))
    assert finished.headers["set-cookie"].startswith("refresh_token=ey")
    async with world.client(data(finished)["accessToken"]) as client:
        assert data(await client.get("/accounts/me/"))["email"] == EMAIL

    wrong = {"password": PASSWORD, "code": "000-000"}
    assert refusal(await one.client.request("DELETE", "/accounts/factors/totp/", json=wrong)) == (
        403,
        "CODE_WRONG",
    )
    right = {"password": PASSWORD, "code": recovery[0]}
    data(await one.client.request("DELETE", "/accounts/factors/totp/", json=right))
    assert data(await sign_in(world))["accessToken"]


async def test_a_pending_token_is_no_access_token(world: HttpWorld, one: HttpPerson) -> None:
    await switched_on(world, one)
    pending = (await sign_in(world)).json()["error"]["pendingToken"]
    async with world.client(pending) as client:
        answer = await client.get("/accounts/me/")
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Invalid token type")
    assert refusal(await finish(world, one.token, "123456")) == (401, "AUTH_ERROR")
    assert refusal(await finish(world, "nonsense", "123456")) == (401, "AUTH_ERROR")


async def test_the_form_of_swagger_ui_opens_no_door_beside_it(world: HttpWorld, one: HttpPerson) -> None:
    await switched_on(world, one)
    assert refusal(await sign_in(world, "/accounts/sign-in/swagger/")) == (403, "SECOND_FACTOR_NEEDED")


async def test_problems_carry_the_pending_token_too(world: HttpWorld, one: HttpPerson) -> None:
    await switched_on(world, one)
    body = {"email": EMAIL, "password": PASSWORD}
    answer = await world.client().post(
        "/accounts/sign-in/", json=body, headers={"Accept": "application/problem+json"}
    )
    assert answer.json()["pendingToken"].startswith("ey")


async def test_closing_takes_a_code(world: HttpWorld, one: HttpPerson) -> None:
    secret, _ = await switched_on(world, one)
    body = {"password": PASSWORD}
    assert refusal(await one.client.request("DELETE", "/accounts/me/", json=body)) == (403, "CODE_WRONG")
    world.clock.pass_by(seconds=30)
    body["code"] = code_of(world, secret)
    data(await one.client.request("DELETE", "/accounts/me/", json=body))
    assert (await sign_in(world)).status_code == 401


async def test_recovery_codes_are_renewed(world: HttpWorld, one: HttpPerson) -> None:
    _, recovery = await switched_on(world, one)
    body = {"password": PASSWORD, "code": recovery[0]}
    renewed = data(await one.client.post("/accounts/factors/recovery-codes/", json=body))["recoveryCodes"]
    assert not set(renewed) & set(recovery)
    body["code"] = recovery[1]
    again = await one.client.post("/accounts/factors/recovery-codes/", json=body)
    assert refusal(again) == (403, "CODE_WRONG")


async def test_there_is_one_at_a_time(world: HttpWorld, one: HttpPerson) -> None:
    confirm = await one.client.post("/accounts/factors/totp/confirm/", json={"code": "123456"})
    assert refusal(confirm) == (409, "FACTOR_NOT_ON")
    await switched_on(world, one)
    again = await one.client.post("/accounts/factors/totp/", json={"password": PASSWORD})
    assert refusal(again) == (409, "FACTOR_ALREADY_ON")


@pytest.mark.parametrize("code", ["", None, 123456, "1" * 65, ["123456"]])
async def test_codes_are_texts(world: HttpWorld, one: HttpPerson, code: object) -> None:
    answer = await one.client.post("/accounts/factors/totp/confirm/", json={"code": code})
    assert answer.status_code == 422
    assert answer.json()["error"]["fields"][0]["input"] is None  # a code is never repeated


async def test_wrong_codes_end_with_a_wait(world: HttpWorld, one: HttpPerson) -> None:
    await switched_on(world, one)
    pending = (await sign_in(world)).json()["error"]["pendingToken"]
    for _ in range(10):
        assert refusal(await finish(world, pending, "no such code")) == (403, "CODE_WRONG")
    answer = await finish(world, pending, "no such code")
    assert refusal(answer) == (429, "TOO_MANY_REQUESTS")
    assert int(answer.headers["retry-after"]) > 0

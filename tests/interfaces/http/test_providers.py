"""Signing in through other providers, as browsers and clients see it."""

from base64 import b32decode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from domain.factor import step_at
from infrastructure.crypto.codes import totp
from tests.interfaces.http.conftest import FRONT, PASSWORD, HttpPerson, HttpWorld

EMAIL = "one@example.com"
BEGIN, FINISH = "/accounts/sign-in/provider/", "/accounts/sign-in/provider/finish/"


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def begin(browser: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await browser.post(BEGIN, json={"provider": "example", "fingerprint": "web"}, headers=headers)


def state_of(departure: httpx.Response) -> str:
    return str(parse_qs(urlsplit(data(departure)["url"]).query)["state"][0])


async def come_back(browser: httpx.AsyncClient, state: str, code: str | None = EMAIL) -> httpx.Response:
    query = {"state": state} | ({"code": code} if code else {"error": "access_denied"})
    return await browser.get("/accounts/sign-in/provider/callback/example/", params=query)


async def sign_in(browser: httpx.AsyncClient, code: str = EMAIL) -> httpx.Response:
    assert (await come_back(browser, state_of(await begin(browser)), code)).status_code == 303
    return await browser.post(FINISH)


async def test_from_leaving_to_the_session(world: HttpWorld) -> None:
    browser = world.client()
    assert data(await browser.get("/accounts/ways/")) == {
        "providers": [{"id": "example", "name": "Example"}],
        "passkeys": True,
    }
    departure = await begin(browser)
    cookie = departure.headers["set-cookie"]
    assert cookie.startswith("provider_visit=")
    assert cookie.endswith("; Max-Age=600; HttpOnly; Path=/accounts/; SameSite=Lax")
    back = await come_back(browser, state_of(departure))
    assert (back.status_code, back.headers["location"]) == (303, "/app/#provider=sign-in")
    assert (back.headers["cache-control"], back.headers["referrer-policy"]) == ("no-store", "no-referrer")
    finished = await browser.post(FINISH)
    cookies = finished.headers.get_list("set-cookie")
    assert [each.partition("=")[0] for each in cookies] == ["refresh_token", "provider_visit"]
    assert "Max-Age=0" in cookies[1]
    async with world.client(data(finished)["accessToken"]) as client:
        assert data(await client.get("/accounts/me/"))["email"] == EMAIL
    assert data(await browser.post("/accounts/token/refresh/", json={"fingerprint": "web"}))["accessToken"]
    assert refusal(await browser.post(FINISH)) == (401, "AUTH_ERROR")


async def test_cookies_are_secure_behind_https(world: HttpWorld) -> None:
    browser = world.client(secure_cookies=True)
    assert (await begin(browser)).headers["set-cookie"].endswith("; Secure")


async def test_a_second_load_of_the_way_back_does_no_harm(world: HttpWorld) -> None:
    browser = world.client()
    state = state_of(await begin(browser))
    for _ in range(2):
        assert (await come_back(browser, state)).headers["location"] == "/app/#provider=sign-in"
    assert data(await browser.post(FINISH))["accessToken"]
    assert (await come_back(browser, state)).headers["location"] == "/app/#provider-error=AUTH_ERROR"


async def test_the_way_back_of_somebody_else_signs_nobody_in(world: HttpWorld) -> None:
    stranger, browser = world.client(), world.client()
    state = state_of(await begin(stranger))
    assert (await come_back(browser, state)).headers["location"] == "/app/#provider-error=AUTH_ERROR"
    mine = await begin(browser)
    back = await come_back(browser, state)
    assert back.headers["location"] == "/app/#provider-error=AUTH_ERROR"
    assert "set-cookie" not in back.headers
    assert refusal(await browser.post(FINISH)) == (401, "AUTH_ERROR")
    assert (await come_back(browser, state_of(mine))).headers["location"] == "/app/#provider=sign-in"


async def test_somebody_who_was_not_signed_in_there(world: HttpWorld) -> None:
    browser = world.client()
    back = await come_back(browser, state_of(await begin(browser)), None)
    assert back.headers["location"] == "/app/#provider-error=PROVIDER_REFUSED"


@pytest.mark.parametrize("path", [BEGIN, FINISH])
async def test_foreign_pages_neither_begin_nor_finish(world: HttpWorld, path: str) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await world.client().post(path, json={"provider": "example"}, headers=headers)
        assert refusal(answer) == (403, "FOREIGN_PAGE")


async def test_people_come_back_to_fixed_addresses(world: HttpWorld) -> None:
    app = "https://app.example/start"
    browser = world.client(app_url=app)
    for headers, to in (({}, "/app/"), ({"Origin": FRONT}, app)):
        departure = await begin(browser, **headers)
        assert (await come_back(browser, state_of(departure))).headers["location"] == f"{to}#provider=sign-in"
    alone = world.client(app_url=app, web_client=False)
    assert (await come_back(alone, state_of(await begin(alone)))).headers["location"].startswith(app)
    under = world.client(public_path="/m", prefix="/api")
    departure = await under.post("/api" + BEGIN, json={"provider": "example"})
    assert "Path=/m/api/accounts/" in departure.headers["set-cookie"]


async def test_a_second_factor_is_asked_for(world: HttpWorld) -> None:
    await with_factor(world, await world.person(EMAIL))
    answer = await sign_in(world.client())
    assert refusal(answer) == (403, "SECOND_FACTOR_NEEDED")
    assert "set-cookie" not in answer.headers
    assert answer.json()["error"]["pendingToken"].startswith("ey")


async def with_factor(world: HttpWorld, one: HttpPerson) -> None:
    made = data(await one.client.post("/accounts/factors/totp/", json={"password": PASSWORD}))
    code = totp(b32decode(made["secret"]), step_at(world.clock.now()))
    data(await one.client.post("/accounts/factors/totp/confirm/", json={"code": code}))


async def test_linking_and_unlinking(world: HttpWorld) -> None:
    one = await world.person(EMAIL)
    body = {"provider": "example", "password": PASSWORD}
    departure = await one.client.post("/accounts/identities/", json=body)
    back = await come_back(one.client, state_of(departure), "a-subject")
    assert back.headers["location"] == "/app/#provider=link"
    assert refusal(await world.client().post("/accounts/identities/finish/")) == (401, "AUTH_ERROR")
    linked = data(await one.client.post("/accounts/identities/finish/"))
    assert (linked["provider"], linked["issuer"]) == ("example", "https://accounts.example")
    assert data(await one.client.get("/accounts/identities/")) == [linked]
    assert data(await sign_in(world.client(), "a-subject"))["accessToken"]
    again = await one.client.post("/accounts/identities/", json=body)
    await come_back(one.client, state_of(again), "a-subject")
    assert refusal(await one.client.post("/accounts/identities/finish/")) == (409, "IDENTITY_TAKEN")
    path = f"/accounts/identities/{linked['id']}/"
    wrong = await one.client.request("DELETE", path, json={"password": "wrong"})
    assert refusal(wrong) == (403, "PASSWORD_WRONG")
    data(await one.client.request("DELETE", path, json={"password": PASSWORD}))
    assert data(await one.client.get("/accounts/identities/")) == []
    gone = await one.client.request("DELETE", path, json={"password": PASSWORD})
    assert refusal(gone) == (404, "IDENTITY_NOT_FOUND")
    assert refusal(await sign_in(world.client(), "a-subject")) == (403, "IDENTITY_UNKNOWN")


async def test_providers_that_there_are_not(world: HttpWorld) -> None:
    answer = await world.client().post(BEGIN, json={"provider": "other"})
    assert refusal(answer) == (404, "PROVIDER_NOT_FOUND")

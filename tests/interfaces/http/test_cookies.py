"""
Names of cookies behind HTTPS. A prefix makes browsers refuse a cookie of this name that another host below the same domain, or a
page without encryption, has set; programs that are no browsers keep the name of the original.
"""

from typing import Any, Final

import httpx
import pytest

from interfaces.http.options import HttpOptions
from tests.interfaces.http.conftest import PASSWORD, HttpWorld
from tests.interfaces.http.test_providers import begin, come_back, state_of

EMAIL: Final = "ann@example.com"
PAGE: Final = {"Sec-Fetch-Site": "same-origin"}
PROGRAM: Final[dict[str, str]] = {}
SIGN_IN: Final = {"email": EMAIL, "password": PASSWORD, "fingerprint": "web"}


def over_tls(world: HttpWorld, **options: Any) -> httpx.AsyncClient:
    client = world.client(secure_cookies=True, **options)
    client.base_url = "https://server"
    return client


async def sign_in(client: httpx.AsyncClient, headers: dict[str, str], at: str = "") -> str:
    answer = await client.post(f"{at}/accounts/sign-in/", json=SIGN_IN, headers=headers)
    (cookie,) = answer.headers.get_list("set-cookie")
    return str(cookie)


async def refresh(client: httpx.AsyncClient, headers: dict[str, str], at: str = "") -> int:
    answer = await client.post(f"{at}/accounts/token/refresh/", json={"fingerprint": "web"}, headers=headers)
    return answer.status_code


@pytest.mark.parametrize(
    ("options", "headers", "name", "path"),
    [
        ({}, PAGE, "__Host-refresh_token", "/"),
        ({}, PROGRAM, "refresh_token", "/accounts/"),
        ({"prefix": "/api"}, PAGE, "__Secure-refresh_token", "/api/accounts/"),
        ({"public_path": "/talk"}, PAGE, "__Secure-refresh_token", "/talk/accounts/"),
        ({"prefix": "/api"}, PROGRAM, "refresh_token", "/api/accounts/"),
    ],
)
async def test_its_name_and_where_it_is_sent(
    world: HttpWorld, options: dict[str, str], headers: dict[str, str], name: str, path: str
) -> None:
    await world.person(EMAIL)
    at = options.get("prefix", "")
    async with over_tls(world, **options) as client:
        cookie = await sign_in(client, headers, at)
        assert cookie.startswith(f"{name}=")
        assert cookie.endswith(f"; HttpOnly; Path={path}; SameSite=Lax; Secure")
        client.headers["Cookie"] = cookie.partition(";")[0]
        client.cookies.clear()
        assert await refresh(client, headers, at) == 200


async def test_without_https_there_is_no_prefix_because_browsers_would_refuse_it(world: HttpWorld) -> None:
    await world.person(EMAIL)
    async with world.client() as client:
        assert (await sign_in(client, PAGE)).startswith("refresh_token=")
        assert await refresh(client, PAGE) == 200


async def test_a_cookie_that_a_neighbour_has_set_signs_nobody_in(world: HttpWorld) -> None:
    """``evil.example.com`` can set cookies for ``example.com``, and so sign people in as somebody else, but for the prefix."""
    await world.person(EMAIL)
    async with over_tls(world) as attacker, over_tls(world) as victim:
        token = (await sign_in(attacker, PROGRAM)).partition(";")[0]
        victim.headers["Cookie"] = token
        assert await refresh(victim, PAGE) == 401
        out = await victim.post("/accounts/sign-out/", headers=PAGE)
        assert out.status_code == 200
        # Neither was done in the attacker's session: the program that owns the cookie goes on with it.
        attacker.cookies.clear()
        attacker.headers["Cookie"] = token
        assert await refresh(attacker, PROGRAM) == 200


async def test_the_cookie_with_the_prefix_counts_beside_another(world: HttpWorld) -> None:
    await world.person(EMAIL)
    async with over_tls(world) as client:
        own = (await sign_in(client, PAGE)).partition(";")[0]
        client.cookies.clear()
        client.headers["Cookie"] = f"{own}; refresh_token=forged"
        assert await refresh(client, PAGE) == 200


async def test_signing_out_deletes_both_names(world: HttpWorld) -> None:
    await world.person(EMAIL)
    async with over_tls(world) as client:
        await sign_in(client, PAGE)
        gone = (await client.post("/accounts/sign-out/", headers=PAGE)).headers.get_list("set-cookie")
        assert [each.partition("=")[0] for each in gone] == ["__Host-refresh_token", "refresh_token"]
        assert all("; Max-Age=0; " in each for each in gone)
        assert not client.cookies
        assert await refresh(client, PAGE) == 401


async def test_a_visit_to_a_provider_is_always_a_browsers(world: HttpWorld) -> None:
    async with over_tls(world) as browser:
        left = await begin(browser)
        cookie = left.headers["set-cookie"]
        assert cookie.startswith("__Host-provider_visit=")
        assert cookie.endswith("; Max-Age=600; HttpOnly; Path=/; SameSite=Lax; Secure")
        assert (await come_back(browser, state_of(left))).headers["location"] == "/app/#provider=sign-in"
        finished = await browser.post("/accounts/sign-in/provider/finish/", headers=PAGE)
        names = [each.partition("=")[0] for each in finished.headers.get_list("set-cookie")]
        assert names == ["__Host-refresh_token", "__Host-provider_visit"]
        assert list(browser.cookies) == ["__Host-refresh_token"]


async def test_a_visit_that_a_neighbour_has_begun_is_none(world: HttpWorld) -> None:
    async with over_tls(world) as neighbour, over_tls(world) as browser:
        left = await begin(neighbour)
        forged = left.headers["set-cookie"].partition(";")[0].removeprefix("__Host-")
        browser.headers["Cookie"] = forged
        back = await come_back(browser, state_of(left))
        assert back.headers["location"] == "/app/#provider-error=AUTH_ERROR"


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        (HttpOptions(), ""),
        (HttpOptions(secure_cookies=True), "__Host-"),
        (HttpOptions(secure_cookies=True, prefix="/api"), "__Secure-"),
    ],
)
async def test_the_document_has_the_name_of_the_visit(
    world: HttpWorld, options: HttpOptions, prefix: str
) -> None:
    client = world.client(secure_cookies=options.secure_cookies, prefix=options.prefix)
    document = (await client.get("/openapi.json")).json()
    finishing = document["paths"][f"{options.prefix}/accounts/sign-in/provider/finish/"]["post"]
    assert [each["name"] for each in finishing["parameters"]] == [f"{prefix}provider_visit"]

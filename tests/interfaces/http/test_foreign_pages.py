"""
What a browser cannot be made to do by a page of another site: open a socket, use the refresh cookie, or replace it. The
endpoints are found among the routes, so that a new one is held to this as well.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest
from starlette.routing import WebSocketRoute
from starlette.types import Message, Scope

from interfaces.http.handshakes import BEFORE_HANDSHAKE, DENIAL
from interfaces.http.openapi import refusals_of
from interfaces.http.routes import Endpoint
from tests.all_chats import opened
from tests.interfaces.http.conftest import FRONT, PASSWORD, HttpWorld

FOREIGN: Final[list[dict[str, str]]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://server.evil.example"},
    {"Origin": "http://server:81"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]

OWN: Final[list[dict[str, str]]] = [
    {},
    {"Origin": FRONT, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://server", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
]

EMAIL: Final = "ann@example.com"


async def signed_in(world: HttpWorld) -> Any:
    await world.person(EMAIL)
    return await sign_in(world)


async def sign_in(world: HttpWorld) -> Any:
    client = world.client()
    answer = await client.post("/accounts/sign-in/", json={"email": EMAIL, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {answer.json()['data']['accessToken']}"
    return client


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_neither_rotates_nor_ends_anything(
    world: HttpWorld, headers: Mapping[str, str]
) -> None:
    client = await signed_in(world)
    cookie = client.cookies["refresh_token"]
    for path in "/accounts/token/refresh/", "/accounts/sign-out/":
        answer = await client.post(path, json={"fingerprint": None}, headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["error"]["code"] == "FOREIGN_PAGE"
        assert "set-cookie" not in answer.headers
        assert (await client.get("/accounts/me/")).status_code == 200, "the session goes on"
    # The token is unused: this is its first exchange, long after the grace for a repeated one.
    assert client.cookies["refresh_token"] == cookie
    world.clock.at += world.accounts.rules.sessions.grace * 2
    assert (await client.post("/accounts/token/refresh/", json={"fingerprint": None})).status_code == 200


@pytest.mark.parametrize("headers", OWN)
async def test_own_pages_and_clients_without_a_browser_notice_nothing(
    world: HttpWorld, headers: Mapping[str, str]
) -> None:
    client = await signed_in(world)
    for path in "/accounts/token/refresh/", "/accounts/sign-out/":
        answer = await client.post(path, json={"fingerprint": None}, headers=headers)
        assert answer.status_code == 200, path


async def test_whatever_touches_the_cookie_refuses_foreign_pages(world: HttpWorld) -> None:
    """Also what sets it: a page could sign a reader in as somebody else, who would then read what the reader writes."""
    client = await signed_in(world)
    token, changed = await world.letter_to("new@example.com"), []
    bodies: dict[str, Any] = {
        "/accounts/sign-in/": {"email": EMAIL, "password": PASSWORD},
        "/accounts/token/refresh/": {"fingerprint": None},
        "/accounts/email/confirm/": {"confirmationToken": token},
        "/accounts/token/redeem/": {"confirmationToken": token},
        "/accounts/me/": {"password": PASSWORD},
        "/accounts/sessions/": {"password": PASSWORD},
    }
    endpoints = [route for route in world.app().routes if isinstance(route, Endpoint)]
    for endpoint in (one for one in endpoints if one.path.startswith("/accounts/")):
        kind = {"data": {"username": EMAIL, "password": PASSWORD}}
        if not endpoint.path.endswith("/swagger/"):
            kind = {"json": bodies.get(endpoint.path, {})} if endpoint.method != "GET" else {}
        foreign = await client.request(
            endpoint.method, endpoint.path, headers={"Origin": "https://evil.example"}, **kind
        )
        assert "set-cookie" not in foreign.headers, endpoint.path
        documented = endpoint.described and "FOREIGN_PAGE" in {
            refusal.code for refusal in refusals_of(endpoint, endpoint.described)
        }
        if foreign.status_code == 403:
            changed.append(f"{endpoint.method} {endpoint.path}")
            assert documented or endpoint.described is None, endpoint.path
        else:
            assert not documented, endpoint.path
    assert changed == [
        "POST /accounts/sign-in/",
        "POST /accounts/sign-in/second/",
        "POST /accounts/sign-in/swagger/",
        "POST /accounts/sign-out/",
        "POST /accounts/email/confirm/",
        "POST /accounts/token/refresh/",
        "POST /accounts/token/redeem/",
        "DELETE /accounts/me/",
        "POST /accounts/sign-in/provider/",
        "POST /accounts/sign-in/provider/finish/",
        "POST /accounts/identities/",
        "POST /accounts/identities/finish/",
        "POST /accounts/sign-in/passkey/begin/",
        "POST /accounts/sign-in/passkey/",
    ]
    assert (await client.get("/accounts/me/")).status_code == 200


async def handshake(
    app: Any, path: str, headers: Mapping[str, str], host: str | None = "server", *, can_deny: bool = True
) -> list[Message]:
    """
    Return what a client that leaves at once is sent. ``can_deny`` says whether the server can answer a refused handshake
    like a request.
    """
    sent: list[Message] = []
    events = iter(({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}))

    async def receive() -> Message:
        return next(events)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "websocket",
        "path": path,
        "scheme": "ws",
        "query_string": b"",
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in (*({"Host": host} if host else {}).items(), *headers.items())
        ],
        "subprotocols": [],
        "client": ("127.0.0.1", 1),
        "extensions": {DENIAL: {}} if can_deny else {},
    }
    await app(scope, receive, send)
    return sent


async def test_every_socket_and_the_stream_refuse_foreign_pages() -> None:
    async with opened() as house:
        ann = await house.world.person("Ann")
        chat_id = await house.world.chat(ann.actor)
        paths = [
            route.path.replace("{chat_id}", str(chat_id))
            for route in house.app.routes
            if isinstance(route, WebSocketRoute)
        ]
        assert paths == [f"/chats/{chat_id}/ws", "/ws"]
        for path in paths:
            for headers in FOREIGN:
                first, body = await handshake(house.app, path, headers)
                assert (first["type"], first["status"]) == (f"{DENIAL}.start", 403), (path, headers)
                assert orjson.loads(body["body"])["error"]["code"] == "FOREIGN_PAGE"
                assert await handshake(house.app, path, headers, can_deny=False) == [BEFORE_HANDSHAKE]
            for headers in ({}, {"Origin": "http://server"}, {"Origin": "https://server"}):
                assert (await handshake(house.app, path, headers))[0]["type"] == "websocket.accept"
        for headers in FOREIGN:
            assert (await status(house.app, "/events/", {**ann.headers, **headers})) == 403
        assert (await status(house.app, "/events/", {**ann.headers, "Origin": "http://server"})) == 200


async def status(app: Any, path: str, headers: Mapping[str, str]) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "HEAD",
        "path": path,
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"server")]
        + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])

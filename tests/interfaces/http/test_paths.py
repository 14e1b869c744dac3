"""Slashes, methods, unknown paths and health."""

import logging
import re
from typing import Any

import httpx
import pytest
from attrs import evolve
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from application.errors import OutcomeUnknown, Overloaded, Unavailable
from domain.errors import Conflict, Forbidden, Invalid, Limited, NotFound
from interfaces.app import create_app
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Directory, Endpoint
from tests.interfaces.http.conftest import HttpWorld

CHAT = "/chats/6f9619ff-8b86-d011-b42d-00cf4fc964ff"

PLACES = {"code": "NOT_FOUND", "name": "test"}
"""What paths are tried with where it is no id."""


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/healthcheck?x=1", "/chats", CHAT, f"{CHAT}/history?limit=1&offset=2", "/accounts/sign-in"]
)
async def test_a_slash_is_missing(world: HttpWorld, method: str, path: str) -> None:
    answer = await world.client().request(method, path)
    way, mark, query = path.partition("?")
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["location"] == f"{way}/{mark}{query}"


async def test_a_redirect_leads_to_no_host_that_a_client_names(world: HttpWorld) -> None:
    for path in ("/", "/chats", "//evil.example/chats", "//chats", "/chats//"):
        answer = await world.client().get(f"http://server{path}", headers={"Host": "evil.example"})
        location = answer.headers.get("location", "")
        assert "evil" not in location
        assert not location.startswith(("//", "http"))


async def test_a_redirect_escapes_what_its_path_holds(world: HttpWorld) -> None:
    answer = await world.client().get("/profiles/a%3Fb%23c%0Ad%25?x=1")
    assert answer.headers["location"] == "/profiles/a%3Fb%23c%0Ad%25/?x=1"


@pytest.mark.parametrize("path", ["/livez", "/accounts/me/", "/chats/", "/"])
async def test_a_path_with_a_line_break_is_another_path(world: HttpWorld, path: str) -> None:
    answer = await world.client().get(f"{path}%0a")
    assert answer.status_code == 404 or answer.headers["location"] == f"{path}%0A/"


def test_no_route_takes_a_line_break_at_the_end(world: HttpWorld) -> None:
    async def serve(_: WebSocket) -> None: ...

    app = create_app(
        world.messenger,
        HttpOptions(),
        new_request_id=lambda: "",
        sockets=[WebSocketRoute("/chats/{chat_id}/ws", serve)],
        added=[Route("/added", lambda _: Response())],
    )
    for route in app.routes:
        assert isinstance(route, Route | WebSocketRoute)
        path = re.sub(r"\{\w+\}", "x", route.path)
        assert route.path_regex.match(path)
        assert route.path.endswith("}") or not route.path_regex.match(f"{path}\n")


def test_each_request_has_the_route_that_fits_first(world: HttpWorld) -> None:
    """The directory finds the route that Starlette finds, which looks through all of them in turn."""
    app = create_app(
        world.messenger,
        HttpOptions(public_path="/front"),
        new_request_id=lambda: "",
        added=[Route("/added/{rest:path}", lambda _: Response()), Mount("/chats/direct", app=Starlette())],
    )
    directory = Directory(app.router)
    there = {
        re.sub(r"\{[\w:]+\}", CHAT.rpartition("/")[2], route.path)
        for route in app.routes
        if hasattr(route, "path")
    }
    there |= {re.sub(r"\{[\w:]+\}", "direct", route.path) for route in app.routes if isinstance(route, Route)}
    found: list[BaseRoute | None] = []
    for path in sorted(
        there | {f"{each}/" for each in there} | {each.rstrip("/") for each in there} | {"", "//", "/none/"}
    ):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            scope = {"type": "http", "method": method, "path": f"/front{path}", "root_path": "/front"}
            fitting = (route for route in app.routes if route.matches(scope)[0] is Match.FULL)
            first, taken = next(fitting, None), directory.find(scope)
            assert (taken and taken[0]) is first, (method, path)
            found.append(first)
    assert [route.path for route in app.routes if isinstance(route, Endpoint) and route not in found] == []


async def test_where_a_get_is_answered_head_is_too(world: HttpWorld) -> None:
    """RFC 9110, 9.3.2: the same headers, without the content."""
    ann = await world.person("ann@example.com")
    paths = [
        route.path for route in world.app().routes if isinstance(route, Endpoint) and route.method == "GET"
    ]
    assert len(paths) > 20
    for path in paths:
        there = re.sub(r"\{(\w+)\}", lambda name: PLACES.get(name[1], CHAT.rpartition("/")[2]), path)
        asked, read = await ann.client.head(there), await ann.client.get(there)
        for answer in (asked, read):
            answer.headers.pop("ratelimit", None)  # the second one has one less left
        assert (asked.status_code, asked.headers, asked.content) == (read.status_code, read.headers, b""), (
            path
        )


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/accounts/sign-up/", "POST"),
        ("HEAD", "/accounts/sign-up/", "POST"),
        ("OPTIONS", "/chats/", "GET, HEAD, POST"),
        ("DELETE", "/chats/", "GET, HEAD, POST"),
        ("POST", f"{CHAT}/", "DELETE, GET, HEAD, PUT"),
        ("PATCH", "/chats/direct/", "DELETE, GET, HEAD, POST, PUT"),
        ("POST", f"{CHAT}/history/", "GET, HEAD"),
    ],
)
async def test_methods_that_are_not_there(world: HttpWorld, method: str, path: str, allow: str) -> None:
    for original, body in (
        (
            False,
            {"status": "error", "error": {"code": "METHOD_NOT_ALLOWED", "message": "Method Not Allowed"}},
        ),
        (True, {"detail": "Method Not Allowed"}),
    ):
        answer = await world.client(original_statuses=original).request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
        assert method == "HEAD" or answer.json() == body


@pytest.mark.parametrize("path", ["/nope", "/nope/", f"{CHAT}/ws", "/chats/a/b/c/"])
async def test_paths_that_are_not_there(world: HttpWorld, path: str) -> None:
    for original, body in (
        (False, {"status": "error", "error": {"code": "NOT_FOUND", "message": "Not Found"}}),
        (True, {"detail": "Not Found"}),
    ):
        answer = await world.client(original_statuses=original).get(path)
        assert (answer.status_code, answer.json()) == (404, body)


async def test_a_request_for_a_socket_that_lost_its_headers(world: HttpWorld) -> None:
    async def serve(_: WebSocket) -> None: ...

    app = create_app(
        world.messenger,
        HttpOptions(),
        new_request_id=lambda: "made-here",
        sockets=[WebSocketRoute("/chats/{chat_id}/ws", serve)],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        answer = await client.get(f"{CHAT}/ws")
        assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
        assert answer.headers["connection"] == "Upgrade"
        assert answer.json()["error"]["code"] == "UPGRADE_REQUIRED"
        assert "proxy" in answer.json()["error"]["message"]
        assert (await client.post(f"{CHAT}/ws")).status_code == 405


async def test_every_answer_is_safe_with_browsers(world: HttpWorld) -> None:
    ann = await world.person("ann@example.com")
    for method, path in (
        ("GET", "/chats/"),
        ("POST", "/chats/"),
        ("GET", "/nope"),
        ("GET", "/livez"),
        ("GET", "/confirm-email"),
        ("GET", "/errors/NOT_FOUND"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("OPTIONS", "/chats/"),
    ):
        answer = await ann.client.request(method, path, headers={"Origin": "https://elsewhere.example"})
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["x-frame-options"] == "DENY", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        is_for_all = path.startswith(("/errors/", "/docs", "/openapi"))
        assert headers["cache-control"] == ("no-cache" if is_for_all else "no-store"), path
        assert "server" not in headers
        assert "strict-transport-security" not in headers
    told = await world.client(hsts_seconds=3600).get("/livez")
    assert told.headers["strict-transport-security"] == "max-age=3600"
    told = await world.client(hsts_seconds=3600, hsts_subdomains=True).get("/livez")
    assert told.headers["strict-transport-security"] == "max-age=3600; includeSubDomains"


async def unavailable(*_: Any) -> Any:
    raise Unavailable("connection to 10.0.0.7 refused", retry_after=2.5)


async def test_health(world: HttpWorld) -> None:
    ok = {"status": "success", "data": {"health": "ok"}}
    for path in ("/healthcheck/", "/livez", "/readyz"):
        answer = await world.client().get(path)
        assert (answer.status_code, answer.json()) == (200, ok)
    world.messenger = evolve(world.messenger, probe=unavailable)
    client = world.client()
    checked = await client.get("/healthcheck/")
    assert (checked.status_code, checked.json()) == (
        500,
        {"status": "error", "error": "database unavailable"},
    )
    assert (await client.get("/livez")).json() == ok
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "3")
    assert ready.json()["error"] == {"code": "DATA_ERROR", "message": "DataBase error"}


async def test_probes_stay_where_they_are_under_a_prefix(
    world: HttpWorld, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "access"):
        client = world.client(prefix="/api")
        for path in ("/livez", "/readyz", "/api/livez", "/api/readyz", "/api/healthcheck/"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["data"]) == (200, {"health": "ok"}), path
        assert [(await client.post(path)).status_code for path in ("/livez", "/api/livez")] == [405, 405]
        assert (await client.get("/healthcheck/")).status_code == 404
    asked = [record.__dict__["path"] for record in caplog.records if record.name == "access"]
    assert asked == ["/healthcheck/"]
    with caplog.at_level(logging.INFO, "access"):
        await world.client(log_probes=True).get("/livez")
    assert caplog.records[-1].__dict__["path"] == "/livez"


class Odd(Conflict):
    code = "very_odd"


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (Unavailable("host and port"), 503, "DATA_ERROR", "DataBase error"),
        (Overloaded("queue"), 503, "OVERLOADED", "Server overloaded; nothing was stored"),
        (OutcomeUnknown("commit"), 503, "OUTCOME_UNKNOWN", "Outcome unknown; retry with the same key"),
        (Odd("details"), 409, "VERY_ODD", "Very odd"),
        (Invalid(), 422, "INVALID", "Invalid"),
        (NotFound(), 404, "NOT_FOUND", "Not found"),
        (Forbidden(), 403, "FORBIDDEN", "Forbidden"),
        (Limited(), 429, "LIMITED", "Limited"),
        (LookupError("secret"), 500, "SYSTEM_ERROR", "Internal server error"),
    ],
)
async def test_what_goes_wrong_inside(
    world: HttpWorld, error: Exception, status: int, code: str, message: str
) -> None:
    async def fail(*_: Any) -> Any:
        raise error

    ann = await world.person("ann@example.com")
    world.messenger = evolve(world.messenger, chats=evolve(world.messenger.chats, list=fail))
    client = world.client(ann.token, promised=False)
    answer = await client.get("/chats/", headers={"Origin": "http://localhost:5173"})
    told = answer.json()["error"]
    assert (answer.status_code, told["code"], told["message"]) == (status, code, message)
    assert told.get("requestId") == ("made-here" if status == 500 else None)
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert ("retry-after" in answer.headers) == (code in {"DATA_ERROR", "OVERLOADED"})


async def test_a_database_that_is_down_signs_nobody_out(world: HttpWorld) -> None:
    accounts = evolve(world.messenger.accounts, authenticate=unavailable, refresh=unavailable)
    world.messenger = evolve(world.messenger, accounts=accounts)
    client = world.client("token")
    for answer in (
        await client.get("/accounts/me/"),
        await client.post("/accounts/token/refresh/", json={"fingerprint": None}),
    ):
        assert (answer.status_code, answer.json()["error"]["message"]) == (503, "DataBase error")

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from interfaces.http.errors import exception_handlers
from interfaces.http.middleware import BodyLimit, Cors, LastResort, Traced
from interfaces.http.problem import request_id

FRONT = "http://localhost:5173"


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def name(request: Request) -> Response:
    return JSONResponse(request_id(request.scope))


async def fail(_: Request) -> Response:
    raise LookupError("SELECT password FROM account")


async def fail_halfway(_: Request) -> Response:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError

    return StreamingResponse(half())


async def lose_the_client(_: Request) -> Response:
    raise ClientDisconnect


@pytest.fixture
def app() -> Starlette:
    return Starlette(
        routes=[
            Route("/echo", echo, methods=["POST"]),
            Route("/name", name),
            Route("/fail", fail),
            Route("/half", fail_halfway),
            Route("/gone", lose_the_client),
        ],
        middleware=[
            Middleware(Traced, new_id=lambda: "made-here"),
            Middleware(Cors, origins=(FRONT,)),
            Middleware(LastResort),
            Middleware(BodyLimit, most=10),
        ],
        exception_handlers=exception_handlers(original_statuses=False),
    )


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        yield client


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1.2_3", "abc-1.2_3"),
        ("", "made-here"),
        ("two words", "made-here"),
        ("x" * 65, "made-here"),
        ('"; drop', "made-here"),
    ],
)
async def test_a_request_has_a_name(client: httpx.AsyncClient, given: str, kept: str) -> None:
    answer = await client.get("/name", headers={"X-Request-ID": given})
    assert (answer.json(), answer.headers.get_list("x-request-id")) == (kept, [kept])


async def test_one_line_in_the_log_without_the_query(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "access"):
        await client.post("/nothing%0Ahere?token=secret", content=b"secret", headers={"X-Request-ID": "r1"})
    (record,) = caplog.records
    assert record.getMessage() == "POST /nothing%0Ahere 404"
    said = record.__dict__
    assert (said["request_id"], said["status"], said["client"]) == ("r1", 404, "127.0.0.1")
    assert "secret" not in str(said)


async def test_unlogged_paths(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    traced = Traced(answer, lambda: "made-here", unlogged={"/livez"})
    transport = httpx.ASGITransport(traced)
    with caplog.at_level(logging.INFO, "access"):
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            for path in ("/livez", "/livez?x=1", "/livez/", "/other"):
                assert "x-request-id" in (await client.get(path)).headers
    assert [record.__dict__["path"] for record in caplog.records] == ["/livez/", "/other"]


async def test_the_last_resort(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = await client.get("/fail", headers={"Origin": FRONT, "X-Request-ID": "r2"})
    assert answer.status_code == 500
    assert answer.json() == {
        "status": "error",
        "error": {"code": "SYSTEM_ERROR", "message": "Internal server error", "requestId": "r2"},
    }
    assert answer.headers["access-control-allow-origin"] == FRONT
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert record.__dict__["request_id"] == "r2"


async def test_half_an_answer_is_not_finished(client: httpx.AsyncClient) -> None:
    with pytest.raises(LookupError):
        await client.get("/half")


async def test_a_client_that_left_is_no_failure(app: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/gone",
        "headers": [],
        "query_string": b"",
    }
    with caplog.at_level(logging.INFO):
        await app(scope, receive, send)
    assert sent == []
    assert [record.getMessage() for record in caplog.records] == ["GET /gone 499"]


async def test_a_body_may_be_so_long(client: httpx.AsyncClient) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"12345"

    assert (await client.post("/echo", content=b"0123456789")).status_code == 200
    for content in (b"0123456789X", unannounced()):
        answer = await client.post("/echo", content=content, headers={"Origin": FRONT})
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "BODY_TOO_LARGE"
        assert answer.headers["access-control-allow-origin"] == FRONT


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"Origin": FRONT, "Access-Control-Request-Method": "POST"}, 200, "OK"),
        (
            {
                "Origin": FRONT,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization, Content-Type",
            },
            200,
            "OK",
        ),
        (
            {
                "Origin": FRONT,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Private-Network": "true",
            },
            200,
            "OK",
        ),
        (
            {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
            400,
            "Disallowed CORS origin",
        ),
        ({"Origin": FRONT, "Access-Control-Request-Method": "TRACE"}, 400, "Disallowed CORS method"),
        (
            {
                "Origin": FRONT,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-custom",
            },
            400,
            "Disallowed CORS headers",
        ),
        (
            {"Origin": "http://evil.example", "Access-Control-Request-Method": "TRACE"},
            400,
            "Disallowed CORS origin, method",
        ),
    ],
)
async def test_preflights(client: httpx.AsyncClient, asked: dict[str, str], status: int, text: str) -> None:
    answer = await client.options("/name", headers=asked)
    assert (answer.status_code, answer.text) == (status, text)
    allowed: dict[str, Any] = {key: value for key, value in answer.headers.items() if key != "x-request-id"}
    origin = allowed.pop("access-control-allow-origin", None)
    assert origin == (FRONT if asked["Origin"] == FRONT else None)
    assert allowed == {
        "vary": "Origin",
        "access-control-allow-methods": "GET, POST, OPTIONS, DELETE, PATCH, PUT",
        "access-control-max-age": "600",
        "access-control-allow-headers": "Accept, Accept-Language, Access-Control-Allow-Headers, "
        "Access-Control-Allow-Origin, Authorization, Content-Language, Content-Type, Set-Cookie",
        "access-control-allow-credentials": "true",
        "content-length": str(len(text)),
        "content-type": "text/plain; charset=utf-8",
    }


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (
            {"Origin": FRONT},
            {
                "access-control-allow-origin": FRONT,
                "access-control-allow-credentials": "true",
                "access-control-expose-headers": "X-Request-ID",
                "vary": "Origin",
            },
        ),
        ({"Origin": "http://evil.example"}, {"access-control-allow-credentials": "true"}),
        ({}, {}),
    ],
)
async def test_what_scripts_of_other_origins_may_read(
    client: httpx.AsyncClient, asked: dict[str, str], allowed: dict[str, str]
) -> None:
    for path in ("/name", "/unknown"):
        answer = await client.get(path, headers=asked)
        assert {
            name: value
            for name, value in answer.headers.items()
            if name == "vary" or name.startswith("access-control")
        } == allowed


@pytest.mark.parametrize("wanted", ["idempotency-key", "authorization, If-None-Match, x-request-id"])
async def test_headers_that_the_original_did_not_know_are_named_to_who_asks(
    client: httpx.AsyncClient, wanted: str
) -> None:
    asked = {
        "Origin": FRONT,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": wanted,
    }
    answer = await client.options("/name", headers=asked)
    assert answer.status_code == 200
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {name.strip().lower() for name in wanted.split(",")} <= allowed
    assert "Set-Cookie" in answer.headers["access-control-allow-headers"]


async def test_sockets_pass_through_with_a_name() -> None:
    seen: list[Scope] = []

    async def socket(scope: Scope, _: object, __: object) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> Any:
        raise AssertionError

    app = Traced(Cors(LastResort(BodyLimit(socket, 0)), ()), lambda: "made-here")
    scope: Scope = {"type": "websocket", "path": "/chats/x/ws", "headers": []}
    await app(scope, nothing, nothing)
    assert seen == [scope]
    assert request_id(scope) == "made-here"

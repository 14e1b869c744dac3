"""Requests over HTTP: every route with parts that are exchanged, and bytes that are hardly HTTP."""

import asyncio
import re
import time
from random import Random
from typing import Any, Final

from attrs import define
from starlette.applications import Starlette

from interfaces.http.routes import Endpoint
from tests.fuzzing.chance import Chance
from tests.fuzzing.oracle import Oracle
from tests.fuzzing.scene import Scene
from tests.interfaces.ws.house import House, Line

PATIENCE: Final = 20.0
"""Seconds in which an answer has begun."""

HEADERS: Final = (
    "Accept: application/problem+json",
    "Accept: text/html",
    "Accept: */*;q=9, ;;,,",
    "Accept-Language: ru;q=x, \xff",
    "Accept-Encoding: br;q=0.1, gzip, *;q=0",
    "Idempotency-Key: a",
    'Idempotency-Key: "',
    "Idempotency-Key: \xff\xfe",
    'If-None-Match: *, W/"x", "',
    "Last-Event-ID: AAECAwQFBgcICQoLDA0OD3sifQ",
    "Origin: null",
    "Origin: http://server",
    "Sec-Fetch-Site: cross-site",
    'Forwarded: for="[::1";proto=https, for=unknown',
    "X-Forwarded-For: 1.2.3.4, " + "9" * 300,
    "X-Request-ID: a b\tc",
    "Cookie: refresh_token=a; refresh_token=b; =; x",
    "Cookie: " + "a=b; " * 500,
    "Range: bytes=0-",
    "Expect: 100-continue",
    "Authorization: Basic eA==",
    "Authorization: Bearer a.b.c",
    "Content-Encoding: gzip",
    "Transfer-Encoding: gzip, chunked",
    "Host: other",
    "Upgrade: h2c",
    "Connection: Upgrade, close",
    "X: " + "a" * 9000,
    "Bad Name: x",
    ": x",
    " folded: x",
)

TYPES: Final = (
    "application/json",
    "application/json; charset=utf-16",
    "application/vnd.x+json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "\xff",
    "",
)

TARGETS: Final = (
    "*",
    "//",
    "/%00",
    "/%2e%2e/",
    "/chats/%ff/",
    "/chats//",
    "/\\..\\",
    "http://elsewhere.example/livez",
    "http://[::1/livez",
    "/livez?" + "a=b&" * 400,
    "/livez#x",
    "/app/x/../../main.py",
    "/app/0/%2e%2e%2f%2e%2e%2fconfig/asgi.py",
    "/errors/%7B%7B7*7%7D%7D",
    "/livez\x0b",
)


def examples(app: Starlette) -> list[tuple[Endpoint, Any, Any]]:
    """Each endpoint with an example of its body and of its query."""
    made = []
    for route in app.routes:
        if isinstance(route, Endpoint):
            described = route.described
            made.append(
                (
                    route,
                    _example(described.body) if described else None,
                    _example(described.query) if described else None,
                )
            )
    return made


def _example(shape: Any) -> dict[str, Any] | None:
    if shape is None:
        return None
    return {
        spec.name or re.sub(r"_(\w)", lambda match: match[1].upper(), name): spec.doc.example
        for name, spec in shape.fields.items()
        if spec.doc is not None
    }


@define(eq=False)
class HttpFuzzer:
    house: House
    oracle: Oracle
    scene: Scene
    port: int | None = None
    """The port of the listener that hostile bytes are sent to. None stands for the messenger."""

    async def strike(self, seed: int, count: int | None = None, until: float | None = None) -> None:
        routes = examples(self.house.app)
        self.oracle.begins()
        number = 0
        while (count is None or number < count) and (until is None or time.monotonic() < until):
            await self.scene.refresh(number)
            chance = Chance(Random(f"{seed} http {number}"), self.scene.known)
            sending = self._send(self._request(chance, routes))
            if number % 20 == 0:
                _, waited = await asyncio.gather(sending, self.ask_as_others_do())
                self.oracle.waits.append(waited)
                self.oracle.small()
            else:
                await sending
            number += 1

    def _request(self, chance: Chance, routes: list[tuple[Endpoint, Any, Any]]) -> bytes:
        endpoint, body, query = chance.one(routes)
        method = (
            endpoint.method
            if chance.happens(0.9)
            else chance.one(("HEAD", "OPTIONS", "TRACE", "PUT", "X", "get"))
        )
        path = re.sub(r"{[^}]*}", lambda _: self._quoted(chance, chance.id()), endpoint.path)
        if chance.happens(0.03):
            path = chance.one(TARGETS)
        elif query or chance.happens(0.2):
            given = chance.changed(query or {"limit": 1, "cursor": "x", "token": "x"})
            path += "?" + "&".join(
                f"{self._quoted(chance, str(name))}={self._quoted(chance, str(each))}"
                for name, each in given.items()
            )
        lines = [f"{method} {path} HTTP/1.1", "Host: server"]
        if chance.happens(0.8):
            lines.append(f"Authorization: Bearer {chance.one(self.scene.tokens)}")
        lines += [chance.one(HEADERS) for _ in range(chance.random.choice((0, 0, 0, 1, 2, 5)))]
        content = b""
        if endpoint.method != "GET" or chance.happens(0.05):
            content = chance.written(chance.changed(body or {"email": "a@example.com", "password": "x"}))
            kind = "application/json" if chance.happens(0.85) else chance.one(TYPES)
            lines.append(f"Content-Type: {kind}")
        if content and chance.happens(0.15):
            lines.append("Transfer-Encoding: chunked")
            size = chance.one((f"{len(content):x}", f"0{len(content):X};a=b", "ffffffff", "-1", "x", "0x1"))
            content = f"{size}\r\n".encode() + content + b"\r\n0\r\n\r\n"
        elif content:
            lines.append(
                f"Content-Length: {chance.one((len(content),) * 9 + (-1, 10**20, len(content) - 1))}"
            )
        head = "\r\n".join(lines) + "\r\n\r\n"
        if chance.happens(0.02):
            head = head.replace("\r\n", chance.one(("\n", "\r", "\r\r\n", "\0\r\n")), 1)
        return head.encode("latin-1", "replace") + content

    def _quoted(self, chance: Chance, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        if chance.happens(0.1):
            return text.encode("ascii", "ignore").decode().translate({0: None, 10: None, 13: None, 32: None})
        return "".join(f"%{each:02x}" if not chr(each).isalnum() else chr(each) for each in data)[:4000]

    async def _send(self, request: bytes) -> None:
        line = await self.house.dial(port=self.port)
        try:
            line.writer.write(request)
            if line.writer.can_write_eof():
                line.writer.write_eof()
            await self._judge(line, request)
        finally:
            self.house.lines.remove(line)
            line.writer.transport.abort()

    async def _judge(self, line: Line, request: bytes) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = (await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                rest = b"" if "event-stream" in head else await line.reader.read(200_000)
        except TimeoutError:
            self.oracle.fault("no answer came", request)
            return
        except (asyncio.IncompleteReadError, ConnectionResetError):
            self.oracle.heard(
                "no answer", "", request
            )  # the request was not whole, so there was nothing to answer
            return
        except asyncio.LimitOverrunError:
            self.oracle.fault("the head of an answer is endless", request)
            return
        self.oracle.heard(head.split(" ", 2)[1], head + rest.decode("utf-8", "replace"), request)
        if (
            "x-content-type-options: nosniff" not in head.lower()
            and " 101 " not in head
            and " 100 " not in head
        ):
            self.oracle.fault(f"an answer lacks its headers: {head[:200]}", request)

    async def ask_as_others_do(self) -> float:
        """Return how long a well-behaved client waited."""
        token = await self.scene.healthy()
        began = time.monotonic()
        line = await self.house.dial()
        line.writer.write(
            f"GET /chats/ HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
        )
        head = await line.head()
        waited = time.monotonic() - began
        self.house.lines.remove(line)
        line.writer.transport.abort()
        if " 200 " not in head:
            self.oracle.fault(f"a well-behaved client got {head[:100]}", b"")
        return waited

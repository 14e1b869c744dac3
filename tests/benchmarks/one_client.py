"""
Attacks over HTTP by clients who do not sign in, and the others whom they delay: 200 messages a second over 50 chats of ten
sockets. `tests.benchmarks.attacks` measures them.
"""

import asyncio
import random
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from attrs import define, field, frozen

from tests.benchmarks.house import Installation
from tests.benchmarks.people import crowd
from tests.benchmarks.wire import Wire, enter, enter_all, framed

CHATS, LISTENERS, RATE = 50, 10, 200

ATTACKER: Final = "127.0.0.2"

CROWDS: Final = ("127.0.0.3", "127.0.0.4", "127.0.0.5")
"""The addresses of many ordinary people each."""

struck: int = 0
"""The number of attacks that this process has made. Depending on the attack these are connections, requests or frames."""


def count_strike() -> None:
    global struck  # noqa: PLW0603 - one number for the whole attacking process
    struck += 1


BODY: Final = 256 * 1024


def _request(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


GET: Final = _request("GET", "/livez")
UNFINISHED: Final = _request(
    "POST", "/accounts/sign-in/", "Content-Type: application/json", f"Content-Length: {BODY}"
) + b'"' * (BODY - 100)
CHUNKS: Final = _request("POST", "/accounts/sign-in/", "Transfer-Encoding: chunked") + b"1\r\n \r\n" * 41_000
LINES: Final = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"a:\r\n" * 3900 + b"\r\n"


@frozen
class Attack:
    """A number of connections that send the same bytes at once; with ``again``, repeatedly."""

    connections: int
    sent: bytes
    again: bool = False
    is_read: bool = True


ATTACKS: Final = {
    "one-byte chunks": Attack(20, CHUNKS, again=True),
    "heads of 3 900 lines": Attack(20, LINES, again=True),
    "5 000 requests sent ahead": Attack(20, GET * 5000, again=True),
    "silent": Attack(1100, b""),
    "half heads": Attack(1000, GET[:-4]),
    "unfinished bodies": Attack(1000, UNFINISHED),
    "unread answers": Attack(300, _request("GET", "/docs/swagger-ui-bundle.js"), is_read=False),
}


async def attack(port: int, kind: Attack) -> None:
    """Until it is cancelled; what is refused is tried again a second later."""

    async def one() -> None:
        while True:
            with suppress(OSError):
                await _strike(port, kind)
                if kind.again:
                    continue
            await asyncio.sleep(0.5 + random.random())

    await asyncio.gather(*(one() for _ in range(kind.connections)))


async def _strike(port: int, kind: Attack) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        if not kind.is_read:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((ATTACKER, 0))
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, kind.sent)
        count_strike()
        if not kind.is_read:
            await asyncio.sleep(3600)
        while await loop.sock_recv(sock, 65536):
            pass


PEOPLE: Final = 1000
"""People of one address who ask for something at the same time, as many as an attack has connections."""

UNDER_WAY: Final = 4.0
"""Seconds for which their requests are under way."""


async def ask_together(port: int, address: str) -> None:
    """Ordinary requests of many people of one address at once, the bodies of which come in two parts, as over a slow network."""
    body = b'{"email": "who@example.com", "password": "wrong"'  # no JSON: no password is hashed
    head = _request(
        "POST", "/accounts/sign-in/", "Content-Type: application/json", f"Content-Length: {len(body)}"
    )

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        writer.write(head + body[:20])
        await asyncio.sleep(UNDER_WAY)
        writer.write(body[20:])
        answer = await reader.readline()
        assert answer.startswith(b"HTTP/1.1 422 "), answer
        writer.close()

    await asyncio.gather(*(ask() for _ in range(PEOPLE)))


@define(eq=False)
class Others:
    """Ten sockets in each chat, of which the last is listened to; the first says something now and then."""

    first: list[Wire] = field(factory=list)
    said: list[float] = field(factory=list)
    took: list[float] = field(factory=list)

    def hearing(self, chat: int) -> Callable[[bytes], None]:
        def hear(payload: bytes) -> None:
            if b'"new_message"' in payload[:40]:
                self.took.append(time.perf_counter() - self.said[chat])

        return hear

    async def talk(self) -> None:
        number, began = 0, time.perf_counter()
        while True:
            chat = number % len(self.first)
            self.said[chat] = time.perf_counter()
            self.first[chat].say(framed({"type": "send_message", "text": "x" * 200, "nonce": str(number)}))
            number += 1
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))


@asynccontextmanager
async def talking(house: Installation) -> AsyncIterator[Others]:
    others, port = Others(said=[0.0] * CHATS), house.server.port
    # as many people as chats, so that each says little
    async with crowd(house.url, CHATS, CHATS, LISTENERS) as them:

        def way(chat: int, place: int) -> Awaitable[Wire]:
            hear = others.hearing(chat) if place == LISTENERS - 1 else lambda _: None
            return enter(port, str(them.chats[chat]), them.people[(chat + place) % CHATS].token, hear)

        wires = await enter_all(way(chat, place) for chat in range(CHATS) for place in range(LISTENERS))  # type: ignore[misc]
        others.first = wires[::LISTENERS]
        task = asyncio.create_task(others.talk())
        try:
            yield others
        finally:
            task.cancel()
            await asyncio.wait({task})
            for wire in wires:
                wire.cut()


def lines(log: str) -> list[str]:
    """Each warning once, without its numbers."""
    found = re.findall(r"WARNING \S+ ([^:=\n(]+)", log)
    return [line.strip() for line in dict.fromkeys(re.sub(r"\d+", "n", line) for line in found)]

"""
What one client that means ill costs the others over HTTP, attack by attack.

    python -m tests.benchmarks.one_client [ATTACK ...] [--during 15] [--after 40] [--descriptors 1024]

The others: 200 messages a second over 50 chats of ten sockets. A row for each attack: the others' median and p99 of delivery
before and meanwhile, the messenger's memory before, at most, and afterwards, how many connections the attacker still
had at the end, and which lines the log has. The attacker is a process of its own on another address of this machine.
"""

import argparse
import asyncio
import random
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from attrs import define, field, frozen

from tests.benchmarks.house import Installation, house, quantile, resident
from tests.benchmarks.people import SECRET, crowd
from tests.benchmarks.wire import Wire, enter, enter_all, framed, run

CHATS, LISTENERS, RATE = 50, 10, 200

ATTACKER: Final = "127.0.0.2"

BEFORE: Final = 8.0
"""Seconds that are measured before an attack."""

BODY: Final = 256 * 1024


def _request(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: server", *headers, "", ""]).encode()


GET: Final = _request("GET", "/livez")
UNFINISHED: Final = _request(
    "POST", "/accounts/sign-in/", "Content-Type: application/json", f"Content-Length: {BODY}"
) + b'"' * (BODY - 100)
CHUNKS: Final = _request("POST", "/accounts/sign-in/", "Transfer-Encoding: chunked") + b"1\r\n \r\n" * 41_000
LINES: Final = b"GET /livez HTTP/1.1\r\nHost: server\r\n" + b"a:\r\n" * 3900 + b"\r\n"


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
        if not kind.is_read:
            await asyncio.sleep(3600)
        while await loop.sock_recv(sock, 65536):
            pass


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


@frozen
class Row:
    attack: str
    before: tuple[float, float]
    during: tuple[float, float]
    memory: tuple[int, int, int]
    """kB before, at most, and afterwards."""
    log: list[str]


async def measure(house: Installation, others: Others, name: str, during: float, after: float) -> Row:
    logged = len(house.server.log())
    before, at_first = await watched(house, others, BEFORE)
    command = ["-m", "tests.benchmarks.one_client", "--strike", name, "--port", str(house.server.port)]
    # it shares the CPU of the measuring process, and must not be in its way
    attacker = await asyncio.create_subprocess_exec("nice", "-n", "15", sys.executable, *command)
    try:
        await asyncio.sleep(1.0)
        meanwhile, at_most = await watched(house, others, during)
    finally:
        attacker.kill()
        await attacker.wait()
    await asyncio.sleep(after)
    log = house.server.log()[logged:]
    return Row(
        name,
        told(before),
        told(meanwhile),
        (at_first, at_most, resident(house.pid)),
        lines(log),
    )


def lines(log: str) -> list[str]:
    """Each warning once, without its numbers."""
    found = re.findall(r"WARNING \S+ ([^:=\n(]+)", log)
    return [line.strip() for line in dict.fromkeys(re.sub(r"\d+", "n", line) for line in found)]


async def watched(house: Installation, others: Others, seconds: float) -> tuple[list[float], int]:
    """What deliveries took meanwhile, and the memory at most."""
    others.took.clear()
    until, at_most = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        at_most = max(at_most, resident(house.pid))
        await asyncio.sleep(0.5)
    return others.took.copy(), at_most


def told(took: list[float]) -> tuple[float, float]:
    return (quantile(took, 0.5) * 1000, quantile(took, 0.99) * 1000) if took else (float("inf"), float("inf"))


async def measure_all(house: Installation, names: list[str], during: float, after: float) -> None:
    line = "{:26} {:>7} {:>7}   {:>7} {:>7} {:>6}   {:>5} {:>5} {:>5}   {}"
    print(line.format("ms, MiB", "p50", "p99", "p50", "p99", "", "MiB", "most", "after", "log"))
    async with talking(house) as others:
        await asyncio.sleep(3.0)
        for name in names:
            row = await measure(house, others, name, during, after)
            ratio = row.during[1] / row.before[1]
            times = [f"{each:.1f}" for each in (*row.before, *row.during)]
            memory = [f"{each / 1024:.0f}" for each in row.memory]
            print(line.format(name, *times, f"x {ratio:.1f}", *memory, "; ".join(row.log)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--during", type=float, default=15.0)
    parser.add_argument("--after", type=float, default=40.0)
    parser.add_argument("--descriptors", type=int, default=1024)
    parser.add_argument("--strike", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.strike:
        run(attack(given.port, ATTACKS[given.strike]))
        return
    if unknown := set(given.attacks) - ATTACKS.keys():
        parser.error(f"no such attack: {', '.join(unknown)}")
    limited = ("prlimit", f"--nofile={given.descriptors}:{given.descriptors}")
    with house(limited, JWT_SECRET_KEY=SECRET) as started:
        run(measure_all(started, given.attacks or list(ATTACKS), given.during, given.after))


if __name__ == "__main__":
    main()

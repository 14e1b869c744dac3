"""
The price of attacks for everybody else, attack by attack, with the limits of a fresh installation.

    python -m tests.benchmarks.attacks [ATTACK ...] [--scale 1] [--before 8] [--during 15] [--after 40]

The others and the row for each attack are those of `tests.benchmarks.one_client`, which has the attacks of people who do not
sign in; its attacks are run here, too. ``--scale`` multiplies the attacker's connections. The attacker is one account and one
address, in a process of its own. In the second pair of columns a person reads a page of history ten times a second, before
and meanwhile.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import httpx
from attrs import evolve, frozen

from tests.benchmarks import one_client
from tests.benchmarks.house import NO_LIMITS, Installation, house, quantile, resident
from tests.benchmarks.one_client import ATTACKER, Attack, Others, lines, talking, told, watched
from tests.benchmarks.people import SECRET
from tests.benchmarks.wire import Wire, enter, framed, run
from tests.system.client import Device, Visit

ATTACKING_ACCOUNT: Final = "api-test@example.com"
"""The others are all people of the examples but this one."""

LONG: Final = "x" * 4000


@frozen
class Target:
    """What the attacking process knows."""

    port: int
    token: str
    chat: str
    """A chat of the attacker's, with long messages."""
    victims: tuple[str, ...]
    """Profiles to put into groups."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(local_address=ATTACKER)
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", transport=transport, timeout=30)


Strike = Callable[[Target, int], Awaitable[None]]
"""An attack with so many connections, until it is cancelled."""


async def _forever(once: Callable[[], Awaitable[object]], connections: int, pause: float = 0.0) -> None:
    async def one() -> None:
        while True:
            with suppress(OSError, httpx.HTTPError, EOFError, AssertionError):
                await once()
            await asyncio.sleep(pause * (0.5 + random.random()) if pause else 0)

    await asyncio.gather(*(one() for _ in range(connections)))


async def guess(target: Target, connections: int) -> None:
    """Wrong passwords for accounts that do not exist, each of which is hashed."""
    async with target.client() as client:

        async def once() -> None:
            body = {"email": f"who{random.random()}@example.com", "password": "wrong"}
            await client.post("/accounts/sign-in/", json=body)

        await _forever(once, connections, 0.05)


async def letters(target: Target, connections: int) -> None:
    async with target.client() as client:

        async def once() -> None:
            body = {"email": f"who{random.random()}@example.com"}
            await client.post("/accounts/password/reset/", json=body)

        await _forever(once, connections, 0.05)


async def groups(target: Target, connections: int) -> None:
    """Groups around everybody else."""
    async with target.client() as client:

        async def once() -> None:
            body = {"name": "Join us", "members": target.victims}
            await client.post("/chats/", json=body, headers=target.headers)

        await _forever(once, connections, 0.05)


async def history_over_http(target: Target, connections: int) -> None:
    """Pages of history that nobody reads."""
    path = f"/chats/{target.chat}/history/?limit=200"
    request = f"GET {path} HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {target.token}\r\n\r\n"
    await one_client.attack(target.port, Attack(connections, request.encode(), is_read=False))


async def on_sockets(target: Target, connections: int, frame: bytes, *, is_read: bool, pause: float) -> None:
    """Sockets of one account that each send a frame again and again."""

    async def one() -> None:
        wire: Wire | None = None
        while True:
            with suppress(OSError, AssertionError, asyncio.InvalidStateError):
                if wire is None or wire.transport is None or wire.transport.is_closing():
                    await asyncio.sleep(random.random())
                    wire = await enter(target.port, target.chat, target.token, lambda _: None)
                    if not is_read and wire.transport is not None:
                        wire.transport.pause_reading()
                wire.say(frame)
            await asyncio.sleep(pause * (0.5 + random.random()))

    await asyncio.gather(*(one() for _ in range(connections)))


def storm(frame: dict[str, object], *, is_read: bool = True, pause: float = 0.1) -> Strike:
    sent = framed(dict(frame))
    return lambda target, connections: on_sockets(target, connections, sent, is_read=is_read, pause=pause)


async def flood(target: Target, connections: int) -> None:
    """Messages as fast as they are taken."""
    await on_sockets(
        target, connections, framed({"type": "send_message", "text": "x" * 200}), is_read=True, pause=0.005
    )


SIGNED_IN: Final[dict[str, tuple[int, Strike]]] = {
    "hashing places": (70, guess),
    "letters": (20, letters),
    "groups without consent": (10, groups),
    "unread history, HTTP": (60, history_over_http),
    "unread history, sockets": (100, storm({"type": "get_chat_history", "limit": 100}, is_read=False)),
    "big frames": (20, storm({"type": "send_message", "text": "x" * 60_000}, pause=0.01)),
    "counts": (500, storm({"type": "get_unread_count"})),
    "messages on one socket": (1, flood),
    "messages on fifty": (50, flood),
}
"""Connections, and what they do."""

WITHOUT_ACCOUNT: Final = one_client.ATTACKS

NAMES: Final = (*WITHOUT_ACCOUNT, *SIGNED_IN)


async def strike(name: str, target: Target, scale: float) -> None:
    if name in WITHOUT_ACCOUNT:
        kind = WITHOUT_ACCOUNT[name]
        await one_client.attack(
            target.port, evolve(kind, connections=max(1, round(kind.connections * scale)))
        )
    else:
        connections, use = SIGNED_IN[name]
        await use(target, max(1, round(connections * scale)))


@asynccontextmanager
async def asking(port: int, token: str, chat: str, took: list[float]) -> AsyncIterator[None]:
    """Somebody who asks ten times a second."""
    path = f"/chats/{chat}/history/?limit=1"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        async def ask() -> None:
            while True:
                began = time.perf_counter()
                with suppress(httpx.HTTPError):
                    await client.get(path, headers={"Authorization": f"Bearer {token}"})
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(ask())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


LINE: Final = "{:26} {:>6} {:>6} {:>7}   {:>6} {:>6} {:>7}   {:>4} {:>4} {:>5}   {}"


async def measure(
    house: Installation,
    others: Others,
    took: list[float],
    name: str,
    given: argparse.Namespace,
    target: Target,
) -> None:
    logged = len(house.server.log())
    took.clear()
    before, at_first = await watched(house, others, given.before)
    asked = quantile(took, 0.99) * 1000
    environment = {
        **os.environ,
        "ATTACK_TARGET": json.dumps([target.port, target.token, target.chat, target.victims]),
    }
    command = ["-m", "tests.benchmarks.attacks", "--strike", name, "--scale", str(given.scale)]
    attacker = await asyncio.create_subprocess_exec(
        "nice", "-n", "15", sys.executable, *command, env=environment
    )
    try:
        await asyncio.sleep(2.0)
        took.clear()
        meanwhile, at_most = await watched(house, others, given.during)
        asked_meanwhile = quantile(took, 0.99) * 1000 if took else float("inf")
    finally:
        attacker.kill()
        await attacker.wait()
    await asyncio.sleep(given.after)
    p99, p99_meanwhile = told(before)[1], told(meanwhile)[1]
    print(
        LINE.format(
            name,
            f"{p99:.1f}",
            f"{p99_meanwhile:.1f}",
            f"x {p99_meanwhile / p99:.1f}",
            f"{asked:.1f}",
            f"{asked_meanwhile:.1f}",
            f"x {asked_meanwhile / asked:.1f}",
            *[f"{each / 1024:.0f}" for each in (at_first, at_most, resident(house.pid))],
            "; ".join(lines(house.server.log()[logged:])) or "-",
        ),
        flush=True,
    )


async def prepared(house: Installation, visit: Visit, others: list[Device]) -> tuple[Target, Device, str]:
    """The attacker with a chat of long messages, and somebody among the others who asks."""
    attacker = await visit.sign_in(ATTACKING_ACCOUNT)
    chat = await attacker.create_chat("long")
    for number in range(200):
        text = f"{number}{LONG}"[:4000]
        answer = await attacker.http.post(f"/chats/{chat}/messages/", json={"text": text})
        assert answer.status_code == http.client.OK, answer.text
    victims = tuple(str(other.profile_id) for other in others)
    asker = others[0]
    own = await asker.create_chat("own")
    return Target(house.server.port, attacker.token, chat, victims), asker, own


async def measure_all(house: Installation, given: argparse.Namespace) -> None:
    print(LINE.format("ms, MiB", "p99", "during", "", "ask", "during", "", "MiB", "most", "after", "log"))
    took: list[float] = []
    async with talking(house) as others, Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number, "asker") for number in (1, 2, 3)]
        target, asker, own = await prepared(house, visit, people)
        async with asking(house.server.port, asker.token, own, took):
            await asyncio.sleep(3.0)
            for name in given.attacks or NAMES:
                await measure(house, others, took, name, given, target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(NAMES))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--before", type=float, default=8.0)
    parser.add_argument("--during", type=float, default=15.0)
    parser.add_argument("--after", type=float, default=40.0)
    parser.add_argument("--descriptors", type=int, default=2048)
    parser.add_argument("--strike", choices=NAMES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.strike:
        port, token, chat, victims = json.loads(os.environ["ATTACK_TARGET"])
        run(strike(given.strike, Target(port, token, chat, tuple(victims)), given.scale))
        return
    if unknown := set(given.attacks) - set(NAMES):
        parser.error(f"no such attack: {', '.join(unknown)}")
    limited = ("prlimit", f"--nofile={given.descriptors}:{given.descriptors}")
    # nothing behind the name of a setting means its default
    with house(limited, JWT_SECRET_KEY=SECRET, **dict.fromkeys(NO_LIMITS, "")) as started:
        run(measure_all(started, given))


if __name__ == "__main__":
    main()

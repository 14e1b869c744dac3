"""
All sockets but two are cut off, each chat goes on by a message, and all come back for what they missed.

    python -m tests.benchmarks.storm [--all-chats] [--sockets 2000] [--listeners 10] [--at-once 2000] [--rounds 3]

How long it takes until the last is current, that is `resumed` after the messages that it missed; what that costs; and how
long delivery in another chat takes meanwhile and before. ``--listeners`` is the number of sockets in one chat; with
``--all-chats``, of members in one chat, and of the chats and sockets of each person.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from attrs import astuple, define, field, frozen

from tests.benchmarks.house import Installation, house, quantile
from tests.benchmarks.people import SECRET, crowd
from tests.benchmarks.wire import Wire, enter, enter_all, enter_all_chats, framed, run
from tests.system.client import Device, Visit

PAUSE = 0.01
"""Seconds between two messages in the other chat."""

CALM = 1.0


@frozen
class Round:
    back: float
    """Seconds until all were current."""
    server: float
    database: float
    """CPU seconds of the messenger and of PostgreSQL, the talk of the others included."""
    refused: int
    """How often one was told to try again a second later."""
    calm: float
    """Seconds in which 99 of 100 messages reached the others before, and meanwhile."""
    meanwhile: float


@define(eq=False)
class Others:
    """Two who talk all the time."""

    says: Wire
    delivered: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    took: list[float] = field(factory=list)

    def hear(self, payload: bytes) -> None:
        if b'"new_message"' in payload[:40] and not self.delivered.done():
            self.delivered.set_result(None)

    async def talk(self) -> None:
        loop, number = asyncio.get_running_loop(), 0
        while True:
            self.delivered, number = loop.create_future(), number + 1
            began = time.perf_counter()
            self.says.say(framed({"type": "send_message", "text": "x" * 200, "nonce": f"{began} {number}"}))
            await self.delivered
            self.took.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def talking(port: int, chat_id: str, anna: Device, boris: Device) -> AsyncIterator[Others]:
    others = Others(await enter(port, chat_id, anna.token, lambda _: None))
    hears = await enter(port, chat_id, boris.token, others.hear)
    task = asyncio.create_task(others.talk())
    try:
        yield others
    finally:
        task.cancel()
        await asyncio.wait({task})
        others.says.close()
        hears.close()


@define(eq=False)
class Refused:
    times: int = 0


Come = Callable[[int], Coroutine[Any, Any, Wire]]
"""The way in of a socket by its number: a new one, or one that resumes."""


async def persistently(enter: Callable[[], Awaitable[Wire]], refused: Refused) -> Wire:
    while True:
        try:
            return await enter()
        except ConnectionError:  # "try again in 1 s"
            refused.times += 1
            await asyncio.sleep(2 * random.random())


@define(eq=False, kw_only=True)
class Storm:
    house: Installation
    sockets: int
    at_once: int
    missed: int
    """Messages that each socket misses."""
    come: Come
    say_everywhere: Callable[[], Awaitable[None]]
    refused: Refused
    wires: list[Wire] = field(factory=list)

    async def all_come(self) -> None:
        self.wires = await enter_all((self.come(number) for number in range(self.sockets)), self.at_once)

    async def measure(self, others: Others) -> Round:
        await asyncio.sleep(CALM)
        calm = others.took.copy()
        for wire in self.wires:
            wire.cut()
        await self.say_everywhere()
        others.took.clear()
        self.refused.times = 0
        cpu, began = self.house.cpu_seconds(), time.perf_counter()
        await self.all_come()
        back = time.perf_counter() - began
        server, database = (
            after - before for before, after in zip(cpu, self.house.cpu_seconds(), strict=True)
        )
        meanwhile = others.took.copy()
        assert all(wire.missed == self.missed for wire in self.wires)
        return Round(
            back, server, database, self.refused.times, quantile(calm, 0.99), quantile(meanwhile, 0.99)
        )


async def measure(
    house: Installation, *, all_chats: bool, sockets: int, listeners: int, at_once: int, rounds: int
) -> list[Round]:
    make = of_all_chats if all_chats else of_one_chat
    measured = []
    async with Visit(house.server.url, house.server.ws_url) as visit, AsyncExitStack() as stack:
        people = [await visit.user(number) for number in (1, 2, 3)]
        elsewhere = await people[0].create_chat("elsewhere", people[1])
        storm = await stack.enter_async_context(make(house, people, sockets, listeners, at_once))
        await storm.all_come()
        for _ in range(rounds):
            async with talking(house.server.port, elsewhere, people[0], people[1]) as others:
                measured.append(await storm.measure(others))
        for wire in storm.wires:
            wire.close()
    return measured


@asynccontextmanager
async def of_one_chat(
    house: Installation, people: list[Device], sockets: int, listeners: int, at_once: int
) -> AsyncIterator[Storm]:
    port, refused = house.server.port, Refused()
    chats = [
        await people[0].create_chat(f"storm {number}", *people[1:]) for number in range(sockets // listeners)
    ]

    async def come(number: int) -> Wire:
        chat_id, token = chats[number % len(chats)], people[number % 3].token
        since = storm.wires[number].stand if storm.wires else None
        return await persistently(lambda: enter(port, chat_id, token, lambda _: None, since), refused)

    async def say_everywhere() -> None:
        for chat_id in chats:
            answer = await people[0].http.post(f"/chats/{chat_id}/messages/", json={"text": "x" * 200})
            answer.raise_for_status()

    storm = Storm(
        house=house,
        sockets=sockets,
        at_once=at_once,
        missed=1,
        come=come,
        say_everywhere=say_everywhere,
        refused=refused,
    )
    yield storm


@asynccontextmanager
async def of_all_chats(
    house: Installation, people: list[Device], sockets: int, listeners: int, at_once: int
) -> AsyncIterator[Storm]:
    port, refused = house.server.port, Refused()
    count = max(listeners, sockets // listeners)
    async with crowd(house.url, count, count, listeners) as them:

        async def come(number: int) -> Wire:
            token = them.people[number % count].token
            cursor = storm.wires[number].cursor if storm.wires else None
            return await persistently(lambda: enter_all_chats(port, token, lambda _: None, cursor), refused)

        async def say_everywhere() -> None:
            async with httpx.AsyncClient(base_url=house.server.url) as http:
                for number, chat_id in enumerate(them.chats):
                    answer = await http.post(
                        f"/chats/{chat_id}/messages/",
                        json={"text": "x" * 200},
                        headers={"Authorization": f"Bearer {them.people[number % count].token}"},
                    )
                    answer.raise_for_status()

        storm = Storm(
            house=house,
            sockets=sockets,
            at_once=at_once,
            missed=listeners,
            come=come,
            say_everywhere=say_everywhere,
            refused=refused,
        )
        yield storm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--all-chats", action="store_true", help="sockets of all chats instead of one chat")
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--listeners", type=int, default=10, help="in one chat")
    parser.add_argument("--at-once", type=int, default=2000, help="on their way at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tail-bytes", type=int, help="WS_NODE_TAIL_BYTES; 0 keeps nothing in memory")
    options = parser.parse_args()
    more = {} if options.tail_bytes is None else {"WS_NODE_TAIL_BYTES": str(options.tail_bytes)}
    with house(JWT_SECRET_KEY=SECRET, **more) as built:
        rounds = run(
            measure(
                built,
                all_chats=options.all_chats,
                sockets=options.sockets,
                listeners=options.listeners,
                at_once=options.at_once,
                rounds=options.rounds,
            )
        )
    back, server, database, refused, calm, meanwhile = (
        statistics.median(each) for each in zip(*map(astuple, rounds), strict=True)
    )
    print(
        f"{options.sockets} sockets of {'all chats' if options.all_chats else 'one chat'} back and current in"
        f" {back:.2f} s, told {refused:,.0f} times to try again; CPU a socket: messenger"
        f" {server / options.sockets * 1e3:.2f} ms, PostgreSQL {database / options.sockets * 1e3:.2f} ms;"
        f" delivery elsewhere p99 {meanwhile * 1e3:.0f} ms meanwhile, {calm * 1e3:.0f} ms before"
    )


if __name__ == "__main__":
    main()

"""
All sockets but two are cut off, each chat goes on by a message, and all come back for what they missed.

    python -m tests.benchmarks.storm [--sockets 2000] [--listeners 10] [--at-once 100] [--rounds 3]

How long it takes until the last is current, that is `resumed` after the message that it missed; and how long delivery in
another chat takes meanwhile and before.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from tests.benchmarks.house import Installation, house, quantile
from tests.benchmarks.wire import Wire, enter, enter_all, framed, run
from tests.system.client import Device, Visit

PAUSE = 0.01
"""Seconds between two messages in the other chat."""

CALM = 3.0


@frozen
class Round:
    back: float
    """Seconds until all were current."""
    cpu: float
    """CPU seconds of the messenger."""
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


async def measure(
    house: Installation, sockets: int, listeners: int, at_once: int, rounds: int
) -> list[Round]:
    port = house.server.port
    measured = []
    async with Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        chats = [
            await people[0].create_chat(f"storm {number}", *people[1:])
            for number in range(sockets // listeners)
        ]
        elsewhere = await people[0].create_chat("elsewhere", people[1])
        stands: dict[str, tuple[str, int]] = {}
        refused = 0

        async def come(number: int) -> Wire:
            chat_id, token = chats[number % len(chats)], people[number % 3].token
            nonlocal refused
            while True:
                try:
                    return await enter(port, chat_id, token, lambda _: None, stands.get(chat_id))
                except ConnectionError:  # "try again in 1 s"
                    refused += 1
                    await asyncio.sleep(2 * random.random())

        async def all_come() -> list[Wire]:
            return await enter_all((come(number) for number in range(sockets)), at_once)

        wires = await all_come()
        for _ in range(rounds):
            stands = dict(zip(chats, (wire.stand for wire in wires), strict=False))
            async with talking(port, elsewhere, people[0], people[1]) as others:
                await asyncio.sleep(CALM)
                calm = others.took.copy()
                for wire in wires:
                    wire.cut()
                for chat_id in chats:
                    answer = await people[0].http.post(
                        f"/chats/{chat_id}/messages/", json={"text": "x" * 200}
                    )
                    answer.raise_for_status()
                others.took.clear()
                refused = 0
                cpu, began = house.cpu_seconds()[0], time.perf_counter()
                wires = await all_come()
                back, spent = time.perf_counter() - began, house.cpu_seconds()[0] - cpu
                meanwhile = others.took.copy()
            assert all(wire.missed == 1 for wire in wires)
            measured.append(Round(back, spent, refused, quantile(calm, 0.99), quantile(meanwhile, 0.99)))
        for wire in wires:
            wire.close()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--listeners", type=int, default=10, help="in one chat")
    parser.add_argument("--at-once", type=int, default=2000, help="on their way at a time")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with house() as built:
        rounds = run(measure(built, options.sockets, options.listeners, options.at_once, options.rounds))
    back, cpu, refused, calm, meanwhile = (
        statistics.median(each)
        for each in zip(*((r.back, r.cpu, r.refused, r.calm, r.meanwhile) for r in rounds), strict=True)
    )
    print(
        f"{options.sockets} sockets back and current in {back:.2f} s ({cpu:.2f} s CPU of the messenger),"
        f" told {refused:,.0f} times to try again;"
        f" delivery elsewhere p99 {meanwhile * 1e3:.0f} ms meanwhile, {calm * 1e3:.0f} ms before"
    )


if __name__ == "__main__":
    main()

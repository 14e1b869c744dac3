"""
What grows with the age and size of a messenger, and should not:

    python -m tests.benchmarks.growth [--rounds 3]

- a send, with the messages that its author has in the chat, with the chats in the database, and with the open sockets of the node;
- a page of history of fifty messages, with its age;
- a socket of one chat that comes in, with the members of the chat;
- the list of fifty chats, with the messages in them.

Each is CPU of the messenger and PostgreSQL together, in microseconds, the median of some rounds.
"""

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from attrs import frozen

from tests.benchmarks.asking import Asking
from tests.benchmarks.filling import Grown, fill, people
from tests.benchmarks.house import Installation, house
from tests.benchmarks.wire import Wire, enter, enter_all, framed, run
from tests.system.client import Device, Visit

OWN: Final = (100, 10_000, 200_000)
CHATS: Final = (100, 10_000)
MEMBERS: Final = (10, 100, 1000)
LISTED: Final = (20, 2000)
SOCKETS: Final = (10, 300, 3000)

SENDS: Final = 200
ENTRIES: Final = 50
PAGES_SECONDS: Final = 0.5
AT_ONCE: Final = 20
"""
Sockets that one person opens at once. The messenger reads for one person on four connections to the database at most, and
refuses a socket that waits two seconds for one of them. With a hundred that happens where others use the CPU, too.
"""
SETTLED: Final = 1.0
"""Seconds after which what opening the sockets left to do has been done."""


@frozen
class Curve:
    """Microseconds of CPU by what might make them grow."""

    name: str
    of: str
    """What the keys of ``points`` count."""
    points: Mapping[int, float]

    @property
    def ratio(self) -> float:
        """The greatest against the first."""
        first, *_ = self.points.values()
        return max(self.points.values()) / first


async def sending(built: Installation, chat_id: UUID, device: Device) -> float:
    """One message at a time."""
    acknowledged: asyncio.Future[None]

    def hear(payload: bytes) -> None:
        if b'"message_ack"' in payload[:40]:
            acknowledged.set_result(None)

    wire = await enter(built.server.port, f"{chat_id}", device.token, hear)

    async def send(name: str) -> None:
        nonlocal acknowledged
        acknowledged = asyncio.get_running_loop().create_future()
        wire.say(framed({"type": "send_message", "text": "x" * 200, "nonce": name}))
        await acknowledged

    began = f"{asyncio.get_running_loop().time()}"
    for number in range(20):
        await send(f"{began} warm {number}")
    before = sum(built.cpu_seconds())
    for number in range(SENDS):
        await send(f"{began} {number}")
    spent = sum(built.cpu_seconds()) - before
    wire.close()
    return spent / SENDS * 1e6


async def entering(built: Installation, chat_id: UUID, device: Device) -> float:
    async def come() -> None:
        wire = await enter(built.server.port, f"{chat_id}", device.token, lambda _: None)
        wire.close()
        await asyncio.sleep(0.005)

    await come()
    before = sum(built.cpu_seconds())
    for _ in range(ENTRIES):
        await come()
    return (sum(built.cpu_seconds()) - before) / ENTRIES * 1e6


async def asking(built: Installation, path: str, device: Device) -> float:
    asking = Asking.by(built, device.token)
    try:
        return asking.cost(path, PAGES_SECONDS).cpu * 1e6
    finally:
        asking.connection.close()


async def curve(name: str, of: str, ways: Mapping[int, Callable[[], Awaitable[float]]], rounds: int) -> Curve:
    """Measures the points in turns."""
    found: dict[int, list[float]] = {point: [] for point in ways}
    for _ in range(rounds):
        for point, measure in ways.items():
            found[point].append(await measure())
    return Curve(name, of, {point: statistics.median(each) for point, each in found.items()})


async def among(
    built: Installation, chat_id: UUID, device: Device, silent: Sequence[UUID], other: Device, rounds: int
) -> Mapping[int, float]:
    """Measures what a send costs while ``other`` listens to the chats ``silent`` on more and more sockets."""
    points: dict[int, float] = {}
    wires: list[Wire] = []
    for count in SOCKETS:
        ways = [
            enter(built.server.port, f"{silent[number % len(silent)]}", other.token, lambda _: None)
            for number in range(len(wires), count)
        ]
        wires += await enter_all(ways, at_once=AT_ONCE)
        await asyncio.sleep(SETTLED)
        points[count] = statistics.median([await sending(built, chat_id, device) for _ in range(rounds)])
    for wire in wires:
        wire.close()
    return points


async def measure(built: Installation, rounds: int) -> list[Curve]:
    async with Visit(built.server.url, built.server.ws_url) as visit:
        one, two, three = [await visit.user(number) for number in (1, 2, 3)]
        me, second, third = (UUID(device.profile_id) for device in (one, two, three))
        with built.postgres.connect("messenger") as connection:
            crowd = people(connection, max(MEMBERS))

            def grown(messages: int, members: Sequence[UUID], name: str = "grown") -> Grown:
                return Grown(name=name, messages=messages, members=members, steps=(10,))

            own = {count: grown(2 * count, [me, crowd[0]]) for count in OWN}
            sized = {count: grown(200, [me, *crowd[: count - 1]]) for count in MEMBERS}
            listed = {
                count: [grown(count, [who, crowd[0]]) for _ in range(50)]
                for count, who in zip(LISTED, (second, third), strict=True)
            }
            fill(
                connection,
                [*own.values(), *sized.values(), *(each for chats in listed.values() for each in chats)],
            )
            curves = [
                await curve(
                    "a send",
                    "messages of the author in the chat",
                    {count: partial(sending, built, chat.id, one) for count, chat in own.items()},
                    rounds,
                ),
                await curve(
                    "a page of history",
                    "messages after it",
                    {
                        count: partial(
                            asking,
                            built,
                            f"/chats/{own[OWN[-1]].id}/history/?limit=50&before={2 * OWN[-1] - count + 1}",
                            one,
                        )
                        for count in (0, 1000, OWN[-1], 2 * OWN[-1] - 50)
                    },
                    rounds,
                ),
                await curve(
                    "a socket that comes in",
                    "members of the chat",
                    {count: partial(entering, built, chat.id, one) for count, chat in sized.items()},
                    rounds,
                ),
                await curve(
                    "the list of fifty chats",
                    "messages in each",
                    {
                        count: partial(asking, built, "/chats/?limit=50", device)
                        for count, device in zip(LISTED, (two, three), strict=True)
                    },
                    rounds,
                ),
            ]
            quiet = sized[MEMBERS[0]]
            points: dict[int, float] = {}
            there = 0
            for count in CHATS:
                pairs = [(crowd[n % 900], crowd[n % 900 + 1]) for n in range(count - there)]
                fill(connection, [grown(20, pair, "another") for pair in pairs])
                there = count
                measured = [await sending(built, quiet.id, one) for _ in range(rounds)]
                points[count] = statistics.median(measured)
            curves.append(Curve("a send", "other chats in the database", points))
            silent = [chat.id for chat in listed[LISTED[0]]]
            curves.append(
                Curve(
                    "a send",
                    "open sockets of the node",
                    await among(built, quiet.id, one, silent, two, rounds),
                )
            )
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with house() as built:
        curves = run(measure(built, options.rounds))
    for each in curves:
        points = ", ".join(f"{point:,}: {value:,.0f}" for point, value in each.points.items())
        print(f"{each.name}, us by {each.of}: {points} ({each.ratio:.2f} x)")


if __name__ == "__main__":
    main()

"""
Ten thousand sends by twenty clients over five chats, with everything that breaks a connection in the middle.

    python -m tests.system.resume [--runs 10] [--from 0] [--sends 10000]

Talkers go without a word or with one, and stay away for a moment, for some pages of a replay, or for longer than there is
a replay; the messenger and its PostgreSQL are killed, together and each alone, and the messenger is told to end. Everybody
comes back with `since` and repeats under its nonce what had no answer. All that they see is judged by `tests.checker`. A
number decides what is left to chance, though not how the machine shares its time.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final, Literal

import httpx
from attrs import define, evolve, field, frozen

from tests.checker.history import Connecting, Event, Kept, Quiet
from tests.checker.judge import judge
from tests.checker.picture import PROMISED
from tests.scratch import scratch_folder
from tests.system.client import Device, Visit, dial
from tests.system.device import eventually
from tests.system.postgres import DATABASE, Postgres
from tests.system.recorded import read_kept
from tests.system.server import Server
from tests.system.strike import Striker, Victim
from tests.system.talker import REPLAY_PAGE, REPLAYED, Connection, Record, Room, Talker

HANGS: Final = 600.0
"""Seconds after which a whole run hangs."""

PEOPLE: Final = ("admin@admin.ru", "api-test@example.com", *(f"user{n}@example.com" for n in (1, 2, 3)))

Outage = tuple[Victim, ...] | Literal["stop"]

OUTAGES: Final[tuple[Outage, ...]] = (
    ("server",),
    ("server",),
    ("server",),
    ("postgres",),
    ("postgres",),
    ("postgres",),
    ("postgres", "server"),
    "stop",
)


@frozen
class Outcome:
    """What came of a run, and all that is wrong with it."""

    number: int
    seconds: float
    taken: list[int]
    """For each kill, the sends that it took with it."""
    connections: int
    replays: list[int]
    """For each resume, the entries that it brought."""
    resets: Counter[str]
    history: list[Event]
    faults: list[str]

    def __str__(self) -> str:
        paged = sum(entries > REPLAY_PAGE for entries in self.replays)
        return (
            f"run {self.number}: {self.seconds:.1f} s, {len(self.taken)} kills that took {self.taken} sends,"
            f" {self.connections} connections, {len(self.replays)} resumes, {paged} of them longer than a page,"
            f" resets {dict(self.resets)}, found {len(self.faults)}"
        )


@define(eq=False)
class Run:
    """One of them, on a messenger that has just started. ``outages`` come in another order each time."""

    number: int
    server: Server
    postgres: Postgres
    database: str
    sends: int = 10_000
    outages: Sequence[Outage] = OUTAGES
    replayed: int = REPLAYED
    """The most entries of a log that this messenger sends to a client that resumes."""
    record: Record = field(factory=Record)
    talkers: list[Talker] = field(factory=list)
    rooms: list[Room] = field(factory=list)
    told_to_go: list[Connection] = field(factory=list)
    """Those that were in when the messenger was told to end."""
    striker: Striker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.striker = Striker(self.server, self.postgres, self.under_way, self.chance("strikes"))

    def chance(self, what: object) -> Random:
        """A source of chance of its own for each concurrent activity."""
        return Random(f"{self.number}/{what}")

    def under_way(self) -> set[int]:
        return {send for one in self.talkers if one.connection for send in one.connection.waiting.values()}

    async def run(self) -> Outcome:
        began = time.monotonic()
        async with Visit(self.server.url, self.server.ws_url) as visit:
            devices = await self.arrive(visit)
            async with asyncio.timeout(HANGS), asyncio.TaskGroup() as group:
                for talker in self.talkers:
                    group.create_task(talker.talk())
                group.create_task(self.break_off())
                for room, owner in zip(self.rooms, devices, strict=True):
                    group.create_task(self.rename(room, owner))
            await self.look()
        limits = evolve(PROMISED, replayed=self.replayed)
        faults = [*map(str, judge(self.record.events, limits)), *self.faults()]
        return Outcome(
            self.number,
            time.monotonic() - began,
            self.striker.taken,
            sum(isinstance(event, Connecting) for event in self.record.events),
            [entries for talker in self.talkers for entries in talker.replays],
            sum((talker.resets for talker in self.talkers), Counter()),
            self.record.events,
            faults,
        )

    async def arrive(self, visit: Visit) -> list[Device]:
        """
        Five people with two devices each. Each device is in two chats, so that each chat has four of them and one person
        is in it twice; what one says in one chat it says under the same nonce in the other.
        """
        ones, others = [
            [await visit.sign_in(email, device) for email in PEOPLE] for device in ("one", "other")
        ]
        for n, owner in enumerate(ones):
            members = [ones[n - 1], ones[n - 2]]
            self.rooms.append(Room(n, await owner.create_chat(f"chat {n}", *members)))
        places = [(ones, 0), (ones, 1), (others, 0), (others, 2)]
        share = self.sends // (len(places) * len(PEOPLE))
        for which, (devices, step) in enumerate(places):
            for n, device in enumerate(devices):
                chance = self.chance((which, n))
                self.talkers.append(
                    Talker(
                        device=device,
                        room=self.rooms[(n + step) % len(self.rooms)],
                        record=self.record,
                        chance=chance,
                        todo=deque(f"{device.fingerprint} {count}" for count in range(share)),
                        absences=deque(absences(chance, share, self.replayed, is_far=which == 0)),
                    )
                )
        return ones

    # What goes wrong, and what goes on

    async def break_off(self) -> None:
        chance = self.chance("outages")
        for n, outage in enumerate(chance.sample(self.outages, len(self.outages))):
            due = self.sends * (n + chance.uniform(0.5, 1)) / (len(self.outages) + 2)
            # in any case people talk again since the last one
            await self.record.reach(max(int(due), self.record.acked + self.sends // 50))
            if outage == "stop":
                await self.stop()
                await self.striker.restart("server")
            else:
                await self.striker.strike(*outage)
                await self.striker.restart(*outage)

    async def stop(self) -> None:
        """Tells the messenger to end while somebody is connected, and once more if all of them were just leaving."""
        while True:
            await eventually(lambda: bool(self.present()) or not any(one.todo for one in self.talkers))
            told = self.present()
            self.told_to_go += told
            process = self.server.process
            assert process is not None
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 30) == 0, self.server.log()
            await eventually(lambda told=told: all(connection.code for connection in told))  # type: ignore[misc]
            if not told or not all(connection.has_left for connection in told):
                return
            await self.striker.restart("server")

    def present(self) -> list[Connection]:
        return [
            one.connection
            for one in self.talkers
            if one.connection and one.connection.entered and not one.connection.has_left
        ]

    async def rename(self, room: Room, owner: Device) -> None:
        """Renames the chat, so that its log has more than messages."""
        chance = self.chance(room.number)
        for count in range(3):
            await self.record.reach(chance.randint(1, self.sends * 9 // 10))
            with suppress(httpx.TransportError):  # who renames does not care
                await owner.http.put(f"/chats/{room.id}/", json={"name": f"chat {room.number}, name {count}"})

    # What is there in the end

    async def look(self) -> None:
        """Everybody comes back once more, and stays until it has been seen that nothing is missing anywhere."""
        async with AsyncExitStack() as stack:
            for talker in self.talkers:
                there = dial(self.server.ws_url, talker.room.id, compression=None)
                await talker.come_back(await stack.enter_async_context(there))
            self.record.write(Quiet(at=self.record.at))
            for room in self.rooms:
                people = {one.device.profile_id: one for one in self.talkers if one.room is room}
                for talker in people.values():
                    await talker.count()
                await self.chance(room.number).choice(list(people.values())).read()
            self.keep()

    def keep(self) -> None:
        with self.postgres.connect(self.database) as database:
            for room in self.rooms:
                self.record.write(read_kept(database, room.id, self.record.at, self.record.changes))

    def faults(self) -> Iterator[str]:
        """What the judge does not know: how much there must be, and who is told what when the messenger ends."""
        kept = {event.chat: event.messages for event in self.record.events if isinstance(event, Kept)}
        for room in self.rooms:
            if (stored := len(kept[room.id])) != self.sends // len(self.rooms):
                yield f"count: {stored} messages in {room.id}"
        for talker in self.talkers:
            if talker.todo:
                yield f"unanswered: {talker.todo}"
            if [talker.held[seq] for seq in sorted(talker.held)] != kept[talker.room.id]:
                yield f"log: {talker.device.email} holds another one of {talker.room.id}"
        codes = [connection.code for connection in self.told_to_go if not connection.has_left]
        if "stop" in self.outages and set(codes) != {1012}:
            yield f"stop: closed with {codes}"
        for line in self.server.log().splitlines():
            if " ERROR " in line:
                yield f"log: {line}"


def absences(chance: Random, share: int, replayed: int, *, is_far: bool) -> Iterator[tuple[int, int]]:
    """
    After how many frames a talker leaves, again and again, and for how many entries: most often for none, sometimes for
    pages of them; ``is_far``: first of all for more than is told again, which is ``replayed``.
    """
    if is_far:
        yield chance.randint(5, share // 5), replayed + chance.randint(1, 100)
    for _ in range(8):
        entries = chance.randint(REPLAY_PAGE + 1, replayed * 6 // 10) if chance.random() < 0.3 else 0
        yield chance.randint(20, share), entries


def run_in(
    folder: Path,
    number: int,
    *,
    sends: int,
    outages: Sequence[Outage] = OUTAGES,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """One run on a messenger and a PostgreSQL of its own, both on this folder; ``settings`` are the messenger's."""
    postgres = Postgres(folder / "postgres", lived_in=True)
    try:
        postgres.start()
        server = Server(folder / "server", {"DATABASE_URL": postgres.url(DATABASE), **settings})
        try:
            server.start()
            return asyncio.run(Run(number, server, postgres, DATABASE, sends, outages).run())
        finally:
            server.stop()
    finally:
        postgres.remove()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.resume", description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first number")
    parser.add_argument("--sends", type=int, default=10_000)
    options = parser.parse_args()
    failed = 0
    for number in range(options.first, options.first + options.runs):
        with scratch_folder("messenger-resume-") as folder:
            outcome = run_in(folder, number, sends=options.sends)
        print(outcome, *outcome.faults[:5], sep="\n", flush=True)
        failed += bool(outcome.faults)
    print(f"{options.runs} runs, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

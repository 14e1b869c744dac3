"""
Devices with one of the clients, which lose their connections again and again while people talk.

    python -m tests.system.devices [--client javascript] [--runs 1] [--from 0] [--breaks 1000]

The messenger runs with its chaos switch on, is told to end once and killed once; the devices cut their connections too, and
one of them begins anew again and again from what its storage held at some moment. In the end what the devices hold is what is
stored, and they have read nothing that they were told. All that came over their sockets is judged by `tests.checker`. A number
decides what is left to chance, though not how the machine shares its time.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final

import orjson
from attrs import define, evolve, field, frozen

from tests.checker.history import Belongs, Kept, Quiet
from tests.checker.judge import judge
from tests.system.client import Visit
from tests.system.device import Device, Record, Status, eventually
from tests.system.node_device import node_devices
from tests.system.python_device import python_devices
from tests.system.recorded import read_kept
from tests.system.server import Server

HANGS: Final = 900.0
"""Seconds after which a whole run hangs."""

HANDLES: Final = 60.0
"""Seconds after which an application never handles what its client knows."""

PEOPLE: Final = tuple(f"user{number}@example.com" for number in (1, 2, 3))

UNSEEN: Final = orjson.dumps({"type": "unknown"}).decode()
"""Stands for a change of a chat that no device has seen."""

LIVES: Final = 6
"""Clients of the device that crashes, one after the other."""

CHAOS: Final = {
    "CHAOS_DROPS": "0.01",
    "CHAOS_TEARS": "0.005",
    "CHAOS_DELAYS": "0.02",
    "CHAOS_DELAY_SECONDS": "0.05",
    "CHAOS_REPEATS": "0.05",
    "CHAOS_RESETS": "0.1",
    "CHAOS_LOST_ANSWERS": "0.05",
    # so that cursors move while the run lasts
    "WS_CURSOR_SECONDS": "1",
}

CLIENTS: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[Callable[..., Device]]]]] = {
    "python": python_devices,
    "javascript": node_devices,
}
"""For each client, what opens a place for its devices in a folder and returns what makes them."""


@frozen
class Outcome:
    number: int
    seconds: float
    record: Record
    messages: int
    clients: int
    faults: list[str]

    def __str__(self) -> str:
        return (
            f"run {self.number}: {self.seconds:.1f} s, {self.record.breaks} connections broke,"
            f" {dict(self.record.codes)}, {self.messages} messages, resets {dict(self.record.resets)},"
            f" {self.clients} clients, found {len(self.faults)}"
        )


@define(eq=False)
class Run:
    """One of them, on a messenger that has just started with its switch on."""

    number: int
    server: Server
    folder: Path
    breaks: int
    client: str = "python"
    record: Record = field(factory=Record)
    devices: list[Device] = field(factory=list)
    chats: list[str] = field(factory=list)
    is_over: asyncio.Event = field(factory=asyncio.Event)
    """Nobody says anything more, and nothing breaks any more but by the switch."""
    is_judged: asyncio.Event = field(factory=asyncio.Event)
    arrived: int = 0
    """Devices that know their chats. Nobody says anything before all do."""
    current: list[Device] = field(factory=list)
    """Devices that have sent everything and read what they missed."""

    def chance(self, what: object) -> Random:
        return Random(f"{self.number}/{what}")

    async def run(self) -> Outcome:
        began = time.monotonic()
        async with (
            asyncio.timeout(HANGS),
            CLIENTS[self.client](self.folder) as device_of,
            asyncio.TaskGroup() as group,
        ):
            await self.arrive(device_of)
            for device in self.devices:
                lives = LIVES if device is self.devices[-1] else 1
                group.create_task(self.live(device, lives))
            await self.break_off()
            self.is_over.set()
            await eventually(lambda: len(self.current) == len(self.devices))
            await self.rest()
            faults = [fault async for fault in self.faults()]
            self.is_judged.set()
        kept = [event for event in self.record.events if isinstance(event, Kept)]
        return Outcome(
            self.number,
            time.monotonic() - began,
            self.record,
            sum(len(event.messages) for event in kept),
            sum(len(device.handled) for device in self.devices),
            [*map(str, judge(self.record.events)), *faults],
        )

    async def arrive(self, device_of: Callable[..., Device]) -> None:
        """Three people, one of them with two devices, in three chats."""
        async with Visit(self.server.url, self.server.ws_url) as visit:
            # the switch is on: whatever gets no answer is asked again
            people = [await retried(lambda email=email: visit.sign_in(email, "setup")) for email in PEOPLE]
            for name in ("one", "two", "three"):
                others = [person.profile_id for person in people[1:]]
                body, key = {"name": name, "members": others}, {"Idempotency-Key": f"{self.number} {name}"}
                made = await retried(
                    lambda body=body, key=key: people[0].http.post("/chats/", json=body, headers=key)
                )
                self.chats.append(made.json()["data"]["id"])
            for chat in self.chats:
                for person in people:
                    self.record.events.append(
                        Belongs(at=self.record.at, chat=chat, profile=person.profile_id)
                    )
        profiles = [person.profile_id for person in people]
        for number, email in enumerate((*PEOPLE, PEOPLE[0])):
            self.devices.append(
                device_of(
                    name=f"device{number}",
                    email=email,
                    profile=profiles[number % len(PEOPLE)],
                    url=self.server.url,
                    folder=self.folder,
                    record=self.record,
                    chance=self.chance(number),
                )
            )

    async def reach(self, breaks: int) -> None:
        await eventually(lambda: self.record.breaks >= breaks)

    async def break_off(self) -> None:
        """Ends and kills the messenger while connections break, until enough of them have."""
        outages = {self.breaks // 3: signal.SIGTERM, 2 * self.breaks // 3: signal.SIGKILL}
        for breaks, number in [*outages.items(), (self.breaks, None)]:
            await self.reach(breaks)
            if number is not None:
                assert self.server.process is not None
                self.server.process.send_signal(number)
                await asyncio.to_thread(self.server.process.wait, 60)
                await asyncio.to_thread(self.server.start)

    async def live(self, device: Device, lives: int) -> None:
        """
        One device from its first client to its last. Each client but the last ends as in a crash: the next one begins with
        the file as it was at some moment before, and what was handled since then is handled again.
        """
        for life in range(lives):
            left: tuple[Any, dict[str, int]] | None = None
            await device.begin()
            if life == 0:
                await device.until(lambda status: status.positions.keys() >= set(self.chats))
                self.arrived += 1
                await eventually(lambda: self.arrived == len(self.devices))
            talking = asyncio.create_task(device.talk(self.chats, self.is_over))
            cutting = asyncio.create_task(device.cut_now_and_then(self.is_over))
            if life == lives - 1:
                await self.is_over.wait()
                await talking
                await device.until(lambda status: status.is_current)
                self.current.append(device)
                await self.is_judged.wait()
            else:
                await self.reach((life + 1) * self.breaks // lives)
                said = {chat: len(texts) for chat, texts in device.said.items()}
                left = await device.stored(), said
                await asyncio.sleep(0.05)
            talking.cancel()
            cutting.cancel()
            await asyncio.wait([talking, cutting])
            await device.end()
            if left is not None:
                device.crash(*left)

    async def rest(self) -> None:
        """Until every device knows what is stored, and its application has handled that, which comes a little later."""
        self.keep()
        kept = {event.chat: event for event in self.record.events if isinstance(event, Kept)}
        for device in self.devices:
            for chat, event in kept.items():
                last = len(event.messages) + len(event.changes)
                await device.until(partial(knows, chat, last))
        with suppress(TimeoutError):  # `faults` says what is never handled
            async with asyncio.timeout(HANDLES):
                await eventually(
                    lambda: all(
                        last_handled(device, chat) >= len(event.messages)
                        for device in self.devices
                        for chat, event in kept.items()
                    )
                )
        self.record.events.append(Quiet(at=self.record.at))

    def keep(self) -> None:
        with self.server.database() as database:
            for chat in self.chats:
                stored = read_kept(database, chat, self.record.at, self.record.changes, UNSEEN)
                members = database.execute(
                    "SELECT profile_id FROM member WHERE chat_id = %s AND left_at IS NULL", [chat]
                )
                self.record.events.append(evolve(stored, members=[str(id) for (id,) in members]))

    async def faults(self) -> AsyncIterator[str]:
        """What the judge does not know: what the clients hold, and what they asked for."""
        kept = {event.chat: event.messages for event in self.record.events if isinstance(event, Kept)}
        for device in self.devices:
            for chat, messages in kept.items():
                held = await device.messages(chat)
                every = [message.id for message in messages]
                # what a client of before has handled, the next one does not hold
                if held != (every if len(device.handled) == 1 else every[len(every) - len(held) :]):
                    yield f"held: {device.name} holds {len(held)} of {len(messages)} messages in {chat}"
                stored = [message.text for message in messages if message.text.startswith(f"{device.name} ")]
                said = [
                    text
                    for text in device.said.get(chat, [])
                    if text in stored or text not in device.doubtful
                ]
                if stored != said:
                    yield f"said: {device.name} said {len(said)} in {chat}, {len(stored)} are stored"
                for fault in handled_wrong(device, chat, len(messages)):
                    yield fault
        for text in self.record.extra:
            yield f"extra: {text}"
        for line in self.server.log().splitlines():
            if " ERROR " in line:
                yield f"log: {line}"


def handled_wrong(device: Device, chat: str, last: int) -> Iterator[str]:
    """Each client's application handles every message once and in order, beginning where the one before had been or earlier."""
    before = 0
    for life, by_chat in enumerate(device.handled):
        seqs = by_chat.get(chat, [])
        if not seqs:
            continue
        if seqs != list(range(seqs[0], seqs[-1] + 1)) or (before and seqs[0] > before + 1):
            yield f"handled: client {life} of {device.name} handled {seqs} in {chat} after {before}"
        before = max(before, seqs[-1])
    if before != last:
        yield f"handled: {device.name} handled {before} of {last} in {chat}"


def last_handled(device: Device, chat: str) -> int:
    return max((seqs[-1] for by_chat in device.handled if (seqs := by_chat.get(chat))), default=0)


def knows(chat: str, last: int, status: Status) -> bool:
    return status.is_current and status.positions[chat] == last


async def retried(ask: Any) -> Any:
    """What is answered in the end, by somebody who asks again after every 5xx."""
    while True:
        try:
            answer = await ask()
        except AssertionError:
            continue
        if getattr(answer, "status_code", 200) < 500:
            return answer


def run_in(
    folder: Path, number: int, *, breaks: int, client: str, settings: Mapping[str, str] = MappingProxyType({})
) -> Outcome:
    """One run on a messenger with an embedded database of its own in this folder. ``settings`` are further ones of its own."""
    server = Server(folder / "server", {"CHAOS_SEED": str(number), **CHAOS, **settings}, is_new=False)
    try:
        server.start()
        return asyncio.run(Run(number, server, folder, breaks, client).run())
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.devices", description=__doc__)
    parser.add_argument("--client", choices=CLIENTS, default="python")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first number")
    parser.add_argument("--breaks", type=int, default=1000)
    options = parser.parse_args()
    failed = 0
    for number in range(options.first, options.first + options.runs):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_in(Path(folder), number, breaks=options.breaks, client=options.client)
        print(outcome, *(fault[:1000] for fault in outcome.faults[:10]), sep="\n", flush=True)
        failed += bool(outcome.faults)
    print(f"{options.runs} runs, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

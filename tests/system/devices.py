"""
Devices with the Python client, which lose their connections again and again while people talk.

    python -m tests.system.devices [--runs 1] [--from 0] [--breaks 1000]

The messenger runs with its chaos switch on, is told to end once and killed once; the devices cut their connections too, and
one of them begins anew again and again from what its storage held at some moment. In the end what the devices hold is what is
stored, and they have read nothing that they were told. All that came over their sockets is judged by `tests.checker`. A number
decides what is left to chance, though not how the machine shares its time.
"""

import argparse
import asyncio
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
from attrs import define, evolve, field, frozen
from typing_extensions import override

from messenger_client import FileStorage, MessengerClient, NewMessage, Options, State, Surroundings
from messenger_client.core import Core, Wish, Write
from messenger_client.states import ABNORMAL
from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    Belongs,
    Event,
    Kept,
    Quiet,
    Refused,
    Said,
    SendStarted,
    Unknown,
)
from tests.checker.judge import judge
from tests.simulation.frames import durable
from tests.system.client import Visit
from tests.system.server import Server

HANGS: Final = 900.0
"""Seconds after which a whole run hangs."""

PEOPLE: Final = tuple(f"user{number}@example.com" for number in (1, 2, 3))

PASSWORD: Final = "admin"

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

READS: Final = frozenset({"catch_up", "get_history", "get_readers"})


@define(eq=False)
class Record:
    """What all devices see, in one order."""

    events: list[Event] = field(factory=list)
    changes: dict[tuple[str, int], str] = field(factory=dict)
    """By chat and position, what stands there that is no message."""
    breaks: int = 0
    """Connections that ended."""
    resets: Counter[str] = field(factory=Counter)
    extra: list[str] = field(factory=list)
    """Reads that nothing called for."""
    codes: Counter[int] = field(factory=Counter)
    _last: int = 0

    @property
    def at(self) -> float:
        return time.monotonic()

    def number(self) -> int:
        self._last += 1
        return self._last


class ObservedCore(Core):
    """The core of a client, and what goes in and out of it over the wire."""

    record: Record
    device: str
    connection = 0
    place = 0
    """Where the record has the connection."""
    last = ""
    is_called_for = False
    """Whether something is known to be missing: from before, or because this connection was told."""

    def observe(self, record: Record, device: str, profile: str) -> "ObservedCore":
        self.record, self.device, self.profile = record, device, profile
        self.sends: dict[str, int] = {}
        return self

    @override
    def connected(self, now: float) -> None:
        if self.state is not State.CONNECTING:  # it was stopped meanwhile
            super().connected(now)
            return
        self.connection, self.place = self.record.number(), len(self.record.events)
        is_behind = any(chat.is_behind for chat in self.held.chats.values())
        self.last, self.is_called_for = "", self._place is None or is_behind
        self.sends.clear()
        self.record.events.append(
            AllConnecting(
                at=self.record.at,
                connection=self.connection,
                profile=self.profile,
                session=self.device,
                node="the only one",
                device=self.device,
                has_cursor=self._place is not None,
            )
        )
        super().connected(now)

    @override
    def disconnected(self, now: float, code: int = ABNORMAL, reason: str = "", **more: Any) -> None:
        if self.state.has_socket:
            self.record.breaks += 1
            self.record.codes[code] += 1
            self.record.events.append(AllEnded(at=self.record.at, connection=self.connection, code=code))
        super().disconnected(now, code, reason, **more)

    @override
    def stop(self) -> None:
        if self.state.has_socket:
            self.record.events.append(AllEnded(at=self.record.at, connection=self.connection, code=1000))
        super().stop()

    @override
    def heard(self, now: float, text: str) -> None:
        if text != self.last and self.state.has_socket:  # the switch repeats durable frames at once
            self._see(json.loads(text))
        self.last = text
        super().heard(now, text)

    def _see(self, frame: dict[str, Any]) -> None:
        at, id = self.record.at, frame.get("id")
        if isinstance(id, str) and id in self.sends:
            self._see_outcome(self.sends.pop(id), frame)
            return
        if frame["type"] == "reset":
            self.record.resets[frame["reason"]] += 1
            self.is_called_for = True
            opened = self.record.events[self.place]
            assert isinstance(opened, AllConnecting)
            # the switch has replaced what this client said
            self.record.events[self.place] = evolve(opened, is_garbled=True, has_cursor=False)
        self.is_called_for |= frame["type"] == "gap"
        self.record.events.append(AllHeard(at=at, connection=self.connection, frame=frame))
        if "after" in frame and frame["type"] not in {"gap", "new_message"}:
            told = durable(frame)
            assert isinstance(told, str)
            self.record.changes.setdefault((frame["chat_id"], frame["position"]), told)

    def _see_outcome(self, send: int, frame: dict[str, Any]) -> None:
        at = self.record.at
        match frame:
            case {"type": "answer", "message": message}:
                self.record.events.append(
                    Acked(
                        at=at,
                        send=send,
                        id=message["id"],
                        seq=message["seq"],
                        position=message["position"],
                        duplicate=frame["duplicate"],
                    )
                )
            case {"code": "outcome_unknown"}:
                self.record.events.append(Unknown(at=at, send=send))
            case {"code": code}:
                self.record.events.append(Refused(at=at, send=send, code=code))

    @override
    def _wish(self, wish: Wish) -> None:
        if isinstance(wish, Write):
            fields = json.loads(wish.text)
            if fields["type"] in READS and not self.is_called_for:
                self.record.extra.append(wish.text)
            if fields["type"] == "send_message":
                self._see_send(fields)
        super()._wish(wish)

    def _see_send(self, fields: dict[str, Any]) -> None:
        send = self.sends[fields["id"]] = self.record.number()
        self.record.events.append(
            SendStarted(
                at=self.record.at,
                send=send,
                connection=None,
                chat=fields["chat_id"],
                profile=self.profile,
                session=self.device,
                text=fields["text"],
                nonce=fields["nonce"],
            )
        )


class ObservedClient(MessengerClient):
    observer: tuple[Record, str, str] | None = None

    @override
    def _new_core(self) -> Core:
        core = ObservedCore(
            self._surroundings.uniform,
            self._options,
            has_session=self._session.is_open,
            has_password=self._has_password,
        )
        return core if self.observer is None else core.observe(*self.observer)

    def cut(self) -> None:
        """Breaks the connection, as a network does."""
        if self._connection is not None:
            self._connection.transport.abort()


@define(eq=False, kw_only=True)
class Device:
    name: str
    email: str
    profile: str
    url: str
    folder: Path
    record: Record
    chance: Random
    handled: list[dict[str, list[int]]] = field(factory=list)
    """For each client, by chat, the numbers of the messages that its application has handled, in that order."""
    said: dict[str, list[str]] = field(factory=dict)
    doubtful: set[str] = field(factory=set)
    """Texts that a crash may have taken with it."""
    client: ObservedClient = field(init=False)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def make(self) -> ObservedClient:
        self.handled.append({})
        life = len(self.handled)
        ids = (f"{self.name} {life} {number}" for number in itertools.count())
        self.client = ObservedClient(
            self.url,
            email=self.email,
            password=PASSWORD,
            storage=FileStorage(self.path, slack=20_000),
            options=Options(first_pause=0.02, longest_pause=0.5, messages_most=None, gap_most=None),
            surroundings=Surroundings(uniform=self.chance.uniform, new_id=lambda: next(ids)),
        )
        self.client.observer = self.record, self.name, self.profile
        return self.client

    async def handle(self) -> None:
        async for change in self.client.changes():
            if isinstance(change, NewMessage):
                self.handled[-1].setdefault(change.chat.id, []).append(change.message.seq)

    async def talk(self, chats: list[str], until: asyncio.Event) -> None:
        life = len(self.handled)
        for number in itertools.count():
            await asyncio.sleep(self.chance.uniform(0, 0.05))
            if until.is_set():
                return
            chat, text = self.chance.choice(chats), f"{self.name} {life} says {number}"
            self.said.setdefault(chat, []).append(text)
            await self.client.send(chat, text)

    async def cut(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await asyncio.sleep(self.chance.uniform(0.0, 0.3))
            self.client.cut()

    def crash(self, file: bytes, said: Mapping[str, int]) -> None:
        """The next client begins with a file of before; what was said since, ``said`` counts by chat, may be lost."""
        for chat, texts in self.said.items():
            # the last text before may not have been in the file yet
            self.doubtful.update(texts[max(said.get(chat, 0) - 1, 0) :])
        self.path.write_bytes(file)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits until something holds while the client is live and has sent everything."""
        await eventually(lambda: self.client.state is State.LIVE and self.client.unsent == 0 and reached())

    def knows(self, chat: str, last: int) -> bool:
        return self.client.chats[chat].position == last

    def is_current(self) -> bool:
        return not any(chat.is_behind for chat in self.client.chats.values())


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
        async with asyncio.timeout(HANGS), asyncio.TaskGroup() as group:
            await self.arrive()
            for device in self.devices:
                lives = LIVES if device is self.devices[-1] else 1
                group.create_task(self.live(device, lives))
            await self.break_off()
            self.is_over.set()
            await eventually(lambda: len(self.current) == len(self.devices))
            await self.rest()
            faults = list(self.faults())
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

    async def arrive(self) -> None:
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
                Device(
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
            left: tuple[bytes, dict[str, int]] | None = None
            async with device.make():
                handling = asyncio.create_task(device.handle())
                if life == 0:
                    await device.client.until(State.LIVE)
                    self.arrived += 1
                    await eventually(lambda: self.arrived == len(self.devices))
                work = [
                    handling,
                    talking := asyncio.create_task(device.talk(self.chats, self.is_over)),
                    asyncio.create_task(device.cut(self.is_over)),
                ]
                if life < lives - 1:
                    await self.reach((life + 1) * self.breaks // lives)
                    left = device.path.read_bytes(), {chat: len(texts) for chat, texts in device.said.items()}
                    await asyncio.sleep(0.05)
                else:
                    await self.is_over.wait()
                    await talking
                    await device.until(device.is_current)
                    self.current.append(device)
                    await self.is_judged.wait()
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
            if left is not None:
                device.crash(*left)

    async def rest(self) -> None:
        """Until every device knows what is stored."""
        self.keep()
        kept = {event.chat: event for event in self.record.events if isinstance(event, Kept)}
        for device in self.devices:
            for chat, event in kept.items():
                last = len(event.messages) + len(event.changes)
                await device.until(partial(device.knows, chat, last))
        self.record.events.append(Quiet(at=self.record.at))

    def keep(self) -> None:
        with self.server.database() as database:
            for chat in self.chats:
                rows = database.execute(
                    "SELECT message_id, seq, position, sender_id, body, nonce, sent_at FROM message"
                    " WHERE chat_id = %s ORDER BY seq",
                    [chat],
                )
                messages = [
                    Said(
                        id=str(message_id),
                        chat=chat,
                        seq=seq,
                        position=position,
                        author=str(sender_id),
                        text=body,
                        nonce=nonce.removeprefix("c:"),
                        sent_at=sent_at.astimezone(UTC).replace(tzinfo=None).isoformat(),
                    )
                    for message_id, seq, position, sender_id, body, nonce, sent_at in rows
                ]
                others = database.execute(
                    "SELECT position FROM chat_log WHERE chat_id = %s AND seq IS NULL", [chat]
                )
                nothing = orjson.dumps({"type": "unknown"}).decode()
                changes = {
                    position: self.record.changes.get((chat, position), nothing) for (position,) in others
                }
                members = database.execute(
                    "SELECT profile_id FROM member WHERE chat_id = %s AND left_at IS NULL", [chat]
                )
                self.record.events.append(
                    Kept(
                        at=self.record.at,
                        chat=chat,
                        messages=messages,
                        changes=changes,
                        members=[str(id) for (id,) in members],
                    )
                )

    def faults(self) -> Iterator[str]:
        """What the judge does not know: what the clients hold, and what they asked for."""
        kept = {event.chat: event.messages for event in self.record.events if isinstance(event, Kept)}
        for device in self.devices:
            for chat, messages in kept.items():
                held = [message.id for message in device.client.messages(chat)]
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
                yield from handled_wrong(device, chat, len(messages))
        yield from (f"extra: {text}" for text in self.record.extra)
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


async def eventually(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - many things lead there
        await asyncio.sleep(0.02)


async def retried(ask: Any) -> Any:
    """What is answered in the end, by somebody who asks again after every 5xx."""
    while True:
        try:
            answer = await ask()
        except AssertionError:
            continue
        if getattr(answer, "status_code", 200) < 500:
            return answer


def run_in(folder: Path, number: int, *, breaks: int) -> Outcome:
    """One run on a messenger with an embedded database of its own in this folder."""
    server = Server(folder / "server", {"CHAOS_SEED": str(number), **CHAOS}, is_new=False)
    try:
        server.start()
        return asyncio.run(Run(number, server, folder, breaks).run())
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.devices", description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first number")
    parser.add_argument("--breaks", type=int, default=1000)
    options = parser.parse_args()
    failed = 0
    for number in range(options.first, options.first + options.runs):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_in(Path(folder), number, breaks=options.breaks)
        print(outcome, *(fault[:1000] for fault in outcome.faults[:10]), sep="\n", flush=True)
        failed += bool(outcome.faults)
    print(f"{options.runs} runs, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

"""
A device of somebody who talks while its connections break, whichever client it has, and what all devices write down.
"""

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from attrs import define, evolve, field, frozen

from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    Refused,
    SendStarted,
    Unknown,
)
from tests.simulation.frames import durable
from tests.system.recorded import Recorded

PASSWORD: Final = "admin"

UNSENT: Final = 20
"""Messages that wait in a client's outbox, after which its person waits too, however long there is no messenger."""

READS: Final = frozenset({"catch_up", "get_history", "get_readers"})


@define(eq=False)
class Record(Recorded):
    breaks: int = 0
    """Connections that ended."""
    resets: Counter[str] = field(factory=Counter)
    extra: list[str] = field(factory=list)
    """Reads that nothing called for."""
    codes: Counter[int] = field(factory=Counter)


@define(eq=False)
class Observer:
    """Writes down what goes in and out of one device over the wire."""

    record: Record
    device: str
    profile: str
    is_restored: bool = False
    """Whether the next connection is the first of a client that begins with what the storage of an earlier one held."""
    connection: int = 0
    place: int = 0
    """Where the record has the connection."""
    last: str = ""
    is_called_for: bool = False
    """Whether something is known to be missing: from before, or because this connection was told."""
    sends: dict[str, int] = field(factory=dict)
    """By the id of the request, the number of what it sends."""

    def opened(self, *, has_cursor: bool, is_behind: bool) -> None:
        self.connection, self.place = self.record.number(), len(self.record.events)
        self.last, self.is_called_for = "", not has_cursor or is_behind
        self.sends.clear()
        self.record.events.append(
            AllConnecting(
                at=self.record.at,
                connection=self.connection,
                profile=self.profile,
                session=self.device,
                node="the only one",
                device=self.device,
                has_cursor=has_cursor,
                is_restored=self.is_restored,
            )
        )
        self.is_restored = False

    def ended(self, code: int, *, is_break: bool) -> None:
        """The connection is over: it broke, or was left in order to stop."""
        if is_break:
            self.record.breaks += 1
            self.record.codes[code] += 1
        self.record.events.append(AllEnded(at=self.record.at, connection=self.connection, code=code))

    def heard(self, text: str) -> None:
        if text != self.last:  # the switch repeats durable frames at once
            self._see(json.loads(text))
        self.last = text

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

    def wrote(self, text: str) -> None:
        fields = json.loads(text)
        if fields["type"] in READS and not self.is_called_for:
            self.record.extra.append(text)
        if fields["type"] == "send_message":
            self._see_send(fields)

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


@frozen
class Status:
    """What a client knows at a moment."""

    is_live: bool
    unsent: int
    positions: Mapping[str, int]
    """By chat, the position up to which the client has handled it."""
    is_current: bool
    """Whether there is nothing that the client knows to be missing."""


@define(eq=False, kw_only=True)
class Device(ABC):
    """One after the other, it has several clients if its clients crash."""

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

    @property
    def life(self) -> int:
        return len(self.handled)

    async def begin(self) -> None:
        """Starts a client, with what the storage of the device holds."""
        self.handled.append({})
        await self._begin()

    @abstractmethod
    async def _begin(self) -> None: ...

    @abstractmethod
    async def end(self) -> None:
        """Stops the client."""

    @abstractmethod
    async def send(self, chat: str, text: str) -> None: ...

    @abstractmethod
    def cut(self) -> None:
        """Breaks the connection, as a network does."""

    @abstractmethod
    async def status(self) -> Status: ...

    @abstractmethod
    async def messages(self, chat: str) -> list[str]:
        """The ids of the messages that the client holds, in the order in which it shows them."""

    @abstractmethod
    async def stored(self) -> Any:
        """A copy of what the storage holds."""

    @abstractmethod
    def restore(self, stored: Any) -> None:
        """The next client begins with this copy."""

    def handle(self, chat: str, seq: int) -> None:
        self.handled[-1].setdefault(chat, []).append(seq)

    async def talk(self, chats: list[str], until: asyncio.Event) -> None:
        life = self.life
        for number in itertools.count():
            await asyncio.sleep(self.chance.uniform(0, 0.05))
            if until.is_set():
                return
            if (await self.status()).unsent >= UNSENT:
                continue
            chat, text = self.chance.choice(chats), f"{self.name} {life} says {number}"
            self.said.setdefault(chat, []).append(text)
            await self.send(chat, text)

    async def cut_now_and_then(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await asyncio.sleep(self.chance.uniform(0.0, 0.3))
            self.cut()

    def crash(self, stored: Any, said: Mapping[str, int]) -> None:
        """The next client begins with a copy of before; what was said since, ``said`` counts by chat, may be lost."""
        for chat, texts in self.said.items():
            # the last text before may not have been in the copy yet
            self.doubtful.update(texts[max(said.get(chat, 0) - 1, 0) :])
        self.restore(stored)

    async def until(self, reached: Callable[[Status], bool]) -> None:
        """Waits until something holds while the client is live and has sent everything."""
        while True:
            status = await self.status()
            if status.is_live and status.unsent == 0 and reached(status):
                return
            await asyncio.sleep(0.02)


async def eventually(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - many things lead there
        await asyncio.sleep(0.02)

"""
Somebody on each node who says something ten times a second and hears the others: how long that takes, and since when it
works again after a fault.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Final

from attrs import define, field
from typing_extensions import override

from interfaces.ws.closing import Close
from tests.checker.history import Looked
from tests.simulation.access import Access
from tests.simulation.all_chats import AllChatsDevice, AllChatsVisit
from tests.simulation.clients import until
from tests.simulation.frames import Fields

BEAT: Final = 0.1
"""Seconds between two messages of one pulse."""

MOST_AGAIN: Final = 50
"""Messages without an answer that are sent at once after a break."""

LOOKS: Final = 3
"""
The number of cursors after an answer which show that the node has looked at storage since the question. The first one may
have been on its way, and the look of the second one may have begun before.
"""


@define(eq=False)
class Beat:
    """One message, by seconds of the event loop."""

    author: str
    chat: str
    began: float
    acked: float | None = None
    position: int = 0
    """The position of the message after it was acknowledged, and 0 before."""
    heard: dict[str, float] = field(factory=dict)
    """When each pulse heard it, by name."""


@define(eq=False)
class PulseVisit(AllChatsVisit):
    answered: float = field(init=False, default=-inf)
    """When the last message was begun whose answer has come."""
    looks: deque[float] = field(init=False, factory=lambda: deque(maxlen=LOOKS))
    """What ``answered`` was when the last cursors were told."""

    @override
    def hear(self, item: str | Close) -> None:
        if isinstance(item, Close):
            assert isinstance(self.device, Pulse)
            self.device.ends.append(str(int(item.code)))
        super().hear(item)

    @override
    def _hear_sent(self, frame: Fields) -> None:
        _, nonce = self.sends[frame["id"]]
        super()._hear_sent(frame)
        assert isinstance(self.device, Pulse)
        if frame["type"] != "answer":
            self.device.ends.append(frame["code"])
        if frame["type"] == "answer" and (beat := self.device.beats.get(nonce)):
            self.answered = max(self.answered, beat.began)
            if beat.acked is None:
                beat.acked, beat.position = self.device.at, frame["message"]["position"]

    @override
    def _hear(self, frame: Fields) -> None:
        super()._hear(frame)
        assert isinstance(self.device, Pulse)
        if frame["type"] == "new_message":
            nonce = frame["message"].get("nonce")
            self.device.told.setdefault(nonce, self.device.at)
            if (beat := self.device.beats.get(nonce)) is not None:
                beat.heard.setdefault(self.device.name, self.device.at)
        elif frame["type"] == "cursor" and self.device.is_alone:
            self.looks.append(self.answered)
            if len(self.looks) == LOOKS:
                since = self.looks[0]
                self.device.notebook.write(Looked(at=self.device.at, node=self.node.name, since=since))


@define(eq=False, kw_only=True)
class Pulse(AllChatsDevice):
    """Stays on its node, reads at once, and comes back at once."""

    node: Access
    chat: str
    beats: dict[str, Beat]
    """Those of all pulses, and what others have said in chats that all pulses hear, by nonce."""
    is_alone: bool
    """Whether its node is one process, of which its socket can tell how much it knows."""
    told: dict[str, float] = field(init=False, factory=dict)
    """When it heard which message, by nonce: the answer to one that somebody else has sent may come later."""
    ends: list[str] = field(init=False, factory=list)
    """The codes with which its connections ended and its messages were refused."""

    @override
    async def live(self) -> None:
        beating = asyncio.create_task(self._beat())
        try:
            while True:
                visit = self._enter()
                await until(visit, lambda visit=visit: visit.has_resumed)  # type: ignore[misc]
                while not visit.is_over:
                    if self._settles(visit):
                        return
                    if visit.has_resumed and not visit.sends:
                        for nonce in [*self.unanswered][:MOST_AGAIN]:
                            self._send(visit, nonce)
                    await self._pause(visit)
                await asyncio.sleep(self.chance.random.uniform(0.05, 0.3))
        finally:
            beating.cancel()

    def state(self, beats: Iterable[Beat]) -> str:
        """What it waits for, in words."""
        visit, missed = self.visit, [beat for beat in beats if self.name not in beat.heard]
        lost = [beat for beat in beats if beat.author == self.name and beat.acked is None]
        first = min((self.at - beat.began for beat in [*missed, *lost]), default=0.0)
        is_in = visit is not None and visit.has_resumed and not visit.is_over
        waits = len(visit.sends) if visit else 0
        return (
            f"{self.name} is {'in' if is_in else 'not in'}, waits for {waits} of {len(self.unanswered)} answers, misses"
            f" {len(missed)} messages and {len(lost)} answers of at most {first:.1f} s ago, and was told {self.ends[-5:]}"
        )

    def _settles(self, visit: AllChatsVisit) -> bool:
        return self.is_settling and visit.has_resumed and not self.unanswered and not visit.sends

    def _enter(self) -> AllChatsVisit:
        visit = self.visit = PulseVisit(self, self.node, self.notebook.number("connection"))
        cursor = self.client.cursor
        since = None
        if cursor is not None:
            seen = {chat: known.position for chat, known in self.client.chats.items()}
            since = {"cursor": cursor, "seen": seen}
        self.greet(visit, since)
        return visit

    async def _pause(self, visit: AllChatsVisit) -> None:
        """Until something is heard, or for a moment."""
        visit.changed.clear()
        try:
            async with asyncio.timeout(BEAT / 2):
                await visit.changed.wait()
        except TimeoutError:
            pass

    async def _beat(self) -> None:
        while not self.is_settling:
            number = self.notebook.number("text")
            nonce = f"beat {number}"
            self.beats[nonce] = Beat(self.name, self.chat, self.at)
            self.unanswered[nonce] = self.chat, f"beat {number} of {self.name}"
            await asyncio.sleep(BEAT)


def note_what_is_known(pulses: list[Pulse], beats: Iterable[Beat]) -> None:
    """A slow reader may be told a gap, or a new snapshot, instead of the messages: it knows of them all the same."""
    for pulse in pulses:
        for beat in beats:
            known = pulse.client.chats.get(beat.chat)
            if known and 0 < beat.position <= known.position and pulse.name not in beat.heard:
                beat.heard[pulse.name] = pulse.at


async def all_heard(pulses: list[Pulse], beats: dict[str, Beat], since: float) -> float:
    """
    Waits until each pulse has said something after ``since``, all of them have heard that and everything before it, and its
    authors have answers. Returns when that was so.
    """
    names, chats = {pulse.name for pulse in pulses}, {pulse.chat for pulse in pulses}
    first: dict[str, Beat] = {}
    while True:
        for beat in beats.values():
            if beat.began > since and beat.chat in chats:
                first.setdefault(beat.author, beat)
        if first.keys() == names:
            last = max(beat.began for beat in first.values())
            due = [beat for beat in beats.values() if beat.began <= last]
            note_what_is_known(pulses, due)
            if all(beat.acked is not None and beat.heard.keys() == names for beat in due):
                moments = [moment for beat in due for moment in (beat.acked, *beat.heard.values())]
                return max(moment for moment in moments if moment is not None)
        await asyncio.sleep(0.02)

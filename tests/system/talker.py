"""
Somebody in a chat who loses connections and comes back: with `since`, the last position they hold, and with everything that
got no answer, under the nonce it had. All that they say, hear and ask is written down for `tests.checker`.
"""

import asyncio
import itertools
from collections import Counter, deque
from random import Random
from typing import Any, Final

from attrs import define, field
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.checker.history import (
    Acked,
    Answered,
    Asked,
    Connecting,
    Ended,
    Entered,
    Event,
    Failure,
    HistoryRead,
    MarkSeen,
    Refused,
    Reset,
    Resumed,
    Said,
    SendStarted,
    Told,
    Unknown,
    UnreadRead,
)
from tests.simulation.frames import durable, said
from tests.system.client import ChatSocket, Device, Frame, Token, data, dial
from tests.system.recorded import Recorded

WINDOW: Final = 12
"""Sends without an answer that each talker has under way."""

SNAPSHOT: Final = 10
"""Messages that come with entering."""

SOCKET_PAGE: Final = 100
REST_PAGE: Final = 200
"""The most messages that a page of history may have."""

REPLAY_PAGE: Final = 100
"""Entries that the messenger reads at once when it tells what was missed."""

REPLAYED: Final = 1000
"""Entries that it tells at most; who missed more begins anew."""

RETRIED: Final = frozenset({"outcome_unknown", "unavailable", "overloaded"})
"""Refusals after which the same is sent again."""

CUT: Final = 1006
"""Cut off without a word."""

PAUSE: Final = 0.4
"""The most seconds after which somebody who found no messenger tries again. A try takes a millisecond of a processor."""

COME_BACK: Final = frozenset({CUT, 1012, 1013})
"""Cut off, the messenger restarts, it cannot just now."""


@define(eq=False)
class Record(Recorded):
    acked: int = 0
    _milestones: list[tuple[int, asyncio.Event]] = field(factory=list)

    def write(self, event: Event) -> None:
        self.events.append(event)

    def acknowledge(self) -> None:
        """One more message, for the first time."""
        self.acked += 1
        for count, reached in self._milestones:
            if self.acked >= count:
                reached.set()

    async def reach(self, acked: int) -> None:
        """Until so many sends have been acknowledged."""
        reached = asyncio.Event()
        self._milestones.append((acked, reached))
        if self.acked < acked:
            await reached.wait()


@define(eq=False)
class Room:
    """A chat, as those outside of it know it: how far it has gone, so that they can stay away for so long."""

    number: int
    id: str
    position: int = 0
    present: int = 0
    """Talkers that have something to say and are not away."""
    _waiting: dict[asyncio.Event, int] = field(factory=dict)

    def reach(self, position: int) -> None:
        self.position = max(self.position, position)
        for reached, awaited in self._waiting.items():
            if self.position >= awaited:
                reached.set()

    def leave(self) -> None:
        self.present -= 1
        if not self.present and self._waiting:
            min(self._waiting, key=self._waiting.__getitem__).set()

    async def stay_away(self, entries: int) -> None:
        """Until it has gone on by so many entries; or, where nobody is left to bring it on, who is due first comes."""
        reached = asyncio.Event()
        self._waiting[reached] = self.position + entries
        self.leave()
        await reached.wait()
        del self._waiting[reached]
        self.present += 1


@define(eq=False)
class Connection:
    """One socket of a talker, and what waits for an answer on it."""

    number: int
    since: int | None
    entry: int
    """The question that coming in is: what was missed, or else the newest page."""
    entered: Entered | None = None
    is_complete: bool = False
    """Whether it was told everything from before."""
    waiting: dict[str, int] = field(factory=dict)
    """Attempts by nonce."""
    page: tuple[int, int] | None = None
    """A page of history that was asked for: the question, and which."""
    has_left: bool = False
    """By its choice."""
    code: int | None = None
    """The close code, if it was closed."""


@define(eq=False, kw_only=True)
class Talker:
    """A device in one chat."""

    device: Device
    room: Room
    record: Record
    chance: Random
    todo: deque[str]
    """What it has to say, by nonce: first what it has said and has no answer to."""
    absences: deque[tuple[int, int]]
    """How many frames it hears before it leaves, and how many entries of the chat it stays away for."""
    epoch: str | None = None
    position: int | None = None
    """The last one it holds; None before it has been there."""
    held: dict[int, Said] = field(factory=dict)
    """By seq."""
    last: int = 0
    """The greatest seq of those."""
    answered: dict[str, None] = field(factory=dict)
    connection: Connection | None = None
    replays: list[int] = field(factory=list)
    """How many entries each resume brought."""
    resets: Counter[str] = field(factory=Counter)
    session: str = field(init=False)
    _heard: int = 0
    """Frames since it left the last time."""

    def __attrs_post_init__(self) -> None:
        self.session = Token.read(self.device.token).claims["sid"]

    def write(self, event: Event) -> None:
        self.record.write(event)

    # Coming and going

    async def talk(self) -> None:
        """Until everything is said and acknowledged."""
        self.room.present += 1
        while self.todo:
            longest = 0.05
            try:
                async with dial(self.device.ws_url, self.room.id, compression=None) as socket:
                    await self.visit(socket)
            except (ConnectionClosed, InvalidHandshake, ConnectionError):
                longest = PAUSE
            if self.is_leaving:
                self._heard = 0
                _, entries = self.absences.popleft()
                if entries:
                    await self.room.stay_away(entries)
            await asyncio.sleep(self.chance.uniform(0.005, longest))
        self.room.leave()

    @property
    def is_leaving(self) -> bool:
        return bool(self.absences) and self._heard >= self.absences[0][0]

    async def visit(self, socket: ChatSocket) -> None:
        """Until it has nothing left to say, leaves, or is cut off."""
        connection = self.greet()
        is_bold = self.chance.random() < 0.5
        try:
            await socket.send("auth", **self.greeting())
            while (self.todo or connection.waiting) and not self.is_leaving:
                if connection.entered or is_bold:
                    await self.speak(socket, connection)
                await self.step(socket, connection)
        except ConnectionClosed as ended:
            self.end(connection, ended.rcvd.code if ended.rcvd else CUT)
            return
        connection.has_left = True
        if self.chance.random() < 0.6:
            self.end(connection, CUT)
            socket.connection.transport.abort()
        else:
            self.end(connection, 1000)

    async def come_back(self, socket: ChatSocket) -> None:
        """For good: until it has been told all that was before, and has all of it."""
        connection = self.greet()
        await socket.send("auth", **self.greeting())
        while not (connection.is_complete and len(self.held) == self.last):
            await self.step(socket, connection)
        ask = self.ask(connection.number)
        await socket.send("get_unread_count")
        while (frame := await socket.next())["type"] != "unread_count":
            self.hear(connection, frame)
        self.write(UnreadRead(at=self.record.at, ask=ask, count=frame["count"]))

    def greet(self) -> Connection:
        number = self.record.number()
        self.write(
            Connecting(
                at=self.record.at,
                connection=number,
                chat=self.room.id,
                profile=self.device.profile_id,
                session=self.session,
                node="the only one",
                since=self.position,
                epoch=self.epoch,
            )
        )
        self.connection = Connection(number, self.position, self.ask(number))
        return self.connection

    def greeting(self) -> dict[str, Any]:
        since = {"epoch": self.epoch, "position": self.position}
        return {"token": self.device.token} | ({} if self.position is None else {"since": since})

    def end(self, connection: Connection, code: int) -> None:
        self.write(Ended(at=self.record.at, connection=connection.number, code=code))
        connection.code = code
        if not connection.has_left and code not in COME_BACK:
            self.write(Failure(at=self.record.at, what=f"a socket was closed with {code}"))
        self.connection = None
        self.todo.extendleft(nonce for nonce in reversed(connection.waiting) if nonce not in self.answered)

    # What it asks without a socket

    async def count(self) -> None:
        ask = self.ask()
        chat = data(await self.device.http.get(f"/chats/{self.room.id}/"))
        self.write(MarkSeen(at=self.record.at, ask=ask, seq=chat["readUpTo"]))
        self.write(UnreadRead(at=self.record.at, ask=ask, count=chat["unreadCount"]))

    async def read(self) -> None:
        """All of the history, while nobody talks."""
        before: dict[str, int] = {}
        for page in itertools.count(1):
            ask = self.ask()
            answer = data(
                await self.device.http.get(
                    f"/chats/{self.room.id}/history/", params={"limit": REST_PAGE, **before}
                )
            )
            messages = [
                Said(
                    id=message["id"],
                    chat=message["chatId"],
                    seq=message["seq"],
                    position=message["position"],
                    author=message["sender"]["id"],
                    text=message["text"],
                    nonce=message.get("nonce"),
                    sent_at=message["sentAt"],
                )
                for message in answer["entities"]
            ]
            self.write(
                HistoryRead(
                    at=self.record.at,
                    ask=ask,
                    messages=messages,
                    total=answer["totalCount"],
                    size=REST_PAGE,
                    page=page,
                )
            )
            if not answer["hasBefore"]:
                return
            before = {"before": messages[0].seq}

    # What it says

    async def speak(self, socket: ChatSocket, connection: Connection) -> None:
        """Now and then also what was answered long ago."""
        while self.todo and len(connection.waiting) < WINDOW:
            await self.send(socket, connection, self.todo.popleft())
        if self.answered and self.chance.random() < 0.005:
            nonce = self.chance.choice(list(self.answered))
            if nonce not in connection.waiting:
                await self.send(socket, connection, nonce)

    async def send(self, socket: ChatSocket, connection: Connection, nonce: str) -> None:
        send, text = self.record.number(), f"text of {nonce} in {self.room.id}"
        connection.waiting[nonce] = send
        self.write(
            SendStarted(
                at=self.record.at,
                send=send,
                connection=connection.number,
                chat=self.room.id,
                profile=self.device.profile_id,
                session=self.session,
                text=text,
                nonce=nonce,
            )
        )
        await socket.send("send_message", text=text, nonce=nonce)

    def ask(self, connection: int | None = None) -> int:
        ask = self.record.number()
        self.write(
            Asked(
                at=self.record.at,
                ask=ask,
                connection=connection,
                chat=self.room.id,
                profile=self.device.profile_id,
                session=self.session,
            )
        )
        return ask

    # What it hears

    async def step(self, socket: ChatSocket, connection: Connection) -> None:
        if connection.is_complete and connection.page is None and len(self.held) < self.last:
            await self.turn_a_page(socket, connection)
        frame = await socket.next()
        self._heard += 1
        self.hear(connection, frame)
        if frame["type"] == "error":
            await asyncio.sleep(min(frame.get("retry_after", 0), 0.02))

    async def turn_a_page(self, socket: ChatSocket, connection: Connection) -> None:
        """After a reset: the newest of what is missing still. Pages move on while others talk, and so does this."""
        missing = next(seq for seq in range(self.last, 0, -1) if seq not in self.held)
        connection.page = self.ask(connection.number), (self.last - missing) // SOCKET_PAGE + 1
        await socket.send("get_chat_history", limit=SOCKET_PAGE, offset=connection.page[1])

    def hear(self, connection: Connection, frame: Frame) -> None:
        at, number = self.record.at, connection.number
        match frame["type"]:
            case "auth_success":
                self.epoch = frame["epoch"]
                connection.entered = Entered(
                    at=at,
                    connection=number,
                    epoch=frame["epoch"],
                    seq=frame["seq"],
                    position=frame["position"],
                )
                self.write(connection.entered)
            case "reset":
                self.resets[frame["reason"]] += 1
                self.write(Reset(at=at, connection=number, reason=frame["reason"]))
            case "chat_history":
                self.hear_history(connection, frame)
            case "resumed":
                self.write(
                    Resumed(
                        at=at,
                        connection=number,
                        position=frame["position"],
                        others_read_up_to=frame["others_read_up_to"],
                    )
                )
                self.write(UnreadRead(at=at, ask=connection.entry, count=frame["unread_count"]))
                assert connection.since is not None
                self.replays.append(frame["position"] - connection.since)
                connection.is_complete = True
            case "new_message" | "chat_changed":
                self.hear_durable(connection, frame)
            case "message_ack":
                nonce = frame["nonce"]
                if nonce not in self.answered:
                    self.answered[nonce] = None
                    self.record.acknowledge()
                self.write(
                    Acked(
                        at=at,
                        send=connection.waiting.pop(nonce),
                        id=frame["id"],
                        seq=frame["seq"],
                        position=frame["position"],
                        duplicate=frame["duplicate"],
                    )
                )
            case "error":
                self.hear_error(connection, frame)
            case _:
                self.write(Failure(at=at, what=f"nobody asked for {frame}"))

    def hear_history(self, connection: Connection, frame: Frame) -> None:
        messages = [said(message) for message in frame["messages"]]
        ask, page = connection.page or (connection.entry, 1)
        self.write(
            HistoryRead(
                at=self.record.at,
                ask=ask,
                messages=messages,
                total=frame["total_count"],
                size=SOCKET_PAGE if connection.page else SNAPSHOT,
                page=page,
                is_snapshot=not connection.page,
            )
        )
        self.write(UnreadRead(at=self.record.at, ask=ask, count=frame["unread_count"]))
        for message in messages:
            self.hold(message)
        if connection.page is None:
            assert connection.entered is not None
            self.position = connection.entered.position
            connection.is_complete = True
        connection.page = None

    def hear_durable(self, connection: Connection, frame: Frame) -> None:
        what, position = durable(frame), frame["position"]
        self.write(
            Told(
                at=self.record.at,
                connection=connection.number,
                position=position,
                after=frame["after"],
                what=what,
            )
        )
        if isinstance(what, Said):
            self.hold(what)
        else:
            self.record.changes.setdefault((self.room.id, position), what)
        self.position = position
        self.room.reach(position)

    def hold(self, message: Said) -> None:
        self.held[message.seq] = message
        self.last = max(self.last, message.seq)

    def hear_error(self, connection: Connection, frame: Frame) -> None:
        at, code, nonce = self.record.at, frame["code"], frame.get("nonce")
        if code not in RETRIED:
            self.write(Failure(at=at, what=f"refused: {frame}"))
        if nonce is None:
            assert connection.page is not None, frame
            self.write(Answered(at=at, ask=connection.page[0]))
            connection.page = None
            return
        send = connection.waiting.pop(nonce)
        if code == "outcome_unknown":
            self.write(Unknown(at=at, send=send))
        else:
            self.write(Refused(at=at, send=send, code=code))
        if nonce not in self.answered:
            self.todo.append(nonce)

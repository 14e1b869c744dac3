"""
People with devices, who do what people and bad programs do.

A device comes and goes, sends several messages without waiting, retries under the same nonce what it has no answer to,
reads slowly or not at all for a while, says nonsense, and writes down all it sees.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import orjson
from attrs import Factory, asdict, define, field, frozen

from application.errors import ApplicationError, OutcomeUnknown
from domain.account import Account
from domain.chat_errors import TooFrequent
from domain.errors import DomainError
from domain.ids import ChatId, ProfileId
from infrastructure.memory.storage import EPOCH
from interfaces.ws.closing import Close
from tests.checker.history import (
    Acked,
    Answered,
    Asked,
    Backlog,
    Connecting,
    Detached,
    Ended,
    Entered,
    Event,
    Failure,
    HistoryRead,
    MarkSeen,
    MarkStarted,
    ReadTold,
    Refused,
    Reset,
    Resumed,
    Said,
    SendStarted,
    Told,
    TooOften,
    Unknown,
    UnreadRead,
)
from tests.simulation.access import Access, Connected
from tests.simulation.chance import Chance
from tests.simulation.frames import Fields, durable, said
from tests.simulation.storage import INDIGESTIBLE

NONSENSE: Final[Sequence[str | bytes]] = (
    "{",
    "[]",
    "null",
    '{"type": 7}',
    '{"type": "send_message"}',
    '{"type": "send_message", "text": {"a": 1}, "nonce": "n"}',
    '{"type": "send_message", "text": " ", "nonce": 5}',
    '{"type": "mark_read", "last_read_message_id": "0"}',
    '{"type": "get_chat_history", "limit": -1}',
    '{"type": "auth", "token": "again"}',
    b"\x00\xff",
)

GARBLED: Final[Sequence[Any]] = (
    41,
    "yesterday",
    [],
    {},
    {"epoch": EPOCH},
    {"position": 1},
    {"epoch": 1, "position": 1},
    {"epoch": EPOCH, "position": -1},
    {"epoch": EPOCH, "position": 1.5},
    {"epoch": EPOCH, "position": "1"},
    {"epoch": EPOCH, "position": True},
)
"""What does not say where somebody was."""

SAME: Final = ("yes", "no")
"""What everybody says, and says again."""

MOST_UNANSWERED: Final = 6
"""Messages that a device waits for before it writes new ones."""

SNAPSHOT: Final = 10
"""Messages that come with entering."""


@define(eq=False)
class Notebook:
    """What all of them saw, in one order."""

    events: list[Event] = Factory(list)
    _numbers: dict[str, int] = Factory(dict)

    def write(self, event: Event) -> None:
        self.events.append(event)

    def number(self, kind: str) -> int:
        self._numbers[kind] = number = self._numbers.get(kind, 0) + 1
        return number


class Changing(Protocol):
    """A visit that announces each change of its state."""

    is_over: bool
    changed: asyncio.Event


async def until(visit: Changing, reached: Callable[[], bool]) -> None:
    """Waits until the state is ``reached`` or the visit is over."""
    while not visit.is_over and not reached():
        visit.changed.clear()
        await visit.changed.wait()


@define(eq=False)
class SimulatedPerson:
    name: str
    account: Account
    profile_id: ProfileId

    @property
    def profile(self) -> str:
        return str(self.profile_id)


@frozen
class Place:
    """How far a device has heard a chat, in which line of history."""

    epoch: str
    position: int


@define(eq=False)
class Visit:
    """One connection of a device, from its greeting to its end."""

    device: "Device"
    node: Access
    number: int
    session: str
    is_rude: bool = False
    """Nothing comes of it, and nothing is written down."""
    line: Connected = field(init=False)
    entered: Place | None = None
    is_over: bool = False
    end: Close | None = None
    refused: str | None = None
    """The code of an `auth_error`."""
    changed: asyncio.Event = Factory(asyncio.Event)
    sends: dict[str, deque[int]] = Factory(dict)
    """Attempts without an answer, by nonce."""
    histories: deque[tuple[int, int, int]] = Factory(deque)
    """Requests for history without an answer: number, page, size."""
    entry: int = 0
    """The ask that entering is. A snapshot answers it, or that it has resumed."""
    is_entering: bool = True
    counts: deque[int] = Factory(deque)
    pings: deque[int] = Factory(deque)

    @property
    def at(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def is_open(self) -> bool:
        return self.entered is not None

    def hear(self, item: str | Close) -> None:
        if isinstance(item, Close):
            self.is_over = True
            self.end = item
        if self.is_rude:
            pass
        elif isinstance(item, Close):
            self._write(Ended(at=self.at, connection=self.number, code=item.code))
            if item.code == 1011:
                self._write(Failure(at=self.at, what="a socket was closed with 1011"))
            self._write(
                Backlog(
                    at=self.at,
                    connection=self.number,
                    frames=self.line.backlog,
                    limit=self.node.outbox_frames,
                )
            )
        else:
            self._hear(orjson.loads(item))
        self.changed.set()

    def _write(self, event: Event) -> None:
        self.device.notebook.write(event)

    def _hear(self, fields: Fields) -> None:
        match fields["type"]:
            case "auth_success":
                self.entered = Place(fields["epoch"], fields["position"])
                self._write(
                    Entered(
                        at=self.at,
                        connection=self.number,
                        epoch=fields["epoch"],
                        seq=fields["seq"],
                        position=fields["position"],
                    )
                )
            case "auth_error":
                self.refused = fields["code"]
            case "chat_history":
                self._hear_history(fields)
            case "resumed":
                self._hear_resumed(fields)
            case "reset":
                self._write(Reset(at=self.at, connection=self.number, reason=fields["reason"]))
                if fields["reason"] == "epoch":
                    self.device.seen.clear()
            case "unread_count":
                self._write(UnreadRead(at=self.at, ask=self.counts.popleft(), count=fields["count"]))
            case "new_message" | "chat_changed" | "member_added" | "member_removed":
                self._hear_durable(fields)
            case "messages_read":
                self._write(
                    ReadTold(
                        at=self.at,
                        connection=self.number,
                        reader=fields["read_by"],
                        from_seq=fields["from_seq"],
                        to_seq=fields["to_seq"],
                        count=fields["read_count"],
                    )
                )
            case "message_ack":
                self._hear_ack(fields)
            case "error":
                self._hear_error(fields)
            case "pong":
                self._write(Answered(at=self.at, ask=self.pings.popleft()))
            case _:
                pass

    def _hear_resumed(self, fields: Fields) -> None:
        self.is_entering = False
        self._write(
            Resumed(
                at=self.at,
                connection=self.number,
                position=fields["position"],
                others_read_up_to=fields["others_read_up_to"],
            )
        )
        self._write(MarkSeen(at=self.at, ask=self.entry, seq=fields["read_up_to"]))
        self._write(UnreadRead(at=self.at, ask=self.entry, count=fields["unread_count"]))

    def _hear_history(self, fields: Fields) -> None:
        is_snapshot, self.is_entering = self.is_entering, False
        ask, page, size = (self.entry, 1, SNAPSHOT) if is_snapshot else self.histories.popleft()
        messages = [said(message) for message in fields["messages"]]
        self._write(
            HistoryRead(
                at=self.at,
                ask=ask,
                messages=messages,
                total=fields["total_count"],
                size=size,
                page=page,
                is_snapshot=is_snapshot,
            )
        )
        self._write(UnreadRead(at=self.at, ask=ask, count=fields["unread_count"]))
        self.device.remember(messages)
        if is_snapshot:
            self.device.place = self.entered

    def _hear_durable(self, fields: Fields) -> None:
        what = durable(fields)
        self._write(
            Told(
                at=self.at,
                connection=self.number,
                position=fields["position"],
                after=fields["after"],
                what=what,
            )
        )
        if isinstance(what, Said):
            self.device.remember([what])
        if self.entered:
            self.device.place = Place(self.entered.epoch, fields["position"])

    def _hear_ack(self, fields: Fields) -> None:
        attempts = self.sends[fields["nonce"]]
        self._write(
            Acked(
                at=self.at,
                send=attempts.popleft(),
                id=fields["id"],
                seq=fields["seq"],
                position=fields["position"],
                duplicate=fields["duplicate"],
            )
        )
        self.device.unanswered.pop(fields["nonce"], None)

    def _hear_error(self, fields: Fields) -> None:
        nonce: str | None = fields.get("nonce")
        code: str = fields["code"]
        if nonce is not None and self.sends.get(nonce):
            send = self.sends[nonce].popleft()
            if code == OutcomeUnknown.code:
                self._write(Unknown(at=self.at, send=send))
                return
            first = (fields["id"], fields["seq"]) if code == "nonce_reused" else None
            self._write(Refused(at=self.at, send=send, code=code, first=first))
            if code not in {"unavailable", "overloaded"} or self.device.gives_up(nonce):
                self.device.unanswered.pop(nonce, None)
        elif nonce is None and code == TooFrequent.code:
            self._write(TooOften(at=self.at, connection=self.number))
        elif fields["message"] == "Failed to load chat history" and self.histories:
            if code != "malformed":
                self._write(Answered(at=self.at, ask=self.histories.popleft()[0]))
        elif fields["message"] == "Failed to get unread count":
            self._write(Answered(at=self.at, ask=self.counts.popleft()))


@define(eq=False, kw_only=True)
class Device:
    """``session`` and ``token`` change where it signs in again; a device without a token stays away."""

    person: SimulatedPerson
    name: str
    chat_id: ChatId
    notebook: Notebook
    chance: Chance
    nodes: Sequence[Access]
    devices: "list[Device]"
    """All there are."""
    session: str
    token: str | None
    is_settling: bool = False
    """From now on: come back, have everything answered, do nothing new."""
    unanswered: dict[str, str] = field(init=False, factory=dict)
    """Text by nonce of what may not be stored yet, oldest first."""
    visit: Visit | None = field(init=False, default=None)
    place: Place | None = field(init=False, default=None)
    """The position that the client has reached; None until it has had a snapshot."""
    seen: list[Said] = field(init=False, factory=list)
    used: list[str] = field(init=False, factory=list)
    is_done: bool = field(init=False, default=False)
    _pause: float = field(init=False, default=0.02)
    """Seconds before it comes back; more where it was turned away."""

    @property
    def chat(self) -> str:
        return str(self.chat_id)

    @property
    def at(self) -> float:
        return asyncio.get_running_loop().time()

    def remember(self, messages: list[Said]) -> None:
        self.seen += messages

    def gives_up(self, nonce: str) -> bool:
        """What storage cannot keep is refused again and again."""
        return INDIGESTIBLE in self.unanswered.get(nonce, "")

    # Coming and going

    async def live(self) -> None:
        while not self.is_done:
            await asyncio.sleep(self._pause + self.chance.wait(0.3))
            if self.token is None:
                if self.is_settling:
                    return
                continue
            up = [node for node in self.nodes if node.is_up]
            if not up:
                continue
            visit = self.visit = self._connect(self.chance.one_of(up))
            await self._stay(visit)
            if not visit.is_over:
                return
            if not self._comes_back(visit):
                return

    def _comes_back(self, visit: Visit) -> bool:
        match visit.refused:
            case "chat_not_found":
                return False
            case "not_a_member" | "token_invalid":
                self._pause = 0.7
                return not self.is_settling
            case _:
                self._pause = 0.1
                return True

    def _connect(self, node: Access) -> Visit:
        is_rude = self.chance.happens(0.03)
        visit = Visit(self, node, self.notebook.number("connection"), self.session, is_rude=is_rude)
        visit.line = node.open(self.chat_id, visit.hear)
        if visit.is_rude:
            self._be_rude(visit)
            return visit
        assert self.token is not None, "whoever connects has one"
        since = self._since()
        place = since if isinstance(since, Place) else None
        where = {} if since is None else {"since": asdict(place) if place else since}
        visit.line.say(dumped({"type": "auth", "token": self.token, **where}))
        self.notebook.write(
            Connecting(
                at=self.at,
                connection=visit.number,
                chat=self.chat,
                profile=self.person.profile,
                session=self.session,
                node=node.name,
                since=place.position if place else None,
                epoch=place.epoch if place else None,
                is_garbled=since is not None and place is None,
                device=self.name,
            )
        )
        visit.entry = self._ask(visit)
        return visit

    def _since(self) -> Any:
        """Mostly where it stands. Now and then it has forgotten, takes another's place for its own, or talks nonsense."""
        here, chosen = self.place, self.chance.random.random()
        if here is None or chosen < 0.1:
            return None
        if chosen < 0.16:
            return Place(here.epoch, self.chance.below(here.position + 1))
        if chosen < 0.19:
            return self.chance.one_of([device.place for device in self.devices if device.place])
        if chosen < 0.22:
            return Place(here.epoch, here.position + 1 + self.chance.below(20))
        if chosen < 0.23:
            return Place("another", here.position)
        if chosen < 0.25:
            return self.chance.one_of(GARBLED)
        return here

    def _be_rude(self, visit: Visit) -> None:
        match self.chance.below(3):
            case 0:
                visit.line.say(self.chance.one_of(NONSENSE))
            case 1:
                visit.line.say(dumped({"type": "auth", "token": "mine"}))
            case _:
                pass  # and stays silent, until somebody has had enough

    async def _stay(self, visit: Visit) -> None:
        """Until it is over, or all is done."""
        if visit.is_rude or self.chance.decides(0.5):
            await until(visit, lambda: visit.is_open)
        if visit.is_over:
            return
        if visit.is_open or self._pause < 0.5:
            for nonce, text in list(self.unanswered.items()):
                self.send(visit, text, nonce)
        while not visit.is_over:
            if self.is_settling:
                visit.line.to_client.thaw()
                if await self._settle(visit):
                    return
            else:
                self._act(visit)
                await asyncio.sleep(0.02 + self.chance.wait(1.0))

    async def _settle(self, visit: Visit) -> bool:
        await until(visit, lambda: visit.is_open and not any(visit.sends.values()))
        if visit.is_over:
            return False
        if not self.unanswered:
            return True
        await asyncio.sleep(0.1 + self.chance.wait(0.3))
        for nonce, text in list(self.unanswered.items()):
            self.send(visit, text, nonce)
        return False

    # What people do

    def _act(self, visit: Visit) -> None:
        chosen = self.chance.random.random()
        if chosen < 0.45:
            for _ in range(1 + self.chance.below(4)):
                if len(self.unanswered) < MOST_UNANSWERED:
                    text, nonce = self._new_message()
                    self.send(visit, text, nonce)
                    if nonce is None and self.chance.decides(0.1):
                        self.send(visit, text, nonce)
        elif chosen < 0.6:
            self._mark(visit)
        elif chosen < 0.68:
            self._history(visit)
        elif chosen < 0.75:
            visit.counts.append(self._ask(visit))
            visit.line.say('{"type": "get_unread_count"}')
        elif chosen < 0.82:
            self._smalltalk(visit)
        elif chosen < 0.9:
            visit.line.to_client.freeze()
            asyncio.get_running_loop().call_later(self.chance.wait(3.0), visit.line.to_client.thaw)
        elif chosen < 0.94:
            visit.line.drop()
        elif chosen < 0.96 and self.unanswered:
            nonce, text = next(iter(self.unanswered.items()))
            self.send(visit, text, nonce)  # impatient
        elif chosen < 0.98 and self.used:
            self.send(visit, f"another text {self.notebook.number('text')}", self.chance.one_of(self.used))
        elif chosen > 0.995:
            visit.line.say('{"type": "leave_chat"}')
            self.notebook.write(Detached(at=self.at, connection=visit.number))

    def _new_message(self, same: float = 0.2) -> tuple[str, str | None]:
        """``same`` is how often, of 1, it is what everybody says."""
        number = self.notebook.number("text")
        if self.chance.decides(same):
            return self._same_message(f"n{number}")
        text = f"{self.name} says {number}" + " " * self.chance.below(2)
        chosen = self.chance.below(20)
        if chosen == 0:
            text += "\n" + "long " * self.chance.below(200)
        elif chosen == 1 and self.chance.happens(0.3):
            text += f" {INDIGESTIBLE}"
        nonce = f"n{number}" if self.chance.decides(0.8) else None
        if nonce:
            self.unanswered[nonce] = text
            self.used.append(nonce)
        return text, nonce

    def _same_message(self, nonce: str) -> tuple[str, str | None]:
        text = self.chance.one_of(SAME)
        if self.chance.decides(0.7):
            return text, None
        self.unanswered[nonce] = text
        self.used.append(nonce)
        return text, nonce

    def send(self, visit: Visit, text: str, nonce: str | None) -> None:
        send = self._start(visit, text, nonce)
        frame: dict[str, Any] = {"type": "send_message", "text": text}
        if nonce is not None:
            visit.sends.setdefault(nonce, deque()).append(send)
            frame["nonce"] = nonce
        visit.line.say(dumped(frame))

    def _start(self, visit: Visit | None, text: str, nonce: str | None) -> int:
        send = self.notebook.number("send")
        self.notebook.write(
            SendStarted(
                at=self.at,
                send=send,
                connection=visit.number if visit else None,
                chat=self.chat,
                profile=self.person.profile,
                session=visit.session if visit else self.session,
                text=text,
                nonce=nonce,
            )
        )
        return send

    async def send_without_socket(self, node: Access) -> None:
        """Through the use case, as HTTP would; the caller may hang up."""
        text, nonce = self._new_message(same=0.5)
        token = self.token
        if token is None:
            self.unanswered.pop(nonce or "", None)
            return
        send = self._start(None, text, nonce)
        try:
            async with asyncio.timeout(0.05 + self.chance.wait(0.5)):
                stored = await node.send(token, self.chat_id, text, nonce)
        except (OutcomeUnknown, TimeoutError):
            self.notebook.write(Unknown(at=self.at, send=send))
        except (DomainError, ApplicationError) as error:
            self.notebook.write(Refused(at=self.at, send=send, code=error.code))
            if nonce and (isinstance(error, DomainError) or self.gives_up(nonce)):
                self.unanswered.pop(nonce, None)
        else:
            self.notebook.write(
                Acked(
                    at=self.at,
                    send=send,
                    id=stored.id,
                    seq=stored.seq,
                    position=stored.position,
                    duplicate=stored.duplicate,
                )
            )
            self.unanswered.pop(nonce or "", None)

    def _mark(self, visit: Visit) -> None:
        if not self.seen:
            return
        message = self.chance.one_of(self.seen[-3:] if self.chance.decides(0.7) else self.seen)
        self.notebook.write(
            MarkStarted(at=self.at, chat=self.chat, profile=self.person.profile, up_to=message.seq)
        )
        visit.line.say(dumped({"type": "mark_read", "last_read_message_id": message.id}))

    def _history(self, visit: Visit) -> None:
        page, size = self.chance.below(3), 1 + self.chance.below(12)
        visit.histories.append((self._ask(visit), max(page, 1), size))
        visit.line.say(dumped({"type": "get_chat_history", "limit": size, "offset": page}))

    def _smalltalk(self, visit: Visit) -> None:
        match self.chance.below(3):
            case 0:
                visit.line.say(self.chance.one_of(NONSENSE))
            case 1:
                visit.pings.append(self._ask(visit))
                visit.line.say('{"type": "ping", "id": 1}')
            case _:
                visit.line.say('{"type": "typing", "is_typing": true}')
                visit.line.say('{"type": "typing", "is_typing": false}')

    def _ask(self, visit: Visit) -> int:
        ask = self.notebook.number("ask")
        self.notebook.write(
            Asked(
                at=self.at,
                ask=ask,
                connection=visit.number,
                chat=self.chat,
                profile=self.person.profile,
                session=visit.session,
            )
        )
        return ask


def dumped(fields: Fields) -> str:
    return orjson.dumps(fields).decode()

"""One process of the messenger, as `config.asgi` puts it together, that can be stopped and killed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Sized
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, TypeVar

from attrs import define, evolve, field
from dependency_injector.providers import Object

from application.accounts.authenticate import Authenticate
from application.errors import OutcomeUnknown
from application.messages.send import SendMessage
from application.messenger import Messenger
from application.ports.passwords import UNKNOWN_REQUESTER, Requester
from application.ports.tokens import Tokens
from application.ports.updates import Update
from application.receipts.mark_read import MarkRead
from config.container import Application, MemoryAdapters
from config.settings.groups import Chat, Settings
from domain.account import PasswordHash
from domain.ids import ChatId, Seq
from domain.message import Body, Nonce
from domain.notification import Letter
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.gather import Gatherer
from infrastructure.system.ids import SystemIds
from interfaces.http.events import Events
from interfaces.http.options import HttpOptions
from interfaces.http.sync import Synchronisation
from interfaces.live.hub import Hub
from interfaces.live.sync import Sync, SyncOptions
from interfaces.ws.closing import Close
from interfaces.ws.endpoint import Sockets
from interfaces.ws.options import SocketOptions
from interfaces.ws.services import SocketServices
from tests.simulation.access import Stored
from tests.simulation.chance import Chance
from tests.simulation.frames import Fields
from tests.simulation.network import Line
from tests.simulation.over_http import Cursors, EventLine, synchronised
from tests.simulation.storage import READ, Door, SlowChanges, SlowOwnChanges, SlowViews

T = TypeVar("T")

START: Final = datetime(2026, 11, 23, 3, 32, 9, 900840, tzinfo=UTC)

STOPPING: Final = 1.0
"""Seconds in which sockets may close of their own accord."""

SECRET: Final = "a secret of this world alone, long enough"

CURSORS: Final = Cursors(HttpOptions().cursor_key)


@define(eq=False)
class WallClock:
    """Somebody sets it now and then, also back."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time()) + self.ahead


@define(eq=False, kw_only=True)
class NumberedIds(SystemIds):
    chance: Chance

    def _random(self, size: int) -> bytes:
        return self.chance.random.randbytes(size)


class PlainPasswords:
    """Hashing proper takes a thread and a while, and neither belongs here."""

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        return PasswordHash(password)

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        return against == PasswordHash(password)

    def expect(self, former: PasswordHash | None) -> None: ...

    def is_current(self, password_hash: PasswordHash) -> bool:
        return True


async def _awaited(work: Awaitable[T]) -> T:
    return await work


class NoMailer:
    """Nobody is written to here."""

    async def send(self, letter: Letter, token: str | None) -> None:
        raise NotImplementedError


@cache
def house() -> tuple[Application, MemoryAdapters]:
    """One for all nodes that ever are: it takes long to make, and is emptied each time."""
    adapters = MemoryAdapters()
    application = Application(adapters=adapters)
    application.passwords.override(Object(PlainPasswords()))
    application.tokens.override(Object(JwtTokens(SECRET, "messenger", "clients")))
    application.mailer.override(Object(NoMailer()))
    return application, adapters


@define(eq=False, kw_only=True)
class Terms:
    """What makes limits reachable, and how well the nodes hear of each other."""

    options: SocketOptions
    chat: Chat
    lost: float = 0.0
    """Updates that are published and reach nobody."""
    late: float = 0.0
    doubled: float = 0.0
    bus: bool = False
    """Whether other nodes are told at all."""
    bus_lost: float | None = None
    """The same as ``lost`` between nodes; None if it is as often."""
    bus_doubled: float = 0.0
    """How often another node is told twice."""
    bus_delay: float = 0.4
    """The most seconds that updates take to another node. They overtake each other."""
    is_punctual: bool = False
    """All clocks are right."""
    first_page: int = 50
    """Chats of the first page on a socket of all chats."""
    sync_frames: int = 1000
    """Frames of one answer of `/sync/`."""
    own_reads: float = READ
    """Seconds that a read for a socket of all chats takes at most, before its moment and after it."""
    interval: float = 1.0
    """Seconds between two looks for missed updates."""

    @property
    def has_room(self) -> bool:
        """Whether so much may wait for a client that nothing is dropped."""
        return self.options.outbox_frames >= 256 and self.options.outbox_bytes >= 256 * 1024


@define(eq=False, kw_only=True)
class Node:
    name: str
    door: Door
    chance: Chance
    terms: Terms
    failed: Callable[[str], None]
    others: "list[Node]" = field(factory=list)
    clock: WallClock = field(init=False, factory=WallClock)
    messenger: Messenger = field(init=False)
    tokens: Tokens = field(init=False)
    hub: Hub = field(init=False)
    is_up: bool = field(init=False, default=False)
    _services: SocketServices = field(init=False)
    _sockets: Sockets = field(init=False)
    _sync: Synchronisation = field(init=False)
    _events: Events = field(init=False)
    _posting: Gatherer[Any, Any] = field(init=False)
    _marking: Gatherer[Any, Any] = field(init=False)
    _running: "list[asyncio.Task[None]]" = field(init=False, factory=list)
    _serving: "dict[asyncio.Task[None], None]" = field(init=False, factory=dict)
    _calls: "dict[asyncio.Task[Any], None]" = field(init=False, factory=dict)
    _lines: dict[Line, None] = field(init=False, factory=dict)

    async def start(self) -> None:
        self._assemble()
        self._running = [
            asyncio.create_task(self._posting.run()),
            asyncio.create_task(self._marking.run()),
            asyncio.create_task(self._services.run()),
        ]
        for task in self._running:
            self._watch(task)
        while not self._services.tasks.is_running:  # noqa: ASYNC110  # a server takes no sockets before, and nothing says when
            await asyncio.sleep(0)
        self.is_up = True

    def _assemble(self) -> None:
        application, adapters = house()
        settings = Settings(chat=self.terms.chat)
        ids = NumberedIds(chance=self.chance, milliseconds=self._milliseconds)
        storage = evolve(
            adapters.storage(),
            begin=self.door.begin,
            begin_posting=self.door.begin_posting,
            begin_patient_posting=self.door.begin_patient_posting,
            begin_marking=self.door.begin_marking,
            views=SlowViews(self.door, self.terms.own_reads),
            changes=SlowChanges(self.door),
            own_changes=SlowOwnChanges(self.door, self.terms.own_reads),
        )
        with (
            adapters.settings.override(Object(settings)),
            adapters.clock.override(Object(self.clock)),
            adapters.ids.override(Object(ids)),
            adapters.storage.override(Object(storage)),
        ):
            application.reset_singletons()
            self.messenger = messenger = application.messenger()
            self._posting = application.sending()
            self._marking = application.marking()
            self.tokens = application.ports().tokens
            application.updates().subscribe(self._hear)
        self.hub = Hub(
            feed=messenger.feed,
            clock=self.clock,
            interval=self.terms.interval,
            first_page=self.terms.first_page,
            cursor_interval=1.0,
            typing_expiry=self.terms.options.typing_expiry,
            presence_pause=self.terms.options.presence_pause,
            many=2,
        )
        self._services = SocketServices(messenger=messenger, hub=self.hub, options=self.terms.options)
        self._sockets = Sockets(self._services)
        sync = Sync(
            feed=messenger.feed,
            hub=self.hub,
            options=SyncOptions(chats_page=self.terms.first_page, frames_most=self.terms.sync_frames),
        )
        self._sync = Synchronisation(messenger, HttpOptions(), sync)
        self._events = Events(messenger, HttpOptions(), self._services)

    def _milliseconds(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    def _hear(self, updates: Sequence[Update]) -> None:
        """Passes what this node publishes to its hub, and to the hubs of the other nodes."""
        kept = [update for update in updates if not self.chance.happens(self.terms.lost)]
        if self.chance.happens(self.terms.late):
            self._hear_later(self, kept)
        else:
            self.hub.receive(kept)
        if self.chance.happens(self.terms.doubled):
            self._hear_later(self, kept)
        lost = self.terms.lost if self.terms.bus_lost is None else self.terms.bus_lost
        for other in self.others if self.terms.bus else ():
            carried = [each for each in kept if not self.chance.happens(lost)]
            self._hear_later(other, carried, self.terms.bus_delay)
            if self.terms.bus_doubled and self.chance.happens(self.terms.bus_doubled):
                self._hear_later(other, carried[::-1], self.terms.bus_delay)

    def _hear_later(self, node: "Node", updates: Sequence[Update], longest: float = 0.4) -> None:
        """What is told on its way between nodes names its line of history, and is passed over in another one."""
        restored = self.door.database.restored

        def tell() -> None:
            if node.is_up and self.door.database.restored == restored:
                node.hub.receive(updates)

        asyncio.get_running_loop().call_later(self.chance.wait(longest), tell)

    def open(self, chat_id: ChatId | None, hear: Callable[[str | Close], None]) -> Line:
        assert self.is_up, "whoever connects has looked"
        line = Line(self.chance, hear, handed_over=self.chance.decides(0.7))
        self._lines[line] = None
        task = line.open(self._sockets, chat_id)
        self._serving[task] = None
        self._watch(task)
        return line

    def listen(self, token: str, since: Any, hear: Callable[[str | Close], None]) -> Line:
        """Opens a stream of events."""
        assert self.is_up, "a client that connects has looked"
        line = EventLine(self.chance, hear, handed_over=self.chance.decides(0.7))
        self._lines[line] = None
        task = line.listen(self._events, token, since, by_header=self.chance.decides(0.7))
        self._serving[task] = None
        self._watch(task)
        return line

    async def synchronise(self, token: str, query: Fields) -> Any:
        """
        The data of an answer of `/sync/`.

        Raises:
            ApplicationError, DomainError: It was refused, or the node died meanwhile.
        """
        return await self.call(synchronised(self._sync, token, query))

    async def send(self, token: str, chat_id: ChatId, text: str, nonce: str | None) -> Stored:
        """
        Sends a message through the use case, as HTTP does.

        Raises:
            ApplicationError, DomainError: It was refused, or the node died meanwhile.
        """
        command = SendMessage(chat_id=chat_id, body=Body(text), nonce=Nonce(nonce) if nonce else None)

        async def sending() -> Any:
            actor = await self.messenger.accounts.authenticate(Authenticate(token=token))
            return await self.messenger.messages.send(actor, command)

        sent = await self.call(sending())
        event = sent.event
        return Stored(str(event.message.id), event.message.seq, event.position, sent.duplicate)

    async def mark_read(self, token: str, chat_id: ChatId, up_to: int) -> None:
        """
        Raises:
            ApplicationError, DomainError: It was refused, or the node died meanwhile.
        """

        async def marking() -> None:
            actor = await self.messenger.accounts.authenticate(Authenticate(token=token))
            await self.messenger.messages.mark_read(actor, MarkRead(chat_id=chat_id, up_to=Seq(up_to)))

        await self.call(marking())

    def epoch_of(self, cursor: str) -> str:
        return CURSORS.epoch_of(cursor)

    def is_on_the_way(self, cursor: str) -> bool:
        return CURSORS.is_on_the_way(cursor)

    @property
    def outbox_frames(self) -> int:
        return self.terms.options.outbox_frames

    async def call(self, work: Awaitable[T]) -> T:
        """
        Carry out a request that came without a socket. It dies with the node, and when its caller gives up.

        Raises:
            OutcomeUnknown: The node died meanwhile.
        """
        task = asyncio.create_task(_awaited(work))
        self._calls[task] = None
        task.add_done_callback(lambda task: self._calls.pop(task, None))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise OutcomeUnknown
        return task.result()

    async def stop(self, drain: float = 0.0) -> None:
        """
        Stops as uvicorn does: it closes every socket, and then the lifespan ends.

        ``drain``: seconds within which its clients are asked to leave before that.
        """
        self._services.send_away(drain)
        if drain:
            await asyncio.sleep(drain)
        self.is_up = False
        for line in self._lines:
            line.shut(1012)
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOPPING)
        await asyncio.sleep(self.chance.wait(STOPPING))
        await self._posting.close()
        await self._marking.close()
        await asyncio.wait(self._running[:2])
        await self._cancel([*self._calls, *self._running[2:], *self._serving])
        for line in self._lines:
            line.cut()
        self._lines.clear()

    def left(self) -> list[str]:
        """What it should have forgotten when everybody has gone."""
        hub, requests = self.hub, self._services.tasks._tasks
        assert hub.channels._tasks is not None, "it runs"
        assert requests is not None, "they run"
        kept: dict[str, Sized] = {
            "chats": hub.channels,
            "listeners": hub.roster._places,
            "sessions": hub.roster._sessions,
            "tasks of chats": hub.channels._tasks._tasks,
            "tasks of requests": requests._tasks,
            "listeners of all chats": hub.all_chats._visits,
            "typists": hub.typing,
            "present profiles": hub.presence._here,
            "watched profiles": hub.presence._watched,
            "watches": hub.presence._watches,
            "watching profiles": hub.presence._of_watcher,
            "leaving profiles": hub.presence._leaving,
        }
        return [f"{len(things)} {name}" for name, things in kept.items() if things]

    async def kill(self) -> None:
        """Nothing that happens after this moment reaches anybody."""
        self.is_up = False
        for line in self._lines:
            line.cut()
        self._lines.clear()
        await self._cancel([*self._calls, *self._running, *self._serving])

    async def _cancel(self, tasks: "list[asyncio.Task[None]]") -> None:
        for task in tasks:
            task.cancel()
        for task in tasks:
            await asyncio.wait({task})

    def _watch(self, task: "asyncio.Task[None]") -> None:
        def ended(task: "asyncio.Task[None]") -> None:
            self._serving.pop(task, None)
            if not task.cancelled() and (error := task.exception()):
                self.failed(f"a task of {self.name} ended: {error!r}")

        task.add_done_callback(ended)

"""
A whole messenger and the people who use it, for some seconds that never were.

The number of a run decides everything: who there is, what they do and in which order, what fails, when nodes stop and are
killed. After a while all faults are healed, everybody comes back, and then everybody must have everything.
"""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import ModuleType
from typing import Any, Final
from uuid import UUID

import orjson
from attrs import Factory, define, evolve, field, frozen

from application.accounts.authenticate import Authenticate
from application.accounts.sign_in import SignIn
from application.accounts.sign_out import SignOut
from application.accounts.signed_in import SignedIn
from application.actor import Actor
from application.chats.change import ChangeChat
from application.chats.delete import DeleteChat
from application.chats.remove_member import RemoveMember
from application.errors import ApplicationError
from application.ports.storage import UnitOfWork
from application.ports.views import Newest
from config.settings.groups import Chat as ChatSettings
from domain.account import Account, Email, PasswordHash
from domain.chat import About, Chat
from domain.chat_errors import ChatNotFound, MemberNotFound, NotTheOwner
from domain.errors import DomainError
from domain.ids import ChatId, Position, SessionId
from domain.session import Fingerprint, Lifetimes, Origin, Session
from infrastructure.memory.views import MemoryViews
from interfaces.live import all_chats, channel, entry, resuming
from interfaces.wire import frames
from interfaces.ws.options import SocketOptions
from tests.checker.history import (
    Answered,
    Asked,
    Belongs,
    Cut,
    Event,
    Failure,
    HistoryRead,
    Joined,
    Kept,
    Leaving,
    MarkSeen,
    Quiet,
    Restored,
    Said,
    UnreadRead,
)
from tests.checker.judge import judge
from tests.checker.picture import Limits, Violation
from tests.simulation.all_chats import AllChatsDevice
from tests.simulation.chance import Chance
from tests.simulation.clients import Device, Notebook, SimulatedPerson
from tests.simulation.frames import durable, said
from tests.simulation.loop import SimulatedLoop, run
from tests.simulation.network import NOTICED
from tests.simulation.node import START, Node, NumberedIds, Terms
from tests.simulation.storage import READ, Database, Door, Dump, Faults

PASSWORD: Final = "Correct-Horse"

ACTIVE: Final = (*(0.3, 0.4, 0.6, 1.2) * 6, 5.0)
"""Seconds in which things happen, one of these. Many short runs find more than few long ones, but not everything."""

LONGER: Final = (1.0, 1.5, 2.5)
"""The same where there is something to fall back to."""

SETTLED: Final = 6.0
"""Seconds after which, with nothing failing, everybody has everything; D12 promises ten."""

GRACE: Final = 1.5
"""Seconds: a node looks each second, and looking takes it a while."""

PATIENT: Final = 8.0
"""The same while looking may fail, again and again."""

AHEAD: Final = 20.0
"""Seconds by which a clock may be wrong."""

HEARS_ALL: Final = 4
"""One of so many runs has devices with the socket of all chats, beside those of one chat."""

TYPING_EXPIRY: Final = 1.0
"""Seconds after which typing ends by itself."""

PRESENCE_PAUSE: Final = 0.3
"""Seconds until a person who has gone is told as offline."""

SAID_FIRST: Final = 6
"""Messages of the quiet chat."""

ROUNDED: Final = 0.00001
"""What rounding does to the right time, in seconds."""


@frozen
class Outcome:
    number: int
    history: list[Event]
    limits: Limits
    steps: int

    def violations(self) -> list[Violation]:
        return judge(self.history, self.limits)


def transports(number: int) -> Sequence[str]:
    """Over what the devices of this run hear all chats."""
    return ("ws", "events", "sync") if number % (2 * HEARS_ALL) == 1 else ("ws",)


def hears_all(number: int) -> bool:
    """Whether this run has devices with the socket of all chats."""
    return number % HEARS_ALL == 1


RESTORES: Final[Mapping[int, Sequence[int]]] = {1: (1,), 5: (2,), 7: (0, 3)}
"""The runs in which an earlier state of storage is restored: by the remainder by 8, that of the eighths by 4."""


def restores(number: int) -> bool:
    """Whether an earlier state of storage is restored in this run."""
    return number // 8 % 4 in RESTORES.get(number % 8, ())


def is_cluster(number: int) -> bool:
    """Whether this run has three nodes on a bus that loses, doubles and reorders more than it does elsewhere."""
    return number % 16 == 15


def simulate(number: int) -> Outcome:
    loop = SimulatedLoop(number)
    world = SimulatedWorld(
        Chance(loop.random),
        hears_all=hears_all(number),
        over=transports(number),
        restores=restores(number),
        is_cluster=is_cluster(number),
    )
    with (
        _complaints(world),
        _small(channel, "PAGE", world.page),
        _small(entry, "PAGE", world.page),
        _small(entry, "REPLAY_MOST", world.replayed),
        _small(all_chats, "PAGE", world.page),
        _small(resuming, "REPLAY_MOST", world.replayed),
    ):
        try:
            run(world.run(), loop)
            for task in loop.left:
                world.fail(f"still at it: {task}")
        except Exception as error:  # noqa: BLE001  # whatever breaks the world is something that it found
            world.fail(f"the world broke: {error!r}")
    for complaint in loop.complaints:
        world.fail(complaint)
    return Outcome(number, world.notebook.events, world.limits(), loop.steps)


class _Listener(logging.Handler):
    def __init__(self, world: "SimulatedWorld") -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._world.fail(f"logged: {record.getMessage()}: {error!r}")


@contextmanager
def _complaints(world: "SimulatedWorld") -> Iterator[None]:
    """What the messenger logs as an error is one; what it logs as a warning is what this world does to it."""
    listener, root = _Listener(world), logging.getLogger()
    disabled, handlers, level = root.manager.disable, root.handlers, root.level
    root.handlers = [listener]
    root.setLevel(logging.ERROR)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        logging.disable(disabled)


@contextmanager
def _small(module: ModuleType, name: str, number: int) -> Iterator[None]:
    """Lowers a limit, so that a gap of some messages takes several pages, or is too great."""
    whole = vars(module)[name]
    vars(module)[name] = number
    try:
        yield
    finally:
        vars(module)[name] = whole


@define(eq=False)
class SimulatedWorld:
    chance: Chance
    hears_all: bool = False
    """Whether there are devices with the socket of all chats, and more chats whose members change."""
    over: Sequence[str] = ("ws",)
    """The transports of these devices."""
    restores: bool = False
    """Whether an earlier state of storage is restored."""
    is_cluster: bool = False
    """Whether there are three nodes, with clocks that differ from the beginning, on an unruly bus."""
    notebook: Notebook = Factory(Notebook)
    database: Database = Factory(Database)
    page: int = field(init=False)
    replayed: int = field(init=False)
    faults: Faults = field(init=False)
    terms: Terms = field(init=False)
    nodes: list[Node] = field(init=False)
    people: list[SimulatedPerson] = field(init=False, factory=list)
    devices: list[Device] = field(init=False, factory=list)
    hearers: list[AllChatsDevice] = field(init=False, factory=list)
    scribe: Device | None = field(init=False, default=None)
    """Says something in the chat that is quiet afterwards."""
    chats: dict[ChatId, SimulatedPerson] = field(init=False, factory=dict)
    """And whose they are."""
    deleted: set[ChatId] = field(init=False, factory=set)
    members: dict[ChatId, list[SimulatedPerson]] = field(init=False, factory=dict)
    _at: float = field(init=False, default=0.0)
    _operating: asyncio.Lock = field(init=False, factory=asyncio.Lock)
    """Held while nodes are stopped and started."""
    _begun: dict[Joined | Leaving, None] = field(init=False, factory=dict)
    """Changes of memberships that are tried until they are done."""
    _signing_in: dict[Device, None] = field(init=False, factory=dict)
    """Devices that are about to get another session."""

    def __attrs_post_init__(self) -> None:
        self._draw()

    def limits(self) -> Limits:
        return Limits(
            grace=PATIENT if self.faults.unreadable else GRACE,
            replayed=self.replayed,
            typing=TYPING_EXPIRY if self.terms.has_room else None,
            interval=self.terms.chat.min_message_interval.total_seconds(),
            clocks=ROUNDED if self.terms.is_punctual else 2 * AHEAD,
        )

    @property
    def at(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def settled(self) -> float:
        """`SETTLED`, and more where reads take long: a client reads its pages one after the other."""
        return SETTLED + 3 * (self.terms.own_reads - READ)

    @property
    def outsider(self) -> SimulatedPerson:
        """Not in a chat when it begins."""
        return self.people[-1]

    def fail(self, what: str) -> None:
        at = self.notebook.events[-1].at if self.notebook.events else 0.0
        self.notebook.write(Failure(at=at, what=what))

    async def run(self) -> None:
        self.chance.calm = True
        for node in self.nodes:
            await node.start()
        await self._settle_people()
        if self.scribe:
            for _ in range(SAID_FIRST):
                await self.scribe.send_without_socket(self.nodes[0])
        self.chance.calm = False
        await self._let_happen()
        await self._heal()
        await self._look()
        await self._leave()
        for node in self.nodes:
            await node.stop()

    # What kind of world it is

    def _draw(self) -> None:
        one_of = self.chance.one_of
        self.page = one_of((2, 5, channel.PAGE))
        self.replayed = one_of((3, 8, entry.REPLAY_MOST, entry.REPLAY_MOST))
        self.faults = Faults(
            refused=one_of((0.0, 0.0, 0.03, 0.15)),
            interrupted=one_of((0.0, 0.05, 0.2)),
            unheard=one_of((0.0, 0.05, 0.2)),
            unreadable=one_of((0.0, 0.0, 0.05, 0.2)),
        )
        interval = one_of((0.0, 0.0, 0.1, 0.3, 30.0))
        is_trusty = self.chance.decides(0.3)
        self.terms = Terms(
            options=SocketOptions(
                auth_timeout=2.0,
                outbox_frames=one_of((3, 8, 256)),
                outbox_bytes=one_of((2_000, 16_000, 256 * 1024)),
                pending_sends=one_of((1, 3, 64)),
                waiting_frames=one_of((2, 8, 64)),
                typing_interval=0.1,
                typing_expiry=TYPING_EXPIRY,
                presence_pause=PRESENCE_PAUSE,
            ),
            chat=ChatSettings(
                min_message_interval=timedelta(seconds=interval),
                batch_messages=one_of((2, 5, 500)),
                batch_messages_per_chat=one_of((1, 3, 128)),
                send_backlog=one_of((3, 20, 10_000)),
            ),
            lost=0.0 if is_trusty else one_of((0.0, 0.1, 0.4)),
            late=0.0 if is_trusty else one_of((0.0, 0.1, 0.4)),
            doubled=0.0 if is_trusty else one_of((0.0, 0.1)),
            bus=self.chance.decides(0.5),
            is_punctual=interval > 0 and self.chance.decides(0.5),
        )
        self.nodes = [
            Node(
                name=name,
                door=Door(self.database, self.faults, self.chance),
                chance=self.chance,
                terms=self.terms,
                failed=self.fail,
            )
            for name in self._names()
        ]
        if self.is_cluster:
            self._draw_cluster()
        if self.hears_all:
            self.terms.first_page = one_of((1, 2, 50))
            self.terms.own_reads = one_of((READ, 3.0, 6.0))
            self.terms.interval = one_of((1.0, 0.1))
            if len(self.over) > 1:
                self.terms.sync_frames = one_of((1, 3, 1000))
        for node in self.nodes:
            node.others = [other for other in self.nodes if other is not node]

    def _names(self) -> Sequence[str]:
        if self.is_cluster:
            return "north", "south", "east"
        return ("north", "south")[: self.chance.one_of((1, 2))]

    def _draw_cluster(self) -> None:
        """Most hints of other nodes come late, twice or never, and what a node publishes reaches it late itself."""
        one_of = self.chance.one_of
        self.terms.bus = True
        self.terms.bus_lost = one_of((0.0, 0.2, 0.6, 1.0))
        self.terms.bus_doubled = one_of((0.0, 0.3, 0.9))
        self.terms.bus_delay = one_of((0.05, 0.4, 3.0))
        if not self.terms.is_punctual:
            for node in self.nodes:
                node.clock.ahead = self._some_error()

    def _some_error(self) -> timedelta:
        """By which a clock is wrong."""
        return timedelta(seconds=(self.chance.random.random() * 2 - 1) * AHEAD)

    async def _settle_people(self) -> None:
        ids = NumberedIds(chance=self.chance, milliseconds=self.nodes[0]._milliseconds)
        async with self.database.begin() as work:
            for number in range(self.chance.one_of((3, 3, 4))):
                await self._settle(f"person{number}", ids, work)
            await (self._settle_hearers if self.hears_all else self._settle_chats)(ids, work)
        self.chance.random.shuffle(self.devices)

    async def _settle_chats(self, ids: NumberedIds, work: UnitOfWork) -> None:
        owners = self.people[: self.chance.one_of((1, 1, 1, 2))]
        for number, owner in enumerate(owners):
            await self._open_chat(ChatId(ids.chat()), owner, work)
            for person in self.people:
                for device in range(1 if person is self.outsider else self.chance.one_of((1, 1, 2))):
                    await self._equip(person, f"{person.name}.{device} in {number}", ids, work)

    async def _settle_hearers(self, ids: NumberedIds, work: UnitOfWork) -> None:
        """
        Several chats, each with two devices of its own; one chat in which little is said and much is read; and some devices
        that hear all chats.
        """
        for number, owner in enumerate([self.people[0], self.people[0], self.people[1]]):
            await self._open_chat(ChatId(ids.chat()), owner, work)
            for person in (owner, self.people[2]):
                await self._equip(person, f"{person.name} in {number}", ids, work)
        await self._open_chat(ChatId(ids.chat()), self.people[0], work)
        await self._equip(self.people[0], "scribe", ids, work)
        self.scribe = self.devices.pop()
        for person in (self.people[1], self.outsider, self.chance.one_of(self.people)):
            name = f"{person.name}.{len(self.hearers)} in all"
            session, token = await self._open_session(person, name, ids, work)
            self.hearers.append(
                AllChatsDevice(
                    person=person,
                    name=name,
                    notebook=self.notebook,
                    chance=self.chance,
                    nodes=self.nodes,
                    profiles=[*(each.profile for each in self.people), str(ids.profile())],
                    session=session,
                    token=token,
                    over=self.over,
                )
            )

    async def _settle(self, name: str, ids: NumberedIds, work: UnitOfWork) -> None:
        account, profile = Account.register(
            id=ids.account(),
            profile_id=ids.profile(),
            email=Email(f"{name}@example.com"),
            at=START,
        )
        account.password_hash = PasswordHash(PASSWORD)
        account.confirmed_at = START
        await work.accounts.add(account)
        await work.profiles.add(profile)
        self.people.append(SimulatedPerson(name, account, profile.id))

    async def _open_chat(self, chat_id: ChatId, owner: SimulatedPerson, work: UnitOfWork) -> None:
        insiders = [person for person in self.people if person is not self.outsider]
        chat, opened = Chat.open(
            id=chat_id,
            about=About("chat"),
            owner_id=owner.profile_id,
            others=[person.profile_id for person in insiders],
            at=START,
        )
        await work.chats.add(chat, opened)
        self.chats[chat_id] = owner
        self.members[chat_id] = insiders
        for person in insiders:
            self.notebook.write(Belongs(at=self.at, chat=str(chat_id), profile=person.profile))

    async def _open_session(
        self, person: SimulatedPerson, name: str, ids: NumberedIds, work: UnitOfWork
    ) -> tuple[str, str]:
        session = Session.open(
            id=ids.session(),
            account_id=person.account.id,
            profile_id=person.profile_id,
            fingerprint=Fingerprint(name),
            origin=Origin(),
            pair=Lifetimes().pair(access_id=ids.token_id(), refresh_id=ids.token_id(), at=START),
            at=START,
        )
        await work.sessions.add(session)
        signed_in = SignedIn.to(session, person.account.email.text, self.nodes[0].tokens, at=START)
        return str(session.id), signed_in.access_token

    async def _equip(self, person: SimulatedPerson, name: str, ids: NumberedIds, work: UnitOfWork) -> None:
        session, token = await self._open_session(person, name, ids, work)
        self.devices.append(
            Device(
                person=person,
                name=name,
                chat_id=list(self.chats)[-1],
                notebook=self.notebook,
                chance=self.chance,
                nodes=self.nodes,
                devices=self.devices,
                session=session,
                token=token,
            )
        )

    async def _sign_in(self, node: Node, person: SimulatedPerson, device: str) -> tuple[str, str]:
        fingerprint = Fingerprint(device)
        signed_in = await node.call(
            node.messenger.accounts.sign_in(
                SignIn(email=person.account.email, password=PASSWORD, fingerprint=fingerprint)
            )
        )
        return signed_in.access_token, str(signed_in.session_id)

    # What happens

    async def _let_happen(self) -> None:
        lives = [
            *(asyncio.create_task(device.live()) for device in self.devices),
            *(asyncio.create_task(hearer.live()) for hearer in self.hearers),
        ]
        plots = [self._interfere(), self._bother_many() if self.hears_all else self._bother()]
        active = self.chance.one_of(LONGER if self.restores else ACTIVE)
        if self.restores:
            plots.append(self._fall_back(active))
        if not self.terms.is_punctual:
            plots.append(self._set_clocks())
        tasks = [asyncio.create_task(plot) for plot in plots]
        await asyncio.sleep(active)
        self._at = self.at
        self.chance.calm = True
        for device in self.devices:
            device.is_settling = True
            if device.visit and not device.visit.is_rude:
                device.visit.line.to_client.thaw()
        all_leave = bool(self.hearers) and self.chance.decides(0.5)
        for hearer in self.hearers:
            hearer.is_settling, hearer.leaves = True, all_leave or self.chance.decides(0.5)
            if hearer.visit:
                hearer.visit.line.to_client.thaw()
                hearer.visit.changed.set()
        for task in tasks:
            await task
        if self.scribe:
            await self._say_last(self.scribe)
        await asyncio.wait(lives, timeout=self.settled)
        for life in lives:
            if not life.done():
                life.cancel()
            elif error := life.exception():
                raise error
        await asyncio.wait(lives)
        if self.hears_all and not self.chance.decides(0.5):
            await self._estrange()

    async def _say_last(self, scribe: Device) -> None:
        """While devices come back, in a chat that then stays as it is."""
        await asyncio.sleep(self.chance.random.random() * (0.5 + self.terms.own_reads - READ))
        await scribe.send_without_socket(self.chance.one_of(self.nodes))

    async def _estrange(self) -> None:
        """Puts the outsider out of all chats while everybody is connected: the people who watch them must be told so."""
        for chat_id in [chat_id for chat_id, members in self.members.items() if self.outsider in members]:
            if not self._may_be_deleted(chat_id):
                await self._put_out(chat_id, self.outsider)

    async def _heal(self) -> None:
        await asyncio.sleep(self.settled - min(self.settled - 3, self.at - self._at))
        self.notebook.write(Quiet(at=self.at))

    def _goes_on(self) -> bool:
        return not self.chance.calm

    async def _interfere(self) -> None:
        """With the nodes: most runs have one that stops or is killed."""
        while self._goes_on():
            await asyncio.sleep(self.chance.wait(2.0) + 0.2)
            if not self._goes_on() or self.chance.decides(0.4):
                continue
            async with self._operating:
                struck = [self.chance.one_of(self.nodes)]
                if self.is_cluster and self.chance.decides(0.3):
                    struck = [node for node in self.nodes if node is not struck[0]]
                for node in struck:
                    if self.chance.decides(0.4):
                        await node.stop(self.chance.one_of((0.0, 0.5, 2.0)) if self.hears_all else 0.0)
                    else:
                        await node.kill()
                await asyncio.sleep(self.chance.wait(1.0))
                for node in struck:
                    await node.start()

    async def _fall_back(self, active: float) -> None:
        """
        Restores what was stored some time before, while no node runs, as docs/backup.md says, or while they all run, as when
        a database fails over to a copy that lagged.
        """
        await asyncio.sleep(self.chance.random.random() * active / 2)
        dump = self.database.dump()
        await asyncio.sleep(self.chance.random.random() * active / 2)
        async with self._operating:
            stops = self.chance.decides(0.5)
            if stops:
                for node in self.nodes:
                    await (node.stop() if self.chance.decides(0.3) else node.kill())
            await self._restore(dump)
            if stops:
                for node in self.nodes:
                    await node.start()
        for device in self.devices:
            is_signed_in = device.token is not None and device not in self._signing_in
            if is_signed_in and not self._is_live(device):
                if stops:  # a node that runs takes a while to see that the session is gone
                    self.notebook.write(Cut(at=self.at, session=device.session))
                await self._sign_in_again(device, is_cut=True)

    async def _restore(self, dump: Dump) -> None:
        """Awaits nothing that takes time."""
        for chat_id in self.chats:
            await self._keep(chat_id)
        before = self.database.epoch
        self.database.restore(dump)
        chats = self.database.chats.chats
        self.notebook.write(
            Restored(
                at=self.at,
                before=before,
                epoch=self.database.epoch,
                positions={str(chat_id): chats[chat_id].last_position for chat_id in self.chats},
            )
        )
        for chat_id in self.chats:
            self._look_who_is_there(chat_id)
        for event in self._begun:
            self.notebook.write(evolve(event, at=self.at))

    def _look_who_is_there(self, chat_id: ChatId) -> None:
        """Writes down the memberships and marks of the restored state."""
        state = self.database.chats
        self.deleted.discard(chat_id)
        if self._may_be_deleted(chat_id):
            self.deleted.add(chat_id)
            self.notebook.write(Cut(at=self.at, chat=str(chat_id)))
        self.members[chat_id] = []
        for person in self.people:
            member = state.members.get((chat_id, person.profile_id))
            if member is not None and member.left_at is None:
                self.members[chat_id].append(person)
                if chat_id not in self.deleted:
                    self.notebook.write(Belongs(at=self.at, chat=str(chat_id), profile=person.profile))
            elif chat_id not in self.deleted:
                self.notebook.write(Cut(at=self.at, chat=str(chat_id), profile=person.profile))
            if (reading := state.readings.get((chat_id, person.profile_id))) is not None:
                ask = self._asked(person, chat_id)
                self.notebook.write(MarkSeen(at=self.at, ask=ask, seq=reading.mark))

    def _is_live(self, device: Device) -> bool:
        session = self.database.accounts.sessions.get(
            (device.person.account.id, SessionId(UUID(device.session)))
        )
        return session is not None and session.ended_at is None

    async def _bother(self) -> None:
        """With requests that come without a socket."""
        while self._goes_on():
            await asyncio.sleep(self.chance.wait(0.5))
            up = [node for node in self.nodes if node.is_up]
            if not self._goes_on() or not up:
                continue
            node, device = self.chance.one_of(up), self.chance.one_of(self.devices)
            chosen = self.chance.random.random()
            if chosen < 0.3:
                await device.send_without_socket(node)
            elif chosen < 0.5:
                await self._rename(node, device.chat_id)
            elif chosen < 0.6:
                await self._let_in(device.chat_id)
            elif chosen < 0.65:
                await self._sign_out(device)
            elif chosen < 0.72:
                await self._sign_in_again(device)
            elif chosen < 0.8:
                await self._read(node, device)
            elif chosen < 0.82:
                await self._delete(device.chat_id)
            elif chosen < 0.88:
                await self._put_out(device.chat_id)

    async def _bother_many(self) -> None:
        """The same where it is about several chats: people come and go, and read on devices that have no socket."""
        while self._goes_on():
            await asyncio.sleep(self.chance.wait(0.3))
            up = [node for node in self.nodes if node.is_up]
            if not self._goes_on() or not up:
                continue
            node, chat_id = self.chance.one_of(up), self.chance.one_of([*self.chats])
            chosen = self.chance.random.random()
            if chosen < 0.2:
                device = self.chance.one_of(self.devices)
                if self.scribe and self.chance.decides(0.3):
                    device = self.scribe
                await device.send_without_socket(node)
            elif chosen < 0.3:
                await self._rename(node, chat_id)
            elif chosen < 0.5:
                await self._let_in(chat_id)
            elif chosen < 0.7:
                await self._put_out(chat_id)
            elif chosen < 0.72:
                await self._delete(chat_id)
            elif chosen < 0.95:
                if self.scribe and self.chance.decides(0.6):
                    chat_id = self.scribe.chat_id
                last = self.database.chats.chats[chat_id].last_seq
                if last:
                    await self.chance.one_of(self.hearers).mark_without_socket(node, chat_id, last)

    async def _set_clocks(self) -> None:
        while self._goes_on():
            await asyncio.sleep(self.chance.wait(2.0) + 0.3)
            ahead = self._some_error()
            self.chance.one_of(self.nodes).clock.ahead = ahead

    async def _owner(self, node: Node, chat_id: ChatId) -> Actor | None:
        token = next(
            (
                device.token
                for device in self.devices
                if device.person is self.chats[chat_id] and device.token is not None
            ),
            None,
        )
        return token and await node.messenger.accounts.authenticate(Authenticate(token=token))  # type: ignore[return-value]

    async def _as_owner(
        self, node: Node, chat_id: ChatId, command: ChangeChat | DeleteChat | RemoveMember
    ) -> bool:
        """Whether there was an owner to do it."""
        actor = await self._owner(node, chat_id)
        if actor is None:
            return False
        match command:
            case DeleteChat():
                await node.messenger.chats.delete(actor, command)
            case ChangeChat():
                await node.messenger.chats.change(actor, command)
            case RemoveMember():
                await node.messenger.chats.remove_member(actor, command)
        return True

    async def _try(self, work: Coroutine[Any, Any, Any], node: Node) -> bool | None:
        """Whether it was done; None where nobody can tell."""
        try:
            async with asyncio.timeout(0.05 + self.chance.wait(1.0)):
                return bool(await node.call(work))
        except (TimeoutError, ApplicationError):
            return None

    async def _rename(self, node: Node, chat_id: ChatId) -> None:
        command = ChangeChat(chat_id=chat_id, name=f"chat {self.notebook.number('name')}")
        try:
            await self._try(self._as_owner(node, chat_id, command), node)
        except NotTheOwner:
            assert chat_id in self.deleted or self._may_be_deleted(chat_id)

    def _may_be_deleted(self, chat_id: ChatId) -> bool:
        return self.database.chats.chats[chat_id].deleted_at is not None

    async def _let_in(self, chat_id: ChatId) -> None:
        outside = [person for person in self.people if person not in self.members[chat_id]]
        if not outside:
            return
        newcomer = self.chance.one_of(outside)
        command = ChangeChat(chat_id=chat_id, member_ids=(newcomer.profile_id,))
        with self._trying(Joined(at=self.at, chat=str(chat_id), profile=newcomer.profile)):
            await self._until_done(chat_id, command)
            others = [person for person in self.members[chat_id] if person is not newcomer]
            self.members[chat_id] = [*others, newcomer]
            self.notebook.write(Belongs(at=self.at, chat=str(chat_id), profile=newcomer.profile))

    @contextmanager
    def _trying(self, begun: Joined | Leaving) -> Iterator[None]:
        """Writes down what is tried; until it is done or refused, it may happen in any line of history."""
        self.notebook.write(begun)
        self._begun[begun] = None
        try:
            with suppress(NotTheOwner, ChatNotFound):
                yield
        finally:
            del self._begun[begun]

    async def _put_out(self, chat_id: ChatId, gone: SimulatedPerson | None = None) -> None:
        """Puts out a person, or somebody if it is None, but never the owner."""
        inside = [person for person in self.members[chat_id] if person is not self.chats[chat_id]]
        if not inside:
            return
        gone = gone or self.chance.one_of(inside)
        command = RemoveMember(chat_id=chat_id, profile_id=gone.profile_id)
        with self._trying(Leaving(at=self.at, chat=str(chat_id), profile=gone.profile)):
            told = await self._until_done(chat_id, command)
            self.members[chat_id] = [person for person in self.members[chat_id] if person is not gone]
            self.notebook.write(Cut(at=self.at, chat=str(chat_id), profile=gone.profile, node=told))

    async def _until_done(self, chat_id: ChatId, command: ChangeChat | RemoveMember) -> str | None:
        """
        Returns the node where everybody heard of it at once; None: nobody can tell.

        Raises:
            NotTheOwner, ChatNotFound: The chat is no more.
        """
        is_first = True
        while True:
            node, restored = await self._some_node(), self.database.restored
            try:
                done = await self._try(self._as_owner(node, chat_id, command), node)
            except MemberNotFound:
                return None  # an earlier try was heeded after all
            if done is not None and self.database.restored == restored:
                return self._told(node, is_first)
            is_first = False

    async def _delete(self, chat_id: ChatId) -> None:
        with self._trying(Leaving(at=self.at, chat=str(chat_id))):
            await self._until_deleted(chat_id)

    async def _until_deleted(self, chat_id: ChatId) -> None:
        is_first = True
        while True:
            node, restored = await self._some_node(), self.database.restored
            done: bool | None = False
            try:
                done = await self._try(self._as_owner(node, chat_id, DeleteChat(chat_id=chat_id)), node)
            except NotTheOwner:
                done, is_first = True, False
            if self.database.restored != restored:
                done = None
            if done:
                self.deleted.add(chat_id)
                self.notebook.write(Cut(at=self.at, chat=str(chat_id), node=self._told(node, is_first)))
            if done is not None:
                return
            is_first = False

    def _told(self, node: Node, is_first: bool) -> str | None:
        """Where everybody heard at once of what was done; what took several tries may have been done in silence."""
        is_sure = is_first and not self.terms.lost and not self.terms.late
        return node.name if is_sure else None

    async def _some_node(self) -> Node:
        await asyncio.sleep(self.chance.wait(0.1))
        while not (up := [node for node in self.nodes if node.is_up]):  # noqa: ASYNC110  # as clients do
            await asyncio.sleep(0.1)
        return self.chance.one_of(up)

    async def _sign_out(self, device: Device) -> None:
        if (token := device.token) is None or self._is_last_of_an_owner(device):
            return
        is_first = True
        while True:
            node, restored = await self._some_node(), self.database.restored
            done = await self._try(_yes(node.messenger.accounts.sign_out(SignOut(access_token=token))), node)
            if done and self.database.restored == restored:
                device.token = None
                self.notebook.write(Cut(at=self.at, session=device.session, node=self._told(node, is_first)))
                return
            is_first = False

    def _is_last_of_an_owner(self, device: Device) -> bool:
        return (
            device.person in self.chats.values()
            and sum(other.person is device.person and other.token is not None for other in self.devices) == 1
        )

    async def _sign_in_again(self, device: Device, *, is_cut: bool = False) -> None:
        """On the same device: the session that it had is over. ``is_cut``: it was over before, and that was written down."""
        if device.token is None or device in self._signing_in:
            return
        self._signing_in[device] = None
        try:
            await self._until_signed_in(device, is_cut=is_cut)
        finally:
            del self._signing_in[device]

    async def _until_signed_in(self, device: Device, *, is_cut: bool) -> None:
        is_first = True
        while True:
            node, restored = await self._some_node(), self.database.restored
            try:
                async with asyncio.timeout(0.05 + self.chance.wait(1.0)):
                    token, session = await self._sign_in(node, device.person, device.name)
            except (TimeoutError, ApplicationError):
                is_first = False
                continue
            if self.database.restored != restored:
                continue
            if not is_cut:
                self.notebook.write(Cut(at=self.at, session=device.session, node=self._told(node, is_first)))
            device.token, device.session = token, session
            return

    async def _read(self, node: Node, device: Device) -> None:
        if device.person not in self.members[device.chat_id] or device.token is None:
            return
        with suppress(DomainError, ApplicationError):
            await self._ask(node, device.person, device.chat_id)

    # What is there in the end

    async def _look(self) -> None:
        for chat_id in self.chats:
            await self._keep(chat_id)
            if self._may_be_deleted(chat_id):
                continue
            for person in self.members[chat_id]:
                await self._ask(self.chance.one_of(self.nodes), person, chat_id)

    async def _leave(self) -> None:
        """Everybody, so that nobody and nothing of them may be left on a node."""
        visits = [
            *(device.visit for device in self.devices),
            *(hearer.visit for hearer in self.hearers),
        ]
        for visit in visits:
            if visit:
                visit.line.drop()
        await asyncio.sleep(NOTICED + 2.0)
        for node in self.nodes:
            if left := node.left():
                self.fail(f"{node.name} still has {left}")

    async def _keep(self, chat_id: ChatId) -> None:
        last = self.database.chats.chats[chat_id].last_position
        messages: list[Said] = []
        changes: dict[int, str] = {}
        for update in await MemoryViews(self.database).log(chat_id, Position(0), last):
            what = durable(orjson.loads(frames.told(update).text))
            if isinstance(what, Said):
                messages.append(what)
            else:
                changes[update.position] = what
        is_over = self._may_be_deleted(chat_id)
        members = [] if is_over else [person.profile for person in self.members[chat_id]]
        self.notebook.write(
            Kept(at=self.at, chat=str(chat_id), messages=messages, changes=changes, members=members)
        )

    async def _ask(self, node: Node, person: SimulatedPerson, chat_id: ChatId) -> None:
        """What a front end without a socket reads."""
        messenger, reader = node.messenger, person.profile_id
        ask = self._asked(person, chat_id)
        try:
            chat = (await node.call(messenger.chats.get(reader, chat_id))).chat
        except (DomainError, ApplicationError):
            self.notebook.write(Answered(at=self.at, ask=ask))
            raise
        self.notebook.write(MarkSeen(at=self.at, ask=ask, seq=chat.read_up_to))
        self.notebook.write(UnreadRead(at=self.at, ask=ask, count=chat.unread_count))
        ask = self._asked(person, chat_id)
        count = await node.call(messenger.messages.unread_count(reader, chat_id))
        self.notebook.write(UnreadRead(at=self.at, ask=ask, count=count))
        ask, size = self._asked(person, chat_id), chat.last_seq + 10
        page = await node.call(messenger.messages.history(reader, chat_id, Newest(), size))
        self.notebook.write(
            HistoryRead(
                at=self.at,
                ask=ask,
                messages=[said(_as_read(view)) for view in page.messages],
                total=page.total_count,
                size=size,
            )
        )

    def _asked(self, person: SimulatedPerson, chat_id: ChatId) -> int:
        ask = self.notebook.number("ask")
        self.notebook.write(
            Asked(
                at=self.at,
                ask=ask,
                connection=None,
                chat=str(chat_id),
                profile=person.profile,
                session="",
            )
        )
        return ask


def _as_read(view: Any) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(orjson.dumps(frames.message_fields(view)))
    return fields


async def _yes(work: Awaitable[Any]) -> bool:
    await work
    return True

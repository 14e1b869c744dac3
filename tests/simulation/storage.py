"""
Memory storage as a database is: it takes time, it fails before and after the fact, and a caller may never learn what
became of it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

from attrs import define, field, fields, frozen

from application.errors import OutcomeUnknown, Unavailable
from application.paging import ChatPlace, MemberPlace, Page, Paging, ReaderPlace
from application.ports import changes
from application.ports.changes import Cursor, ReadRange
from application.ports.marking import Marking
from application.ports.own_changes import Lost, Missed
from application.ports.posting import Conversations, Draft, Indigestible, Interrupted, Posting, Slots
from application.ports.updates import ChatUpdate, Update
from application.ports.views import LogSpan, PageAsked, Views, Where
from application.views import (
    ChatDetails,
    ChatView,
    Contact,
    HistoryPage,
    LiveSession,
    MemberView,
    ReaderView,
    Snapshot,
)
from domain.chat import Chat
from domain.events import MessageSent, MessagesRead
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, SessionId
from infrastructure.memory.accounts import AccountState
from infrastructure.memory.chats import ChatState, MemoryMarking, MemoryPosting
from infrastructure.memory.storage import EPOCH, MemoryStorage, MemoryUnitOfWork, News
from infrastructure.memory.views import MemoryChanges, MemoryOwnChanges, MemoryViews
from tests.simulation.chance import Chance

S = TypeVar("S", AccountState, ChatState)

COMMIT: Final = 0.1
"""Seconds that a commit takes at most."""

READ: Final = 0.05

SLOW_AND_CALM: Final = 0.2
"""Seconds before and after a slow read when nothing fails: it is no fault to be slow."""

INDIGESTIBLE: Final = "indigestible"
"""A word that this storage cannot keep."""


@define(kw_only=True)
class Faults:
    """How often, of 1, something goes wrong."""

    refused: float = 0.0
    """Nothing is stored, and it says so."""
    interrupted: float = 0.0
    unheard: float = 0.0
    """The chance that the caller does not learn whether a commit succeeded."""
    unreadable: float = 0.0


@define(eq=False)
class Database(MemoryStorage):
    """What survives the nodes. Each of them comes in through a `Door` of its own."""

    restored: int = 0
    """How often an earlier state was restored. What began before that fails: its connection is broken."""

    def dump(self) -> "Dump":
        """The committed state. What is committed is never changed in place."""
        return Dump(_copied(self.accounts), _copied(self.chats), [*self.journal])

    def restore(self, dump: "Dump") -> None:
        """Goes back to an earlier state, in a line of history of its own."""
        self.accounts, self.chats = _copied(dump.accounts), _copied(dump.chats)
        self.journal = [*dump.journal]
        self.restored += 1
        self.epoch = f"{EPOCH} {self.restored}"


@frozen
class Dump:
    accounts: AccountState
    chats: ChatState
    journal: Sequence[News]


def _copied(state: S) -> S:
    return type(state)(**{each.name: dict(getattr(state, each.name)) for each in fields(type(state))})


@define(eq=False)
class Door:
    """The database as one node reaches it."""

    database: Database
    faults: Faults
    chance: Chance

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryUnitOfWork]:
        async with AsyncExitStack() as held:
            work, restored = MemoryUnitOfWork(self.database, held), self.database.restored
            await self.chance.delay(READ)
            if self.chance.happens(self.faults.refused):
                raise Unavailable("no connection")
            yield work
            await self._commit(work, restored)

    @asynccontextmanager
    async def begin_posting(self) -> AsyncIterator[Posting]:
        async with self.begin() as work:
            yield _Posting(MemoryPosting(work, patient=False), self)

    @asynccontextmanager
    async def begin_patient_posting(self) -> AsyncIterator[Posting]:
        async with self.begin() as work:
            yield _Posting(MemoryPosting(work, patient=True), self)

    @asynccontextmanager
    async def begin_marking(self) -> AsyncIterator[Marking]:
        async with self.begin() as work:
            yield MemoryMarking(work)

    async def _commit(self, work: MemoryUnitOfWork, restored: int) -> None:
        """``restored`` is that of the database when the unit of work began."""
        try:
            await self.chance.delay(COMMIT)
        except asyncio.CancelledError:
            # the node dies, or gives up; the database may have had the word already
            if self.chance.decides(0.5) and self.database.restored == restored:
                work.apply()
            raise
        if self.database.restored != restored:
            raise OutcomeUnknown
        if self.chance.happens(self.faults.refused):
            raise Unavailable("rolled back")
        if self.chance.happens(self.faults.interrupted):
            raise Interrupted("rolled back")
        if self.chance.happens(self.faults.unheard):
            if self.chance.decides(0.6):
                work.apply()
            await self.chance.delay(COMMIT)
            raise OutcomeUnknown
        work.apply()
        await self.chance.delay(COMMIT)
        if self.database.restored != restored:
            raise OutcomeUnknown

    async def read(self, read: Callable[[], Awaitable[Any]], longest: float = READ) -> Any:
        """
        What is read is one moment's picture, and may be old when it arrives. It takes up to ``longest`` seconds before that
        moment, and as many after it.
        """
        restored = self.database.restored
        await self._delay(longest)
        if self.chance.happens(self.faults.unreadable):
            raise Unavailable("no connection")
        found = await read()
        await self._delay(longest)
        if self.database.restored != restored:
            raise Unavailable("the connection broke")
        return found

    async def _delay(self, longest: float) -> None:
        if longest > READ and self.chance.calm:
            await asyncio.sleep(self.chance.random.random() * SLOW_AND_CALM)
        else:
            await self.chance.delay(longest)


@frozen
class _Posting:
    _posting: MemoryPosting
    _door: Door

    @property
    def pending_updates(self) -> Sequence[Update]:
        return self._posting.pending_updates

    def remind(self, repeated: Sequence[MessageSent]) -> None:
        self._posting.remind(repeated)

    async def open(self, drafts: Sequence[Draft], slots: Slots | None) -> Conversations:
        opened = await self._posting.open(drafts, slots)
        await self._door.chance.delay(READ)
        return opened

    async def keep(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        if any(INDIGESTIBLE in event.message.body.text for event in posted):
            raise Indigestible("cannot be kept")
        await self._posting.keep(chats, posted)


@define(eq=False)
class SlowViews(Views):
    _door: Door
    _longest: float = READ
    """What the lists of a reader's chats take."""
    _views: MemoryViews = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._views = MemoryViews(self._door.database)

    async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
        read = self._views.live_session
        found: LiveSession | None = await self._door.read(lambda: read(account_id, session_id))
        return found

    async def list_chats(self, reader: ProfileId) -> Sequence[ChatView]:
        found: Sequence[ChatView] = await self._door.read(lambda: self._views.list_chats(reader))
        return found

    async def page_of_chats(self, reader: ProfileId, paging: Paging[ChatPlace]) -> Page[ChatView, ChatPlace]:
        read = self._views.page_of_chats
        found: Page[ChatView, ChatPlace] = await self._door.read(lambda: read(reader, paging), self._longest)
        return found

    async def some_chats(self, reader: ProfileId, chat_ids: Sequence[ChatId]) -> Sequence[ChatView]:
        read = self._views.some_chats
        found: Sequence[ChatView] = await self._door.read(lambda: read(reader, chat_ids), self._longest)
        return found

    async def get_chat(self, reader: ProfileId, chat_id: ChatId) -> ChatDetails:
        found: ChatDetails = await self._door.read(lambda: self._views.get_chat(reader, chat_id))
        return found

    async def history(self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int) -> HistoryPage:
        read = self._views.history
        found: HistoryPage = await self._door.read(lambda: read(reader, chat_id, where, limit))
        return found

    async def history_unless_known(
        self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int, known: Collection[str]
    ) -> HistoryPage:
        read = self._views.history_unless_known
        found: HistoryPage = await self._door.read(lambda: read(reader, chat_id, where, limit, known))
        return found

    async def session_and_history(
        self, account_id: AccountId, session_id: SessionId, reader: ProfileId, asked: PageAsked
    ) -> tuple[LiveSession | None, HistoryPage | None]:
        read = self._views.session_and_history
        found: tuple[LiveSession | None, HistoryPage | None] = await self._door.read(
            lambda: read(account_id, session_id, reader, asked)
        )
        return found

    async def snapshot(self, reader: ProfileId, chat_id: ChatId, limit: int) -> Snapshot:
        found: Snapshot = await self._door.read(lambda: self._views.snapshot(reader, chat_id, limit))
        return found

    async def members(self, reader: ProfileId, chat_id: ChatId) -> Sequence[MemberView]:
        found: Sequence[MemberView] = await self._door.read(lambda: self._views.members(reader, chat_id))
        return found

    async def page_of_members(
        self, reader: ProfileId, chat_id: ChatId, paging: Paging[MemberPlace]
    ) -> Page[MemberView, MemberPlace]:
        read = self._views.page_of_members
        found: Page[MemberView, MemberPlace] = await self._door.read(lambda: read(reader, chat_id, paging))
        return found

    async def readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId
    ) -> Sequence[ReaderView]:
        read = self._views.readers
        found: Sequence[ReaderView] = await self._door.read(lambda: read(reader, chat_id, message_id))
        return found

    async def page_of_readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId, paging: Paging[ReaderPlace]
    ) -> Page[ReaderView, ReaderPlace]:
        read = self._views.page_of_readers
        found: Page[ReaderView, ReaderPlace] = await self._door.read(
            lambda: read(reader, chat_id, message_id, paging)
        )
        return found

    async def check_member(self, reader: ProfileId, chat_id: ChatId) -> None:
        await self._door.read(lambda: self._views.check_member(reader, chat_id))

    async def contacts(self, reader: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
        found: Sequence[Contact] = await self._door.read(lambda: self._views.contacts(reader, wanted))
        return found

    async def unread_count(self, reader: ProfileId, chat_id: ChatId) -> int:
        found: int = await self._door.read(lambda: self._views.unread_count(reader, chat_id))
        return found

    async def log(self, chat_id: ChatId, after: Position, limit: int) -> Sequence[ChatUpdate]:
        found: Sequence[ChatUpdate] = await self._door.read(lambda: self._views.log(chat_id, after, limit))
        return found

    async def logs(self, spans: Sequence[LogSpan]) -> Sequence[ChatUpdate]:
        found: Sequence[ChatUpdate] = await self._door.read(lambda: self._views.logs(spans))
        return found

    async def probe(self) -> None:
        await self._door.read(self._views.probe)


@define(eq=False)
class SlowChanges:
    _door: Door
    _changes: MemoryChanges = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._changes = MemoryChanges(self._door.database)

    async def now(self) -> Cursor:
        found: Cursor = await self._door.read(self._changes.now)
        return found

    async def since(self, cursor: Cursor) -> changes.News:
        found: changes.News = await self._door.read(lambda: self._changes.since(cursor))
        return found

    async def recall(self, read: ReadRange) -> MessagesRead:
        found: MessagesRead = await self._door.read(lambda: self._changes.recall(read))
        return found


@define(eq=False)
class SlowOwnChanges:
    _door: Door
    _longest: float = READ
    _own: MemoryOwnChanges = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._own = MemoryOwnChanges(self._door.database)

    async def here(self) -> Cursor:
        found: Cursor = await self._door.read(self._own.here, self._longest)
        return found

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        found: Sequence[ChatId] = await self._door.read(lambda: self._own.chats_of(reader), self._longest)
        return found

    async def since(
        self,
        reader: ProfileId,
        cursor: Cursor,
        chats: int | None = None,
    ) -> Missed | Lost:
        found: Missed | Lost = await self._door.read(lambda: self._own.since(reader, cursor), self._longest)
        return found

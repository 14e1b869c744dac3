"""Keeps everything in this process: for development, and for tests that want no database."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import Factory, define, field

from application.ports.changes import ReadRange
from domain.events import PersonalEvent
from domain.ids import ChatId, Position
from infrastructure.memory.accounts import (
    AccountState,
    AccountTables,
    MemoryAccounts,
    MemoryConfirmations,
    MemoryLetters,
    MemoryProfiles,
    MemorySessions,
)
from infrastructure.memory.chats import (
    ChatState,
    ChatTables,
    MemoryChats,
    MemoryMarking,
    MemoryPersonalLog,
    MemoryPosting,
    MemoryReadings,
)

News = tuple[ChatId, Position] | PersonalEvent | ReadRange
"""One thing that a cursor can lie before or behind."""


@define(eq=False)
class MemoryStorage:
    """What is committed, and who holds what. Every unit of work that wrote is numbered as it commits."""

    accounts: AccountState = Factory(AccountState)
    chats: ChatState = Factory(ChatState)
    journal: list[News] = Factory(list)
    """Everything that was ever new, in the order of commits; a cursor is an index into it."""
    _locks: defaultdict[Hashable, asyncio.Lock] = Factory(lambda: defaultdict(asyncio.Lock))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["MemoryUnitOfWork"]:
        async with AsyncExitStack() as held:
            work = MemoryUnitOfWork(self, held)
            yield work
            work.apply()

    @asynccontextmanager
    async def begin_posting(self) -> AsyncIterator[MemoryPosting]:
        """Leaves out chats that others hold."""
        async with self.begin() as work:
            yield MemoryPosting(work, patient=False)

    @asynccontextmanager
    async def begin_patient_posting(self) -> AsyncIterator[MemoryPosting]:
        """Waits for chats that others hold."""
        async with self.begin() as work:
            yield MemoryPosting(work, patient=True)

    @asynccontextmanager
    async def begin_marking(self) -> AsyncIterator[MemoryMarking]:
        async with self.begin() as work:
            yield MemoryMarking(work)


@define(eq=False)
class MemoryUnitOfWork:
    """Reads what is committed, writes to itself, and applies the writes at the end."""

    _storage: MemoryStorage
    _held: AsyncExitStack
    news: list[News] = Factory(list)
    accounts_state: AccountTables = field(
        init=False, default=Factory(lambda work: AccountTables(work._storage.accounts), takes_self=True)
    )
    chats_state: ChatTables = field(
        init=False, default=Factory(lambda work: ChatTables(work._storage.chats), takes_self=True)
    )
    _keys: set[Hashable] = field(init=False, factory=set)
    accounts: MemoryAccounts = field(init=False, default=Factory(MemoryAccounts, takes_self=True))
    confirmations: MemoryConfirmations = field(
        init=False, default=Factory(MemoryConfirmations, takes_self=True)
    )
    sessions: MemorySessions = field(init=False, default=Factory(MemorySessions, takes_self=True))
    profiles: MemoryProfiles = field(init=False, default=Factory(MemoryProfiles, takes_self=True))
    letters: MemoryLetters = field(init=False, default=Factory(MemoryLetters, takes_self=True))
    chats: MemoryChats = field(init=False, default=Factory(MemoryChats, takes_self=True))
    readings: MemoryReadings = field(init=False, default=Factory(MemoryReadings, takes_self=True))
    personal: MemoryPersonalLog = field(init=False, default=Factory(MemoryPersonalLog, takes_self=True))

    async def hold(self, key: Hashable) -> None:
        if key not in self._keys:
            await self._held.enter_async_context(self._storage._locks[key])
            self._keys.add(key)

    def is_busy(self, key: Hashable) -> bool:
        """Whether another unit holds it."""
        return key not in self._keys and self._storage._locks[key].locked()

    def apply(self) -> None:
        self.accounts_state.apply()
        self.chats_state.apply()
        self._storage.journal += self.news

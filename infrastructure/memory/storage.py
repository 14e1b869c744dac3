"""Storage in this process, for development and for tests without a database."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from attrs import Factory, define, field

from application.ports.changes import ReadRange
from application.ports.updates import Update
from application.views import ProfileView
from domain.events import PersonalEvent
from domain.ids import ChatId, Position, ProfileId
from domain.security import AccountEvent
from infrastructure.memory.accounts import (
    AccountState,
    AccountTables,
    MemoryAccountEvents,
    MemoryAccounts,
    MemoryConfirmations,
    MemoryFactors,
    MemoryIdentities,
    MemoryLetters,
    MemoryPasskeys,
    MemoryProfiles,
    MemorySessions,
)
from infrastructure.memory.chats import (
    ChatState,
    ChatTables,
    MarkMoved,
    MemoryChats,
    MemoryMarking,
    MemoryPersonalLog,
    MemoryPosting,
    MemoryReadings,
)
from infrastructure.memory.keys import MemoryKeys

EPOCH: Final = "memory"

News = tuple[ChatId, Position] | PersonalEvent | ReadRange | MarkMoved
"""One entry of the journal."""


@define(eq=False)
class MemoryStorage:
    """The committed state, and the locks of units of work."""

    accounts: AccountState = Factory(AccountState)
    chats: ChatState = Factory(ChatState)
    journal: list[News] = Factory(list)
    """All news, in the order of commits. A cursor is an index into it."""
    epoch: str = EPOCH
    """The name of this line of history. A restored earlier state gets another one."""
    locks: defaultdict[Hashable, asyncio.Lock] = Factory(lambda: defaultdict(asyncio.Lock))

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
    """Reads the committed state, collects its own writes, and applies them when it commits."""

    _storage: MemoryStorage
    _held: AsyncExitStack
    news: list[News] = Factory(list)
    pending_updates: list[Update] = Factory(list)
    pending_events: list[AccountEvent] = Factory(list)
    _accounts_state: AccountTables | None = field(init=False, default=None)
    """Made on first use, because most units use only one of the two."""
    _chats_state: ChatTables | None = field(init=False, default=None)
    _holds: set[Hashable] = field(init=False, factory=set)
    accounts: MemoryAccounts = field(init=False, default=Factory(MemoryAccounts, takes_self=True))
    confirmations: MemoryConfirmations = field(
        init=False, default=Factory(MemoryConfirmations, takes_self=True)
    )
    factors: MemoryFactors = field(init=False, default=Factory(MemoryFactors, takes_self=True))
    identities: MemoryIdentities = field(init=False, default=Factory(MemoryIdentities, takes_self=True))
    passkeys: MemoryPasskeys = field(init=False, default=Factory(MemoryPasskeys, takes_self=True))
    sessions: MemorySessions = field(init=False, default=Factory(MemorySessions, takes_self=True))
    events: MemoryAccountEvents = field(
        init=False,
        default=Factory(lambda work: MemoryAccountEvents(work, work.pending_events), takes_self=True),
    )
    profiles: MemoryProfiles = field(init=False, default=Factory(MemoryProfiles, takes_self=True))
    letters: MemoryLetters = field(init=False, default=Factory(MemoryLetters, takes_self=True))
    chats: MemoryChats = field(init=False, default=Factory(MemoryChats, takes_self=True))
    readings: MemoryReadings = field(init=False, default=Factory(MemoryReadings, takes_self=True))
    keys: MemoryKeys = field(init=False, default=Factory(MemoryKeys, takes_self=True))
    personal: MemoryPersonalLog = field(init=False, default=Factory(MemoryPersonalLog, takes_self=True))

    @property
    def accounts_state(self) -> AccountTables:
        if self._accounts_state is None:
            self._accounts_state = AccountTables(self._storage.accounts)
        return self._accounts_state

    @property
    def chats_state(self) -> ChatTables:
        if self._chats_state is None:
            self._chats_state = ChatTables(self._storage.chats)
        return self._chats_state

    async def hold(self, key: Hashable) -> None:
        if key not in self._holds:
            await self._held.enter_async_context(self._storage.locks[key])
            self._holds.add(key)

    def is_busy(self, key: Hashable) -> bool:
        """Whether another unit holds ``key``."""
        return key not in self._holds and self._storage.locks[key].locked()

    def people(self, profile_ids: Iterable[ProfileId]) -> Mapping[ProfileId, ProfileView]:
        found = {profile_id: self.accounts_state.profiles.get(profile_id) for profile_id in set(profile_ids)}
        return {id: ProfileView.of(profile) for id, profile in found.items() if profile}

    def apply(self) -> None:
        if self._accounts_state is not None:
            self._accounts_state.apply()
        if self._chats_state is not None:
            self._chats_state.apply()
        self._storage.journal += self.news

"""
Units of work: the transactions in which use cases read and write.

A unit of work commits when its block ends, and is rolled back when the block raises. Two units that lock the same thing
run one after the other. What a unit stored is announced to listeners after its commit; use cases do not announce anything
themselves.

Every method may raise `Unavailable` (nothing was done). The end of a block may also raise `OutcomeUnknown`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from application.ports.accounts import (
    Accounts,
    Confirmations,
    Factors,
    Identities,
    Letters,
    Passkeys,
    Profiles,
    Sessions,
)
from application.ports.chats import Chats, Readings
from application.ports.keys import Keys
from application.ports.security import AccountEvents
from application.ports.updates import Update
from domain.events import PersonalEvent
from domain.security import AccountEvent


class PersonalLog(Protocol):
    async def add(self, events: Sequence[PersonalEvent]) -> None:
        """Append each event to the log of its profile. Profiles are locked in the order of their ids."""
        ...


class UnitOfWork(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]:
        """The announcements about everything kept so far. They are made if this unit commits."""
        ...

    @property
    def pending_events(self) -> Sequence[AccountEvent]:
        """The events of accounts that were added so far. They are logged if this unit commits."""
        ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def confirmations(self) -> Confirmations: ...

    @property
    def factors(self) -> Factors: ...

    @property
    def identities(self) -> Identities: ...

    @property
    def passkeys(self) -> Passkeys: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def events(self) -> AccountEvents: ...

    @property
    def profiles(self) -> Profiles: ...

    @property
    def letters(self) -> Letters: ...

    @property
    def chats(self) -> Chats: ...

    @property
    def readings(self) -> Readings: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def personal(self) -> PersonalLog: ...


Begin = Callable[[], AbstractAsyncContextManager[UnitOfWork]]

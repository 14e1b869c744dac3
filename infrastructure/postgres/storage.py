"""Units of work on PostgreSQL: one short transaction on a connection of the pool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import Factory, define, field, frozen
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.ports.updates import Update
from domain.security import AccountEvent
from infrastructure.postgres.accounts import (
    PostgresAccountEvents,
    PostgresAccounts,
    PostgresConfirmations,
    PostgresFactors,
    PostgresIdentities,
    PostgresLetters,
    PostgresPasskeys,
    PostgresProfiles,
    PostgresSessions,
)
from infrastructure.postgres.chats import PostgresChats, PostgresPersonalLog, PostgresReadings
from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import in_our_terms
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.keys import PostgresKeys


@frozen
class PostgresStorage:
    engine: AsyncEngine
    deadline: float = 5.0
    """Seconds. A unit of work that takes longer is abandoned, and its connection is closed."""
    trouble: WriteTrouble = Factory(WriteTrouble)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["PostgresUnitOfWork"]:
        with self.trouble.noted():
            async with transaction(self.engine, self.deadline) as connection:
                yield PostgresUnitOfWork(connection)
                with in_our_terms(committing=True):
                    await connection.commit()


@define(eq=False)
class PostgresUnitOfWork:
    connection: AsyncConnection
    pending_updates: list[Update] = field(init=False, factory=list)
    pending_events: list[AccountEvent] = field(init=False, factory=list)
    accounts: PostgresAccounts = field(init=False)
    confirmations: PostgresConfirmations = field(init=False)
    factors: PostgresFactors = field(init=False)
    identities: PostgresIdentities = field(init=False)
    passkeys: PostgresPasskeys = field(init=False)
    sessions: PostgresSessions = field(init=False)
    events: PostgresAccountEvents = field(init=False)
    profiles: PostgresProfiles = field(init=False)
    letters: PostgresLetters = field(init=False)
    chats: PostgresChats = field(init=False)
    readings: PostgresReadings = field(init=False)
    keys: PostgresKeys = field(init=False)
    personal: PostgresPersonalLog = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.accounts = PostgresAccounts(self.connection)
        self.confirmations = PostgresConfirmations(self.connection)
        self.factors = PostgresFactors(self.connection)
        self.identities = PostgresIdentities(self.connection)
        self.passkeys = PostgresPasskeys(self.connection)
        self.sessions = PostgresSessions(self.connection)
        self.events = PostgresAccountEvents(self.connection, self.pending_events)
        self.profiles = PostgresProfiles(self.connection)
        self.letters = PostgresLetters(self.connection)
        self.chats = PostgresChats(self.connection, self.pending_updates)
        self.readings = PostgresReadings(self.connection, self.pending_updates)
        self.keys = PostgresKeys(self.connection)
        self.personal = PostgresPersonalLog(self.connection, self.pending_updates)

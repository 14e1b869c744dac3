"""
The composition root: which adapters this process uses, and one instance of everything that it shares.

`Application` takes a set of adapters: `PostgresAdapters`, or `MemoryAdapters` for development and tests, or one of them
with a provider overridden. The use cases are put together by the typed functions of `config.features`. Nothing else
knows dependency-injector, and nothing is injected by decorators.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import DependenciesContainer, Dependency, Object, Singleton
from sqlalchemy.ext.asyncio import AsyncEngine

from application.chats.membership import Adding
from application.messages.send import Sent
from application.messenger import Administration, Messenger
from application.meter import Meter, Unmetered
from application.ports.access_tokens import AccessTokens
from application.ports.authenticators import Authenticators
from application.ports.clock import Clock
from application.ports.codes import Codes
from application.ports.ids import Ids
from application.ports.limiter import Left, Limiter
from application.ports.mailer import Mailer
from application.ports.providers import Providers
from application.ports.seals import Seals
from application.ports.security import SecurityLog
from application.ports.tokens import Tokens
from application.receipts.mark_read import Marked
from config.adapters import (
    make_authenticators,
    make_batch_connection,
    make_bus,
    make_limiter,
    make_mailer,
    make_providers,
    make_read_pool,
    make_replica,
    make_unit_engine,
    memory_storage,
    postgres_storage,
)
from config.features.accounts import AccountRules, make_account_rules, make_administration
from config.features.limits import make_adding
from config.features.messages import MarkRequest, SendRequest, gathered, mark_gatherer, send_gatherer
from config.features.messenger import make_messenger
from config.features.workers import Workers, make_workers
from config.ports import Bus, Ports, Storage, announced
from config.settings.groups import Settings
from domain.session import Origin
from infrastructure.crypto.access_tokens import RandomAccessTokens
from infrastructure.crypto.codes import SealedCodes
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.crypto.seals import AesSeals
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.gather import Gatherer
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.metered import MeteredMailer
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.engine import close_engine
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.replica import Replica
from infrastructure.postgres.time import PostgresTime
from infrastructure.repeat import Repeat
from infrastructure.reporting_limiter import ReportingLimiter
from infrastructure.system.chance import unguessable
from infrastructure.system.clock import FollowClock, SystemClock
from infrastructure.system.ids import SystemIds
from infrastructure.system.security_log import LoggedSecurity


class PostgresAdapters(DeclarativeContainer):
    settings = Dependency(instance_of=Settings)
    url = Dependency(instance_of=str)

    clock: Singleton[Clock] = Singleton(SystemClock)
    ids: Singleton[Ids] = Singleton(SystemIds)
    engine: Singleton[AsyncEngine] = Singleton(make_unit_engine, settings, url)
    read_pool: Singleton[ReadPool] = Singleton(make_read_pool, settings, url)
    replica: Singleton[Replica | None] = Singleton(make_replica, settings)
    posting_connection: Singleton[BatchConnection] = Singleton(
        make_batch_connection, settings, url, patient=False
    )
    patient_posting_connection: Singleton[BatchConnection] = Singleton(
        make_batch_connection, settings, url, patient=True
    )
    marking_connection: Singleton[BatchConnection] = Singleton(
        make_batch_connection, settings, url, patient=False
    )
    storage: Singleton[Storage] = Singleton(
        postgres_storage,
        settings,
        engine=engine,
        read_pool=read_pool,
        replica=replica,
        posting_connection=posting_connection,
        patient_posting_connection=patient_posting_connection,
        marking_connection=marking_connection,
    )
    updates: Singleton[Bus] = Singleton(make_bus, settings, url, ids)
    clock_following: Singleton[Repeat] = Singleton(
        Repeat,
        once=Singleton(FollowClock, clock, Singleton(PostgresTime, engine).provided.read),
        name="clock",
        every=60.0,
    )
    """Sets the clocks of all nodes by the clock of the database."""


class MemoryAdapters(DeclarativeContainer):
    settings = Dependency(instance_of=Settings, default=Settings())

    clock: Singleton[Clock] = Singleton(SystemClock)
    ids: Singleton[Ids] = Singleton(SystemIds)
    memory: Singleton[MemoryStorage] = Singleton(MemoryStorage)
    storage: Singleton[Storage] = Singleton(memory_storage, memory)
    updates: Singleton[Bus] = Singleton(MemoryUpdates)


def show_nothing(_: str) -> None:
    """Shows no letters, for processes without a terminal."""


def say_nothing() -> Mapping[str, str | None]:
    """Names no request, for processes that answer none."""
    return {}


def report_nothing() -> None:
    """Wants to know of no limits, for processes that answer no requests."""


class Application(DeclarativeContainer):
    adapters = DependenciesContainer()
    settings = adapters.settings

    show_letter: Object[Callable[[str], None]] = Object(show_nothing)
    """Called with the link of each letter, for developers."""
    limit_reports: Object[Callable[[], Callable[[Left], None] | None]] = Object(report_nothing)
    """Returns what is called with the rest of a rate limit, in the task of the request that used it."""
    whereabouts: Object[Callable[[], Mapping[str, str | None]]] = Object(say_nothing)
    """Returns the id and the client of the request that is being carried out, for the security log."""
    where: Object[Callable[[], Origin]] = Object(Origin)
    """Returns where that request came from."""
    meter: Object[Meter] = Object(Unmetered())

    updates = adapters.updates
    passwords: Singleton[PooledPasswords] = Singleton(
        PooledPasswords,
        threads=settings.provided.auth.hashing_threads,
        backlog=settings.provided.auth.hashing_backlog,
        share=settings.provided.auth.hashing_share,
    )
    tokens: Singleton[Tokens] = Singleton(
        JwtTokens,
        settings.provided.jwt.secret,
        settings.provided.jwt.issuer,
        settings.provided.jwt.audience,
        settings.provided.jwt.algorithm,
    )
    codes: Singleton[Codes] = Singleton(
        SealedCodes,
        settings.provided.auth.factor_key,
        unguessable,
        settings.provided.auth.factor_issuer,
    )
    access_tokens: Singleton[AccessTokens] = Singleton(RandomAccessTokens, unguessable)
    identity_providers: Singleton[Providers] = Singleton(make_providers, settings)
    authenticators: Singleton[Authenticators] = Singleton(make_authenticators, settings)
    seals: Singleton[Seals] = Singleton(AesSeals, settings.provided.jwt.secret, unguessable)
    mailer: Singleton[Mailer] = Singleton(MeteredMailer, Singleton(make_mailer, settings, show_letter), meter)
    limiter: Singleton[Limiter] = Singleton(
        ReportingLimiter, Singleton(make_limiter, settings, updates, adapters.ids), limit_reports
    )

    security: Singleton[SecurityLog] = Singleton(LoggedSecurity, whereabouts)
    storage: Singleton[Storage] = Singleton(announced, adapters.storage, updates, meter, security)
    ports: Singleton[Ports] = Singleton(
        Ports,
        storage=storage,
        clock=adapters.clock,
        ids=adapters.ids,
        updates=updates,
        passwords=passwords,
        tokens=tokens,
        codes=codes,
        access_tokens=access_tokens,
        providers=identity_providers,
        authenticators=authenticators,
        seals=seals,
        mailer=mailer,
        limiter=limiter,
        meter=meter,
        security=security,
        where=where,
    )
    adding: Singleton[Adding] = Singleton(make_adding, ports, settings)
    account_rules: Singleton[AccountRules] = Singleton(make_account_rules, settings)
    workers: Singleton[Workers] = Singleton(make_workers, ports, settings)
    sending: Singleton[Gatherer[SendRequest, Sent]] = Singleton(send_gatherer, ports, settings)
    marking: Singleton[Gatherer[MarkRequest, Marked]] = Singleton(mark_gatherer, ports, settings)
    messenger: Singleton[Messenger] = Singleton(
        make_messenger,
        ports,
        account_rules,
        send=Singleton(gathered, sending),
        mark_read=Singleton(gathered, marking),
        letter_is_due=workers.provided.letters.wake,
        account_is_closed=workers.provided.closed_accounts.wake,
        adding=adding,
    )
    administration: Singleton[Administration] = Singleton(
        make_administration,
        account_rules,
        storage=storage,
        clock=adapters.clock,
        ids=adapters.ids,
        passwords=passwords,
    )


@asynccontextmanager
async def closing(application: Application) -> AsyncIterator[None]:
    """Closes everything that an application on PostgreSQL opened."""
    async with AsyncExitStack() as stack:
        stack.callback(application.passwords().close)
        stack.push_async_callback(close_connections, application.adapters)
        yield


async def close_connections(adapters: PostgresAdapters | DependenciesContainer) -> None:
    """Closes all connections to PostgreSQL. Later requests for one raise `Unavailable`."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close_engine, adapters.engine())
        for connection in (
            adapters.posting_connection,
            adapters.patient_posting_connection,
            adapters.marking_connection,
            adapters.read_pool,
        ):
            stack.push_async_callback(connection().close)
        if (replica := adapters.replica()) is not None:
            stack.push_async_callback(replica.close)

"""Storages as the application sees them, whichever adapters they are made of."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache

from attrs import frozen
from psycopg.conninfo import make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine

from application.ports.marking import BeginMarking
from application.ports.posting import BeginPosting
from config.adapters import DIVIDED, ON_ONE_SERVER, PostgresKinds
from config.ports import Storage
from infrastructure.memory.catalogues import MemoryCatalogues
from infrastructure.memory.purging import MemoryDeletedChats
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.views import MemoryChanges, MemoryOwnChanges, MemoryViews
from infrastructure.postgres.catalogues import PostgresCatalogues
from infrastructure.postgres.driver.batches import PLANS, BatchConnection
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.own_changes import PostgresOwnChanges
from infrastructure.postgres.storage import PostgresStorage
from infrastructure.postgres.views import PostgresViews


@frozen(kw_only=True)
class SharedStorage(Storage):
    """Storage that several processes use at once."""

    neighbour: Callable[[], BeginPosting]
    """Another process that posts to the same storage."""
    patient_neighbour: Callable[[], BeginPosting]
    """The same, waiting for chats that others hold."""
    marking_neighbour: Callable[[], BeginMarking]
    """Another process that marks in the same storage."""


def memory_storage() -> SharedStorage:
    storage = MemoryStorage()
    return SharedStorage(
        begin=storage.begin,
        begin_posting=storage.begin_posting,
        begin_patient_posting=storage.begin_patient_posting,
        begin_marking=storage.begin_marking,
        views=MemoryViews(storage),
        changes=MemoryChanges(storage),
        own_changes=MemoryOwnChanges(storage),
        catalogues=MemoryCatalogues(),
        deleted_chats=MemoryDeletedChats(storage),
        neighbour=lambda: storage.begin_posting,
        patient_neighbour=lambda: storage.begin_patient_posting,
        marking_neighbour=lambda: storage.begin_marking,
    )


@asynccontextmanager
async def postgres_storage(
    url: str, deadline: float = 10.0, kinds: PostgresKinds = ON_ONE_SERVER
) -> AsyncIterator[SharedStorage]:
    """``url`` is SQLAlchemy's, of a database that has its tables."""
    lanes: list[BatchConnection] = []
    trouble = WriteTrouble()

    def lane(*, patient: bool = False) -> BatchConnection:
        lanes.append(make_lane(url, patient=patient, deadline=deadline, plans=kinds.plans))
        return lanes[-1]

    def posting(*, patient: bool = False) -> BeginPosting:
        return kinds.postings(lane(patient=patient), trouble).begin

    def marking() -> BeginMarking:
        return kinds.markings(lane(), trouble).begin

    engine = _engine(url, deadline, kinds)
    pictures = kinds.read_pool(url, deadline=deadline)
    try:
        yield SharedStorage(
            begin=PostgresStorage(engine, deadline, trouble).begin,
            begin_posting=posting(),
            begin_patient_posting=posting(patient=True),
            begin_marking=marking(),
            views=PostgresViews(pictures, trouble),
            changes=kinds.changes(engine, deadline),
            own_changes=PostgresOwnChanges(pictures),
            catalogues=PostgresCatalogues(engine, deadline),
            deleted_chats=kinds.deleted_chats(engine, deadline),
            neighbour=posting,
            patient_neighbour=lambda: posting(patient=True),
            marking_neighbour=marking,
        )
    finally:
        for each in lanes:
            await each.close()
        await pictures.close()
        await engine.dispose()


def divided_storage(url: str, deadline: float = 10.0) -> AbstractAsyncContextManager[SharedStorage]:
    """``url`` is SQLAlchemy's, of a database whose tables `messenger db distribute` has divided."""
    return postgres_storage(url, deadline, DIVIDED)


@lru_cache(maxsize=8)
def _engine(url: str, deadline: float, kinds: PostgresKinds) -> AsyncEngine:
    """
    Used again by the next test on the same database, because it keeps the statements that it has compiled. That takes longer
    than most tests. Disposed of, it has a new pool, whose connections belong to the next event loop.
    """
    return kinds.adapted(make_engine(url, size=20, wait=deadline, deadline=deadline))


def make_lane(
    url: str,
    *,
    patient: bool = False,
    deadline: float = 10.0,
    lock_timeout: float = 2.0,
    idle_in_transaction: float = 60.0,
    plans: Mapping[str, str] = PLANS,
) -> BatchConnection:
    """``idle_in_transaction`` is long because on a busy machine the tests themselves may freeze for a second."""
    return BatchConnection(
        url,
        deadline=deadline,
        patient=patient,
        lock_timeout=lock_timeout,
        idle_in_transaction=idle_in_transaction,
        plans=plans,
    )


def conninfo(url: str) -> str:
    """For the driver, beside the messenger's own connections."""
    return make_conninfo(**parse(url).parameters)

"""Storages as the application sees them, whichever adapters they are made of."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from attrs import frozen
from sqlalchemy.engine import make_url

from application.ports.catalogues import Catalogues
from application.ports.changes import Changes
from application.ports.posting import BeginPosting
from application.ports.purging import DeletedChats
from application.ports.storage import Begin
from application.ports.views import Views
from infrastructure.memory.catalogues import MemoryCatalogues
from infrastructure.memory.purging import MemoryDeletedChats
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.views import MemoryChanges, MemoryViews
from infrastructure.postgres.catalogues import PostgresCatalogues
from infrastructure.postgres.cursor import PostgresChanges
from infrastructure.postgres.posting import PostgresLane
from infrastructure.postgres.purging import PostgresDeletedChats
from infrastructure.postgres.storage import PostgresStorage, make_engine
from infrastructure.postgres.views import PostgresViews


@frozen(kw_only=True)
class Storage:
    begin: Begin
    begin_posting: BeginPosting
    begin_patient_posting: BeginPosting
    views: Views
    changes: Changes
    catalogues: Catalogues
    deleted_chats: DeletedChats
    neighbour: Callable[[], BeginPosting]
    """Another process that posts to the same storage."""


def memory_storage() -> Storage:
    storage = MemoryStorage()
    return Storage(
        begin=storage.begin,
        begin_posting=storage.begin_posting,
        begin_patient_posting=storage.begin_patient_posting,
        views=MemoryViews(storage),
        changes=MemoryChanges(storage),
        catalogues=MemoryCatalogues(),
        deleted_chats=MemoryDeletedChats(storage),
        neighbour=lambda: storage.begin_posting,
    )


@asynccontextmanager
async def postgres_storage(url: str, deadline: float = 10.0) -> AsyncIterator[Storage]:
    """``url`` is SQLAlchemy's, of a database that has its tables."""
    lanes: list[PostgresLane] = []

    def lane(*, patient: bool = False) -> BeginPosting:
        lanes.append(make_lane(url, patient=patient, deadline=deadline))
        return lanes[-1].begin

    engine = make_engine(url, size=20, wait=deadline, deadline=deadline)
    try:
        yield Storage(
            begin=PostgresStorage(engine, deadline).begin,
            begin_posting=lane(),
            begin_patient_posting=lane(patient=True),
            views=PostgresViews(engine, deadline),
            changes=PostgresChanges(engine, deadline),
            catalogues=PostgresCatalogues(engine, deadline),
            deleted_chats=PostgresDeletedChats(engine, deadline),
            neighbour=lane,
        )
    finally:
        for each in lanes:
            await each.close()
        await engine.dispose()


def make_lane(
    url: str, *, patient: bool = False, deadline: float = 10.0, lock_timeout: float = 2.0
) -> PostgresLane:
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return PostgresLane(conninfo, deadline=deadline, patient=patient, lock_timeout=lock_timeout)

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
from sqlalchemy import create_engine, insert

from application.ports.storage import Begin
from infrastructure.memory.storage import MemoryStorage
from infrastructure.postgres import account_tables, tables
from infrastructure.postgres.schema import metadata
from infrastructure.postgres.storage import PostgresStorage, make_engine
from tests.postgres import PostgresServer

assert account_tables.metadata is tables.metadata is metadata, (
    "importing them is what puts the tables into it"
)


@pytest.fixture(scope="session")
def empty_messenger(postgres_server: PostgresServer) -> str:
    """The name of a database with all tables and nobody in it. To be copied, not used."""
    name = postgres_server.fresh_database()
    engine = create_engine(postgres_server.url(name))
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(insert(tables.origin), {"id": 1, "generation": UUID(int=1), "base": 0})
    engine.dispose()
    return name


@pytest.fixture
def messenger_database(postgres_server: PostgresServer, empty_messenger: str) -> Iterator[str]:
    """The SQLAlchemy URL of a database of one's own, with all tables and nobody in it."""
    name = postgres_server.fresh_database(empty_messenger)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["memory", "postgres"])
async def begin(request: pytest.FixtureRequest) -> AsyncIterator[Begin]:
    if request.param == "memory":
        yield MemoryStorage().begin
    else:
        engine = make_engine(request.getfixturevalue("messenger_database"), size=10, wait=10)
        yield PostgresStorage(engine).begin
        await engine.dispose()

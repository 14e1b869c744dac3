"""One PostgreSQL server for each worker of the tests, and for each test a database of its own, copied from a template."""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from attrs import define, field
from psycopg import sql
from sqlalchemy import create_engine, update

from infrastructure.postgres.schema.chat_tables import origin
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.server.embedded import OWNER, EmbeddedPostgres

BASE = 7_000_000_000
"""
Added to transaction numbers in the tests' databases, as after an adoption. Code that forgets to add it writes a ``tx`` that
is too small, which the tests notice.
"""


@define(eq=False)
class PostgresServer:
    """An embedded server with many databases."""

    embedded: EmbeddedPostgres
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False)

    def url(self, database: str) -> str:
        """The database's URL, as SQLAlchemy takes it."""
        return self.embedded.url(database)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection beside the messenger's own, with autocommit."""
        return psycopg.connect(
            host=str(self.embedded.socket_dir),
            port=self.embedded.port,
            user=OWNER,
            dbname=database,
            autocommit=True,
        )

    def fresh_database(self, template: str = "template0") -> str:
        """The name of a new database: empty, or a copy of ``template``, to which nobody may be connected."""
        name = (
            f"{template}_{next(self._numbers)}" if template != "template0" else f"fresh_{next(self._numbers)}"
        )
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name

    def drop_database(self, name: str) -> None:
        """Also while somebody is connected to it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="messenger-test-") as folder:
        # Here nothing is switched off by a pulled plug; what survives a kill needs no fsync.
        embedded = EmbeddedPostgres(var_dir=Path(folder), options={"fsync": "off", "max_connections": "100"})
        embedded.start()
        try:
            yield PostgresServer(embedded)
        finally:
            embedded.stop()


@pytest.fixture
def fresh_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database for one test."""
    name = postgres_server.fresh_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def empty_messenger(postgres_server: PostgresServer) -> str:
    """The name of a database with all tables and nobody in it. To be copied, not used."""
    name = postgres_server.fresh_database()
    engine = create_engine(postgres_server.url(name))
    with engine.begin() as connection:
        upgrade(connection)
        connection.execute(update(origin).values(base=BASE))
    engine.dispose()
    return name


@pytest.fixture
def messenger_database(postgres_server: PostgresServer, empty_messenger: str) -> Iterator[str]:
    """The SQLAlchemy URL of a database of one's own, with all tables and nobody in it."""
    name = postgres_server.fresh_database(empty_messenger)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)

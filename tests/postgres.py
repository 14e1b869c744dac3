"""One PostgreSQL server for each worker of the tests, and for each test a database of its own, copied from a template."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
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
from tests.clusters import UNFLUSHED, copy_cluster, made_once, new_cluster, share_clusters
from tests.scratch import scratch_folder

BASE = 7_000_000_000
"""
Added to transaction numbers in the tests' databases, as after an adoption. Code that forgets to add it writes a ``tx`` that
is too small, which the tests notice.
"""


TEMPLATE = "template_messenger"
"""The name of a database with all tables and nobody in it. To be copied, not used."""


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
                # copied as files: the pages of a template need no way through the log
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name

    def drop_database(self, name: str) -> None:
        """Also while somebody is connected to it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


EMPTY = """
    CREATE OR REPLACE FUNCTION pg_temp.empty() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        {}
    END $$
"""
"""A function, because the server keeps the plans of its statements as long as the connection lasts."""


@define(eq=False)
class Emptied:
    """A database that is emptied after each test, for tests that change nothing but rows. That is sooner done than a copy."""

    server: PostgresServer
    name: str
    filled: tuple[str, ...]
    """The tables in which a new database has rows. Nobody changes them."""
    others: tuple[str, ...]
    _connection: psycopg.Connection[tuple[object, ...]] | None = field(default=None, init=False)

    @classmethod
    @contextmanager
    def of(cls, server: PostgresServer, name: str) -> Iterator["Emptied"]:
        """``name`` is that of a new database. The block ends with no connection to it left open."""
        with server.connect(name) as connection:
            tables = [
                str(table)
                for (table,) in connection.execute(
                    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                )
            ]
            filled = tuple(table for table in tables if rows(connection, table))
        emptied = cls(server, name, filled, tuple(sorted({*tables} - {*filled})))
        try:
            yield emptied
        finally:
            emptied._close()

    def empty(self) -> None:
        try:
            self._connected().execute("SELECT pg_temp.empty()")
        except psycopg.OperationalError:  # a test has ended all connections, this one too
            self._close()
            self._connected().execute("SELECT pg_temp.empty()")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        """The connection, which stays open from test to test, because a new one costs more than all that it is asked."""
        if self._connection is None:
            self._connection = self.server.connect(self.name)
            self._connection.execute("SET session_replication_role = replica")  # no foreign keys, no triggers
            deletions = sql.SQL(" ").join(
                sql.SQL("DELETE FROM public.{};").format(sql.Identifier(table)) for table in self.others
            )
            self._connection.execute(sql.SQL(EMPTY).format(deletions))
        return self._connection


def rows(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    return connection.execute(sql.SQL("TABLE {}").format(sql.Identifier(table))).rowcount


def pytest_configure() -> None:
    """Before the workers are started, which then have the same environment."""
    share_clusters()


@cache
def with_tables() -> Path:
    """The data folder of a server that has `TEMPLATE`. One worker makes it: to migrate takes seconds of a processor."""

    def make(var: Path) -> None:
        copy_cluster(new_cluster(), var / "postgres")
        embedded = EmbeddedPostgres(var_dir=var, options=UNFLUSHED)
        embedded.start()
        try:
            server = PostgresServer(embedded)
            with server.connect() as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            engine = create_engine(server.url(TEMPLATE))
            with engine.begin() as tables:
                upgrade(tables)
                tables.execute(update(origin).values(base=BASE))
            engine.dispose()
        finally:
            embedded.stop()

    return made_once("with-tables", make) / "postgres"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with scratch_folder("messenger-test-") as folder:
        # Here nothing is switched off by a pulled plug; what survives a kill needs no fsync.
        embedded = EmbeddedPostgres(var_dir=folder, options={"fsync": "off", "max_connections": "100"})
        copy_cluster(with_tables(), embedded.data_dir)
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


@pytest.fixture
def messenger_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a database of one's own, with all tables and nobody in it."""
    name = postgres_server.fresh_database(TEMPLATE)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def emptied(postgres_server: PostgresServer) -> Iterator[Emptied]:
    with Emptied.of(postgres_server, postgres_server.fresh_database(TEMPLATE)) as emptied:
        yield emptied


@pytest.fixture
def emptied_database(emptied: Emptied) -> Iterator[str]:
    """
    The SQLAlchemy URL of a database with all tables and nobody in it. It is used again, so a test that changes a table, a
    setting or the statistics asks for `messenger_database`.
    """
    yield emptied.server.url(emptied.name)
    emptied.empty()

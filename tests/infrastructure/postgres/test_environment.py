"""The surroundings of a connection do not reach the data: variables, settings of roles and databases, poolers."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import pq
from sqlalchemy import text
from sqlalchemy.engine import make_url

from application.ports.views import Newest
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.connection import STATED
from infrastructure.postgres.driver.engine import make_engine, transaction
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.pipeline import Statement
from infrastructure.postgres.driver.reads import Prepared, ReadPool
from infrastructure.postgres.server.adoption import check_home
from infrastructure.postgres.server.embedded import EmbeddedPostgres
from tests.contracts.talk import Talk, known, open_chat
from tests.postgres import PostgresServer
from tests.storages import postgres_storage

Ask = Callable[[str], Any]

EXPECTED = {
    **STATED,
    "jit": "off",
    "search_path": "public",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "5s",
    "transaction_timeout": "0",
    "synchronous_commit": "on",
    "client_encoding": "UTF8",
}

OF_BATCHES = {"idle_in_transaction_session_timeout": "1s", "lock_timeout": "2s"}
"""Somebody else may wait for what a batch holds."""

NAMES = [*EXPECTED, "transaction_isolation"]

QUERY = "SELECT " + ", ".join(f"current_setting('{name}') AS \"{name}\"" for name in NAMES)


@asynccontextmanager
async def of_units(url: str) -> AsyncIterator[dict[str, str]]:
    engine = make_engine(url)
    try:
        async with transaction(engine, 5.0) as connection:
            found = await connection.execute(text(QUERY))
            yield dict(found.mappings().one())
    finally:
        await engine.dispose()


@asynccontextmanager
async def of_batches(url: str) -> AsyncIterator[dict[str, str]]:
    batches = BatchConnection(url)
    try:
        async with batches.begin() as batch:
            ((found,),) = await batch.ask(Statement(QUERY))
            yield dict(zip(NAMES, found, strict=True))
    finally:
        await batches.close()


@asynccontextmanager
async def of_reads(url: str) -> AsyncIterator[dict[str, str]]:
    pool = ReadPool(url)
    try:
        async with pool.open() as picture:
            found = await picture.row(Prepared(QUERY, {}))
        assert found is not None
        yield dict(found)
    finally:
        await pool.close()


@asynccontextmanager
async def of_single_reads(url: str) -> AsyncIterator[dict[str, str]]:
    pool = ReadPool(url)
    try:
        found = await pool.row(Prepared(QUERY, {}))
        assert found is not None
        yield dict(found)
    finally:
        await pool.close()


WAYS = {"units": of_units, "batches": of_batches, "reads": of_reads, "single reads": of_single_reads}

OWN = {
    "batches": OF_BATCHES,
    "reads": {"transaction_isolation": "repeatable read"},
    "single reads": {},
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_connection_states_what_it_relies_on(strange_database: str, way: str) -> None:
    async with WAYS[way](strange_database) as found:
        assert found == EXPECTED | {"transaction_isolation": "read committed"} | OWN.get(way, {})


async def test_a_schema_may_be_named_in_the_address(strange_database: str) -> None:
    async with of_units(f"{strange_database}&options=-csearch_path=talk") as found:
        assert found["search_path"] == "talk"


async def test_a_stronger_durability_is_left_as_it_is(
    postgres_server: PostgresServer, messenger_database: str
) -> None:
    name = make_url(messenger_database).database
    with postgres_server.connect() as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = remote_apply'.encode())
    async with of_units(messenger_database) as found:
        assert found["synchronous_commit"] == "remote_apply"


@pytest.fixture
def strange_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGCLIENTENCODING": "WIN1251",
        "PGTZ": "Asia/Kathmandu",
        "PGDATESTYLE": "German",
        "PGOPTIONS": "-c default_transaction_read_only=on -c search_path=elsewhere -c array_nulls=off",
        "PGAPPNAME": "somebody else",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("way", WAYS)
async def test_variables_of_libpq_reach_no_connection(
    messenger_database: str, strange_variables: None, way: str
) -> None:
    async with WAYS[way](messenger_database) as found:
        assert found == EXPECTED | {"transaction_isolation": "read committed"} | OWN.get(way, {})


async def test_texts_and_times_are_kept_as_they_were_acknowledged(
    strange_database: str, strange_variables: None
) -> None:
    async with postgres_storage(strange_database) as storage:
        talk = Talk(storage)
        (ann,) = await known(storage.begin, "Анна")
        chat = await open_chat(storage.begin, ann, name="Всё о \\ 'кавычках'")
        sent = await talk.say(ann, chat.id, "привет, мир \\ 'так' 🙂", nonce="число №1")
        page = await storage.views.history(ann.profile_id, chat.id, Newest(), 10)
        (found,) = await storage.views.list_chats(ann.profile_id)
    assert [view.message for view in page.messages] == [sent.message]
    assert page.messages[0].sender.first_name == "Анна"
    assert found.name == "Всё о \\ 'кавычках'"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_in_another_encoding_is_refused(
    postgres_server: PostgresServer, encoding: str
) -> None:
    name = f"in_{encoding.lower()}"
    with postgres_server.connect() as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".encode()
        )
    engine = make_engine(postgres_server.url(name))
    with pytest.raises(
        UnusableDatabase, match=f"'{name}' stores texts in the encoding {encoding}: .*UTF8"
    ) as why:
        await check_home(engine)
    await engine.dispose()
    assert "\n" not in str(why.value)
    postgres_server.drop_database(name)


VARIABLES = [option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar is not None] + [
    "PGTZ",
    "PGDATESTYLE",
    "PGGEQO",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGDATA",
    "PGLOCALEDIR",
]


@pytest.fixture
def all_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each of libpq's set to something that does not work."""
    before = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    for name in VARIABLES:
        monkeypatch.setenv(name, "nonsense")
    yield
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    os.environ.update(before)


async def test_the_embedded_database_ignores_every_variable(tmp_path: Path, all_variables: None) -> None:
    os.environ["PG_SERVER_PORT"] = "5432"  # one of our own
    with pytest.raises(psycopg.Error):
        psycopg.connect("host=/nowhere")
    server = EmbeddedPostgres(var_dir=tmp_path)
    try:
        engine = make_engine(server.start())
        async with transaction(engine, 5.0) as connection:
            assert await connection.scalar(text("SHOW client_encoding")) == "UTF8"
        await engine.dispose()
        assert EmbeddedPostgres(var_dir=tmp_path).find_running() is not None
        assert os.environ["PG_SERVER_PORT"] == "5432"
    finally:
        server.stop()

"""A restored database is noticed, and adopting it lets everything new be seen."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg import sql
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.schema.migrate import migrate
from infrastructure.postgres.server.adoption import NotAdopted, adopt, check_home
from infrastructure.postgres.server.embedded import OWNER, EmbeddedPostgres, find_binaries
from tests.contracts.talk import Talk, known, open_chat
from tests.postgres import PostgresServer
from tests.storages import postgres_storage


@pytest.fixture
async def engine(fresh_database: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(fresh_database)
    yield engine
    await engine.dispose()


async def test_an_empty_database_has_no_history_to_mistake(engine: AsyncEngine) -> None:
    await check_home(engine)


async def test_where_it_was_made_it_is_at_home(engine: AsyncEngine) -> None:
    await migrate(engine)
    await check_home(engine)


async def test_a_copy_is_not(postgres_server: PostgresServer, messenger_database: str) -> None:
    engine = make_engine(messenger_database)  # the tests' own way to make one: a template copied
    try:
        with pytest.raises(NotAdopted, match="messenger db adopt"):
            await check_home(engine)
        await adopt(engine, uuid4())
        await check_home(engine)
    finally:
        await engine.dispose()


async def test_a_restore_into_a_new_cluster_is_noticed_adopted_and_followed(
    postgres_server: PostgresServer, fresh_database: str, tmp_path: Path
) -> None:
    engine = make_engine(fresh_database)
    await migrate(engine)
    await engine.dispose()
    _burn_transactions(postgres_server, fresh_database, 3000)
    async with postgres_storage(fresh_database) as storage:
        ann, ben = await known(storage.begin, "Ann", "Ben")
        chat = await open_chat(storage.begin, ann, ben)
        await Talk(storage).say(ann, chat.id, "before")
        cursor = await storage.changes.now()
    dump = _dump(postgres_server, fresh_database)

    other = EmbeddedPostgres(var_dir=tmp_path / "other", options={"fsync": "off"})
    restored = other.start()
    try:
        _restore(other, dump)
        engine = make_engine(restored)
        with pytest.raises(NotAdopted):
            await check_home(engine)
        generation = uuid4()
        adopted = await adopt(engine, generation)
        assert adopted.generation == generation
        assert adopted.base > 1000  # the new cluster has counted fewer transactions than the old one
        await check_home(engine)
        await engine.dispose()
        async with postgres_storage(restored) as storage:
            news = await storage.changes.since(cursor)
            assert news.cursor.epoch != cursor.epoch
            await Talk(storage).say(ben, chat.id, "after")
            assert dict((await storage.changes.since(news.cursor)).moved) == {chat.id: 2}
    finally:
        other.stop()


async def test_adopting_again_keeps_the_base_and_changes_the_generation(engine: AsyncEngine) -> None:
    await migrate(engine)
    first, second = await adopt(engine, uuid4()), await adopt(engine, uuid4())
    assert second.base == first.base
    assert second.generation != first.generation


def _burn_transactions(server: PostgresServer, url: str, count: int) -> None:
    with server.connect(make_url(url).database or "") as connection:
        connection.execute(
            sql.SQL(
                "DO $$ BEGIN FOR i IN 1..{} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            ).format(sql.Literal(count))
        )


def _tool(name: str, socket_dir: Path, port: int, database: str, *arguments: str) -> list[str]:
    where = ["--host", str(socket_dir), "--port", str(port), "--username", OWNER, "--dbname", database]
    return [str(find_binaries() / name), *where, *arguments]


def _dump(server: PostgresServer, url: str) -> bytes:
    embedded = server.embedded
    database = make_url(url).database or ""
    command = _tool("pg_dump", embedded.socket_dir, embedded.port, database, "--no-owner")
    return subprocess.run(command, check=True, capture_output=True).stdout


def _restore(embedded: EmbeddedPostgres, dump: bytes) -> None:
    command = _tool(
        "psql", embedded.socket_dir, embedded.port, "messenger", "--quiet", "--set=ON_ERROR_STOP=1"
    )
    subprocess.run(command, input=dump, check=True, capture_output=True)

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from infrastructure.postgres.driver.engine import close_engine, make_engine
from infrastructure.postgres.schema.base import metadata
from infrastructure.postgres.schema.distribution import (
    NotACluster,
    Undivided,
    check_divided,
    count_divided,
    distribute,
    placements,
)
from tests.citus import CATALOG
from tests.postgres import PostgresServer


def test_the_tables_of_chats_are_divided_alike() -> None:
    found = list(placements())
    assert {each.table for each in found} == {
        name for name, table in metadata.tables.items() if table.info["keyed_by"] == "chat_id"
    }
    first, *others = found
    assert first.beside is None
    assert {each.beside for each in others} == {first.table}


def test_how_citus_is_told() -> None:
    told = {each.table: each.statement for each in placements()}
    assert told["message"] == (
        "SELECT create_distributed_table('message', 'chat_id', colocate_with => 'chat')"
    )
    assert "origin" not in told


@pytest.fixture
async def engine(messenger_database: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(messenger_database)
    yield engine
    await close_engine(engine)


@pytest.fixture
def catalog(postgres_server: PostgresServer, messenger_database: str) -> Iterator[psycopg.Connection[Any]]:
    name = make_url(messenger_database).database
    assert name
    with postgres_server.connect(name) as connection:
        connection.execute(CATALOG)
        yield connection


async def test_a_server_without_citus_is_not_divided(engine: AsyncEngine) -> None:
    assert await count_divided(engine) == 0
    await check_divided(engine, expected=False)
    with pytest.raises(Undivided, match="messenger db distribute"):
        await check_divided(engine, expected=True)
    with pytest.raises(NotACluster, match="CREATE EXTENSION citus"):
        await distribute(engine, lambda *_: None, 10)


async def test_tables_of_which_only_some_are_divided_are_refused_by_every_node(
    engine: AsyncEngine, catalog: psycopg.Connection[Any]
) -> None:
    names = [each.table for each in placements()]
    divide = "INSERT INTO pg_dist_partition SELECT unnest(%s::text[])::regclass"
    catalog.execute(divide, [names[:1]])
    for expected in (True, False):
        with pytest.raises(Undivided, match=f"only 1 of its {len(names)} tables"):
            await check_divided(engine, expected=expected)
    catalog.execute(divide, [names[1:]])
    await check_divided(engine, expected=True)
    with pytest.raises(Undivided, match="DATABASE_DIVIDED=true"):
        await check_divided(engine, expected=False)


@pytest.mark.parametrize(
    ("nodes", "advice"),
    [
        ({1: True}, "citus_set_coordinator_host"),
        ({0: True, 1: True}, "shouldhaveshards"),
        ({0: False}, "citus_add_node"),
    ],
)
async def test_what_is_no_cluster_yet_is_not_divided(
    engine: AsyncEngine, catalog: psycopg.Connection[Any], nodes: dict[int, bool], advice: str
) -> None:
    for node in nodes.items():
        catalog.execute("INSERT INTO pg_dist_node (groupid, shouldhaveshards) VALUES (%s, %s)", node)
    with pytest.raises(NotACluster, match=advice):
        await distribute(engine, lambda *_: None, 10)

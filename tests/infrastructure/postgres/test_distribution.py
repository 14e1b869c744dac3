import pytest

from infrastructure.postgres.driver.engine import close_engine, make_engine
from infrastructure.postgres.schema.base import metadata
from infrastructure.postgres.schema.distribution import (
    NotACluster,
    Undivided,
    check_divided,
    distribute,
    is_divided,
    placements,
)


def test_the_tables_of_chats_are_divided_alike_and_chat_last() -> None:
    found = list(placements())
    assert {each.table for each in found} == {
        name for name, table in metadata.tables.items() if table.info["keyed_by"] == "chat_id"
    }
    first, *others = found
    assert first.beside is None
    assert {each.beside for each in others} == {first.table}
    assert found[-1].table == "chat", "by it a divided database is known"


def test_how_citus_is_told() -> None:
    told = {each.table: each.statement for each in placements()}
    assert told["message"] == (
        "SELECT create_distributed_table('message', 'chat_id', colocate_with => 'chat_head')"
    )
    assert "origin" not in told


async def test_a_server_without_citus_is_not_divided(messenger_database: str) -> None:
    engine = make_engine(messenger_database)
    try:
        assert not await is_divided(engine)
        await check_divided(engine, expected=False)
        with pytest.raises(Undivided, match="messenger db distribute"):
            await check_divided(engine, expected=True)
        with pytest.raises(NotACluster, match="CREATE EXTENSION citus"):
            await distribute(engine, lambda *_: None, 10)
    finally:
        await close_engine(engine)

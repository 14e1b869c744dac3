"""What pools of connections tell operators: connections in use and idle, and waits while all were in use."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from attrs import frozen

from application.errors import Unavailable
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.engine import make_engine, transaction
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.driver.state import PoolState, batches_state, engine_state, reads_state

PATIENCE = 30


@frozen
class Subject:
    """A pool of one connection."""

    use: Callable[[], AbstractAsyncContextManager[Any]]
    state: Callable[[], PoolState]
    close: Callable[[], Any]


@pytest.fixture(params=["engine", "reads", "batches"])
def pool(request: pytest.FixtureRequest, messenger_database: str) -> Subject:
    match request.param:
        case "engine":
            engine = make_engine(messenger_database, size=1, wait=PATIENCE)
            return Subject(
                lambda: transaction(engine, PATIENCE), lambda: engine_state(engine), engine.dispose
            )
        case "reads":
            reads = ReadPool(messenger_database, size=1, wait=PATIENCE, deadline=PATIENCE)
            return Subject(reads.open, lambda: reads_state(reads), reads.close)
    batches = BatchConnection(messenger_database, deadline=PATIENCE, idle_in_transaction=PATIENCE)
    return Subject(batches.begin, lambda: batches_state(batches), batches.close)


def counts(state: PoolState) -> tuple[int, int, int]:
    return state.in_use, state.idle, state.waits


async def test_connections_and_waits_are_counted(pool: Subject) -> None:
    async def ask() -> None:
        async with pool.use():
            pass

    assert counts(pool.state()) == (0, 0, 0)
    async with asyncio.timeout(PATIENCE):
        async with pool.use():
            assert counts(pool.state()) == (1, 0, 0)
            asking = asyncio.create_task(ask())
            await asyncio.sleep(0.05)
        await asking
        assert counts(pool.state()) == (0, 1, 1)
        assert pool.state().waited_seconds > 0.01
        await ask()
    assert counts(pool.state()) == (0, 1, 1)
    assert pool.state().size == 1
    await pool.close()


async def test_a_wait_in_vain_counts(messenger_database: str) -> None:
    reads = ReadPool(messenger_database, size=1, wait=0.01, deadline=PATIENCE)
    engine = make_engine(messenger_database, size=1, wait=0.01)
    async with reads.open(), transaction(engine, PATIENCE):
        with pytest.raises(Unavailable):
            async with reads.open():
                pass
        with pytest.raises(Unavailable):
            async with transaction(engine, PATIENCE):
                pass
        assert counts(reads_state(reads)) == (1, 0, 1)
        assert counts(engine_state(engine)) == (1, 0, 1)
    await reads.close()
    await engine.dispose()


def test_the_pool_logs_no_more_than_its_library(caplog: pytest.LogCaptureFixture) -> None:
    """The library's level is WARNING even where ours is INFO: a pool has a line for everything that it does."""
    caplog.set_level(logging.INFO)
    assert not make_engine("postgresql://nobody@nowhere/nothing").sync_engine.pool._should_log_info()

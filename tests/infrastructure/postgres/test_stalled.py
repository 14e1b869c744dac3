"""
An event loop that was busy for longer than the server may take to answer. The answer is there, and the deadline is over: the
connection is cut in the same turn of the loop in which the answer is heard.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest
from attrs import define
from psycopg.rows import tuple_row
from sqlalchemy import text

from application.errors import OutcomeUnknown
from application.ports.posting import Indigestible, Interrupted
from infrastructure.postgres.driver.arrays import Bigint
from infrastructure.postgres.driver.batches import Batch, BatchConnection
from infrastructure.postgres.driver.connection import Connection, Connector, begin, cut
from infrastructure.postgres.driver.engine import make_engine, transaction
from infrastructure.postgres.driver.pipeline import Refused, Rows, Statement, ask
from infrastructure.postgres.driver.reads import Prepared, ReadPool

ONE = Prepared("SELECT 1 AS one", {})


@define
class Stall:
    is_due: bool = False


@pytest.fixture
def stall(monkeypatch: pytest.MonkeyPatch) -> Stall:
    """The next transaction that begins while it is due meets a stall."""
    stall = Stall()
    command: Callable[..., Any] = Connection.command

    async def command_late(self: Connection[Any], statement: str) -> None:
        await command(self, statement)
        if stall.is_due and statement.startswith("BEGIN"):
            stall.is_due = False
            cut(self)

    monkeypatch.setattr(Connection, "command", command_late)
    return stall


async def ask_through_a_stall(
    begun: Callable[[], AbstractAsyncContextManager[Any]], ask: Callable[[Any], Any], stall: Stall
) -> None:
    async with begun() as first:
        await ask(first)
    stall.is_due = True
    async with begun() as second:
        await ask(second)
    assert not stall.is_due


async def test_an_answer_that_is_heard_too_late_begins_nothing(messenger_database: str, stall: Stall) -> None:
    connection = await Connector(target=messenger_database, deadline=5.0).connect(tuple_row)
    stall.is_due = True
    with pytest.raises(psycopg.OperationalError, match="too late"):
        await begin(connection)
    await connection.close()


async def test_a_unit_of_work_begins_on_another_connection(messenger_database: str, stall: Stall) -> None:
    pool = make_engine(messenger_database)
    await ask_through_a_stall(
        lambda: transaction(pool, 5.0), lambda unit: unit.execute(text("SELECT 1")), stall
    )
    await pool.dispose()


async def test_a_read_begins_on_another_connection(messenger_database: str, stall: Stall) -> None:
    pool = ReadPool(messenger_database)
    await ask_through_a_stall(pool.open, lambda read: read.rows(ONE), stall)
    await pool.close()


async def ask_one(batch: Batch) -> None:
    assert await batch.ask(Statement("SELECT 1")) == [[(1,)]]


async def test_a_batch_begins_on_another_connection(
    messenger_database: str, stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.postgres.driver.batches.PROVEN_FOR", 0.0)
    connection = BatchConnection(messenger_database)
    await ask_through_a_stall(connection.begin, ask_one, stall)
    await connection.close()


async def test_a_batch_that_hears_the_first_answers_too_late_is_interrupted(
    messenger_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = BatchConnection(messenger_database)
    async with connection.begin() as first:
        await ask_one(first)
    with monkeypatch.context() as patched:

        async def ask_late(driver: Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
            answers = await ask(driver, statements)
            cut(driver)
            return answers

        patched.setattr("infrastructure.postgres.driver.batches.ask", ask_late)
        with pytest.raises(Interrupted):
            async with connection.begin() as late:
                await ask_one(late)
    async with connection.begin() as again:
        await ask_one(again)
    await connection.close()


async def test_a_batch_goes_to_another_connection_when_the_server_has_closed_its_own(
    messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    connection = BatchConnection(messenger_database)
    pid = Statement("SELECT pg_backend_pid()")
    async with connection.begin() as first:
        (((before,),),) = await first.ask(pid)
    assert beside.execute("SELECT pg_terminate_backend(%s, 10000)", (before,)).fetchone() == (True,)
    async with connection.begin() as second:
        (((after,),),) = await second.ask(pid)
    assert after != before
    await connection.close()


async def test_a_batch_that_the_server_has_ended_before_its_commit_is_interrupted(
    messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    connection = BatchConnection(messenger_database)

    async def lose() -> None:
        async with connection.begin() as batch:
            (((pid,),),) = await batch.ask(Statement("SELECT pg_backend_pid()"))
            batch.finish(Statement("UPDATE origin SET base = base + 1"))
            ended = beside.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,)).fetchone()
            assert ended == (True,)

    with pytest.raises(Interrupted):
        await lose()
    async with connection.begin() as again:
        await ask_one(again)
    await connection.close()


async def carry_out(connection: BatchConnection, *asked: Statement, last: Statement | None = None) -> Any:
    async with connection.begin() as batch:
        answers = await batch.ask(*asked)
        if last is not None:
            batch.finish(last)
    return answers


async def test_what_goes_with_a_refused_statement_is_rolled_back(
    messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    base = "SELECT base FROM origin"
    raised, refused = Statement("UPDATE origin SET base = base + 1"), Statement("SELECT 1 / 0")
    connection = BatchConnection(messenger_database)
    before = beside.execute(base).fetchone()
    with pytest.raises(Indigestible):
        await carry_out(connection, raised, refused, raised)
    with pytest.raises(Indigestible):
        await carry_out(connection, raised, last=refused)
    assert beside.execute(base).fetchone() == before
    await carry_out(connection, Statement("SELECT 1"), last=raised)
    assert beside.execute(base).fetchone() != before
    await connection.close()


async def test_statements_are_prepared_again_after_a_rollback(messenger_database: str) -> None:
    connection = BatchConnection(messenger_database)
    divided = "SELECT 42 / %s::bigint"
    for number in (1, 2):
        answers = await carry_out(
            connection, *(Statement(divided, (Bigint.of(each),)) for each in (number, 6))
        )
        assert answers == [[(42 // number,)], [(7,)]]
        with pytest.raises(Indigestible):
            await carry_out(connection, Statement(divided, (Bigint.of(0),)))
    await connection.close()


async def test_a_deadline_that_passes_while_a_batch_connects_again_counts(
    messenger_database: str, beside: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = BatchConnection(messenger_database)
    connect = Connector.connect

    async with connection.begin() as first:
        (((pid,),),) = await first.ask(Statement("SELECT pg_backend_pid()"))
    assert beside.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,)).fetchone() == (True,)

    async def connect_too_late() -> None:
        async with connection.begin() as late:

            async def connect_late(self: Connector, *given: Any) -> Any:
                made = await connect(self, *given)
                late.cut()
                return made

            with monkeypatch.context() as patched:
                patched.setattr(Connector, "connect", connect_late)
                await ask_one(late)

    with pytest.raises(Interrupted):
        await connect_too_late()
    async with connection.begin() as again:
        await ask_one(again)
    await connection.close()


@pytest.mark.parametrize(
    ("state", "outcome"), [("08006", OutcomeUnknown), ("08P01", OutcomeUnknown), ("57P01", Interrupted)]
)
async def test_a_pooler_that_lost_its_server_leaves_the_outcome_unknown(
    messenger_database: str, monkeypatch: pytest.MonkeyPatch, state: str, outcome: type[Exception]
) -> None:
    """The pooler answers the last statement with the loss, although COMMIT may have reached the server."""
    connection = BatchConnection(messenger_database)

    async def lose(_: Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
        assert len(statements) == 2
        raise Refused(statements[0], psycopg.errors.lookup(state)("the server has gone"))

    async def post() -> None:
        async with connection.begin() as batch:
            await ask_one(batch)
            batch.finish(Statement("SELECT 2"))
            monkeypatch.setattr("infrastructure.postgres.driver.batches.ask", lose)

    with pytest.raises(outcome):
        await post()
    await connection.close()

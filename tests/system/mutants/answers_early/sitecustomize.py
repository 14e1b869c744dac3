"""
A mutant: Python runs this before the messenger, which then believes each COMMIT of its write path done as soon as it is
asked for. The real one follows a little later, and before anything else that is said on that connection.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from infrastructure.postgres.driver import batches
from infrastructure.postgres.driver.connection import Connection
from infrastructure.postgres.driver.pipeline import COMMIT, Rows, Statement
from infrastructure.postgres.driver.pipeline import ask as honest_ask

DELAY = 0.03
"""Seconds in which a kill finds messages that were acknowledged and are not stored."""

WITHOUT_HASTE = Statement("SET LOCAL idle_in_transaction_session_timeout = 0")
"""A busy machine may take longer to send the COMMIT than the server would wait for it."""

honest_execute, honest_command = Connection.execute, Connection.command
late: dict[Connection[Any], asyncio.Task[Any]] = {}
"""Keeps the connections, so that no new one is taken for one that was lost."""


async def commit_is_over(connection: Connection[Any]) -> None:
    if (before := late.pop(connection, None)) is not None:
        await before


async def commit(connection: Connection[Any]) -> None:
    await asyncio.sleep(DELAY)
    await honest_ask(connection, [COMMIT])


async def ask(connection: Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
    await commit_is_over(connection)
    if COMMIT not in statements:
        return await honest_ask(connection, statements)
    rows = await honest_ask(connection, [*(each for each in statements if each is not COMMIT), WITHOUT_HASTE])
    late[connection] = asyncio.create_task(commit(connection))
    return rows


async def carry_out(connection: Connection[Any], statement: Statement) -> Rows:
    await commit_is_over(connection)
    _, rows, _ = await honest_ask(connection, [Statement("BEGIN"), statement, WITHOUT_HASTE])
    late[connection] = asyncio.create_task(commit(connection))
    return rows


async def command(self: Connection[Any], statement: Any) -> None:
    await commit_is_over(self)
    await honest_command(self, statement)


async def execute(self: Connection[Any], *given: Any, **options: Any) -> Any:
    await commit_is_over(self)
    return await honest_execute(self, *given, **options)


batches.ask = ask  # type: ignore[attr-defined]
batches.carry_out = carry_out  # type: ignore[attr-defined]
Connection.command = command  # type: ignore[method-assign]
Connection.execute = execute  # type: ignore[assignment, method-assign]

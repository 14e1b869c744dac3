"""
A mutant: Python runs this before the messenger, which then believes each COMMIT of its write path done as soon as it is
asked for. The real one follows a little later, and before anything else that is said on that connection.
"""

import asyncio
from typing import Any

from infrastructure.postgres.driver.connection import Connection

DELAY = 0.03
"""Seconds in which a kill finds messages that were acknowledged and are not stored."""

honest_execute, honest_command = Connection.execute, Connection.command
late: dict[int, asyncio.Task[Any]] = {}


async def commit_is_over(connection: Connection[Any]) -> None:
    if (before := late.pop(id(connection), None)) is not None:
        await before


async def command(self: Connection[Any], statement: Any) -> None:
    async def commit() -> None:
        await asyncio.sleep(DELAY)
        await honest_command(self, statement)

    await commit_is_over(self)
    if statement == "COMMIT":
        late[id(self)] = asyncio.create_task(commit())
    else:
        await honest_command(self, statement)


async def execute(self: Connection[Any], *given: Any, **options: Any) -> Any:
    await commit_is_over(self)
    return await honest_execute(self, *given, **options)


Connection.command = command  # type: ignore[method-assign]
Connection.execute = execute  # type: ignore[assignment, method-assign]

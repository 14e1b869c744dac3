"""
A mutant: Python runs this before the messenger, which then believes each COMMIT of its write path done as soon as it is
asked for. The real one follows a little later, and before anything else that is said on that connection.
"""

import asyncio
from typing import Any

import psycopg

DELAY = 0.03
"""Seconds in which a kill finds messages that were acknowledged and are not stored."""

honest = psycopg.AsyncConnection.execute
late: dict[int, asyncio.Task[Any]] = {}


async def execute(connection: psycopg.AsyncConnection[Any], query: Any, *rest: Any, **options: Any) -> Any:
    async def commit() -> Any:
        await asyncio.sleep(DELAY)
        return await honest(connection, query, *rest, **options)

    if (before := late.pop(id(connection), None)) is not None:
        await before
    if query == "COMMIT":
        late[id(connection)] = asyncio.create_task(commit())
        return None
    return await honest(connection, query, *rest, **options)


psycopg.AsyncConnection.execute = execute  # type: ignore[assignment]

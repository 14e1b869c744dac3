"""
A connection for what many do at once: batches, one after the other.

They run on a driver connection that the lane keeps for itself: a checkout and SQLAlchemy's compilation would cost a batch
more than its statements do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from attrs import define, field
from psycopg.rows import TupleRow, tuple_row

from application.errors import OutcomeUnknown
from infrastructure.postgres.driver.connection import DURABLE, cut, dial, limits, within
from infrastructure.postgres.driver.errors import in_our_terms

Driver = psycopg.AsyncConnection[TupleRow]

PLANS: Final = """
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET default_transaction_isolation = 'read committed'
"""
"""A plan that is made while a table is empty would scan it for ever, and nested loops keep the order of the arrays."""


@define(eq=False)
class BatchConnection:
    """
    ``patient``: wait for chats that others hold, up to ``lock_timeout`` seconds, instead of leaving them out as busy.

    A unit that takes longer than ``deadline`` seconds is given up, with the connection. Units take turns.
    """

    _conninfo: str
    _deadline: float = 5.0
    patient: bool = False
    _lock_timeout: float = 2.0
    _driver: Driver | None = field(init=False, default=None)
    _turn: asyncio.Lock = field(init=False, factory=asyncio.Lock)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Driver]:
        """
        A transaction, committed at the end of the block.

        Raises:
            Indigestible, Interrupted, Unavailable: Certainly not stored.
            OutcomeUnknown: The answer to COMMIT was not heard.
        """
        async with self._turn:
            with in_our_terms():
                driver = await self._connected()
            try:
                with within(self._deadline, driver):
                    with in_our_terms():
                        await driver.execute("BEGIN")
                        yield driver
                    with in_our_terms(committing=True):
                        await driver.execute("COMMIT")
            except OutcomeUnknown:
                await self._give_up(driver)
                raise
            except BaseException:
                await self._rolled_back(driver)
                raise

    async def close(self) -> None:
        if self._driver is not None:
            await self._driver.close()
            self._driver = None

    async def _connected(self) -> Driver:
        if self._driver is None or self._driver.closed:
            # a peer of ours that froze while it held a chat must not hold it for long
            bounds = limits(deadline=self._deadline, lock_timeout=self._lock_timeout, idle_in_transaction=1.0)
            self._driver = await dial(
                self._conninfo, PLANS, bounds, DURABLE, deadline=self._deadline, rows=tuple_row
            )
        return self._driver

    async def _rolled_back(self, driver: Driver) -> None:
        """A transaction that has not been committed is not stored, whether or not the server hears of its end."""
        try:
            with within(1.0, driver):
                await driver.execute("ROLLBACK")
        except psycopg.Error:
            await self._give_up(driver)

    async def _give_up(self, driver: Driver) -> None:
        cut(driver)
        self._driver = None
        await driver.close()

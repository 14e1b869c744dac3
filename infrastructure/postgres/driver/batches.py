"""
A dedicated connection for batches. Many requests share a batch, and each batch is one transaction.

A checkout from the pool and SQLAlchemy's compilation would cost a batch more than its statements do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from attrs import define, field
from psycopg.rows import TupleRow, tuple_row

from application.errors import OutcomeUnknown, Unavailable
from infrastructure.postgres.driver.connection import (
    ANSWERS_WITHIN,
    Connection,
    Connector,
    begin,
    cut,
    within,
)
from infrastructure.postgres.driver.errors import READ_ONLY, complaints, in_our_terms
from infrastructure.postgres.driver.waits import Waits

Driver = Connection[TupleRow]

PLANS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
}
"""
Planner settings. A generic plan made while a table is empty would otherwise scan that table for ever; nested loops keep
the order of the arrays. Where a statement asks for an order, the index that has it is used, whatever the statistics say.
"""


@define(eq=False)
class BatchConnection:
    """
    Runs one transaction at a time, on a connection that is opened when it is first needed and reopened when it was lost.

    With ``patient``, posting waits up to ``lock_timeout`` seconds for chats that other transactions have locked, instead of
    reporting them as busy. A transaction that takes longer than ``deadline`` seconds is abandoned, and the connection is
    closed. The server ends a transaction in which no statement arrives for ``idle_in_transaction`` seconds: a node that
    freezes while it holds a lock must not hold it for long.

    It must be closed. A transaction that is running then may finish.
    """

    _url: str
    _deadline: float = 5.0
    patient: bool = False
    _lock_timeout: float = 2.0
    _idle_in_transaction: float = 1.0
    _connector: Connector = field(init=False)
    _driver: Driver | None = field(init=False, default=None)
    _turn: asyncio.Lock = field(init=False, factory=asyncio.Lock)
    _is_closed: bool = field(init=False, default=False)
    waits: Waits = field(init=False, factory=Waits)

    def __attrs_post_init__(self) -> None:
        self._connector = Connector(
            target=self._url,
            deadline=self._deadline,
            lock_timeout=self._lock_timeout,
            idle_in_transaction=self._idle_in_transaction,
            plans=PLANS,
        )

    @property
    def is_open(self) -> bool:
        return self._driver is not None and not self._driver.closed

    @property
    def is_busy(self) -> bool:
        """Whether a transaction is running."""
        return self._turn.locked()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Driver]:
        """
        Begins a transaction, which is committed at the end of the block.

        Raises:
            Indigestible, Interrupted, Unavailable: Nothing was stored.
            OutcomeUnknown: The answer to COMMIT did not arrive.
        """
        async with self._its_turn():
            if self._is_closed:
                raise Unavailable("the connection for batches is closed")
            with in_our_terms():
                driver = await self._begun()
            try:
                with within(self._deadline, driver):
                    with in_our_terms():
                        yield driver
                    with in_our_terms(committing=True):
                        await driver.command("COMMIT")
            except OutcomeUnknown:
                await self._give_up(driver)
                raise
            except BaseException as error:
                if _is_read_only(error):
                    await self._give_up(driver)
                else:
                    await self._rolled_back(driver)
                raise

    @asynccontextmanager
    async def _its_turn(self) -> AsyncIterator[None]:
        if self._turn.locked():
            with self.waits.counted():
                await self._turn.acquire()
        else:
            await self._turn.acquire()
        try:
            yield
        finally:
            if self._is_closed:
                await self._close_now()
            self._turn.release()

    async def close(self) -> None:
        """Closes the connection: at once if no transaction is running, otherwise when it ends. Later ones are refused."""
        self._is_closed = True
        if not self._turn.locked():
            await self._close_now()

    async def _close_now(self) -> None:
        if self._driver is not None:
            await self._driver.close()
            self._driver = None

    async def _begun(self) -> Driver:
        """Returns a connection with an open transaction: a new connection if the idle one turns out to be lost."""
        if self._driver is not None and not self._driver.closed:
            try:
                return await self._begin_on(self._driver, ANSWERS_WITHIN)
            except psycopg.OperationalError as error:
                complaints.tell("connected again", str(error), error.sqlstate)
        self._driver = await self._connector.connect(tuple_row)
        return await self._begin_on(self._driver, self._deadline)

    async def _begin_on(self, driver: Driver, seconds: float) -> Driver:
        try:
            with within(seconds, driver):
                await begin(driver)
        except BaseException:
            await self._give_up(driver)
            raise
        return driver

    async def _rolled_back(self, driver: Driver) -> None:
        """
        Rolls back. If ROLLBACK fails or is cancelled the connection is closed: on one that might still be in a transaction,
        the next BEGIN would continue it. Without COMMIT nothing is stored in either case.
        """
        try:
            with within(ANSWERS_WITHIN, driver):
                await driver.execute("ROLLBACK")
        except psycopg.Error:
            await self._give_up(driver)
        except BaseException:
            await self._give_up(driver)
            raise

    async def _give_up(self, driver: Driver) -> None:
        cut(driver)
        self._driver = None
        await driver.close()


def _is_read_only(error: BaseException) -> bool:
    """
    Whether the server refused to write. It may be a former primary after a failover, or the setting may have changed since
    the connection was made: only a new connection can tell.
    """
    return isinstance(error.__cause__, psycopg.Error) and error.__cause__.sqlstate == READ_ONLY

"""
A dedicated connection for batches. Many requests share a batch, and each batch is one transaction.

A checkout from the pool and SQLAlchemy's compilation would cost a batch more than its statements do, and so would waiting
for each answer: BEGIN goes out with the first statements of a batch, and COMMIT with the last one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import psycopg
from attrs import define, field
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row

from application.errors import OutcomeUnknown, Unavailable
from infrastructure.postgres.driver.connection import (
    ANSWERS_WITHIN,
    READ_COMMITTED,
    Connection,
    Connector,
    begin,
    cut,
    within,
)
from infrastructure.postgres.driver.errors import READ_ONLY, complaints, in_our_terms
from infrastructure.postgres.driver.pipeline import (
    COMMIT,
    Refused,
    Rows,
    Statement,
    ask,
    carry_out,
    notice_end,
)
from infrastructure.postgres.driver.waits import Waits

Driver = Connection[TupleRow]

PLANS: Final[Mapping[str, str]] = {
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

PROVEN_FOR: Final = 1.0
"""
Seconds after an answer for which a connection is taken to be open. After that, BEGIN is sent alone: a connection that was
lost unnoticed is then replaced as soon as the server does not answer that.
"""


@define(eq=False)
class Batch:
    """One transaction. Statements that do not need each other's rows should be asked together."""

    connection: Driver
    _reconnect: Callable[[], Awaitable[Driver]]
    is_begun: bool
    told: Rows = field(init=False, factory=list)
    """The rows of the last statement, once the transaction is committed."""
    _last: Statement | None = field(init=False, default=None)
    _is_late: bool = field(init=False, default=False)

    async def ask(self, *statements: Statement) -> Sequence[Rows]:
        """
        Carries out statements, and returns the rows of each.

        Raises:
            Indigestible, Interrupted, Unavailable: Nothing is stored.
        """
        assert self._last is None, "the last statement has been given"
        with in_our_terms():
            if self.is_begun:
                return await self._exchange(statements)
            self.is_begun = True
            try:
                return await self._begin_and_exchange(statements)
            except psycopg.OperationalError as error:
                if not self.connection.closed or self.connection.is_cut:
                    raise
                complaints.tell("connected again", str(error), error.sqlstate)
            self.connection = await self._reconnect()
            if self._is_late:  # there was no connection yet that could have been cut
                raise psycopg.OperationalError("connecting again took too long")
            return await self._begin_and_exchange(statements)

    def finish(self, statement: Statement) -> None:
        """
        Takes the last statement. It is carried out at the end of the block, with the commit. If it is the only one, it is a
        transaction of its own, which takes neither BEGIN nor COMMIT.
        """
        assert self._last is None, "there is one last statement"
        self._last = statement

    async def commit(self) -> None:
        """
        Raises:
            Indigestible, Interrupted, Unavailable: Nothing is stored.
            OutcomeUnknown: The answer to COMMIT did not arrive.
        """
        if not self.is_begun and self._last is None:
            return
        with in_our_terms():
            # otherwise the outcome of a COMMIT that nobody received would be unknown
            notice_end(self.connection)
        try:
            with in_our_terms(committing=True):
                self.told = await self._commit()
        except Refused as refused:
            # A pooler that has lost its server may say so in place of the first answer, when both had been passed on.
            is_of_commit = refused.statement is COMMIT or (refused.error.sqlstate or "").startswith("08")
            with in_our_terms(committing=is_of_commit):
                raise refused.error from None

    async def _commit(self) -> Rows:
        if self._last is None:
            return (await ask(self.connection, (COMMIT,)))[0]
        if self.is_begun:
            return (await ask(self.connection, (self._last, COMMIT)))[0]
        self.is_begun = True  # by its only statement
        return await carry_out(self.connection, self._last)

    def cut(self) -> None:
        """Abandons the batch, because its time is over."""
        self._is_late = True
        cut(self.connection)

    async def _begin_and_exchange(self, statements: Sequence[Statement]) -> Sequence[Rows]:
        beginning = [Statement(text) for text in (READ_COMMITTED, self.connection.settings) if text]
        rows = await self._exchange((*beginning, *statements))
        return rows[len(beginning) :]

    async def _exchange(self, statements: Sequence[Statement]) -> Sequence[Rows]:
        try:
            rows = await ask(self.connection, statements)
        except Refused as refused:
            raise refused.error from None
        if self.connection.is_cut:  # in the same turn of the event loop in which the answers arrived
            raise psycopg.OperationalError("the server answered too late")
        return rows


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
    _plans: Mapping[str, str] = PLANS
    _connector: Connector = field(init=False)
    _driver: Driver | None = field(init=False, default=None)
    _is_open_until: float = field(init=False, default=0.0)
    """Until when the connection is taken to be open without asking, by the monotonic clock."""
    _turn: asyncio.Lock = field(init=False, factory=asyncio.Lock)
    _is_closed: bool = field(init=False, default=False)
    waits: Waits = field(init=False, factory=Waits)

    def __attrs_post_init__(self) -> None:
        self._connector = Connector(
            target=self._url,
            deadline=self._deadline,
            lock_timeout=self._lock_timeout,
            idle_in_transaction=self._idle_in_transaction,
            plans=self._plans,
        )

    @property
    def is_open(self) -> bool:
        return self._driver is not None and not self._driver.closed

    @property
    def is_busy(self) -> bool:
        """Whether a transaction is running."""
        return self._turn.locked()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Batch]:
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
                batch = await self._begun()
            timer = asyncio.get_running_loop().call_later(self._deadline, batch.cut)
            try:
                try:
                    yield batch
                    await batch.commit()
                finally:
                    timer.cancel()
            except OutcomeUnknown:
                await self._give_up(batch.connection)
                raise
            except BaseException as error:
                if _is_read_only(error):
                    await self._give_up(batch.connection)
                elif batch.is_begun:
                    await self._rolled_back(batch.connection)
                raise
            self._is_open_until = monotonic() + PROVEN_FOR

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

    async def _begun(self) -> Batch:
        """
        Returns a transaction on the idle connection, or on a new one if that turns out to be lost. It begins with its first
        statements, unless the connection must be tried before.
        """
        driver, is_begun = self._driver, False
        if driver is not None and not driver.closed and monotonic() > self._is_open_until:
            try:
                await self._begin_on(driver)
                is_begun = True
            except psycopg.OperationalError as error:
                complaints.tell("connected again", str(error), error.sqlstate)
        if driver is None or driver.closed:
            driver = await self._connected()
        return Batch(driver, self._connected, is_begun)

    async def _connected(self) -> Driver:
        if self._driver is not None:
            await self._give_up(self._driver)
        self._driver = await self._connector.connect(tuple_row)
        return self._driver

    async def _begin_on(self, driver: Driver) -> None:
        try:
            with within(ANSWERS_WITHIN, driver):
                await begin(driver)
        except BaseException:
            await self._give_up(driver)
            raise

    async def _rolled_back(self, driver: Driver) -> None:
        """
        Rolls back, and forgets what was prepared, in case a change of the tables has made it useless. If this fails or is
        cancelled the connection is closed: on one that might still be in a transaction, the next BEGIN would continue it.
        Without COMMIT nothing is stored in either case.
        """
        try:
            with within(ANSWERS_WITHIN, driver):
                if driver.pgconn.transaction_status != TransactionStatus.IDLE:
                    await driver.execute("ROLLBACK")
                if driver.prepared:
                    driver.prepared.clear()
                    await driver.execute("DEALLOCATE ALL")
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

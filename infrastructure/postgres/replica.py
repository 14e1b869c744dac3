"""
Reading pages of history from a streaming replica of the database.

A reader never sees less than they were told. The primary says how far its log of transactions is flushed, which is beyond
everything that anybody can have seen of it; the replica is read when it has replayed as much. While it is behind, does not
answer or is no replica of this primary, the primary is read instead.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from logging import getLogger
from time import monotonic
from typing import Any, Final, TypeVar

from attrs import define, field

from domain.errors import DomainError
from infrastructure.complaints import Complaints
from infrastructure.postgres.driver.reads import Prepared, PreparedReads, ReadPool, Row

Found = TypeVar("Found")

CLUSTER: Final = """
    (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint())
"""
"""
The cluster and its timeline as of its last checkpoint. A replica tells a new timeline some minutes after a failover, and is not read
until then.
"""

WRITTEN: Final = Prepared(
    f"""
    SELECT {CLUSTER} AS cluster,
        CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint END AS flushed
    """,
    {},
)
"""
Reads how far the primary's log is flushed; null where the server writes none. Everything that a reader can have seen by now lies
before that.
"""

REPLAYED: Final = Prepared(
    f"""
    SELECT pg_is_in_recovery() AS is_replica, {CLUSTER} AS cluster,
        (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS replayed
    """,
    {},
)

LOOKS: Final = 0.005
"""Seconds between two looks at how far the replica is."""

RESTS: Final = 1.0
"""Seconds for which a replica is not asked after it could not be read."""


@define(eq=False)
class Replica:
    """
    A replica that is read within ``patience`` seconds or not at all.

    After a failure nobody asks it for a while. The first page after that is a probe, and the others are read from the primary
    until the probe was read.
    """

    pool: ReadPool
    patience: float = 0.25
    now: Callable[[], float] = monotonic
    reads: int = field(init=False, default=0)
    """The number of pages that were read from the replica."""
    passed_by: int = field(init=False, default=0)
    """The number of pages that were read from the primary because the replica could not be read."""
    _rests_until: float | None = field(init=False, default=None)
    """None since a page was read from it."""
    _is_probed: bool = field(init=False, default=False)
    _waiting: "dict[asyncio.Future[Exception | None], Row]" = field(init=False, factory=dict)
    """The waiting pages and the place that each needs. The result is None, or the error that ends the wait."""
    _came: asyncio.Event = field(init=False, factory=asyncio.Event)
    """Set when another page has begun to wait since the last look began."""
    _looking: "asyncio.Task[None] | None" = field(init=False, default=None)
    _limits: "set[asyncio.Timeout]" = field(init=False, factory=set)
    """The limits of the pages that are being read."""
    _left: "set[asyncio.Task[Any]]" = field(init=False, factory=set)
    """Cancelled reads. Each ends when the driver gives up."""

    @property
    def is_resting(self) -> bool:
        return self._rests_until is not None and (self._is_probed or self.now() < self._rests_until)

    async def read(self, written: Row, read: Callable[[PreparedReads], Awaitable[Found]]) -> Found | None:
        """
        Returns what ``read`` reads of the replica, which then has everything that the primary had `WRITTEN`; None if it could
        not be read, and is to be passed by.
        """
        if self.is_resting or written["flushed"] is None:
            return None
        is_probe = self._is_probed = self._rests_until is not None
        # A task of its own, because the driver may take seconds to give up a read of a server that is frozen.
        task = asyncio.create_task(self._when_replayed(written, read))
        limit = asyncio.timeout(self.patience)
        try:
            async with limit:
                self._limits.add(limit)
                await asyncio.wait({task})
            found = task.result()
        except DomainError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the replica, the primary answers
            if limit in self._limits:  # otherwise it rests already, because another page failed
                self._limits.remove(limit)
                self._rest(
                    "it is behind or does not answer" if limit.expired() else str(error) or repr(error)
                )
            return None
        finally:
            self._limits.discard(limit)
            self._leave(task)
            if is_probe:
                self._is_probed = False
        if is_probe:
            self._rests_until = None
        self.reads += 1
        return found

    async def _when_replayed(self, written: Row, read: Callable[[PreparedReads], Awaitable[Found]]) -> Found:
        replayed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._waiting[replayed] = written
        self._came.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            failure = await replayed
        finally:
            self._waiting.pop(replayed, None)
        if failure is not None:
            raise failure
        # A snapshot that was taken before the answer could be older than what the answer says.
        return await read(self.pool)

    async def _look(self) -> None:
        """Asks again and again how far the replica is, for all who wait, until nobody does."""
        while self._waiting:
            self._came.clear()
            self._answer(await self._ask())
            if self._waiting:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOKS):
                        await self._came.wait()

    async def _ask(self) -> Row | Exception:
        try:
            found = await self.pool.row(REPLAYED)
        except Exception as error:  # noqa: BLE001 - each waiting page raises it
            return error
        assert found is not None
        return found

    def _answer(self, found: Row | Exception) -> None:
        """Lets those go on for whom the replica is far enough, or never will be."""
        for replayed, written in [*self._waiting.items()]:
            failure = None
            if isinstance(found, Exception):
                failure = found
            elif not found["is_replica"] or found["cluster"] != written["cluster"]:
                failure = NotAReplica("it is no replica of this primary, or of another timeline")
            elif found["replayed"] < written["flushed"]:
                continue
            del self._waiting[replayed]
            if not replayed.done():
                replayed.set_result(failure)

    def _rest(self, why: str) -> None:
        """Leaves the replica alone for a while, and lets everybody who waits for it go to the primary."""
        self._rests_until = self.now() + RESTS
        complaints.tell("not read", why)
        limits, self._limits = self._limits, set()
        for limit in limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        self._stop_looking()

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._leave(self._looking)
            self._looking = None

    def _leave(self, task: asyncio.Task[Any]) -> None:
        """Cancels a task that may not have ended, without waiting for it."""
        if task.cancel():
            self._left.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # otherwise asyncio logs that it was never retrieved

    async def close(self) -> None:
        self._stop_looking()
        await self.pool.close()


class NotAReplica(Exception):
    """The server does not replay what this primary writes."""


complaints: Final = Complaints("replica", getLogger(__name__))

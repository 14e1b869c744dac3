"""
Reading pages of history from a streaming replica of the database.

A reader never sees less than they were told. The primary says how far its log of transactions is flushed, which is beyond
everything that anybody can have seen of it; the replica is read when it has replayed as much. While it is behind, does not
answer or is no replica of this primary, the primary is read instead.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from logging import getLogger
from time import monotonic
from typing import Final

from attrs import define, field

from application.errors import ApplicationError
from domain.ids import ProfileId
from infrastructure.complaints import Complaints
from infrastructure.postgres.driver.reads import Prepared, ReadPool, ReadTransaction, Row

CLUSTER: Final = """
    (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint())
"""
"""
The cluster and its timeline as of its last checkpoint. A replica tells a new timeline some minutes after a failover, and is not read
until then.
"""

WRITTEN: Final = Prepared(
    f"SELECT {CLUSTER} AS cluster, pg_current_wal_flush_lsn()::text AS flushed",
    {},
)
"""Reads how far the primary's log is flushed. Everything that a reader can have seen by now lies before that."""

REPLAYED: Final = Prepared(
    f"""
    SELECT pg_is_in_recovery() AND {CLUSTER} = %(cluster)s::text AS is_replica,
        pg_last_wal_replay_lsn() >= %(flushed)s::pg_lsn AS is_there
    """,
    {},
)

LOOKS: Final = 0.005
"""Seconds between two looks at how far the replica is."""

RESTS: Final = 1.0
"""Seconds for which a replica is not asked after it could not be read."""


@define(eq=False)
class Replica:
    """A replica whose reads wait at most ``patience`` seconds until it has replayed what a reader must see."""

    _primary: ReadPool
    pool: ReadPool
    patience: float = 0.25
    now: Callable[[], float] = monotonic
    reads: int = field(init=False, default=0)
    """How many pages were read from the replica."""
    passed_by: int = field(init=False, default=0)
    """How many were read from the primary because the replica could not be read."""
    _resting_until: float = field(init=False, default=float("-inf"))

    @asynccontextmanager
    async def reading(self, reader: ProfileId) -> AsyncIterator[ReadTransaction | None]:
        """
        Begins a transaction that sees at least what the primary shows now; None if the replica cannot be read. The block may
        raise `ApplicationError` when the replica fails, and the replica is not asked for a while then.
        """
        if not await self._is_there():
            self.passed_by += 1
            yield None
            return
        try:
            async with self.pool.open(reader) as reads:
                yield reads
        except ApplicationError as error:
            self.passed_by += 1
            self._rest(str(error))
            raise
        self.reads += 1

    async def _is_there(self) -> bool:
        if self.now() < self._resting_until:
            return False
        written = await self._primary.row(WRITTEN)
        assert written is not None
        try:
            async with asyncio.timeout(self.patience):
                while not await self._has_replayed(written):  # noqa: ASYNC110 - of another server
                    await asyncio.sleep(LOOKS)
        except TimeoutError:
            self._rest("it is behind or does not answer")
            return False
        except (ApplicationError, NotAReplica) as error:
            self._rest(str(error))
            return False
        return True

    async def _has_replayed(self, written: Row) -> bool:
        # A statement of its own: a snapshot that is taken before the answer could be older than what the answer says.
        found = await self.pool.row(REPLAYED, cluster=written["cluster"], flushed=written["flushed"])
        assert found is not None
        if not found["is_replica"]:
            raise NotAReplica("it is no replica of this primary, or of another timeline")
        return bool(found["is_there"])

    def _rest(self, why: str) -> None:
        self._resting_until = self.now() + RESTS
        complaints.tell("not read", why)

    async def close(self) -> None:
        await self.pool.close()


class NotAReplica(Exception):
    """The server does not replay what this primary writes."""


complaints: Final = Complaints("replica", getLogger(__name__))

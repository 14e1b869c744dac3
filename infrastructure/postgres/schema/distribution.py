"""
Divides the tables over the nodes of a Citus cluster.

The tables of chats are divided by chat, all alike, so that the rows of a chat are on one node. The others stay on the coordinator:
accounts, profiles, who is in which chat, and `origin`, by which the stamps of all rows are made.
"""

from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import UnusableDatabase, in_our_terms
from infrastructure.postgres.schema.base import metadata, with_all_tables

CHAT: Final = "chat_id"

HAS_CITUS: Final = text("SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL")

ALREADY: Final = text(
    "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass(CAST(:name AS text)))"
)

DIVIDED: Final = text(
    """
    SELECT count(*) FROM unnest(CAST(:names AS text[])) AS wanted (name)
    JOIN pg_dist_partition AS found ON found.logicalrelid = to_regclass(wanted.name)
    """
)

NODES: Final = text(
    """
    SELECT count(*) FILTER (WHERE groupid = 0 AND isactive) AS coordinators,
        count(*) FILTER (WHERE groupid = 0 AND shouldhaveshards) AS coordinators_with_chats,
        count(*) FILTER (WHERE groupid <> 0 AND isactive AND shouldhaveshards) AS workers
    FROM pg_dist_node WHERE noderole = 'primary'
    """
)

CANNOT_PREPARE: Final = text(
    "SELECT nodename || ':' || nodeport FROM run_command_on_workers('SHOW max_prepared_transactions')"
    " WHERE NOT success OR result = '0' ORDER BY 1"
)


class NotACluster(UnusableDatabase):
    """The database is not the coordinator's of a Citus cluster that could take the tables."""


class Undivided(UnusableDatabase):
    """The settings and the database do not agree on whether the tables are divided."""


@frozen
class Placement:
    table: str
    beside: str | None = None
    """The table whose rows are on the same nodes; None for the first."""

    @property
    def statement(self) -> str:
        """The call of Citus that divides the table."""
        beside = self.beside or "none"
        return f"SELECT create_distributed_table('{self.table}', '{CHAT}', colocate_with => '{beside}')"


def placements() -> Iterator[Placement]:
    """Yields the placement of each table that is divided."""
    tables = with_all_tables(metadata).sorted_tables
    first, *others = [table.name for table in tables if table.info["keyed_by"] == CHAT]
    yield Placement(first)
    yield from (Placement(name, first) for name in others)


async def count_divided(engine: AsyncEngine, deadline: float = 10.0) -> int:
    """
    Returns how many of the tables that `placements` yields are divided: not all of them, if `distribute` was interrupted.

    Raises:
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, deadline) as connection:
        if not await connection.scalar(HAS_CITUS):
            return 0
        names = [each.table for each in placements()]
        return int(await connection.scalar(DIVIDED, {"names": names}) or 0)


async def check_divided(engine: AsyncEngine, *, expected: bool) -> None:
    """
    Raises:
        Undivided: The tables are divided and ``expected`` says that they are not, or the reverse; or only some of them are.
        Unavailable: Storage did not answer.
    """
    found, wanted = await count_divided(engine), len(list(placements()))
    if 0 < found < wanted:
        raise Undivided(
            f"only {found} of its {wanted} tables of chats are divided: run `messenger db distribute` again, which goes on"
        )
    if found and not expected:
        raise Undivided(
            "its tables are divided over a Citus cluster: set DATABASE_DIVIDED=true on every node"
        )
    if expected and not found:
        raise Undivided(
            "DATABASE_DIVIDED is true, but its tables are not divided: run `messenger db distribute`"
        )


async def distribute(engine: AsyncEngine, tell: Callable[[int, int], None], deadline: float) -> int:
    """
    Divides the tables that are not divided yet, each in a transaction of its own. Returns how many they were. ``tell`` is called with
    the tables done and in total. If it is interrupted, it goes on where it was when it is called again.

    Raises:
        NotACluster: The database cannot be divided.
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, deadline) as connection:
        await _check_cluster(connection)
    wanted, made = list(placements()), 0
    for done, placement in enumerate(wanted):
        tell(done, len(wanted))
        async with transaction(engine, deadline) as connection:
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET LOCAL {limit} = 0"))
            if not await connection.scalar(ALREADY, {"name": placement.table}):
                await connection.exec_driver_sql(placement.statement)
                made += 1
            with in_our_terms(committing=True):
                await connection.commit()
    tell(len(wanted), len(wanted))
    return made


async def _check_cluster(connection: AsyncConnection) -> None:
    if not await connection.scalar(HAS_CITUS):
        raise NotACluster(
            "the database has no extension citus: run CREATE EXTENSION citus in it, on every server"
        )
    coordinators, coordinators_with_chats, workers = (await connection.execute(NODES)).one()
    if not coordinators:
        raise NotACluster(
            "the coordinator does not know its own address: run SELECT citus_set_coordinator_host('HOST', PORT) in it"
        )
    if coordinators_with_chats:
        raise NotACluster(
            "the coordinator would have chats too: run SELECT citus_set_node_property('HOST', PORT, 'shouldhaveshards', false) in it"
        )
    if not workers:
        raise NotACluster(
            "the cluster has no worker: run SELECT citus_add_node('HOST', PORT) on the coordinator"
        )
    if cannot := (await connection.scalars(CANNOT_PREPARE)).all():
        raise NotACluster(
            f"max_prepared_transactions is 0 on {', '.join(cannot)}: set it to max_connections there"
        )

"""
Detects a database that was restored or copied, and adopts it on request.

Cursors rely on transaction numbers, and a restored database starts them again or has lost some: readers could miss what it
writes next. `origin` therefore records where its ``base`` was chosen, nodes do not start on a database that is somewhere
else, and `adopt` chooses a new base.
"""

from typing import Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import Text, cast, func, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import UnusableDatabase, in_our_terms
from infrastructure.postgres.schema.base import metadata, with_all_tables
from infrastructure.postgres.schema.chat_tables import origin

HERE: Final = literal_column(
    "(SELECT system_identifier::text FROM pg_control_system())"
    " || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database())"
    " || '/' || origin.tableoid::text",
    Text,
)
"""
The cluster, the database in it, the table in that. A dump that is restored lands in another table, a copied database is
another one, another server another cluster. A standby that was promoted is all three again: it goes on.
"""


HAS_HOME: Final = text(
    "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('origin') AND attname = 'home')"
)
"""Without it the tables are older, or not made yet: migrating writes it."""


class NotAdopted(UnusableDatabase):
    """The database came here by a restore or as a copy: its base may be too small. `adopt` chooses a new one."""

    def __init__(self) -> None:
        super().__init__(
            "this database was restored or copied since the messenger last ran on it: run `messenger db adopt` once, with"
            " every node stopped"
        )


@frozen(kw_only=True)
class Adopted:
    generation: UUID
    base: int


async def check_home(engine: AsyncEngine, *, deadline: float = 10.0) -> None:
    """
    Checks that nodes may run on this database. To be called before it is migrated.

    Raises:
        NotAdopted: The database was restored or copied since nodes last ran on it.
        UnusableDatabase: Its encoding or its server's version will not do.
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, deadline) as connection:
        if not await connection.scalar(HAS_HOME):
            return
        is_at_home = await connection.scalar(select(origin.c.home == HERE).where(origin.c.id == 1))
    if not is_at_home:
        raise NotAdopted


async def adopt(engine: AsyncEngine, generation: UUID, *, deadline: float = 600.0) -> Adopted:
    """
    Begins a new epoch: cursors and positions of the old one are no longer valid, and ``tx`` goes on rising from the greatest
    stored value. Waits for running writes and blocks new ones meanwhile.

    Raises:
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, deadline) as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE origin IN ACCESS EXCLUSIVE MODE"))
        greatest = await _greatest(connection)
        current = cast(cast(func.pg_current_xact_id(), Text), origin.c.base.type)
        adopted = await connection.execute(
            update(origin)
            .where(origin.c.id == 1)
            .values(
                generation=generation,
                base=func.greatest(origin.c.base, greatest + 1 - current),
                home=HERE,
            )
            .returning(origin.c.generation, origin.c.base)
        )
        row = adopted.one()
        with in_our_terms(committing=True):
            await connection.commit()
    return Adopted(generation=row.generation, base=row.base)


async def _greatest(connection: AsyncConnection) -> int:
    greatest = 0
    for table in with_all_tables(metadata).sorted_tables:
        if "tx" in table.c:
            greatest = max(greatest, await connection.scalar(select(func.max(table.c.tx))) or 0)
    return greatest

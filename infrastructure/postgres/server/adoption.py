"""
Detects databases that were restored or copied, and adopts them.

Cursors compare transaction numbers. A database that was restored may count them anew or have lost some, so readers could
miss what it writes next. The `origin` table therefore records where its ``base`` was chosen; nodes refuse to start anywhere
else until `adopt` has chosen a new one.
"""

from typing import Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import Text, cast, column, func, literal_column, select, table, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import UnusableDatabase, in_our_terms
from infrastructure.postgres.schema.chat_tables import origin

HERE: Final = literal_column(
    "(SELECT system_identifier::text FROM pg_control_system())"
    " || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database())"
    " || '/' || origin.tableoid::text",
    Text,
)
"""
Identifies this place by cluster, database and table. A restored dump has another table OID, a copied database another
database OID, and another server another cluster. A promoted standby has the same three, and goes on without adoption.
"""


HAS_HOME: Final = text(
    "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('origin') AND attname = 'home')"
)
"""If the column is missing, the tables are older or do not exist yet; the migration adds and fills it."""


STAMPED: Final = text(
    "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE a.attname = 'tx' AND NOT a.attisdropped AND c.relkind = 'r'"
    " AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('origin'))"
)
"""The tables whose rows have a ``tx``, those of modules and of older revisions included."""


class NotAdopted(UnusableDatabase):
    """The database was restored or copied, so its base may be too small. `adopt` chooses a new one."""

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
    Checks that nodes may run on this database. Must be called before the database is migrated.

    Raises:
        NotAdopted: The database was restored or copied since nodes last ran on it.
        UnusableDatabase: Its encoding or the version of its server is not supported.
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, deadline) as connection:
        if not await connection.scalar(HAS_HOME):
            return
        is_at_home = await connection.scalar(select(origin.c.home == HERE).where(origin.c.id == 1))
    if not is_at_home:
        raise NotAdopted


async def adopt(
    engine: AsyncEngine,
    generation: UUID | None = None,
    *,
    instead_of: UUID | None = None,
    deadline: float = 600.0,
) -> Adopted:
    """
    Begins a new line of history: clients with cursors and positions of the old one start over, and ``tx`` goes on rising
    from the greatest stored value. Waits for running writes and blocks new ones until it has finished. The tables may be at
    an older revision: a database is migrated only where it is at home.

    Without a ``generation`` the server makes one. With ``instead_of`` nothing is changed if the database is at home and its
    generation is another one: several nodes may notice a restore, and one new line of history is enough.

    Raises:
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, deadline) as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE origin IN ACCESS EXCLUSIVE MODE"))
        if instead_of is not None:
            present = await connection.execute(
                select(origin.c.generation, origin.c.base, origin.c.home == HERE).where(origin.c.id == 1)
            )
            now, base, is_home = present.one()
            if is_home and now != instead_of:
                return Adopted(generation=now, base=base)
        greatest = await _greatest(connection)
        current = cast(cast(func.pg_current_xact_id(), Text), origin.c.base.type)
        home = {"home": HERE} if await connection.scalar(HAS_HOME) else {}
        adopted = await connection.execute(
            update(origin)
            .where(origin.c.id == 1)
            .values(
                generation=generation or func.gen_random_uuid(),
                base=func.greatest(origin.c.base, greatest + 1 - current),
                **home,
            )
            .returning(origin.c.generation, origin.c.base)
        )
        row = adopted.one()
        with in_our_terms(committing=True):
            await connection.commit()
    return Adopted(generation=row.generation, base=row.base)


async def _greatest(connection: AsyncConnection) -> int:
    greatest = 0
    for name in (await connection.scalars(STAMPED)).all():
        greatest = max(
            greatest, await connection.scalar(select(func.max(column("tx"))).select_from(table(name))) or 0
        )
    return greatest

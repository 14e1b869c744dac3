"""Migrates the tables of a database to the revision that this version needs."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import UnusableDatabase, in_our_terms

SCRIPTS: Final = Path(__file__).with_name("migrations")

NOTHING: Final = "nothing"
"""The revision of a database without tables."""

LONGEST_MIGRATION: Final = 24 * 3600.0
"""Seconds. Rewriting a large table may take hours; a connection that is lost is noticed long before."""

ANSWERS_WITHIN_SECONDS: Final = 10.0

LOCK: Final = 5_071_975_081
"""Key of the advisory lock that lets only one of several starting processes migrate. The number is arbitrary."""

FILLING_LOCK: Final = LOCK + 1
"""Key of the advisory lock that lets only one process fill a new database."""

OF_THE_ORIGINAL: Final = re.compile(r"20\d{12}")
"""Revisions of the original messenger are timestamps."""


class UnknownRevision(UnusableDatabase):
    """The tables were made by another program or by a newer version of this one."""

    def __init__(self, revision: str) -> None:
        if OF_THE_ORIGINAL.fullmatch(revision):
            super().__init__(
                f"this is a database of the original messenger (revision {revision}): choose another database for this one,"
                " and bring the data over with `messenger db import`"
            )
        else:
            super().__init__(
                f"the database is at revision {revision}, which this version does not know: a newer version has migrated it;"
                f" run that version, or restore the backup made before (this version knows {newest_revision()})"
            )


async def current_revision(engine: AsyncEngine) -> str:
    """
    Returns the revision of the tables, or `NOTHING`.

    Raises:
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, ANSWERS_WITHIN_SECONDS) as connection:
        found = await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )
    return found or NOTHING


def newest_revision() -> str:
    """Returns the revision that this version needs."""
    return _scripts().get_current_head() or NOTHING


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return ScriptDirectory.from_config(config)


async def check_revision(engine: AsyncEngine) -> str:
    """
    Returns the revision of the tables.

    Raises:
        UnknownRevision: This version does not know the revision, and so cannot migrate from it.
        Unavailable: Storage did not answer.
    """
    found = await current_revision(engine)
    if found != NOTHING and found not in known_revisions():
        raise UnknownRevision(found)
    return found


@asynccontextmanager
async def filling_alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """Holds a lock for the block, so that only one process at a time fills a new database. Others wait."""
    async with transaction(engine, LONGEST_MIGRATION) as connection:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = 0"))
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({FILLING_LOCK})"))
        yield


def known_revisions() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """
    Upgrades to the newest revision or to ``revision``, in one transaction.

    Raises:
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, LONGEST_MIGRATION) as connection:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = 0"))
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        await connection.run_sync(upgrade, revision)
        with in_our_terms(committing=True):
            await connection.commit()


def upgrade(connection: Connection, revision: str = "head") -> None:
    command.upgrade(configured(connection), revision)


def downgrade(connection: Connection, revision: str = "base") -> None:
    command.downgrade(configured(connection), revision)


def configured(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config

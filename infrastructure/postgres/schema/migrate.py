"""
Migrates the tables of a database to the revisions that this version needs.

The migrations of the messenger itself are one line of history. Each added module has a line of its own: a branch, in a folder
of its own, labelled with its name. A database is therefore at several revisions at once, one for each line.
"""

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
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

OF_A_MODULE: Final = re.compile(r"(?P<module>[a-z]\w*)_\d{4}")
"""Revisions of modules begin with the module's name."""

NEWEST: Final = "heads"
"""Alembic's word for the newest revision of every line."""


class UnknownRevision(UnusableDatabase):
    """The tables were made by another program, by a newer version of this one, or by a module that is not here."""

    def __init__(self, revision: str) -> None:
        if module := OF_A_MODULE.fullmatch(revision):
            super().__init__(
                f"the database is at revision {revision}, which this version does not know: it belongs to the module"
                f" {module['module']}, whose files are missing here or are older; add them"
            )
        elif OF_THE_ORIGINAL.fullmatch(revision):
            super().__init__(
                f"this is a database of the original messenger (revision {revision}): choose another database for this one,"
                " and bring the data over with `messenger db import`"
            )
        else:
            super().__init__(
                f"the database is at revision {revision}, which this version does not know: a newer version has migrated it;"
                f" run that version, or restore the backup made before (this version knows {newest_revision()})"
            )


class NoSuchRevision(UnusableDatabase):
    """A migration was asked for to a revision that is not among the migrations."""


async def current_revision(engine: AsyncEngine) -> str:
    """
    Returns the revision of the tables, or `NOTHING`. With modules there are several, separated by commas.

    Raises:
        Unavailable: Storage did not answer.
    """
    return _joined(await current_revisions(engine))


async def current_revisions(engine: AsyncEngine) -> frozenset[str]:
    """
    Returns the revision of each line that the database has tables of.

    Raises:
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, ANSWERS_WITHIN_SECONDS) as connection:
        found = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())
    return with_implied(found)


def with_implied(found: Collection[str]) -> frozenset[str]:
    """
    Adds the heads that Alembic does not store: a revision that another line depends on counts as reached through that one.
    """
    scripts = _scripts()
    if not found or not frozenset(found) <= known_revisions():
        return frozenset(found)
    reached = scripts.revision_map.iterate_revisions(tuple(found), "base", implicit_base=True)
    heads = {script.revision for script in reached} & set(scripts.get_heads())
    return frozenset(found) | heads


def newest_revision() -> str:
    """Returns the revision that this version needs. With modules there are several, separated by commas."""
    return _joined(_scripts().get_heads())


def _joined(revisions: Collection[str]) -> str:
    return ", ".join(sorted(revisions)) or NOTHING


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("recursive_version_locations", "true")
    return config


async def check_revision(engine: AsyncEngine) -> str:
    """
    Returns the revision of the tables, as `current_revision` does.

    Raises:
        UnknownRevision: This version does not know the revision, and so cannot migrate from it.
        Unavailable: Storage did not answer.
    """
    found = await current_revisions(engine)
    if unknown := sorted(found - known_revisions()):
        raise UnknownRevision(unknown[0])
    return _joined(found)


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


async def migrate(engine: AsyncEngine, revision: str = NEWEST) -> None:
    """
    Upgrades to the newest revision of every line or to ``revision``, in one transaction. ``head`` means the same as `NEWEST`,
    and ``notes@head`` the newest revision of the module ``notes``.

    Raises:
        NoSuchRevision: There is no such revision.
        Unavailable: Storage did not answer.
    """
    async with transaction(engine, LONGEST_MIGRATION) as connection:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = 0"))
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        await connection.run_sync(upgrade, revision)
        with in_our_terms(committing=True):
            await connection.commit()


def upgrade(connection: Connection, revision: str = NEWEST) -> None:
    """
    Raises:
        NoSuchRevision: There is no such revision.
    """
    try:
        command.upgrade(configured(connection), NEWEST if revision == "head" else revision)
    except CommandError as error:
        raise NoSuchRevision(f"there is no revision {revision!r} to migrate to: {error}") from None


def downgrade(connection: Connection, revision: str = "base") -> None:
    command.downgrade(configured(connection), revision)


def configured(connection: Connection) -> Config:
    config = _config()
    config.attributes["connection"] = connection
    return config

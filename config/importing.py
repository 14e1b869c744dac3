"""Implements `messenger db import`: copies a database of the original messenger into the one that the settings name."""

import asyncio
from collections.abc import Callable

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from application.importing.import_original import Imported, ImportOriginalHandler
from config.container import Application, PostgresAdapters, closing
from config.settings.groups import Settings
from infrastructure.original.database import original_database
from infrastructure.postgres.schema.migrate import migrate
from infrastructure.postgres.server.adoption import check_home


class BadSource(Exception):
    """The source of an import is not the URL of a PostgreSQL database."""


def import_original(
    settings: Settings, url: str, source: str, password: str | None, progress: Callable[[int, int], None]
) -> Imported:
    """
    Imports everything from ``source`` into the database at ``url``, whose tables are created or migrated first.

    Raises:
        BadSource: ``source`` is not the URL of a PostgreSQL database.
        NotAnOriginal: ``source`` is not a database of the original messenger.
        psycopg.Error: ``source`` cannot be read.
        ApplicationError: The database at ``url`` does not answer.
    """
    conninfo = _conninfo(source, password)

    async def run() -> Imported:
        application = Application(adapters=PostgresAdapters(settings=settings, url=url))
        async with closing(application), original_database(conninfo) as original:
            engine = application.adapters.engine()
            await migrate(engine)
            await check_home(engine)
            storage = application.adapters.storage()
            handler = ImportOriginalHandler(
                begin=storage.begin,
                begin_posting=storage.begin_patient_posting,
                begin_marking=storage.begin_marking,
            )
            return await handler(original, progress)

    return asyncio.run(run())


def _conninfo(source: str, password: str | None) -> str:
    try:
        url = make_url(source)
    except ArgumentError:
        raise BadSource from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise BadSource
    # the original's own settings name a driver, which libpq does not know
    return url.set(drivername="postgresql", password=password or url.password).render_as_string(
        hide_password=False
    )

"""`messenger db import`: imports a database of the original messenger into the one that the settings name."""

from collections.abc import Callable

from psycopg.conninfo import make_conninfo

from application.importing.import_original import ImportOriginalHandler
from application.importing.imported import Imported
from config.container import Application, PostgresAdapters, closing
from config.running import run_until_signal
from config.settings.groups import Settings
from infrastructure.original.database import original_database
from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.schema.distribution import check_divided
from infrastructure.postgres.schema.migrate import check_revision, migrate
from infrastructure.postgres.server.adoption import check_home
from infrastructure.postgres.server.reach import reach


class BadSource(Exception):
    """The source is not named by the URL of a PostgreSQL database."""


def import_original(
    settings: Settings, url: str, source: str, password: str | None, progress: Callable[[int, int], None]
) -> Imported:
    """
    Imports everything from ``source`` into the database at ``url``, whose tables are created or migrated first.

    Raises:
        BadSource: ``source`` is not the URL of a PostgreSQL database.
        NotAnOriginal: The source does not belong to the original messenger.
        psycopg.Error: The source cannot be read.
        UnusableDatabase: The database at ``url`` cannot be reached, or cannot be used in its state.
        ApplicationError: The database at ``url`` does not answer any more.
    """
    conninfo = source_conninfo(source, password)

    async def run() -> Imported:
        await reach(url)
        application = Application(adapters=PostgresAdapters(settings=settings, url=url))
        async with closing(application):
            engine = application.adapters.engine()
            await check_home(engine)
            await check_revision(engine)
            async with original_database(conninfo) as original:
                await migrate(engine)
                await check_divided(engine, expected=settings.database.divided)
                storage = application.adapters.storage()
                handler = ImportOriginalHandler(
                    begin=storage.begin,
                    begin_posting=storage.begin_patient_posting,
                    begin_marking=storage.begin_marking,
                )
                return await handler(original, progress)

    return run_until_signal(run())


def source_conninfo(source: str, password: str | None) -> str:
    """
    The connection parameters for libpq. They leave nothing to the variables of the environment that libpq reads.

    Raises:
        BadSource: ``source`` is not the URL of a PostgreSQL database.
    """
    scheme, _, rest = source.partition("://")
    try:
        # the original's own settings name a driver, which libpq does not know
        target = parse(f"{scheme.partition('+')[0]}://{rest}")
    except ValueError:
        raise BadSource from None
    parameters = dict(target.libpq)
    return make_conninfo(**parameters | ({"password": password} if password else {}))

"""`messenger db`: the operations on the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine

from application.checkup import Examined
from application.importing.imported import Imported
from config import backup
from config.commands.running import (
    ACCOUNTS,
    DATABASE,
    LONG,
    check_tables,
    database_name,
    on_application,
    on_engine,
    refusals,
    server,
    settings_for,
)
from config.container import Application
from config.importing import BadSource, import_original
from config.refusals import cause_of
from config.running import run_until_signal
from infrastructure.original.database import NotAnOriginal
from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.schema.check import Checkup
from infrastructure.postgres.schema.distribution import count_divided, distribute, placements
from infrastructure.postgres.schema.migrate import (
    NOTHING,
    check_revision,
    current_revision,
    filling_alone,
    migrate,
)
from infrastructure.postgres.server.adoption import adopt, check_home
from infrastructure.postgres.server.reach import CannotConnect, reach
from infrastructure.system.ids import SystemIds
from interfaces.cli.db import Database, DumpSummary
from interfaces.cli.looks import WRONG, CommandRefused


def operations() -> Database:
    return Database(
        name=database_name,
        create=create_database,
        migrate=migrate_database,
        fill=fill_database,
        drop=drop_database,
        check=check_database,
        import_original=import_database,
        adopt=adopt_database,
        dump=dump_database,
        restore=restore_database,
        distribution=lambda: [each.statement for each in placements()],
        distribute=distribute_database,
        may_fill=lambda: settings_for(DATABASE).local,
    )


def create_database() -> bool:
    settings = settings_for(DATABASE)
    if settings.database.url is None:
        was_there = (settings.var_dir / "postgres").exists()
        with refusals(settings), server(settings) as url, _maintenance(url) as connection:
            return _create(connection, database_of(url)) or not was_there
    with refusals(settings), _maintenance(settings.database.url) as connection:
        return _create(connection, database_of(settings.database.url))


def drop_database(force: bool) -> bool:
    settings = settings_for(DATABASE)
    if settings.database.url is None and not (settings.var_dir / "postgres").exists():
        return False
    with refusals(settings), server(settings) as url, _maintenance(url) as connection:
        name = database_of(url)
        if not _exists(connection, name):
            return False
        how = sql.SQL(" WITH (FORCE)" if force else "")
        try:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)) + how)
        except psycopg.errors.ObjectInUse:
            raise CommandRefused(
                "Other programs are connected: stop the messenger first, or use --force."
            ) from None
        return True


def migrate_database(revision: str) -> tuple[str, str]:
    async def work(engine: AsyncEngine) -> tuple[str, str]:
        before = await check_revision(engine)
        if before != NOTHING:
            await check_home(engine)
        await migrate(engine, revision)
        return before, await current_revision(engine)

    return on_engine(work)


def fill_database() -> None:
    settings = settings_for(ACCOUNTS)
    if not settings.local:
        raise CommandRefused(
            f"ENVIRONMENT is {settings.environment.value}: examples are for LOCAL, because their password is published."
        )

    async def migrated(engine: AsyncEngine) -> None:
        await check_home(engine)
        await check_revision(engine)
        await migrate(engine)

    on_engine(migrated)

    async def work(application: Application) -> None:
        async with filling_alone(application.adapters.engine()):
            await application.administration().fill_catalogues()
            await application.administration().fill_examples()

    on_application(work, ACCOUNTS)


def check_database(repair: bool, progress: Callable[[int, int], None]) -> Examined:
    async def work(engine: AsyncEngine) -> Examined:
        await check_tables(engine)
        if await count_divided(engine):
            raise CommandRefused(
                "The tables are divided over a Citus cluster, which this check cannot read.", WRONG
            )
        return await Checkup(engine, repair=repair, progress=progress, deadline=LONG)()

    return on_engine(work)


def import_database(source: str, password: str | None, progress: Callable[[int, int], None]) -> Imported:
    settings = settings_for(ACCOUNTS)
    with refusals(settings), server(settings) as url:
        try:
            return import_original(settings, url, source, password, progress)
        except BadSource:
            raise CommandRefused("The source is not the URL of a PostgreSQL database.", WRONG) from None
        except NotAnOriginal as why:
            raise CommandRefused(str(why), WRONG) from None
        except psycopg.OperationalError as error:
            raise CommandRefused(f"The source cannot be read: {cause_of(error)}", WRONG) from None


def dump_database(file: str, progress: Callable[[int, int], None]) -> DumpSummary:
    settings = settings_for(DATABASE)
    with refusals(settings):
        return backup.dump_database(server(settings), file, progress)


def restore_database(file: str, replace: bool, progress: Callable[[int, int], None]) -> DumpSummary:
    settings = settings_for(DATABASE)

    def create(url: str) -> None:
        try:
            run_until_signal(reach(url))
        except CannotConnect as why:
            if why.wrong != "database":
                raise
            with _maintenance(url) as connection:
                _create(connection, database_of(url))

    with refusals(settings):
        return backup.restore_database(server(settings), file, create, replace=replace, progress=progress)


def adopt_database() -> tuple[str, int]:
    async def work(engine: AsyncEngine) -> tuple[str, int]:
        if await check_revision(engine) == NOTHING:
            raise CommandRefused("The database has no tables yet: run `messenger db migrate` first.", WRONG)
        adopted = await adopt(engine, SystemIds().fresh(), deadline=LONG)
        return str(adopted.generation), adopted.base

    return on_engine(work)


def distribute_database(progress: Callable[[int, int], None]) -> int:
    async def work(engine: AsyncEngine) -> int:
        await check_tables(engine)
        await check_home(engine)
        return await distribute(engine, progress, LONG)

    return on_engine(work)


@contextmanager
def _maintenance(url: str) -> Iterator[psycopg.Connection[Any]]:
    """
    Connects to another database of the same server, because a database cannot be made or removed from inside itself.

    Raises:
        CannotConnect: The connection failed.
    """
    there = {**parse(url).libpq, "dbname": "postgres"}
    try:
        connection = psycopg.connect(make_conninfo(**there), autocommit=True)
    except psycopg.OperationalError as error:
        raise CannotConnect.of(error) from None
    with connection:
        yield connection


def database_of(url: str) -> str:
    return parse(url).parameters["dbname"]


def _exists(connection: psycopg.Connection[Any], name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _create(connection: psycopg.Connection[Any], name: str) -> bool:
    """Makes a database in UTF-8 whatever the server's default is, with the locale C if the server's does not allow UTF-8."""
    if _exists(connection, name):
        return False
    statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InvalidObjectDefinition):
        connection.execute(statement + sql.SQL(" LC_COLLATE 'C' LC_CTYPE 'C'"))
    return True

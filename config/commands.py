"""
The commands. Each one reads the settings that it uses, connects to the database, and puts the application together for as
long as it takes.

The embedded database is started for that time, unless a running messenger has started it already.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine

from application.accounts.assign_password import AssignPassword
from application.accounts.create_account import CreateAccount
from application.accounts.delete_account import DeleteAccount
from application.accounts.disable_account import DisableAccount, EnableAccount
from application.checkup import Examined
from application.errors import ApplicationError
from application.importing.import_original import Imported
from application.ports.mailer import NotDelivered
from config import backup
from config.adapters import make_mailer
from config.build import this_build
from config.container import Application, PostgresAdapters, closing
from config.importing import BadSource, import_original
from config.refusals import cause_of, refusal
from config.settings.explain import explain
from config.settings.groups import Settings
from config.settings.load import load
from config.settings.texts import DOTENV, WrongSettings
from domain.account import (
    Account,
    AccountNotFound,
    Email,
    EmailIncorrect,
    EmailTaken,
    Password,
    PasswordCommon,
    PasswordUnfit,
)
from domain.errors import DomainError
from domain.ids import AccountId
from domain.notification import Letter, Template
from domain.session import Session
from infrastructure.original.database import NotAnOriginal
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.schema.check import Checkup
from infrastructure.postgres.schema.migrate import (
    NOTHING,
    check_revision,
    current_revision,
    filling_alone,
    migrate,
    newest_revision,
)
from infrastructure.postgres.server.adoption import adopt, check_home
from infrastructure.postgres.server.embedded import CannotStartPostgres, EmbeddedPostgres
from infrastructure.postgres.server.reach import CannotConnect, reach
from infrastructure.scaffold.module import AlreadyThere, BadModuleName, lay_module
from infrastructure.smtp.mailer import SmtpMailer
from infrastructure.smtp.trial import TrialWriter
from infrastructure.system.clock import SystemClock
from infrastructure.system.ids import SystemIds
from interfaces.cli.db import Database, DumpSummary
from interfaces.cli.looks import NOT_DONE, WRONG, CommandRefused
from interfaces.cli.main import Commands, EffectiveSetting
from interfaces.cli.users import Users

T = TypeVar("T")

LONG: Final = 3600.0
"""Seconds that a statement of an operator's command may take."""

DATABASE: Final = ("database",)
ACCOUNTS: Final = ("database", "auth", "chat")
LETTERS: Final = ("api", "mail")
"""The groups of settings that a command uses. Errors in the others do not stop it."""

WORDS: Final[dict[type[DomainError], str]] = {
    AccountNotFound: "No account has this address.",
    EmailIncorrect: "This is not an e-mail address.",
    EmailTaken: "Another account has this address already.",
    PasswordCommon: "The password is one of the most common ones.",
}


def commands(serve: Callable[[bool], None]) -> Commands:
    return Commands(
        version=lambda: str(this_build()),
        serve=serve,
        database=Database(
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
            may_fill=lambda: _settings(DATABASE).local,
        ),
        users=Users(
            where=database_name,
            create=create_user,
            all=all_users,
            password=set_password_of_user,
            disable=disable_user,
            enable=enable_user,
            delete=delete_user,
            sessions=sessions_of_user,
        ),
        create_module=create_module,
        try_mail=try_mail,
        settings=settings_in_force,
    )


# The database


def database_name() -> str:
    """Names the database and the environment, so that people notice before a command changes the wrong database."""
    settings = _settings(DATABASE)
    environment = settings.environment.value
    if settings.database.url is None:
        return f"the embedded database in {settings.var_dir} ({environment})"
    return f"the database {parse(settings.database.url).label} ({environment})"


def create_database() -> bool:
    settings = _settings(DATABASE)
    if settings.database.url is None:
        was_there = (settings.var_dir / "postgres").exists()
        with _refusals(settings), _server(settings) as url, _maintenance(url) as connection:
            return _create(connection, database_of(url)) or not was_there
    with _refusals(settings), _maintenance(settings.database.url) as connection:
        return _create(connection, database_of(settings.database.url))


def drop_database(force: bool) -> bool:
    settings = _settings(DATABASE)
    if settings.database.url is None and not (settings.var_dir / "postgres").exists():
        return False
    with _refusals(settings), _server(settings) as url, _maintenance(url) as connection:
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

    return _on_engine(work)


def fill_database() -> None:
    settings = _settings(ACCOUNTS)
    if not settings.local:
        raise CommandRefused(
            f"ENVIRONMENT is {settings.environment.value}: examples are for LOCAL, because their password is published."
        )

    async def migrated(engine: AsyncEngine) -> None:
        await check_home(engine)
        await check_revision(engine)
        await migrate(engine)

    _on_engine(migrated)

    async def work(application: Application) -> None:
        async with filling_alone(application.adapters.engine()):
            await application.administration().fill_catalogues()
            await application.administration().fill_examples()

    _on_application(work, ACCOUNTS)


def check_database(repair: bool, progress: Callable[[int, int], None]) -> Examined:
    async def work(engine: AsyncEngine) -> Examined:
        await _check_tables(engine)
        return await Checkup(engine, repair=repair, progress=progress, deadline=LONG)()

    return _on_engine(work)


def import_database(source: str, password: str | None, progress: Callable[[int, int], None]) -> Imported:
    settings = _settings(ACCOUNTS)
    with _refusals(settings), _server(settings) as url:
        try:
            return import_original(settings, url, source, password, progress)
        except BadSource:
            raise CommandRefused("The source is not the URL of a PostgreSQL database.", WRONG) from None
        except NotAnOriginal as why:
            raise CommandRefused(str(why), WRONG) from None
        except psycopg.OperationalError as error:
            raise CommandRefused(f"The source cannot be read: {cause_of(error)}", WRONG) from None


def dump_database(file: str, progress: Callable[[int, int], None]) -> DumpSummary:
    settings = _settings(DATABASE)
    with _refusals(settings):
        return backup.dump_database(_server(settings), file, progress)


def restore_database(file: str, replace: bool, progress: Callable[[int, int], None]) -> DumpSummary:
    settings = _settings(DATABASE)

    def create(url: str) -> None:
        try:
            asyncio.run(reach(url))
        except CannotConnect as why:
            if why.wrong != "database":
                raise
            with _maintenance(url) as connection:
                _create(connection, database_of(url))

    with _refusals(settings):
        return backup.restore_database(_server(settings), file, create, replace=replace, progress=progress)


def adopt_database() -> tuple[str, int]:
    async def work(engine: AsyncEngine) -> tuple[str, int]:
        if await check_revision(engine) == NOTHING:
            raise CommandRefused("The database has no tables yet: run `messenger db migrate` first.", WRONG)
        adopted = await adopt(engine, SystemIds().fresh(), deadline=LONG)
        return str(adopted.generation), adopted.base

    return _on_engine(work)


# Accounts


def create_user(email: str, password: str) -> str:
    async def work(application: Application) -> str:
        command = CreateAccount(email=Email(email), password=Password(password))
        return str(await application.administration().create_account(command))

    return _on_application(work)


def all_users() -> Iterable[Account]:
    async def work(application: Application) -> list[Account]:
        return [account async for account in application.administration().list_accounts()]

    return _on_application(work)


def set_password_of_user(email: str, password: str) -> int:
    async def work(application: Application) -> int:
        command = AssignPassword(email=Email(email), password=Password(password))
        return await application.administration().assign_password(command)

    return _on_application(work)


def disable_user(email: str) -> int:
    async def work(application: Application) -> int:
        return await application.administration().disable_account(DisableAccount(email=Email(email)))

    return _on_application(work)


def enable_user(email: str) -> None:
    async def work(application: Application) -> None:
        await application.administration().enable_account(EnableAccount(email=Email(email)))

    _on_application(work)


def delete_user(email: str) -> int:
    async def work(application: Application) -> int:
        administration = application.administration()
        ended = await administration.delete_account(DeleteAccount(email=Email(email)))
        # A running messenger would do this within a minute. If none is running, their chats need not wait for the next one.
        await administration.clear_closed_accounts()
        return ended

    return _on_application(work)


def sessions_of_user(email: str) -> Sequence[Session]:
    async def work(application: Application) -> Sequence[Session]:
        return await application.administration().list_sessions(Email(email))

    return _on_application(work)


# Everything else


def create_module(name: str) -> Sequence[Path]:
    try:
        return lay_module(name, Path.cwd())
    except (BadModuleName, AlreadyThere) as why:
        raise CommandRefused(str(why)) from None


def try_mail(address: str) -> str:
    settings = _settings(LETTERS)
    with _refusals(settings):
        recipient = Email(address)
        now, ids = SystemClock().now(), SystemIds()
        letter = Letter(
            id=ids.letter(),
            account_id=AccountId(UUID(int=0)),
            template=Template.CONFIRM_EMAIL,  # not used: `TrialWriter` writes a text of its own
            recipient=recipient,
            created_at=now,
            next_attempt_at=now,
        )
        mailer = make_mailer(settings, lambda _link: None, TrialWriter)
        try:
            asyncio.run(_send(mailer.send(letter, None)))
        except NotDelivered as why:
            raise CommandRefused(f"Not sent: {why.reason}") from None
    if isinstance(mailer, SmtpMailer):
        return f"Sent to {address} by {settings.mail.server}:{settings.mail.port} ({settings.environment.value})."
    return f"MAIL_SERVER is not set: written to {settings.var_dir / 'mail'} ({settings.environment.value})."


def settings_in_force() -> Sequence[EffectiveSetting]:
    try:
        told = explain(os.environ, DOTENV)
    except WrongSettings as wrong:
        raise CommandRefused(str(wrong), WRONG) from None
    return [EffectiveSetting(name=name, value=value, source=source) for name, value, source in told]


# Shared helpers


async def _send(sending: Awaitable[None]) -> None:
    await sending


def _settings(needed: Sequence[str]) -> Settings:
    try:
        return load(os.environ, DOTENV, needed=needed)
    except WrongSettings as wrong:
        raise CommandRefused(str(wrong), WRONG) from None


@contextmanager
def _refusals(settings: Settings) -> Iterator[None]:
    """Turns errors into messages for people, with the exit codes of docs/commands.md."""
    try:
        yield
    except (CannotStartPostgres, UnusableDatabase) as why:
        raise CommandRefused(refusal(why, settings), WRONG) from None
    except ApplicationError as error:
        raise CommandRefused(f"Not done: {cause_of(error) or error.code}") from None
    except PasswordUnfit as error:
        _, rule = settings.auth.password_pattern.wording
        raise CommandRefused(WORDS.get(type(error), f"The password is too weak: {rule}.")) from None
    except DomainError as error:
        raise CommandRefused(WORDS.get(type(error), error.code)) from None
    except psycopg.Error as error:
        raise CommandRefused(f"The database refuses: {cause_of(error)}", NOT_DONE) from None


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """Yields the URL of the database. The embedded one runs until the block ends."""
    if settings.database.url is not None:
        yield settings.database.url
        return
    postgres = EmbeddedPostgres(var_dir=settings.var_dir)
    if running := postgres.find_running():
        yield running
        return
    try:
        yield postgres.start()
    finally:
        postgres.stop()


def _on_engine(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    settings = _settings(DATABASE)

    async def run(url: str) -> T:
        await reach(url)
        engine = make_engine(url, deadline=LONG)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    with _refusals(settings), _server(settings) as url:
        return asyncio.run(run(url))


def _on_application(work: Callable[[Application], Awaitable[T]], needed: Sequence[str] = ACCOUNTS) -> T:
    settings = _settings(needed)

    async def run(url: str) -> T:
        await reach(url)
        application = Application(adapters=PostgresAdapters(settings=settings, url=url))
        async with closing(application):
            await _check_tables(application.adapters.engine())
            await check_home(application.adapters.engine())
            return await work(application)

    with _refusals(settings), _server(settings) as url:
        return asyncio.run(run(url))


async def _check_tables(engine: AsyncEngine) -> None:
    found, needed = await check_revision(engine), newest_revision()
    if found != needed:
        raise CommandRefused(
            f"The database is at {found}, this version needs {needed}: run `messenger db migrate` first.",
            WRONG,
        )


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

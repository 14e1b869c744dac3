"""
Shared by the commands: reads the settings that a command uses, connects to its database, and turns errors into messages.

The embedded database is started for that time, unless a running messenger has started it already.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from application.errors import ApplicationError
from config.container import Application, PostgresAdapters, closing
from config.refusals import cause_of, refusal
from config.running import run_until_signal
from config.settings.groups import Settings
from config.settings.load import load
from config.settings.texts import DOTENV, WrongSettings
from domain.account import AccountNotFound, EmailIncorrect, EmailTaken, PasswordCommon, PasswordUnfit
from domain.errors import DomainError
from domain.factor import FactorNotOn
from infrastructure.postgres.driver.engine import close_engine, make_engine
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.schema.distribution import check_divided
from infrastructure.postgres.schema.migrate import check_revision, newest_revision
from infrastructure.postgres.server.adoption import check_home
from infrastructure.postgres.server.embedded import CannotStartPostgres, EmbeddedPostgres
from infrastructure.postgres.server.reach import reach
from interfaces.cli.looks import NOT_DONE, WRONG, CommandRefused

T = TypeVar("T")

LONG: Final = 3600.0
"""Seconds that a statement of an operator's command may take."""

DATABASE: Final = ("database",)
ACCOUNTS: Final = ("database", "auth", "chat")
LETTERS: Final = ("api", "mail")
"""The groups of settings that a command uses. Errors in the others do not stop it."""

WORDS: Final[dict[type[DomainError], str]] = {
    AccountNotFound: "No account has this address.",
    FactorNotOn: "The account has no second factor.",
    EmailIncorrect: "This is not an e-mail address.",
    EmailTaken: "Another account has this address already.",
    PasswordCommon: "The password is one of the most common ones.",
}


def settings_for(needed: Sequence[str]) -> Settings:
    try:
        return load(os.environ, DOTENV, needed=needed)
    except WrongSettings as wrong:
        raise CommandRefused(str(wrong), WRONG) from None


def database_name() -> str:
    """Names the database and the environment, so that people notice before a command changes the wrong database."""
    settings = settings_for(DATABASE)
    environment = settings.environment.value
    if settings.database.url is None:
        return f"the embedded database in {settings.var_dir} ({environment})"
    return f"the database {parse(settings.database.url).label} ({environment})"


@contextmanager
def refusals(settings: Settings) -> Iterator[None]:
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
def server(settings: Settings) -> Iterator[str]:
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


def on_engine(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    settings = settings_for(DATABASE)

    async def run(url: str) -> T:
        await reach(url)
        engine = make_engine(url, deadline=LONG)
        try:
            return await work(engine)
        finally:
            await close_engine(engine)

    with refusals(settings), server(settings) as url:
        return run_until_signal(run(url))


def on_application(work: Callable[[Application], Awaitable[T]], needed: Sequence[str] = ACCOUNTS) -> T:
    settings = settings_for(needed)

    async def run(url: str) -> T:
        await reach(url)
        application = Application(adapters=PostgresAdapters(settings=settings, url=url))
        async with closing(application):
            await check_tables(application.adapters.engine())
            await check_home(application.adapters.engine())
            await check_divided(application.adapters.engine(), expected=settings.database.divided)
            return await work(application)

    with refusals(settings), server(settings) as url:
        return run_until_signal(run(url))


async def check_tables(engine: AsyncEngine) -> None:
    found, needed = await check_revision(engine), newest_revision()
    if found != needed:
        raise CommandRefused(
            f"The database is at {found}, this version needs {needed}: run `messenger db migrate` first.",
            WRONG,
        )

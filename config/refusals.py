"""Explains in one line why the messenger cannot start or a command cannot run, and names the setting."""

from typing import Final

from sqlalchemy.exc import DBAPIError

from application.errors import ApplicationError
from config.settings.groups import Settings
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.server.reach import CannotConnect

IN_PARTS: Final = {
    "password": "PG_SERVER_PASSWD",
    "login": "PG_SERVER_LOGIN",
    "database": "PG_SERVER_DB",
    "access": "PG_SERVER_LOGIN",
    "address": "PG_SERVER_ADDRESS",
}
"""The setting of the original messenger that is responsible for each kind of connection error."""


class CannotStart(Exception):
    """The messenger cannot start. The text is one line that names the setting and the cause."""


def refusal(error: Exception, settings: Settings) -> str:
    if isinstance(error, UnusableDatabase) and settings.database.url is not None:
        hint = ""
        if isinstance(error, CannotConnect) and error.wrong == "database":
            hint = ": create it with `messenger db create`, or correct the name"
        return f"{database_setting(settings, error)}: {error}{hint}"
    return str(error)


def database_setting(settings: Settings, error: Exception | None = None) -> str:
    if not settings.database.in_parts:
        return "DATABASE_URL"
    return IN_PARTS.get(error.wrong if isinstance(error, CannotConnect) else "", "PG_SERVER_DB")


def cause_of(error: BaseException) -> str:
    """Returns the first line of the innermost cause of a storage error."""
    while isinstance(error, ApplicationError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

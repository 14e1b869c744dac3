"""Translates driver errors into application errors: either nothing was stored, or the outcome is unknown."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from application.errors import ApplicationError, OutcomeUnknown, Unavailable
from application.ports.posting import Indigestible, Interrupted
from infrastructure.complaints import Complaints

log = getLogger(__name__)

IDLE_IN_TRANSACTION: Final = "25P03"
TRANSACTION_TIMEOUT: Final = "25P04"
READ_ONLY: Final = "25006"
"""The server accepts no writes: it is a standby, or writes have been forbidden for the database."""

NO_PRIVILEGE: Final = "42501"
UNDEFINED_TABLE: Final = "42P01"

ENDED: Final = ("57P01", "57P02", "57P05")
"""The server has ended the connection: an administrator asked for it, it crashed, or the session was idle for too long."""

ROLLED_BACK: Final = (IDLE_IN_TRANSACTION, TRANSACTION_TIMEOUT)
"""The server has rolled the transaction back and then ended the connection."""

UNSURE: Final = ("08", "58", "XX")
"""Error classes that leave the outcome of a COMMIT unknown. A pooler that loses its server reports class 08."""

ENDING: Final = ("FATAL", "PANIC")
"""
The severities of errors after which the server closes the connection. If it cannot write its log at a COMMIT, for example because the
disk is full (53100), it panics, and what it had written of the log before decides after the restart whether the transaction is committed.
"""


class UnusableDatabase(Exception):
    """The database cannot be used as it is, and waiting will not help. The message says why and what to do, in one line."""


def meaning(error: psycopg.Error, *, committing: bool) -> ApplicationError:
    """
    Returns the application error for a driver error, by its SQLSTATE.

    With ``committing`` the error occurred during COMMIT. If no answer came, or the answer says that the connection or the
    server was lost, the outcome is unknown.
    """
    state = error.sqlstate
    if committing and (state is None or state in ENDED or state[:2] in UNSURE or _ends_the_connection(error)):
        return OutcomeUnknown()
    if state is None or state in ENDED or state in ROLLED_BACK:
        # includes a server that shuts down: the retry fails to connect and reports that
        return Interrupted("the connection to storage was lost")
    match state[:2]:
        case "08":
            return Interrupted(f"the connection to storage was lost ({state})")
        case "22" | "23":
            return Indigestible(f"storage refuses a value ({state})")
        case "40":
            return Interrupted(f"storage aborted the transaction ({state})")
        case _:
            return Unavailable(f"storage cannot do this now ({state})")


def _ends_the_connection(error: psycopg.Error) -> bool:
    return error.diag.severity_nonlocalized in ENDING and error.sqlstate not in ROLLED_BACK


@contextmanager
def in_our_terms(*, committing: bool = False) -> Iterator[None]:
    """Logs driver errors that are raised in the block and raises them as `ApplicationError`. Other errors pass through."""
    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, committing=committing) from error
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise _translated(error.orig, committing=committing) from error
        raise
    except (PoolTimeout, OSError) as error:
        complaints.tell("unavailable", _cause(error))
        raise Unavailable("storage cannot be reached") from error


def _translated(error: psycopg.Error, *, committing: bool) -> ApplicationError:
    translated = meaning(error, committing=committing)
    complaints.tell(translated.code, _cause(error), error.sqlstate)
    return translated


def _cause(error: Exception) -> str:
    """Describes an error in one line. For refused values the server's message is left out, because it repeats the value."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is not None and state[:2] in {"22", "23"}:
        return type(error).__name__
    text = " ".join(str(error).split("\n", 1)[0].split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


complaints: Final = Complaints("storage", log)

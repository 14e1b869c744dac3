"""What the driver says, in the application's terms: certainly not done, or nobody knows."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from application.errors import ApplicationError, OutcomeUnknown, Unavailable
from application.ports.posting import Indigestible, Interrupted

IDLE_IN_TRANSACTION = "25P03"
SHUT_DOWN = ("57P01", "57P02")


def meaning(error: psycopg.Error, *, committing: bool) -> ApplicationError:
    """
    A driver error in our terms, by SQLSTATE.

    ``committing``: it came in answer to COMMIT. Then no answer at all, or one that says that the server goes down,
    leaves open whether the transaction is stored.
    """
    state = error.sqlstate
    if committing and (state is None or state in SHUT_DOWN):
        return OutcomeUnknown()
    if state is None or state == IDLE_IN_TRANSACTION or state in SHUT_DOWN:
        # also where the server shuts down: who tries again cannot connect then, and is told so
        return Interrupted("the connection to storage was lost")
    match state[:2]:
        case "22" | "23":
            return Indigestible(f"storage refuses a value ({state})")
        case "40":
            return Interrupted(f"storage gave up ({state})")
        case _:
            return Unavailable(f"storage is not able to ({state})")


@contextmanager
def in_our_terms(*, committing: bool = False) -> Iterator[None]:
    """Driver errors raised in the block come out as `ApplicationError`; all others pass."""
    try:
        yield
    except psycopg.Error as error:
        raise meaning(error, committing=committing) from error
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise meaning(error.orig, committing=committing) from error
        raise
    except (PoolTimeout, OSError) as error:
        raise Unavailable("storage cannot be reached") from error

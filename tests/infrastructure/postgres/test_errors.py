import psycopg
import pytest
from psycopg import errors
from psycopg.pq import DiagnosticField
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from application.errors import ApplicationError, OutcomeUnknown, Unavailable
from application.ports.posting import Indigestible, Interrupted
from infrastructure.postgres.driver.errors import in_our_terms, meaning


@pytest.mark.parametrize(
    ("state", "before", "at_commit"),
    [
        (None, Interrupted, OutcomeUnknown),  # the connection is gone
        ("57P01", Interrupted, OutcomeUnknown),  # the server or an administrator ended it
        ("57P02", Interrupted, OutcomeUnknown),  # another backend crashed
        ("25P03", Interrupted, Interrupted),  # idle in transaction for too long: rolled back, also at COMMIT
        ("25P04", Interrupted, Interrupted),  # the transaction took too long: rolled back
        ("57P05", Interrupted, OutcomeUnknown),  # idle for too long
        ("08P01", Interrupted, OutcomeUnknown),  # what a pooler says when it has lost its server
        ("58030", Unavailable, OutcomeUnknown),  # the server cannot write
        ("25006", Unavailable, Unavailable),  # accepts no writes
        ("22021", Indigestible, Indigestible),  # not in the encoding
        ("23505", Indigestible, Indigestible),  # unique
        ("40001", Interrupted, Interrupted),  # serialization
        ("40P01", Interrupted, Interrupted),  # deadlock
        ("53100", Unavailable, Unavailable),  # disk full
        ("55P03", Unavailable, Unavailable),  # lock timeout
        ("57014", Unavailable, Unavailable),  # statement timeout
        ("57P03", Unavailable, Unavailable),  # starting up
        ("42P01", Unavailable, Unavailable),  # no such table
    ],
)
def test_what_an_error_says_for_certain(
    state: str | None, before: type[ApplicationError], at_commit: type[ApplicationError]
) -> None:
    error = psycopg.OperationalError() if state is None else errors.lookup(state)()
    assert type(meaning(error, committing=False)) is before
    assert type(meaning(error, committing=True)) is at_commit


@pytest.mark.parametrize(
    ("severity", "state", "at_commit"),
    [
        (b"ERROR", "53100", Unavailable),
        (b"PANIC", "53100", OutcomeUnknown),  # while it wrote the log: a part of it may be on the disk
        (b"FATAL", "57P04", OutcomeUnknown),  # the database was dropped
        (b"FATAL", "25P03", Interrupted),
    ],
)
def test_a_commit_that_took_the_server_down_may_be_stored(
    severity: bytes, state: str, at_commit: type[ApplicationError]
) -> None:
    told: dict[int, bytes | None] = {DiagnosticField.SEVERITY_NONLOCALIZED: severity}
    error = errors.lookup(state)(info=told)
    assert type(meaning(error, committing=True)) is at_commit
    assert type(meaning(error, committing=False)) is not OutcomeUnknown


def test_the_driver_and_the_pool_are_translated_and_nothing_else_is() -> None:
    with pytest.raises(Unavailable), in_our_terms():
        raise DBAPIError("SELECT 1", None, errors.DiskFull())
    with pytest.raises(Unavailable), in_our_terms():
        raise PoolTimeout
    with pytest.raises(Unavailable), in_our_terms():
        raise ConnectionRefusedError
    with pytest.raises(OutcomeUnknown), in_our_terms(committing=True):
        raise psycopg.OperationalError
    with pytest.raises(ZeroDivisionError), in_our_terms():
        raise ZeroDivisionError

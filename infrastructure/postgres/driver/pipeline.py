"""
Several statements in one exchange with the server (libpq's pipeline mode).

Waiting for an answer costs the process and the server more than a small statement does. The server carries out the
statements of an exchange one after the other, as if each had waited for the answer to the one before, and none after one
that fails.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import count
from typing import Any, Final, LiteralString

import psycopg
from attrs import frozen
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import WAIT_R, WAIT_RW, Ready

from infrastructure.postgres.driver.arrays import Packed
from infrastructure.postgres.driver.connection import Connection, cut
from infrastructure.postgres.driver.errors import ENDING

Rows = list[tuple[Any, ...]]

_numbers: Final = count()
"""Numbers the prepared statements. Each number is used once, because a statement whose answer was not read may be prepared."""

DONE: Final = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


@frozen(eq=False)
class Statement:
    """A statement with ``%s`` for each parameter. If it has any, each connection prepares it once."""

    text: LiteralString
    parameters: Sequence[Packed] = ()


COMMIT: Final = Statement("COMMIT")


class Refused(Exception):
    """The server refused a statement with ``error``. The statements of the exchange after it were not carried out."""

    def __init__(self, statement: Statement, error: psycopg.Error) -> None:
        super().__init__(statement.text, error)
        self.statement = statement
        self.error = error


@frozen(eq=False)
class Found:
    """The answer to a statement. Its rows are decoded when they are asked for."""

    _load: Callable[[int, int], Rows]
    count: int

    def rows(self, first: int = 0, end: int | None = None) -> Rows:
        """Returns the rows from number ``first`` to before ``end``."""
        end = self.count if end is None else min(end, self.count)
        return self._load(first, end) if first < end else []


@frozen
class _Sent:
    statement: Statement
    name: bytes
    is_new: bool
    """True if the statement was prepared in this exchange. The server then sends a separate answer for the preparation."""


async def ask(connection: Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
    """
    Carries out statements in one exchange, and returns the rows of each. See `find`.
    """
    return [found.rows() for found in await find(connection, statements)]


async def find(connection: Connection[Any], statements: Sequence[Statement]) -> list[Found]:
    """
    Carries out statements in one exchange, and returns what answers each.

    Raises:
        Refused: The server refused one of them.
        psycopg.OperationalError: The connection was lost. Each of them may have been carried out, or not.
    """
    sent, answers = await _exchange(connection, statements)
    return [_found(connection, each, answers) for each in sent]


async def carry_out(connection: Connection[Any], statement: Statement) -> Rows:
    """
    Carries out a statement as a transaction of its own, and returns its rows. The server commits it without BEGIN and COMMIT.

    Raises:
        Refused: The server refused it. If the statement of the error is `COMMIT`, it was carried out before that, and may have been
            committed.
        psycopg.OperationalError: The connection was lost. It may have been committed.
    """
    (sent,), answers = await _exchange(connection, (statement,))
    found = _found(connection, sent, answers)
    for late in answers:  # the server commits when it has answered the statement
        raise Refused(COMMIT, error_from_result(late))
    return found.rows()


async def _exchange(
    connection: Connection[Any], statements: Sequence[Statement]
) -> tuple[Sequence["_Sent"], Iterator[PGresult]]:
    pgconn = connection.pgconn
    async with connection.lock:
        pgconn.enter_pipeline_mode()
        try:
            sent = [_send(connection, statement) for statement in statements]
            pgconn.pipeline_sync()
            return sent, iter(await connection.wait(_answers(pgconn)))
        finally:
            try:
                pgconn.exit_pipeline_mode()
            except psycopg.OperationalError:  # it was interrupted, or the connection is lost
                cut(connection)


def notice_end(connection: Connection[Any]) -> None:
    """
    Raises:
        psycopg.OperationalError: The server has closed the connection, so that nothing can be carried out on it any more.
    """
    for _ in ("what it said", "that it has ended"):
        connection.pgconn.consume_input()


def _send(connection: Connection[Any], statement: Statement) -> _Sent:
    pgconn, parameters = connection.pgconn, statement.parameters
    text = _numbered(statement.text)
    values = [each.data for each in parameters]
    formats = [Format.BINARY] * len(values)
    if not parameters or connection.is_pooled:
        types = [each.oid for each in parameters]
        pgconn.send_query_params(text, values, types, formats, Format.BINARY)
        return _Sent(statement, b"", is_new=False)
    name = connection.prepared.get(statement.text)
    is_new = name is None
    if name is None:
        name = b"messenger_%d" % next(_numbers)
        pgconn.send_prepare(name, text, [each.oid for each in parameters])
    pgconn.send_query_prepared(name, values, formats, Format.BINARY)
    return _Sent(statement, name, is_new)


@cache
def _numbered(text: LiteralString) -> bytes:
    """Returns the statement with the placeholders of the server: ``$1``, ``$2`` and so on."""
    first, *others = text.split("%s")
    return "".join((first, *(f"${number}{other}" for number, other in enumerate(others, 1)))).encode()


def _answers(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """
    Reads all answers of an exchange. If the server says why it ends the connection, that is the last answer.

    Raises:
        psycopg.OperationalError: The connection was lost.
    """
    found: list[PGresult] = []
    while pgconn.flush():
        ready = yield WAIT_RW  # nothing, if the waiting was cancelled
        if ready and ready & Ready.R:  # the server may not read on before its answers are read
            pgconn.consume_input()
    try:
        # before anything is read, because sending may have found the server's last words
        while not _take(pgconn, found):
            yield WAIT_R
            pgconn.consume_input()
    except psycopg.OperationalError:
        if not found or _severity(found[-1]) not in ENDING:
            raise
    return found


def _take(pgconn: PGconn, found: list[PGresult]) -> bool:
    """Takes the answers that have arrived. Returns whether they are all."""
    while not pgconn.is_busy():
        answer = pgconn.get_result()
        if answer is None:  # stands between the answers of two statements
            if pgconn.status == ConnStatus.BAD:
                raise psycopg.OperationalError("the connection is lost")
        elif answer.status == ExecStatus.PIPELINE_SYNC:
            return True
        elif answer.status == ExecStatus.FATAL_ERROR and _severity(answer) is None:
            raise psycopg.OperationalError(answer.get_error_message())  # libpq's own: it lost the connection
        else:
            found.append(answer)
    return False


def _severity(answer: PGresult) -> str | None:
    found = answer.error_field(DiagnosticField.SEVERITY_NONLOCALIZED)
    return None if found is None else found.decode()


def _found(connection: Connection[Any], sent: _Sent, answers: Iterator[PGresult]) -> Found:
    if sent.is_new:
        _check(sent, next(answers))
        connection.prepared[sent.statement.text] = sent.name
    answer = next(answers)
    _check(sent, answer)
    loading = Transformer(connection)
    if answer.ntuples:
        loading.set_pgresult(answer)
    return Found(lambda first, end: loading.load_rows(first, end, tuple), answer.ntuples)


def _check(sent: _Sent, answer: PGresult) -> None:
    if answer.status not in DONE:
        raise Refused(sent.statement, error_from_result(answer))

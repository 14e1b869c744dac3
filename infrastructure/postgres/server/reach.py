"""Whether a database can be connected to, waiting for one that is not there yet."""

import asyncio
import re
import time
from logging import getLogger
from typing import Final

import psycopg
from psycopg.rows import tuple_row

from infrastructure.postgres.driver.connection import Connector
from infrastructure.postgres.driver.errors import UnusableDatabase

log = getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts; each pause is twice the one before."""

FOR_GOOD: Final = {
    "password": re.compile(r"password authentication failed|no password supplied"),
    "login": re.compile(r'role "[^"]*" (does not exist|is not permitted to log in)'),
    "database": re.compile(r'database "[^"]*" (does not exist|is not currently accepting)'),
    "access": re.compile(
        r"no pg_hba\.conf entry|permission denied for database|SSL|certificate|authentication method"
        r"|authentication failed"
    ),
}
"""
Messages of the server or libpq after which waiting is of no use, by what is wrong. libpq gives no SQLSTATE for a refused
connection, only text. After any other message the connection is tried again, and the message is reported in the end.
"""


class CannotConnect(UnusableDatabase):
    """
    No connection to the database can be made. ``wrong`` is what about it: ``password``, ``login``, ``database``, ``access``,
    or ``address`` where no server answered.
    """

    def __init__(self, wrong: str, cause: str) -> None:
        super().__init__(cause)
        self.wrong = wrong
        self.cause = cause

    @classmethod
    def of(cls, error: psycopg.Error) -> "CannotConnect":
        text = str(error)
        cause = _shortened(text)
        for wrong, pattern in FOR_GOOD.items():
            if pattern.search(text):
                return cls(wrong, cause)
        return cls("address", cause)


async def reach(url: str, *, patience: float = 0.0, deadline: float = 10.0) -> None:
    """
    Connects once. A server that does not answer yet is asked again for ``patience`` seconds.

    Raises:
        CannotConnect: The connection failed.
        UnusableDatabase: The database can never be used as it is.
    """
    connector = Connector(target=url, deadline=deadline)
    until, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        try:
            connection = await connector.connect(tuple_row)
        except psycopg.OperationalError as error:
            refused = CannotConnect.of(error)
            if refused.wrong != "address" or time.monotonic() + pause > until:
                raise refused from None
            if pause == FIRST_PAUSE:
                log.warning(
                    "the database is not there yet: %s", refused.cause, extra={"waiting_seconds": patience}
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            await connection.close()
            return


def _shortened(text: str) -> str:
    """One line: the last attempt's, as with several hosts each has a line of its own."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Multiple")]
    line = next((line for line in lines if "failed:" in line), lines[0] if lines else "no answer")
    return line.removeprefix("connection failed: ").removeprefix("- ")

"""Checks that a database accepts connections, and waits for one that is still starting."""

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
"""Seconds. Pauses between attempts double from `FIRST_PAUSE` up to this."""

PERMANENT: Final = {
    "password": re.compile(r"password authentication failed|no password supplied"),
    "login": re.compile(r'role "[^"]*" (does not exist|is not permitted to log in)'),
    "database": re.compile(r'database "[^"]*" (does not exist|is not currently accepting)'),
    "access": re.compile(
        r"no pg_hba\.conf entry|permission denied for database|SSL|certificate|authentication method"
        r"|authentication failed"
    ),
}
"""
Messages of the server or of libpq for errors that waiting cannot mend, by what is wrong. libpq gives no SQLSTATE for a
refused connection, only text. Messages that are not recognised here are retried and finally reported unchanged.
"""


class CannotConnect(UnusableDatabase):
    """
    No connection to the database can be made. ``wrong`` is the reason: ``password``, ``login``, ``database``, ``access``, or
    ``address`` if no server answered.
    """

    def __init__(self, wrong: str, cause: str) -> None:
        super().__init__(cause)
        self.wrong = wrong
        self.cause = cause

    @classmethod
    def of(cls, error: psycopg.Error) -> "CannotConnect":
        text = str(error)
        cause = _shortened(text)
        for wrong, pattern in PERMANENT.items():
            if pattern.search(text):
                return cls(wrong, cause)
        return cls("address", cause)


async def reach(url: str, *, patience: float = 0.0, deadline: float = 10.0) -> None:
    """
    Connects once, as a check. If the server does not answer, tries again for up to ``patience`` seconds.

    Raises:
        CannotConnect: No connection could be made.
        UnusableDatabase: The encoding of the database or the version of the server is not supported.
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
    """Reduces an error message to one line: that of the first failed host, as libpq writes a line for each."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Multiple")]
    line = next((line for line in lines if "failed:" in line), lines[0] if lines else "no answer")
    return line.removeprefix("connection failed: ").removeprefix("- ")

"""Remembers writes that found the disk full, so that readiness can tell of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from attrs import define, field
from sqlalchemy.exc import DBAPIError

from application.errors import Unavailable

LASTS: Final = 30.0
"""
Seconds after a failed write during which storage counts as not writable. A check could not tell: a full disk may have room
for a small row, but not for a new page.
"""

DISK_FULL: Final = "53100"


@define(eq=False)
class WriteTrouble:
    now: Callable[[], float] = time.monotonic
    _failed_at: float | None = field(init=False, default=None)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Remembers an error that is raised in the block, if it says that the disk is full."""
        try:
            yield
        except Unavailable as error:
            if _sqlstate_of(error.__cause__) == DISK_FULL:
                self._failed_at = self.now()
            raise

    def check(self) -> None:
        """
        Raises:
            Unavailable: A write failed in the last `LASTS` seconds.
        """
        if self._failed_at is not None and self.now() < self._failed_at + LASTS:
            raise Unavailable(f"the disk of storage is full ({DISK_FULL})")


def _sqlstate_of(error: BaseException | None) -> str | None:
    if isinstance(error, DBAPIError):
        error = error.orig
    return error.sqlstate if isinstance(error, psycopg.Error) else None

"""Warnings about what callers are refused or have to wait for, for every adapter."""

import time
from collections.abc import Callable
from logging import Logger
from traceback import walk_stack

from attrs import define, field


@define(eq=False)
class Complaints:
    """
    Logs warnings about one ``subject``: each kind at most once in ``every`` seconds, with the number of suppressed lines.

    Each line has the use case that asked, such as ``messages.send``, as ``asked``, if one did.
    """

    subject: str
    log: Logger
    every: float = 60.0
    now: Callable[[], float] = time.monotonic
    _told: dict[tuple[str, str | None], float] = field(init=False, factory=dict)
    _left_out: dict[tuple[str, str | None], int] = field(init=False, factory=dict)

    def tell(self, what: str, cause: str, sqlstate: str | None = None) -> None:
        """Logs that ``what`` happened to a request because of ``cause``. A kind is ``what`` with its SQLSTATE."""
        kind, now = (what, sqlstate), self.now()
        if kind in self._told and now - self._told[kind] < self.every:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._told[kind] = now
        self.log.warning(
            "%s: %s: %s",
            self.subject,
            what,
            cause,
            extra={
                "sqlstate": sqlstate,
                "asked": _use_case(),
                "since_the_last_such_line": self._left_out.pop(kind, 0),
            },
        )


def _use_case() -> str | None:
    """Returns the module of the use case that is running, without its layer."""
    for frame, _ in walk_stack(None):
        layer, _, name = frame.f_globals.get("__name__", "").partition(".")
        if layer == "application":
            return str(name)
    return None

"""What must hold whatever is sent: the server never fails, tells nothing of itself, stays small, and goes on serving others."""

import logging
import re
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import Factory, define, field

from tests.interfaces.ws.house import used

INTERNALS: Final = re.compile(
    r"Traceback|File \"|\.py\b|SELECT |INSERT |psycopg|sqlalchemy|starlette|uvicorn|attrs\.|0x[0-9a-f]{8,}|/site-packages/"
    r"|\bat line \d+ in\b|Error:|Exception"
)
"""What an answer has only if it shows how the server is made."""

GROWTH: Final = 96 * 1024 * 1024
"""Bytes by which the process may grow. What is stored stays, and the tools of the test grow too."""

QUIET: Final = 10
"""Times that a well-behaved client asks before anything hostile is sent."""


class Fault(AssertionError):
    """Something that must not happen, with what was sent."""


@define(eq=False)
class Oracle:
    """Collects what happened. ``faults`` is empty if everything held."""

    sent: int = 0
    answers: Counter[str] = Factory(Counter)
    faults: list[str] = Factory(list)
    quiet: list[float] = Factory(list)
    """Seconds that a well-behaved client waited before anything hostile was sent."""
    control: "Oracle | None" = None
    """The record of a run that sent the same bytes to a listener that is not the messenger."""
    waits: list[float] = Factory(list)
    """Seconds that it waited while something hostile was being answered."""
    _began: float = field(init=False, factory=time.monotonic)
    _memory: int = field(init=False, default=0)

    def fault(self, what: str, sent: bytes) -> None:
        self.faults.append(f"{what}\n    sent: {sent[-1500:]!r}")

    def heard(self, kind: str, text: str, sent: bytes) -> None:
        """Judge an answer: ``kind`` is a status, a type of frames or a close code."""
        self.sent += 1
        self.answers[kind] += 1
        if kind in {"500", "502", "504", "1011", "1006"}:
            self.fault(f"the server failed with {kind}: {text[:300]}", sent)
        is_document = kind in {
            "200",
            "304",
        }  # those of the interface describe programs, and are for everybody
        if not is_document and (found := INTERNALS.search(_without_what_was_sent(text, sent))):
            self.fault(f"an answer {kind} shows internals: {found[0]!r} in {text[:300]!r}", sent)

    def begins(self) -> None:
        """Remember the memory before anything hostile is sent."""
        self._memory = used()

    def small(self) -> None:
        """Judge how much the process has grown since it began, or since it was found too large."""
        if used() - self._memory > GROWTH:
            self.fault(f"the process has grown by {(used() - self._memory) // 2**20} MiB", b"")
            self._memory = used()

    def report(self) -> str:
        seconds = time.monotonic() - self._began
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.answers.most_common(30))
        return (
            f"{self.sent} sent in {seconds:.0f} s, {len(self.faults)} faults; memory {self._memory // 2**20} MiB, then"
            f" {used() // 2**20} MiB\n{self.delay()}\nanswers: {kinds}"
        )

    def delay(self) -> str:
        """Returns the p99 of the well-behaved client as text, and the part of its delay that the messenger caused."""
        control = self.control.waits if self.control else []
        told = [
            f"{when} {_p99(waits):.1f} ms ({len(waits)} times)"
            for when, waits in (("before", self.quiet), ("control", control), ("meanwhile", self.waits))
            if waits
        ]
        ratios = [
            f"{_p99(self.waits) / _p99(waits):.2f} of {when}"
            for when, waits in (("before", self.quiet), ("the control", control))
            if waits and self.waits
        ]
        return f"the p99 of a well-behaved client: {', '.join(told + ratios)}"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Watches the log: no input may be worth an error, and none may leave a traceback."""
        handler = _Errors(self)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)


def _p99(seconds: list[float]) -> float:
    """Return the 99th percentile in milliseconds, or 0 of nothing."""
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000 if seconds else 0.0


class _Errors(logging.Handler):
    def __init__(self, oracle: Oracle) -> None:
        super().__init__(logging.WARNING)
        self.oracle = oracle

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            why = "".join(traceback.format_exception(*record.exc_info))[-1500:] if record.exc_info else ""
            self.oracle.fault(f"the log has an error: {record.name}: {record.getMessage()[:500]}\n{why}", b"")


def _without_what_was_sent(text: str, sent: bytes) -> str:
    """Answers repeat values that are wrong. Only what the client did not write can be of the server."""
    return (
        ""
        if any(each in sent.decode("latin-1") for each in (".py", "Error:", "Exception", "SELECT "))
        else text
    )

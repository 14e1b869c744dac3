"""
Logging to standard error, one line per record: `key=value` in LOCAL, JSON elsewhere.

Code that logs leaves out tokens, passwords and the texts of messages. If one gets into a record all the same, for example
with the text of an exception, it is cut out here.
"""

import json
import logging
import os
import re
import select
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from threading import Condition, Event, Thread

from config.settings.groups import Settings

STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
"""The attributes of every record. All others come from ``extra``."""

PRIVATE = frozenset({"token", "password", "secret", "authorization", "cookie", "text", "body", "fingerprint"})

LEFT_OUT = "[left out]"

CUTS = (
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), LEFT_OUT),  # a signed token
    (re.compile(r"(://[^\s/:@]*):[^\s/@]+@"), rf"\1:{LEFT_OUT}@"),  # the password in an address
    (re.compile(r"([?&]token=)[^\s&\"']+"), rf"\1{LEFT_OUT}"),
    (re.compile(r"(?m)^(\s*DETAIL:).*$"), rf"\1 {LEFT_OUT}"),  # PostgreSQL puts the whole row here
    (
        re.compile(r"(?m)^(\s*\[parameters:).*$"),
        rf"\1 {LEFT_OUT}]",
    ),  # SQLAlchemy puts the bound parameters here
)

SUSPECT = ("eyJ", "://", "token=", "DETAIL:", "[parameters:")
"""
A part of each match of one of `CUTS`: a text without any has nothing to cut out. Looking for them takes a tenth of the time that
the patterns take.
"""

TALKATIVE = ("infrastructure.postgres.driver.engine.CountingPool", "sqlalchemy.pool", "uvicorn.error")
"""
Loggers of SQLAlchemy and uvicorn whose information repeats what the messenger logs itself: lost connections, the end of the
pool, the steps of starting and stopping. LOG_LEVEL=DEBUG shows them.
"""

MOST_WAITING = 10_000
"""In lines. Beyond that, new lines are dropped and counted."""

COLLECTED_FOR = 0.05
"""Seconds for which the writer waits for further lines: each time it runs, all others wait for it."""

PRINTED_FIRST_FOR = 1.0
"""Seconds that the log waits, in its own thread, for what was printed before it."""


def set_up(settings: Settings, after: "Lines | None" = None) -> "Lines":
    """
    Sets up logging for the whole process. The result must be closed at the end, or the last lines are lost. What was given to
    ``after`` before a record is written before it, too, if somebody reads it.
    """
    lines = Lines(sys.stderr.fileno(), after=after)
    lines.setFormatter(Readable() if settings.local else Json())
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(settings.log.level)
    logging.captureWarnings(capture=True)
    # No line tells where in the source it was written, or by which thread: finding that out takes as long as the line itself.
    logging._srcfile = None  # noqa: SLF001  # as the documentation of `logging` advises
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        # The messenger's own access log has the id of the request, and no query with a token in it.
        logger.propagate = name != "uvicorn.access"
    if settings.log.level != "DEBUG":
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        migrations = logging.getLogger("alembic.runtime.migration")
        migrations.addFilter(_tells_of_a_migration)
        if settings.local:  # the first line that a newcomer sees is the address, not how the tables are made
            migrations.setLevel(logging.WARNING)
    return lines


def _tells_of_a_migration(record: logging.LogRecord) -> bool:
    """Leaves out what Alembic says of its context at each start."""
    return record.levelno > logging.INFO or str(record.msg).startswith("Running")


_encode = json.JSONEncoder(
    ensure_ascii=False, default=str
).encode  # `json.dumps` would make an encoder for each line


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _encode(record_fields(record, self.formatException))


class Readable(logging.Formatter):
    """Formats a record as one line of text. The traceback of an exception follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        fields = record_fields(record, self.formatException)
        traceback = fields.pop("exception", "")
        head = " ".join(str(fields.pop(name)) for name in ("time", "level", "logger"))
        message = str(fields.pop("message")).replace("\n", "\\n").replace("\r", "\\r")
        line = " ".join([head, message, *(f"{name}={_quoted(value)}" for name, value in fields.items())])
        return f"{line}\n{traceback}" if traceback else line


def record_fields(record: logging.LogRecord, traceback_of: Callable[..., str]) -> dict[str, object]:
    """The fields of a record, the most important first."""
    fields: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": _cut(record.getMessage()),
    }
    for name, value in vars(record).items():
        if name not in STANDARD_ATTRIBUTES:
            fields[name] = (
                LEFT_OUT if name.lower() in PRIVATE else _cut(value) if isinstance(value, str) else value
            )
    if record.exc_info:
        fields["exception"] = _cut(traceback_of(record.exc_info))
    return fields


def _cut(text: str) -> str:
    for part in SUSPECT:
        if part in text:
            break
    else:
        return text
    for pattern, instead in CUTS:
        text = pattern.sub(instead, text)
    return text


def _quoted(value: object) -> str:
    text = str(value)
    is_plain = text.isprintable() and text and " " not in text and '"' not in text and "=" not in text
    return text if is_plain else json.dumps(text, ensure_ascii=False)


class Lines(logging.Handler):
    """
    Writes to a file descriptor from a thread of its own, so that a blocked reader or a full disk costs lines but does not
    stop the service. The number of dropped lines is logged as soon as lines can be written again.

    A line comes after those that were given to ``after`` before it: output and log may be the same terminal. If those cannot be
    written, they are waited for once and not again until they are.
    """

    def __init__(
        self, descriptor: int, most_waiting: int = MOST_WAITING, after: "Lines | None" = None
    ) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._most = most_waiting
        self._after = after
        self.is_written = Event()
        self.is_written.set()
        self._waits = True
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._closing = False
        self._is_torn = False
        self._changed = Condition()
        # A daemon thread, because it may hang in a blocked write at the end.
        self._writer = Thread(target=self._write, name="logs", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not fail its caller
            line = f"{record.levelname} {record.name} a record that cannot be formatted: {record.msg!r:.200}"
        self.write(line)

    def write(self, line: str) -> None:
        with self._changed:
            if len(self._waiting) >= self._most:
                self._dropped += 1
            else:
                self._waiting.append(line)
                self.is_written.clear()
                if len(self._waiting) == 1:  # otherwise the writer has been woken already
                    self._changed.notify_all()

    def close(self, seconds: float = 1.0) -> None:
        """Waits up to ``seconds`` for the remaining lines to be written."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._after is not None:
            self._after.is_written.set()  # nothing is waited for any more
        self._writer.join(seconds)
        super().close()

    def _write(self) -> None:
        dropped = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                self._changed.wait_for(lambda: self._closing, COLLECTED_FOR)
                is_last = self._closing
                lines = list(self._waiting)
                self._waiting.clear()
                dropped += self._dropped
                self._dropped = 0
            self._let_others_go_first()
            dropped += self._put_all(lines)
            if dropped and not self._put_all([self._note(dropped)]):
                dropped = 0
            with self._changed:
                if not self._waiting:
                    self.is_written.set()
            if is_last:
                return

    def _let_others_go_first(self) -> None:
        if self._after is not None:
            self._waits = self._after.is_written.wait(PRINTED_FIRST_FOR if self._waits else 0)

    def _put_all(self, lines: Sequence[str]) -> int:
        """
        Writes lines, and returns how many of them cannot be written.

        As many as a pipe takes in one piece are written at once: for each write the thread gives the interpreter away, and all
        others wait when it takes it back.
        """
        lost, size = 0, 0
        some: list[bytes] = []
        for line in lines:
            data = f"{line}\n".encode(errors="backslashreplace")
            if some and size + len(data) >= select.PIPE_BUF:  # one byte is left for the end of a torn line
                lost += self._put(some)
                some, size = [], 0
            some.append(data)
            size += len(data)
        return lost + (self._put(some) if some else 0)

    def _put(self, lines: Sequence[bytes]) -> int:
        """Writes lines at once, and returns how many of them cannot be written."""
        lost = 0
        while lines:
            whole = self._put_some(lines)
            lost += whole < len(lines)
            lines = lines[whole + 1 :]
        return lost

    def _put_some(self, lines: Sequence[bytes]) -> int:
        """
        Returns how many lines are written as a whole; the one after these cannot be written. A line after a torn one begins on a
        line of its own.
        """
        first, *others = lines
        parts = [b"\n" + first if self._is_torn else first, *others]
        data, written = b"".join(parts), 0
        try:
            while written < len(data):
                written += _write_some(self._descriptor, data[written:])
                self._is_torn = written not in (0, *accumulate(map(len, parts)))
        except OSError:
            return sum(end <= written for end in accumulate(map(len, parts)))
        return len(lines)

    def _note(self, dropped: int) -> str:
        record = {
            "name": __name__,
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "log lines were dropped",
            "dropped": dropped,
        }
        return self.format(logging.makeLogRecord(record))


def _write_some(descriptor: int, data: bytes) -> int:
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:  # another process, which shares the pipe, has made it non-blocking
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            writable.poll()

import json
import logging
import os
import pty
import re
import select
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.logging import CUTS, LEFT_OUT, Json, Lines, Readable, set_up
from config.settings.groups import Log, Settings
from config.settings.readers import Environment
from tests.terminals import read_to_the_end

PATIENCE = 60.0
"""Seconds after which something hangs."""


def record(message: str = "something happened", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {
            "name": "some.where",
            "levelname": "INFO",
            "levelno": logging.INFO,
            "msg": message,
            "args": arguments,
        }
    )
    vars(made).update(extra)
    return made


def failed(error: Exception) -> logging.LogRecord:
    return record(exc_info=(type(error), error, None))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """
    Nobody reads unless the test does. A test ends the writers that it began: one that is left would write to whatever gets
    the descriptor next.
    """
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue


def test_json_is_one_line_with_everything() -> None:
    line = Json().format(record("хорошо %s", "a\nb", chat="c1", took=0.5, path=Path("x")))
    assert "\n" not in line
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "INFO",
        "logger": "some.where",
        "message": "хорошо a\nb",
        "chat": "c1",
        "took": 0.5,
        "path": "x",
    }


def test_readable_is_one_line_too() -> None:
    line = Readable().format(record("a\nb", chat="c 1", empty="", forged='x" level=ERROR\n'))
    _, rest = line.split(" ", 1)
    assert rest == 'INFO some.where a\\nb chat="c 1" empty="" forged="x\\" level=ERROR\\n"'


@pytest.mark.parametrize("formatter", [Json(), Readable()])
def test_private_things_are_left_out(formatter: logging.Formatter) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiIxIn0.c2lnbmF0dXJl"
    for made in (
        record(f"refused {token}"),
        record("refused", why=f"GET /confirm-email?token={token[20:]}&x=1"),
        record("signed in", password="hunter2", Token="hunter2", text="hunter2"),
        record("connecting to postgresql://me:hunter2@db/messenger"),
        failed(ValueError(f"bad token {token}")),
        failed(ValueError('new row violates\nDETAIL:  Failing row contains (1, hunter2, "hunter2").')),
        failed(
            ValueError(
                "(psycopg.Error) x\n[SQL: INSERT ...]\n[parameters: {'text': 'hunter2'}]\n(Background)"
            )
        ),
    ):
        line = formatter.format(made)
        assert LEFT_OUT in line
        assert "hunter2" not in line
        assert token[20:] not in line


OF_EACH_CUT = (
    "eyJhbGciOiJIUzI1NiJ9.hunter2hunter2",
    "postgresql://me:hunter2@db/messenger",
    "GET /confirm-email?token=hunter2",
    "DETAIL:  Key (nonce)=(hunter2) already exists.",
    "[parameters: {'id': 'hunter2'}]",
)


@pytest.mark.parametrize(("cut", "text"), [*zip(CUTS, OF_EACH_CUT, strict=True)])
def test_a_text_that_only_one_pattern_finds_is_suspect(cut: tuple[re.Pattern[str], str], text: str) -> None:
    assert [pattern for pattern, _ in CUTS if pattern.search(text)] == [cut[0]]
    told = json.loads(Json().format(record(text)))["message"]
    assert "hunter2" not in told
    assert LEFT_OUT in told


def test_what_cannot_be_formatted_is_told_all_the_same(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines = Lines(writing)
    lines.setFormatter(Json())
    lines.handle(record("%d", "no number"))
    lines.close(PATIENCE)
    assert b"cannot be formatted: '%d'" in os.read(reading, 1000)


def test_a_reader_who_does_not_read_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines = Lines(writing, most_waiting=100)
    lines.setFormatter(Json())
    for number in range(5000):  # a wait for the reader would never end: it reads only afterwards
        lines.handle(record("x" * 200, number=number))
    parts: list[bytes] = []

    def read() -> None:
        while part := os.read(reading, 65536):
            parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    lines.close(PATIENCE)
    os.close(writing)
    reader.join()
    told = [json.loads(line) for line in b"".join(parts).splitlines()]
    numbers = [each["number"] for each in told if "number" in each]
    dropped = sum(each.get("dropped", 0) for each in told)
    assert numbers == sorted(numbers)
    assert dropped > 0
    assert len(numbers) + dropped == 5000


def test_on_one_terminal_what_is_printed_comes_before_what_is_logged_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first line of a start is the address to open, not that the messenger listens."""
    monkeypatch.setattr("config.logging.PRINTED_FIRST_FOR", PATIENCE)
    reading, terminal = pty.openpty()
    tty.setraw(terminal)
    out = Lines(terminal)
    log = Lines(terminal, after=out)
    log.setFormatter(logging.Formatter("%(message)s"))
    expected = []
    for number in range(40):
        out.write(f"printed {number}")
        log.handle(record(f"logged {number}"))
        expected += [f"printed {number}", f"logged {number}"]
        until = time.monotonic() + PATIENCE
        while not log.is_written.wait(0.01):
            assert time.monotonic() < until
    out.close(PATIENCE)
    log.close(PATIENCE)
    os.close(terminal)
    assert read_to_the_end(reading).decode().split("\n")[:-1] == expected
    os.close(reading)


def test_output_that_nobody_reads_does_not_hold_up_the_log(
    pipe: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.logging.PRINTED_FIRST_FOR", 0.05)
    out = Lines(pipe[1])
    out.write("x" * 1_000_000)  # more than a pipe holds
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = Lines(file.fileno(), after=out)
        log.setFormatter(Json())
        for number in range(3):
            log.handle(record(number=number))
            until = time.monotonic() + PATIENCE
            while not log.is_written.wait(0.01):
                assert time.monotonic() < until
        log.close(PATIENCE)
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [0, 1, 2]
    os.close(pipe[0])  # lets the writer end
    out.close(PATIENCE)


def test_a_closed_or_full_place_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    for descriptor in (writing, full):
        lines = Lines(descriptor)
        lines.setFormatter(Json())
        lines.handle(record())
        lines.close(PATIENCE)
    os.close(full)


def test_lines_that_were_not_written_are_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    errors = iter([OSError("no space left"), OSError("no space left")])
    write = os.write

    def full_at_first(descriptor: int, data: bytes) -> int:
        for error in errors:
            raise error
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full_at_first)
    lines = Lines(writing)
    lines.setFormatter(Json())
    for number in range(3):
        lines.handle(record(number=number))
    lines.close(PATIENCE)
    told = [json.loads(line) for line in os.read(reading, 10_000).splitlines()]
    assert sum(each.get("dropped", 0) for each in told) + sum("number" in each for each in told) == 3
    assert [each["dropped"] for each in told if "dropped" in each] in ([2], [1, 1])


def test_a_line_after_a_torn_one_begins_anew(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pipe
    answers = iter([(5, None), (0, OSError("no space left"))])
    write = os.write

    def full_after_five(descriptor: int, data: bytes) -> int:
        size, error = next(answers, (len(data), None))
        if error:
            raise error
        return write(descriptor, data[:size])

    monkeypatch.setattr(os, "write", full_after_five)
    lines = Lines(writing)
    lines.write("first line")
    lines.write("second line")
    lines.close(PATIENCE)
    assert os.read(reading, 1000).decode().splitlines()[:2] == ["first", "second line"]


def test_what_was_written_before_a_torn_line_is_not_written_again(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    write, taken = os.write, []

    def full_after_ten(descriptor: int, data: bytes) -> int:
        taken.append(data)
        if len(taken) == 2:
            raise OSError("no space left")
        return write(descriptor, data[:10] if len(taken) == 1 else data)

    monkeypatch.setattr(os, "write", full_after_ten)
    lines = Lines(writing)
    lines.setFormatter(Json())
    with lines._changed:  # the writer finds them together
        lines._waiting.extend(["first", "second", "third", "x" * select.PIPE_BUF, "last"])
        lines._changed.notify_all()
    lines.close(PATIENCE)
    assert taken[0] == b"first\nsecond\nthird\n"
    told = os.read(reading, 100_000).decode().splitlines()
    assert told[:3] == ["first", "seco", "third"]
    assert told[3:5] == ["x" * select.PIPE_BUF, "last"]
    assert json.loads(told[5])["dropped"] == 1


def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    """Another process that shares the pipe may have made it so."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    lines = Lines(writing)
    for number in range(2000):
        lines.write(f"{number:0200}")
    parts = [os.read(reading, 65536)]
    closing = threading.Thread(target=lines.close, args=(PATIENCE,))
    closing.start()
    while b"".join(parts).count(b"\n") < 2000:
        parts.append(os.read(reading, 65536))
    closing.join()
    assert [int(line) for line in b"".join(parts).splitlines()] == list(range(2000))


def test_closing_waits_a_second_at_most(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines = Lines(writing)
    lines.setFormatter(Json())
    lines.handle(record("x" * 1_000_000))
    lines.close(1.0)  # returns though nobody reads: waiting for the writer would never end
    os.close(reading)  # lets the writer end
    lines.close(PATIENCE)


@pytest.mark.parametrize(
    ("environment", "formatter"),
    [(Environment.LOCAL, Readable), (Environment.PROD, Json), (Environment.DEV, Json)],
)
def test_is_set_up_for_the_whole_process(
    environment: Environment, formatter: type[logging.Formatter], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    level = root.level
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - it has a descriptor
        monkeypatch.setattr(sys, "stderr", nowhere)
        lines = set_up(Settings(environment=environment, log=Log(level="WARNING")))
        try:
            assert root.handlers == [lines]
            assert root.level == logging.WARNING
            assert isinstance(lines.formatter, formatter)
            assert not logging.getLogger("uvicorn.access").propagate
            assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.INFO)
        finally:
            lines.close(PATIENCE)
            root.setLevel(level)
            logging.captureWarnings(capture=False)

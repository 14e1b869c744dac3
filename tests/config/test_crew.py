"""The parent of several workers, with workers that do as they are told."""

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from config import crew as crews
from config.crew import Crew, WorkerFailed
from config.listening import CannotListen, Place
from config.settings.groups import Api, Settings
from config.signals import SIGNALS
from config.stopping import Stopping
from tests.contracts.buses import until
from tests.ports import free_port

WORKER = """
    import fcntl, os, sys
    sys.stdin.buffer.read()  # its orders, which take a second to import
    pipes = {{}}
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and os.path.exists(f"/proc/self/fd/{{fd}}") and os.readlink(f"/proc/self/fd/{{fd}}").startswith("pipe:"):
            pipes[fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE] = fd
    control, started = pipes[os.O_RDONLY], pipes[os.O_WRONLY]
    lives = open(sys.argv[1], "a")
    print("alive", file=lives, flush=True)
    {life}
"""
"""A worker that does nothing else than it is told, without the second that the imports of a real one take."""

SERVING = """
    os.write(started, b".")
    told = os.read(control, 1)
    print("told", told.decode(), file=lives, flush=True)
"""


ONE_DIES = """
    os.write(started, b".")
    try:
        os.close(os.open(sys.argv[1] + ".died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        os.read(control, 1)
    else:
        sys.exit(7)
"""
"""Whichever worker is the first dies, once."""


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def crew(folder: Path, life: str, *, workers: int = 2, drain: float = 0.0) -> Crew:
    program = folder / "worker.py"
    program.write_text(dedent(WORKER).format(life=dedent(life)))
    place = Place(
        host="127.0.0.1", port=free_port(), host_setting="API_HOST", port_setting="API_SERVICE_PORT"
    )
    return Crew(
        settings=Settings(api=Api(workers=workers, drain_seconds=drain)),
        database_url="postgresql://nowhere",
        place=place,
        metrics_place=None,
        stopping=Stopping(),
        command=(sys.executable, "-I", "-S", str(program), str(folder / "lives")),
        first_pause=0.01,
        longest_pause=100.0,
    )


def lives(folder: Path) -> list[str]:
    found = folder / "lives"
    return found.read_text().splitlines() if found.exists() else []


def descriptors() -> int:
    """How many files, pipes and sockets this process has open."""
    return len([*Path("/proc/self/fd").iterdir()])


async def test_tells_when_all_have_started_and_stops_them_at_a_signal(tmp_path: Path) -> None:
    one = crew(tmp_path, SERVING)
    started = asyncio.Event()
    one.when_started = started.set
    running = asyncio.create_task(one.run())
    await started.wait()
    assert sorted(lives(tmp_path)) == ["alive", "alive"]
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert sorted(lives(tmp_path)) == ["alive", "alive", "told l", "told l"]
    assert one.stopping.is_in_order


async def test_the_second_signal_stops_at_once(tmp_path: Path) -> None:
    draining = "os.write(started, b'.')\nos.read(control, 1)\n" + dedent(SERVING).replace(
        "os.write(started, b'.')\n", ""
    )
    one = crew(tmp_path, draining, drain=300.0)
    started = asyncio.Event()
    one.when_started = started.set
    running = asyncio.create_task(one.run())
    await started.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    await until(lambda: one.is_leaving)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert sorted(lives(tmp_path))[2:] == ["told s", "told s"]


async def test_a_worker_that_ends_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = crew(
        tmp_path,
        "os.write(started, b'.')\nif len(open(sys.argv[1]).readlines()) < 4: sys.exit(7)\nos.read(control, 1)",
        workers=1,
    )
    running = asyncio.create_task(one.run())
    await until(lambda: len(lives(tmp_path)) == 4)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    told = [record for record in caplog.records if "a worker has ended" in record.message]
    assert [(record.code, record.restarted_in_seconds) for record in told] == [  # type: ignore[attr-defined]
        (7, 0.01),
        (7, 0.02),
        (7, 0.04),
    ]


async def test_a_worker_that_does_not_start_ends_all_with_its_code(tmp_path: Path) -> None:
    one = crew(
        tmp_path, "if len(open(sys.argv[1]).readlines()) == 2: sys.exit(2)\n" + dedent(SERVING), drain=300.0
    )
    with pytest.raises(WorkerFailed) as failed:
        await one.run()
    assert failed.value.code == 2


async def test_a_worker_that_fails_at_the_end_is_told(tmp_path: Path) -> None:
    one = crew(tmp_path, dedent(SERVING) + "\nsys.exit(1)", workers=1)
    started = asyncio.Event()
    one.when_started = started.set
    running = asyncio.create_task(one.run())
    await started.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert not one.stopping.is_in_order


async def test_a_worker_that_cannot_be_begun_again_is_tried_again_while_the_others_serve(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, times = crews._begun, count(1)

    async def fails_at_the_third_time(*given: Any) -> Any:
        if next(times) == 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return await begun(*given)

    monkeypatch.setattr(crews, "_begun", fails_at_the_third_time)
    one = crew(tmp_path, ONE_DIES)
    before = descriptors()
    running = asyncio.create_task(one.run())
    await until(lambda: len(lives(tmp_path)) == 3)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert [record.reason for record in caplog.records if "cannot be begun" in record.message] == [  # type: ignore[attr-defined]
        "[Errno 24] Too many open files"
    ]
    await until(lambda: descriptors() == before)


async def test_an_address_that_another_program_has_is_told_as_such(tmp_path: Path) -> None:
    one = crew(tmp_path, SERVING)
    with socket.socket() as other:
        other.bind((one.place.host, one.place.port))
        other.listen()
        with pytest.raises(CannotListen, match="API_SERVICE_PORT"):
            await one.run()

import asyncio
import ctypes
import subprocess
import sys
from typing import Any

import pytest
from attrs import define

from infrastructure.system import memory
from infrastructure.system.memory import LEAST, Memory

MiB = 1024 * 1024

MEASURED = """
from infrastructure.system.memory import Memory, free, resident
memory = Memory()
memory.check()
before = resident()
kept = [bytes(16_000) for _ in range(8000)]
last = bytes(16_000)  # it lies at the end of the heap, which glibc itself cannot return then
memory.check()
while_used = resident() - before
kept.clear()
unreturned, is_free = resident() - before, free()
memory.check()
print(while_used, unreturned, is_free, resident() - before)
"""


def test_what_is_free_is_returned_and_what_is_used_is_not() -> None:
    said = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    while_used, unreturned, is_free, after = map(int, said.stdout.split())
    assert while_used > 100 * MiB
    assert unreturned > 100 * MiB
    assert is_free > 100 * MiB
    assert after < 10 * MiB


def test_an_earlier_library_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ctypes.CDLL(None)

    @define
    class Earlier:
        mallinfo: Any = library.mallinfo

    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    told = memory.free()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Earlier())
    assert abs(memory.free() - told) < MiB
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert memory.free() == 0
    memory.trim()


@define
class Process:
    """A process whose memory is as the test says. Where it returns memory, all that is free goes."""

    used: int
    free: int = 0
    returned: int = 0
    """Bytes, of those that are free."""
    times: int = 0

    def resident(self) -> int:
        return self.used + self.free - self.returned

    def trim(self) -> None:
        self.times += 1
        self.returned = self.free

    def watched(self) -> Memory:
        """Its memory, which was checked once at the beginning."""
        watched = Memory(self.resident, lambda: self.free, self.trim)
        watched.check()
        return watched


def test_a_small_change_is_left_alone() -> None:
    process = Process(used=100 * MiB)
    watched = process.watched()
    process.free = LEAST - 1
    watched.check()
    assert process.times == 0
    process.free = LEAST
    watched.check()
    assert process.times == 1


def test_what_is_in_use_is_returned_once_it_is_free() -> None:
    process = Process(used=100 * MiB)
    watched = process.watched()
    process.used = 140 * MiB
    for _ in range(3):
        watched.check()
    assert process.times == 0
    process.used, process.free = 100 * MiB, 40 * MiB
    for _ in range(3):
        watched.check()
    assert process.times == 1
    assert process.resident() == 100 * MiB


def test_what_is_used_and_freed_again_between_two_checks_is_returned_again() -> None:
    process = Process(used=100 * MiB)
    watched = process.watched()
    process.free = 40 * MiB
    for times in (1, 2, 3):
        process.returned = 0
        watched.check()
        assert process.times == times
        assert process.resident() == 100 * MiB


def test_little_by_little_counts_too_and_less_memory_is_where_the_next_growth_begins() -> None:
    process = Process(used=200 * MiB)
    watched = process.watched()
    process.used = 100 * MiB
    watched.check()
    for _ in range(4):
        assert process.times == 0
        process.free += LEAST // 4
        watched.check()
    assert process.times == 1


def test_a_large_process_returns_memory_less_often() -> None:
    process = Process(used=1000 * MiB)
    watched = process.watched()
    process.free = 50 * MiB
    watched.check()
    assert process.times == 0
    process.free = 53 * MiB
    watched.check()
    assert process.times == 1


def test_where_the_system_tells_nothing_nothing_is_returned() -> None:
    process = Process(used=0, free=100 * MiB, returned=100 * MiB)
    process.watched().check()
    assert process.times == 0


async def test_it_is_checked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CHECKED_EVERY", 0.0)
    checked = asyncio.Semaphore(0)

    def tell() -> int:
        checked.release()
        return 0

    running = asyncio.create_task(Memory(resident=tell).run())
    async with asyncio.timeout(30):
        for _ in range(3):
            await checked.acquire()
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

"""
Where the tests keep their temporary files, and when these are removed.

They are in memory, if there is enough of it.

The tests start some two hundred database servers and make a thousand databases, each of three hundred files. To create a
file takes up to half a millisecond of a processor on the disk of a virtual machine, and a hundredth of that in memory.
Nothing that is tested depends on a disk: processes are killed, never the machine.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")

ENOUGH = 6 * 1024**3
"""Bytes. The tests of four workers keep up to three gigabytes at a time."""


PATIENCE = 60.0
"""Seconds after which a process hangs that ought to end."""


def use_memory() -> None:
    """Lets ``tempfile`` of this process and of its children choose memory. A ``TMPDIR`` that is set already stays."""
    if "TMPDIR" not in os.environ and _fits(SHARED_MEMORY):
        os.environ["TMPDIR"] = str(SHARED_MEMORY)
        tempfile.tempdir = None


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """
    A temporary folder that every user can reach. It is removed when no process works in it any more: the database server of
    a messenger that was killed ends a moment after it, and writes files until then.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        await_nobody_in(folder)
        shutil.rmtree(folder)


def await_nobody_in(folder: Path) -> None:
    """
    Returns when no process works in the folder any more.

    Raises:
        AssertionError: Some still worked there after `PATIENCE`. They have been killed.
    """
    until = time.monotonic() + PATIENCE
    while (left := processes_in(folder)) and time.monotonic() < until:
        time.sleep(0.02)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left)
    assert left == []


def processes_in(folder: Path) -> list[psutil.Process]:
    """
    The processes whose working folder is this one or below it, as all processes of a PostgreSQL are in its data folder. One
    that has ended works nowhere, even before its parent has noticed.
    """
    inside = f"{folder}/"
    found = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.NoSuchProcess):
            # `psutil.Process.cwd` asks more of every process of the machine, which takes ten times as long.
            there = str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)")
            if f"{there}/".startswith(inside):
                found.append(psutil.Process(pid))
    return found


def _fits(folder: Path) -> bool:
    try:
        there = os.statvfs(folder)
    except OSError:
        return False
    may_run_programs = not there.f_flag & os.ST_NOEXEC
    room = min(there.f_bavail * there.f_frsize, psutil.virtual_memory().available)
    return may_run_programs and os.access(folder, os.W_OK) and room >= ENOUGH

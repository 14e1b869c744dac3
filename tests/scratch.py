"""
Where the tests keep their temporary files: in memory, if there is enough of it.

The tests start some two hundred database servers and make a thousand databases, each of three hundred files. To create a
file takes up to half a millisecond of a processor on the disk of a virtual machine, and a hundredth of that in memory.
Nothing that is tested depends on a disk: processes are killed, never the machine.
"""

import os
import tempfile
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")

ENOUGH = 6 * 1024**3
"""Bytes. The tests of three workers keep up to two gigabytes at a time."""


def use_memory() -> None:
    """Lets ``tempfile`` of this process and of its children choose memory. A ``TMPDIR`` that is set already stays."""
    if "TMPDIR" not in os.environ and _fits(SHARED_MEMORY):
        os.environ["TMPDIR"] = str(SHARED_MEMORY)
        tempfile.tempdir = None


def _fits(folder: Path) -> bool:
    try:
        there = os.statvfs(folder)
    except OSError:
        return False
    may_run_programs = not there.f_flag & os.ST_NOEXEC
    room = min(there.f_bavail * there.f_frsize, psutil.virtual_memory().available)
    return may_run_programs and os.access(folder, os.W_OK) and room >= ENOUGH

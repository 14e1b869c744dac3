"""
Makes a temporary folder that is removed in the end even if its process is killed.

A process that is killed cannot remove its folder. So the folder is locked for as long as its process lives, and the next one
that makes such a folder removes those without a lock.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp
from typing import Final

PREFIX: Final = "messenger-workers-"


@contextmanager
def locked_folder(prefix: str = PREFIX) -> Iterator[Path]:
    """Make a folder whose name begins with ``prefix``, which no other use of this function may share, and remove it at the end."""
    remove_abandoned(prefix)
    while True:
        folder = Path(mkdtemp(prefix=prefix))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another process has taken it for an abandoned one
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            break
        os.close(lock)  # another process was faster to lock and remove it
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned(prefix: str = PREFIX) -> None:
    """Remove the folders of processes of this user that have ended."""
    for folder in Path(gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # it is in use, or another process removes it
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                _remove_unless_locked(folder)


def _remove_unless_locked(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        rmtree(folder)
    finally:
        os.close(lock)

"""Finds the processes of a PostgreSQL server by their data folder, in which all of them work."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "postgres"


def servers_in(folder: Path) -> Iterator[int]:
    """Yields the ids of all PostgreSQL processes whose working directory is ``folder``, including orphans."""
    try:
        wanted = folder.stat()
    except OSError:
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            found = (entry / "cwd").stat()
            is_here = (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
            if is_here and (entry / "comm").read_text().strip() == NAME:
                yield int(entry.name)
        except OSError:  # it has ended meanwhile, or belongs to another user
            continue


def kill_servers_in(folder: Path) -> None:
    """Kills all of them, frozen ones too. What was committed is kept, and the next start recovers it."""
    for pid in servers_in(folder):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)

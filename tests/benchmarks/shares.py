"""
A fixed share of CPU for each of some processes, by the kernel: control groups with a quota, of version 1 or 2.

On a machine with fewer cores than there is work, two processes with a quarter of a core each have twice what one of them has.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path("/sys/fs/cgroup")

PERIOD: Final = 10_000
"""Microseconds in which a share is used up and given anew. Longer ones would let messages wait for longer."""


class CannotShare(Exception):
    """The kernel gives no shares here: ``why``."""


@frozen
class Kernel:
    root: Path = ROOT

    @contextmanager
    def shares(self, share: float, pids: Sequence[int]) -> Iterator[None]:
        """
        Gives each process ``share`` of a core while the block runs, or until it ends.

        Raises:
            CannotShare: There is no controller for it that may be written.
        """
        parent, is_old = self._parent()
        quota = round(share * PERIOD)
        with ExitStack() as stack:
            for number, pid in enumerate(pids):
                folder = parent / f"messenger-share-{os.getpid()}-{number}"
                try:
                    folder.mkdir()
                    stack.callback(_dissolve, folder, parent)
                    if is_old:
                        (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
                        (folder / "cpu.cfs_quota_us").write_text(str(quota))
                    else:
                        (folder / "cpu.max").write_text(f"{quota} {PERIOD}")
                    (folder / "cgroup.procs").write_text(str(pid))  # with all its threads
                except OSError as error:
                    raise CannotShare(f"{folder} could not be made: {error}") from error
            yield

    def _parent(self) -> tuple[Path, bool]:
        """The folder of the groups, and whether they are of version 1."""
        if (self.root / "cpu" / "cgroup.procs").exists():
            return self.root / "cpu", True
        controllers = self.root / "cgroup.controllers"
        if not controllers.exists():
            raise CannotShare(f"{self.root} has no control groups")
        if "cpu" not in controllers.read_text().split():
            raise CannotShare(f"{self.root} has no controller for CPU")
        try:
            (self.root / "cgroup.subtree_control").write_text("+cpu")
        except OSError as error:
            raise CannotShare(f"{self.root} lets nobody make groups: {error}") from error
        return self.root, False


def _dissolve(folder: Path, parent: Path) -> None:
    for pid in (folder / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            (parent / "cgroup.procs").write_text(pid)
    folder.rmdir()

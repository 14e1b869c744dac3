"""Which build of the messenger this is: its version, and the revision of its sources."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).resolve().parent.parent

FILE: Final = "REVISION"
"""Beside the sources. Written by `make install TO=...` and by the image's build, which leave git's folder behind."""


@frozen
class Build:
    version: str
    revision: str | None
    """The git revision of the sources, with ``-dirty`` appended if they were changed; None if it is unknown."""
    python: str

    def __str__(self) -> str:
        return f"messenger {self.version} (revision {self.revision or 'unknown'}, Python {self.python})"


def this_build() -> Build:
    return Build(version("messenger"), revision(ROOT), platform.python_version())


def revision(root: Path) -> str | None:
    """
    The revision of the sources in ``root``: from the file that an installation has, or else from git's own files.

    Git itself is not called: it need not be installed, and refuses to read a folder that belongs to another user.
    """
    try:
        written = (root / FILE).read_text().strip()
    except OSError:
        written = ""
    if written:
        return written
    try:
        return _head(root / ".git")[:12] or None
    except (OSError, StopIteration):
        return None


def _head(git: Path) -> str:
    """The commit that is checked out."""
    if git.is_file():  # a further worktree of a repository names its own folder there
        git = git.parent / git.read_text().removeprefix("gitdir:").strip()
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    common = git / "commondir"
    shared = git / common.read_text().strip() if common.exists() else git
    try:
        return (shared / name).read_text().strip()
    except FileNotFoundError:
        lines = (shared / "packed-refs").read_text().splitlines()
        return next(line.split()[0] for line in lines if line.endswith(f" {name}"))

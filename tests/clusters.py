"""
Data folders of PostgreSQL that are made once, whichever worker needs one first, and copied from then on.

`initdb` alone takes a second of a processor, and the first start of a messenger half a second more.
"""

import atexit
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from zlib import crc32

from infrastructure.postgres.server.embedded import EmbeddedPostgres
from tests.system import forked

UNFLUSHED = {"fsync": "off"}
"""For servers that stop in order before anybody else reads their files."""

SHARED = "MESSENGER_TESTS_CLUSTERS"
"""A variable of the environment: the folder of the clusters."""

HANGS = 300.0
"""Seconds after which a command hangs."""


@cache
def new_cluster() -> Path:
    """A data folder of the embedded server with the empty database that it makes at its first start. To be copied, not used."""

    def make(var: Path) -> None:
        server = EmbeddedPostgres(var_dir=var, options=UNFLUSHED)
        server.start()
        server.stop()

    return made_once("new", make) / "postgres"


@cache
def lived_in() -> Path:
    """The data folder of a LOCAL messenger that has started once: tables, example people. To be copied, not used."""

    def make(var: Path) -> None:
        copy_cluster(new_cluster(), var / "postgres")
        server = EmbeddedPostgres(var_dir=var, options=UNFLUSHED)
        url = server.start()
        try:
            fill(url, var)
        finally:
            server.stop()

    return made_once("lived-in", make) / "postgres"


def fill(url: str, folder: Path) -> None:
    """Gives a database its tables and the LOCAL people, as the first start of a messenger does."""
    for words in (("db", "migrate"), ("db", "fill")):
        output = str(folder / "output")
        filling = forked.start(
            words,
            folder=folder,
            environment={"PATH": os.environ["PATH"], "ENVIRONMENT": "LOCAL", "DATABASE_URL": url},
            stdout=output,
            stderr=output,
        )
        assert filling.wait(HANGS) == 0, Path(output).read_text()


@cache
def initdb(command: Sequence[str]) -> Path:
    """What ``command``, which is `initdb` with its options, makes in a folder named behind it. To be copied, not used."""

    def make(folder: Path) -> None:
        data = folder / "data"
        data.mkdir(mode=0o700)
        subprocess.run([*command, "--pgdata", str(data)], check=True, stdout=subprocess.DEVNULL)

    return made_once(f"initdb-{crc32(repr(command).encode())}", make) / "data"


def copy_cluster(data: Path, to: Path) -> None:
    """Copies a data folder with its owner and modes. The server on it must have stopped."""
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(data), str(to)], check=True)


def share_clusters() -> None:
    """Lets the workers of this run of the tests use the same ones. They are removed when this process ends."""
    if SHARED not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="messenger-clusters-"))
        folder.chmod(0o755)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[SHARED] = str(folder)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` has filled, in this process or in another one."""
    share_clusters()
    folder = Path(os.environ[SHARED])
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).exists():
            new = folder / f"{name}.new"
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            make(new)
            # The log files are 16 MB of hardly anything. What has holes here is copied with them, which takes less time.
            thin = folder / f"{name}.thin"
            shutil.rmtree(thin, ignore_errors=True)
            subprocess.run(["cp", "-a", "--sparse=always", str(new), str(thin)], check=True)
            shutil.rmtree(new)
            thin.rename(folder / name)
    return folder / name

"""The real thing as a child process: ``messenger serve`` on a free port, with a folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Self

import httpx
import psutil
import psycopg
from attrs import define, field
from psycopg.rows import TupleRow

from config.logging import COLLECTED_FOR
from tests.clusters import copy_cluster, lived_in, new_cluster
from tests.ports import free_port
from tests.scratch import processes_in
from tests.system import forked
from tests.system.postgres import lives

MESSENGER = Path(sys.executable).with_name("messenger")

PATIENCE = 50.0
"""Seconds after which something hangs. No test depends on how soon a process starts or ends: the machine may be busy."""


def stands_still(pid: int) -> bool:
    """Whether each thread of the process is stopped by a signal, as Linux tells it."""
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


@define(eq=False)
class Server:
    """
    One messenger on one folder; `launch` and `start` may be called again after it has ended, on the same port.

    Its environment is what is given here and nothing of ours, so that a developer's settings change no test.
    """

    folder: Path
    settings: Mapping[str, str] = field(factory=dict)
    command: Sequence[str] = ()
    """What runs it: words in front of the program, for another user or another library path."""
    environment: str = "LOCAL"
    ready: str = "/readyz"
    port: int = field(factory=free_port)
    is_a_program: bool = False
    """Started as people start it. Otherwise it is forked, which saves the time of its imports; see `tests.system.forked`."""
    is_new: bool = True
    """Whether it makes its embedded database itself. Otherwise it finds one in which it has started once already."""
    is_empty: bool = False
    """True if it starts with a copy of an embedded database that has no tables. To make one takes a second of a processor."""
    process: subprocess.Popen[bytes] | forked.Forked | None = None
    _letters: dict[Path, EmailMessage] = field(factory=dict, init=False, repr=False)
    """Those that were read already: none ever changes."""

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    def log(self) -> str:
        """What the server has logged by now. While it runs, its writer is given time for the lines that it collects."""
        if self.process is not None and self.process.poll() is None:
            time.sleep(4 * COLLECTED_FOR)
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def await_log(self, *texts: str) -> str:
        """Returns the log as soon as it has one of the texts: the server may answer requests before it has written what it logs."""
        until = time.monotonic() + PATIENCE
        while True:
            log = self.log()
            if any(text in log for text in texts):
                return log
            assert time.monotonic() < until, log

    def variables(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ
        }
        return {
            **kept,
            "HOME": str(self.folder),
            "ENVIRONMENT": self.environment,
            "API_HOST": "127.0.0.1",
            "API_SERVICE_PORT": str(self.port),
            "VAR_DIR": str(self.var),
            # The original's examples choose "Password1".
            "AUTH_REFUSE_COMMON_PASSWORDS": "false",
            # A few people of the tests stand for many.
            "API_REQUESTS_PER_ACCOUNT_AND_SECOND": "1000",
            "API_REQUESTS_PER_NETWORK_AND_SECOND": "10000",
            "API_SIGN_INS_PER_NETWORK_AND_SECOND": "1000",
            **self.settings,
        }

    def launch(self) -> subprocess.Popen[bytes] | forked.Forked:
        """Without waiting. In a session of its own: a Ctrl-C on the terminal is for the tests."""
        assert self.process is None or self.process.poll() is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.is_empty or not self.is_new) and not (self.var / "postgres").exists():
            copy_cluster(new_cluster() if self.is_empty else lived_in(), self.var / "postgres")
        # In its own folder, where no `.env` lies but one that a test puts there.
        if self.is_a_program or self.command:
            with self.log_file.open("ab") as output:
                self.process = subprocess.Popen(
                    [*self.command, str(MESSENGER), "serve"],
                    cwd=self.folder,
                    env=self.variables(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        else:
            log = str(self.log_file)
            self.process = forked.start(
                ["serve"], folder=self.folder, environment=self.variables(), stdout=log, stderr=log
            )
        return self.process

    def start(self) -> None:
        """Returns when it is ready."""
        self.launch()
        self.await_ready()

    def await_ready(self) -> None:
        assert self.process is not None
        until = time.monotonic() + PATIENCE
        with httpx.Client(base_url=self.url) as http:
            while True:
                try:
                    if http.get(self.ready).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < until, self.log()
                time.sleep(0.02)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Starts it for the block, and stops it also when it does not become ready."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def kill(self) -> None:
        """``kill -9`` of the messenger alone; an embedded PostgreSQL has to notice by itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stops the process. Returns when its last thread stands still, so that whatever it does has been done."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + PATIENCE
        while not stands_still(self.process.pid):
            assert time.monotonic() < until, self.log()
            time.sleep(0.001)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def interrupt(self) -> None:
        """Does what Ctrl-C does. Returns when the process has ended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        """Ends the server at the end of a test, in any state."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
        until = time.monotonic() + PATIENCE
        while (left := self.leftovers()) and time.monotonic() < until:
            time.sleep(0.02)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left)
        shutil.rmtree(self.var / "postgres", ignore_errors=True)

    def leftovers(self) -> list[psutil.Process]:
        """
        Every live process that belongs to this folder, with any parent: of the messenger's session, or at
        work inside the folder as all processes of PostgreSQL are.
        """
        found = {process.pid: process for process in processes_in(self.folder)}
        session = None if self.process is None else self.process.pid
        for pid in psutil.pids():
            with suppress(OSError, psutil.NoSuchProcess):
                if os.getsid(pid) == session and lives(process := psutil.Process(pid)):
                    found[pid] = process
        return list(found.values())

    def database(self) -> psycopg.Connection[TupleRow]:
        """A connection of the tests' own to the embedded PostgreSQL, found by what that wrote of itself."""
        lines = (self.var / "postgres" / "postmaster.pid").read_text().splitlines()
        return psycopg.connect(
            host=lines[4], port=int(lines[3]), user="messenger", dbname="messenger", autocommit=True
        )

    def letters(self, address: str) -> list[EmailMessage]:
        """Those in the mailbox folder to this address, oldest first."""
        found = []
        for path in sorted((self.var / "mail").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
            letter = self._letters.get(path)
            if letter is None:
                letter = BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())
                self._letters[path] = letter
            if address in str(letter["To"]):
                found.append(letter)
        return found

    def await_letter(self, address: str, *, number: int = 1) -> EmailMessage:
        """The latest letter to this address, as soon as there are ``number`` of them."""
        until = time.monotonic() + PATIENCE
        while len(found := self.letters(address)) < number:
            assert time.monotonic() < until, f"no letter to {address} after {PATIENCE} s\n{self.log()}"
            time.sleep(0.02)
        return found[-1]

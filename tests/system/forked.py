"""
The messenger in processes that are forked from one that has imported it already.

A real process with its own environment, folder and streams, but without the second that its imports take: the tests start
some two hundred. Nothing here imports more than the messenger does.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from attrs import define

from config.quick_imports import quick_imports

with quick_imports():
    # What commands import when they run.
    import config.commands.accounts
    import config.commands.database
    import config.commands.letters
    import config.commands.modules
    import config.commands.settings
    import config.start  # noqa: F401
    import infrastructure.smtp.templates  # noqa: F401
    from config.main import main

Stream = str | Connection
"""The path of a terminal or of a file, or one end of a pipe. A process reads its input from it, or appends its output to it."""

_CONTEXT: ForkServerContext = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.system.warmed"])


@define(eq=False)
class Forked:
    """A forked process, with as much of `subprocess.Popen` as the tests use."""

    _process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("messenger", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: Stream = os.devnull,
    stdout: Stream,
    stderr: Stream,
    ignores_sigint: bool = False,
) -> Forked:
    """
    Runs `messenger` with these words in a session of its own. ``ignores_sigint``: as a shell does it for what it starts in
    the background.
    """
    process = _CONTEXT.Process(
        target=_run,
        args=(list(words), str(folder), dict(environment), (stdin, stdout, stderr), ignores_sigint),
        daemon=True,
    )
    process.start()
    return Forked(process)


def _run(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    streams: tuple[Stream, Stream, Stream],
    ignores_sigint: bool,
) -> None:
    os.setsid()
    if ignores_sigint:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number, stream in enumerate(streams):
        if isinstance(stream, Connection):
            os.dup2(stream.fileno(), number)
            stream.close()
            continue
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT
        # When a session ends, the kernel empties its controlling terminal, with the output that the test has not read yet.
        opened = os.open(stream, flags | os.O_NOCTTY, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a number, for as long as it runs
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["messenger", *words]
    _customize(environment.get("PYTHONPATH", ""))
    main()


def _customize(path: str) -> None:
    """Runs the mutants that are on the path, as Python does when it starts. They change classes that are there already."""
    for folder in filter(None, path.split(os.pathsep)):
        mutant = Path(folder) / "sitecustomize.py"
        if mutant.exists():
            runpy.run_path(str(mutant))

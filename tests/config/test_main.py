"""The console script as a child: what it says when it cannot start, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
MESSENGER = [sys.executable, "-c", "from config.main import main; main()"]

PATIENCE = 60.0
"""Seconds after which something hangs."""

Messenger = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="messenger-test-") as name:
        yield Path(name)


@pytest.fixture
def messenger(folder: Path) -> Iterator[Messenger]:
    children = []

    def start(*arguments: str, ignore_sigint: bool = False, **settings: str) -> "subprocess.Popen[str]":
        environ = {
            name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
        }
        command = [*MESSENGER, *arguments]
        if ignore_sigint:  # as a shell does it for what it starts in the background
            command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environ | {"PYTHONPATH": str(ROOT)} | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def serving(messenger: Messenger, unused_tcp_port: int) -> Callable[..., "subprocess.Popen[str]"]:
    """A messenger in LOCAL that answers already."""

    def start(**more: bool) -> "subprocess.Popen[str]":
        settings = {"ENVIRONMENT": "LOCAL", "API_HOST": "127.0.0.1", "API_SERVICE_PORT": str(unused_tcp_port)}
        child = messenger("serve", **more, **settings)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", unused_tcp_port), timeout=1).close()
            except OSError:
                assert child.poll() is None, child.communicate()[1]
                assert time.monotonic() < until
                time.sleep(0.05)
            else:
                return child

    return start


def children_of(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_help_names_the_command(messenger: Messenger) -> None:
    out, _ = messenger("--help").communicate(timeout=PATIENCE)
    assert "serve" in out


def test_wrong_settings_are_told_a_line_each(messenger: Messenger, folder: Path) -> None:
    (folder / ".env").write_text("API_SERVICE_PORT=many\nJWT_SECRET_KEY=hunter2\n")
    child = messenger(
        "serve", MAIL_SERVER="localhost", MAIL_FROM_EMAIL="a@b.example", API_PUBLIC_URL="http://x"
    )
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2
    assert out == ""
    assert [line.split(" is ")[0] for line in err.splitlines()] == ["API_SERVICE_PORT", "JWT_SECRET_KEY"]
    assert "hunter2" not in err
    assert list(folder.iterdir()) == [folder / ".env"]


def test_a_database_that_cannot_start_is_told_in_a_line(messenger: Messenger, folder: Path) -> None:
    data = folder / "var" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    child = messenger("serve", ENVIRONMENT="LOCAL")
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2
    assert err.splitlines()[-1].startswith(f"{data} was made by PostgreSQL 12 and this is 18")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ignore_sigint", [False, True], ids=["foreground", "background"])
def test_ends_in_order(
    serving: Callable[..., "subprocess.Popen[str]"], folder: Path, number: signal.Signals, ignore_sigint: bool
) -> None:
    child = serving(ignore_sigint=ignore_sigint)
    assert len(children_of(folder)) > 1
    child.send_signal(number)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, err
    assert children_of(folder) == []


def test_impatience_does_not_hurt(serving: Callable[..., "subprocess.Popen[str]"], folder: Path) -> None:
    child = serving()
    for _ in range(3):
        child.send_signal(signal.SIGINT)
        time.sleep(0.02)
    child.communicate(timeout=PATIENCE)
    assert children_of(folder) == []


def test_killed_it_leaves_nothing(serving: Callable[..., "subprocess.Popen[str]"], folder: Path) -> None:
    child = serving()
    child.kill()
    child.communicate()
    until = time.monotonic() + PATIENCE
    while children_of(folder):
        assert time.monotonic() < until
        time.sleep(0.05)

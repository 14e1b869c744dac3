"""The console script as a child: what it says when it cannot start, and how it ends."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config.build import this_build
from tests.config.conftest import Child, Messenger, children_of


def test_help_names_the_command(messenger: Messenger) -> None:
    out, _ = messenger("--help").communicate(timeout=120)
    assert "serve" in out


def test_the_version_needs_no_settings(messenger: Messenger, folder: Path) -> None:
    (folder / ".env").write_text("API_SERVICE_PORT=many\n")
    child = messenger("--version")
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out, err) == (0, f"{this_build()}\n", "")
    assert re.match(r"messenger \d+\.\d+\.\d+ \(revision ", out)


def test_wrong_settings_are_told_a_line_each(messenger: Messenger, folder: Path) -> None:
    (folder / ".env").write_text("API_SERVICE_PORT=many\nJWT_SECRET_KEY=hunter2\n")
    child = messenger(
        "serve", MAIL_SERVER="localhost", MAIL_FROM_EMAIL="a@b.example", API_PUBLIC_URL="http://x"
    )
    out, err = child.communicate(timeout=120)
    assert child.returncode == 2
    assert out == ""
    assert [line.split(" is ")[0] for line in err.splitlines()] == ["API_SERVICE_PORT", "JWT_SECRET_KEY"]
    assert "hunter2" not in err
    assert list(folder.iterdir()) == [folder / ".env"]


def test_a_database_that_cannot_start_is_told_in_a_line(
    messenger: Messenger, folder: Path, unused_tcp_port: int
) -> None:
    data = folder / "var" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    child = messenger("serve", ENVIRONMENT="LOCAL", API_SERVICE_PORT=str(unused_tcp_port))
    _, err = child.communicate(timeout=120)
    assert child.returncode == 2
    assert err.splitlines()[-1].startswith(f"{data} was made by PostgreSQL 12 and this is 18")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ignore_sigint", [False, True], ids=["foreground", "background"])
def test_ends_in_order(
    serving: Callable[..., Child], folder: Path, number: signal.Signals, ignore_sigint: bool
) -> None:
    child = serving(ignore_sigint=ignore_sigint)
    assert len(children_of(folder)) > 1
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert err.count("stopping took too long") == 0
    assert child.returncode == 0, err
    assert children_of(folder) == []


def test_impatience_does_not_hurt(serving: Callable[..., Child], folder: Path) -> None:
    child = serving()
    for _ in range(3):
        child.send_signal(signal.SIGINT)
        time.sleep(0.02)
    child.communicate(timeout=60)
    assert children_of(folder) == []


def test_killed_it_leaves_nothing(serving: Callable[..., Child], folder: Path) -> None:
    child = serving()
    child.kill()
    child.communicate()
    until = time.monotonic() + 30
    while children_of(folder):
        assert time.monotonic() < until
        time.sleep(0.05)

"""Starting and stopping, as people do it and as machines do it to them."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.scratch import scratch_folder
from tests.system.client import Visit
from tests.system.server import MESSENGER, PATIENCE, Server

MakeServer = Callable[..., Server]

NEVER_GIVES_UP = {"API_SHUTDOWN_SECONDS": "60"}
"""A messenger that waits for a connection when it stops does so for longer than a test has patience."""


def rows(server: Server) -> dict[str, list[str]]:
    """Everything in every table."""
    with server.database() as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {
            name: sorted(row for (row,) in connection.execute(f"SELECT t::text FROM {name} t"))
            for (name,) in tables.fetchall()
        }


async def test_the_first_start_says_where_and_as_whom_and_the_second_changes_nothing(
    make_server: MakeServer,
) -> None:
    server = make_server(is_a_program=True, is_new=True)
    server.start()
    log = server.await_log("listening on")
    assert log.startswith(f"The messenger is at http://localhost:{server.port}/app/\n"), (
        "the first line is the address"
    )
    for who in ("user1@example.com", "admin@admin.ru"):
        assert who in log
    async with Visit(server.url, server.ws_url) as visit:
        ids = [(device.account_id, device.profile_id) for device in [await visit.user(n) for n in (1, 2, 3)]]
    kept = rows(server)
    server.interrupt()
    server.is_a_program = False  # the first one was: the words on its terminal are what a person sees
    server.start()
    assert rows(server) == kept
    async with Visit(server.url, server.ws_url) as visit:
        assert ids == [(d.account_id, d.profile_id) for d in [await visit.user(n) for n in (1, 2, 3)]]


async def test_ctrl_c_tells_the_sockets_and_leaves_no_process(make_server: MakeServer) -> None:
    server = make_server(settings=NEVER_GIVES_UP)
    server.start()
    async with Visit(server.url, server.ws_url) as visit:
        anna, boris = await visit.user(1), await visit.user(2)
        chat_id = await anna.create_chat("until the end", boris)
        sockets = [await anna.open(chat_id), await boris.open(chat_id)]
        assert server.leftovers()
        assert server.process is not None
        server.process.send_signal(signal.SIGINT)
        for socket in sockets:
            code, _ = await socket.closed()
            assert code in {1001, 1012}
        server.process.wait(PATIENCE)
    assert server.process.returncode == 0
    assert server.leftovers() == []


def test_ctrl_c_twice_ends_it_too(make_server: MakeServer) -> None:
    server = make_server(settings=NEVER_GIVES_UP)
    process = server.launch()
    server.await_ready()
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)  # a person's second thought
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    assert server.leftovers() == []


def await_nothing_left(server: Server) -> None:
    until = time.monotonic() + PATIENCE
    while left := server.leftovers():
        assert time.monotonic() < until, left
        time.sleep(0.01)


def test_a_killed_messenger_takes_its_postgresql_along_and_comes_back(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    kept = rows(server)
    server.kill()
    await_nothing_left(server)
    server.start()
    assert rows(server) == kept
    # Killed, and started again at once: the old database is on its way out still.
    server.kill()
    server.start()
    assert rows(server) == kept


def said_in(server: Server) -> list[tuple[UUID, int, str]]:
    with server.database() as connection:
        return connection.execute("SELECT chat_id, seq, body FROM message ORDER BY 1, 2").fetchall()


async def test_two_run_side_by_side(make_server: MakeServer) -> None:
    one, other = make_server(is_empty=True), make_server()
    one.launch()
    other.launch()
    for each in (one, other):
        each.await_ready()
    said = [said_in(each) for each in (one, other)]
    assert said[0] == said[1]  # LOCAL data is the same everywhere
    assert 50 <= len(said[0]) <= 200
    assert any("а" <= letter <= "я" for _, _, text in said[0] for letter in text)
    async with Visit(one.url, one.ws_url) as here, Visit(other.url, other.ws_url) as there:
        anna, boris = await here.user(1), await there.user(1)
        await anna.create_chat("only here")
        names = {chat["name"] for chat in (await boris.http.get("/chats/")).json()["data"]}
        assert "only here" not in names
        # Each signs its own tokens.
        stranger = {"Authorization": f"Bearer {anna.token}"}
        assert (await boris.http.get("/accounts/me/", headers=stranger)).status_code == 401


def refusal(server: Server) -> list[str]:
    """The lines of a start that does not come about."""
    process = server.launch()
    assert process.wait(PATIENCE) == 2
    return server.log().strip().splitlines()


def test_one_folder_is_for_one(make_server: MakeServer) -> None:
    one = make_server()
    one.start()
    other = make_server(one.folder)
    other.log_file.rename(one.folder / "first.log")
    (line,) = refusal(other)
    assert "in use" in line
    assert one.process is not None
    assert one.process.poll() is None


def test_a_taken_port_is_one_clear_line(make_server: MakeServer) -> None:
    one = make_server()
    one.start()
    other = make_server(port=one.port)
    process = other.launch()
    assert process.wait(PATIENCE) != 0
    assert str(one.port) in other.log()
    assert "Traceback" not in other.log()
    await_nothing_left(other)


@pytest.fixture
def everybodys_folder() -> Iterator[Path]:
    """One that an ordinary user can reach, which pytest's own folders are not when root runs the tests."""
    with scratch_folder("messenger-") as folder:
        yield folder


def ordinary(folder: Path) -> list[str]:
    """
    What makes a command an ordinary user's, and the folder theirs. Where the checkout lies behind a closed folder, root
    without its name and powers is as near as one gets.
    """
    if os.getuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    # By way of a shell: setpriv itself still has root's powers when it looks for its program.
    tried = [*command, "sh", "-c", f"exec {MESSENGER} --help"]
    if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        return command
    return ["unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}", "--"]


async def test_it_runs_as_an_ordinary_user(make_server: MakeServer, everybodys_folder: Path) -> None:
    server = make_server(everybodys_folder, command=ordinary(everybodys_folder), is_new=True)
    server.start()
    async with Visit(server.url, server.ws_url) as visit:
        anna, boris = await visit.user(1), await visit.user(2)
        chat_id = await anna.create_chat("ordinary", boris)
        says, hears = await anna.open(chat_id), await boris.open(chat_id)
        assert await says.say("hello") == await hears.until("new_message")
    server.interrupt()
    assert server.leftovers() == []


def test_a_folder_that_is_closed_to_everybody_else_will_do(make_server: MakeServer) -> None:
    """Also when root starts it, as whom PostgreSQL refuses to run."""
    server = make_server(is_new=True)
    server.folder.mkdir(mode=0o700)
    server.start()
    with server.database() as connection:
        assert connection.execute("SELECT count(*) > 0 FROM account").fetchone() == (True,)
    assert (server.var / "postgres").stat().st_uid == os.getuid()
    server.interrupt()


def test_everything_wrong_is_said_at_once_a_line_each(make_server: MakeServer) -> None:
    lines = refusal(
        make_server(
            environment="NOWHERE",
            settings={
                "API_SERVICE_PORT": "http",
                "API_WORKERS": "two",
                "DATABASE_URL": "mysql://somewhere/x",
                "JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "0",
                "LOG_LEVEL": "LOUD",
                "API_PUBLIC_URL": "somewhere",
            },
        )
    )
    wrong = (
        "ENVIRONMENT",
        "API_SERVICE_PORT",
        "API_WORKERS",
        "DATABASE_URL",
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
        "LOG_LEVEL",
        "API_PUBLIC_URL",
    )
    missing = ("MAIL_SERVER", "JWT_SECRET_KEY")  # who names no environment means PROD
    assert sorted(line.split()[0] for line in lines) == sorted(wrong + missing)


def test_without_secrets_nothing_starts_outside_local(make_server: MakeServer) -> None:
    lines = refusal(make_server(environment="PROD"))
    named = {line.split()[0] for line in lines}
    assert {"JWT_SECRET_KEY", "MAIL_SERVER", "API_PUBLIC_URL"} <= named
    short = refusal(make_server(environment="DEV", settings={"JWT_SECRET_KEY": "short", "MAIL_SERVER": "x"}))
    assert any(line.startswith("JWT_SECRET_KEY") for line in short)
    assert not any("short'" in line for line in short)  # secrets are not repeated


def test_settings_come_from_a_file_too_and_the_environment_wins(make_server: MakeServer) -> None:
    server = make_server(settings={"LOG_LEVEL": "INFO"})
    server.folder.mkdir()
    (server.folder / ".env").write_text("API_WORKERS=three\nLOG_LEVEL=LOUD\n")
    (line,) = refusal(server)
    assert line.startswith("API_WORKERS")

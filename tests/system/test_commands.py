"""The command line as people use it: real processes on a folder of their own."""

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import httpx
import pytest
from attrs import define, field

from infrastructure.postgres.server.embedded import EmbeddedPostgres
from tests.clusters import UNFLUSHED, copy_cluster, lived_in, new_cluster
from tests.infrastructure.smtp.sink import Sink, serving
from tests.system import forked
from tests.system.client import Visit
from tests.system.server import PATIENCE, Server
from tests.terminals import read_to_the_end

ROOT = Path(__file__).resolve().parents[2]

PASSWORD = "Correct-Horse"

HANGS = 300.0
"""Seconds after which a command hangs."""


@define
class Line:
    """
    Runs `messenger` in a folder, with nothing of our own environment. Its processes are forked, see `tests.system.forked`.
    """

    folder: Path
    settings: dict[str, str] = field(factory=dict)

    def __call__(self, *words: str, says: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as aside:
            stdin, stdout, stderr = (Path(aside) / name for name in ("stdin", "stdout", "stderr"))
            stdin.write_text(says)
            process = forked.start(
                words,
                folder=self.folder,
                environment=self._environment(settings),
                stdin=str(stdin),
                stdout=str(stdout),
                stderr=str(stderr),
            )
            code = process.wait(HANGS)
            return subprocess.CompletedProcess(words, code, stdout.read_text(), stderr.read_text())

    def on_a_terminal(self, *words: str) -> str:
        """All that is shown, in the order shown."""
        ours, theirs = os.openpty()
        terminal = os.ttyname(theirs)
        process = forked.start(
            words,
            folder=self.folder,
            environment=self._environment({"TERM": "xterm"}),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        with ThreadPoolExecutor(1) as reader:
            shown = reader.submit(read_to_the_end, ours)
            code = process.wait(HANGS)
            os.close(theirs)
        os.close(ours)
        assert code == 0, shown.result()
        return shown.result().decode()

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "ENVIRONMENT": "LOCAL", **self.settings, **settings}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture
def on_new_database(line: Line) -> Iterator[Line]:
    """
    Where the embedded server runs and its database is empty. A command that finds no server starts one, which
    `test_a_database_from_its_making_to_its_end` sees; for the others that would be a second each.
    """
    yield from running(line, new_cluster())


@pytest.fixture
def on_database(line: Line) -> Iterator[Line]:
    """The same, where the database has tables and the example people."""
    yield from running(line, lived_in())


def running(line: Line, cluster: Path) -> Iterator[Line]:
    server = EmbeddedPostgres(var_dir=line.folder / "var", options=UNFLUSHED)
    copy_cluster(cluster, server.data_dir)
    server.start()
    yield line
    server.stop()


def fields(output: str) -> list[list[str]]:
    return [row.split("\t") for row in output.splitlines()]


def done(ran: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    return ran.stdout if code == 0 else ran.stderr


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ("serve", "db", "user", "module", "mail", "settings")),
        (
            ("db",),
            (
                *(
                    "create",
                    "migrate",
                    "fill",
                    "drop",
                    "reset",
                    "check",
                    "import",
                    "adopt",
                    "dump",
                    "restore",
                ),
                "distribute",
            ),
        ),
        (
            ("user",),
            ("create", "list", "password", "disable", "enable", "forget-factor", "delete", "sessions"),
        ),
        (("module",), ("create",)),
        (("mail",), ("try",)),
        (("db", "check"), ("--repair",)),
    ],
)
def test_help_names_everything(line: Line, words: Sequence[str], names: Sequence[str]) -> None:
    ran = line(*words, "--help")
    shown = done(ran)
    assert [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", shown)] == []
    assert list(line.folder.iterdir()) == []


def test_the_tables_over_a_cluster(line: Line) -> None:
    printed = done(line("db", "distribute", "--print")).splitlines()
    assert "SELECT create_distributed_table('message', 'chat_id', colocate_with => 'chat');" in printed
    assert not any("origin" in statement for statement in printed)


@pytest.mark.parametrize(
    "words", [("nonsense",), ("db", "nonsense"), ("db", "check", "--nonsense"), ("user", "create")]
)
def test_wrong_usage_is_2(line: Line, words: Sequence[str]) -> None:
    done(line(*words), 2)
    assert list(line.folder.iterdir()) == []


def test_wrong_settings_are_told_a_line_each(line: Line) -> None:
    wrong = {"DATABASE_WAIT_SECONDS": "long", "DATABASE_POOL_SIZE": "many"}
    for words in (("db", "migrate"), ("user", "list"), ("settings",)):
        told = done(line(*words, **wrong), 2).splitlines()
        assert len(told) == 2
        for name, value in wrong.items():
            assert any(each.startswith(f"{name} is '{value}': expected ") for each in told), told


def test_a_command_needs_only_the_settings_that_it_uses(on_new_database: Line) -> None:
    line = on_new_database
    wrong = {"API_SERVICE_PORT": "many", "WS_AUTH_SECONDS": "no"}
    done(line("db", "migrate", **wrong))
    assert done(line("settings", **wrong), 2).splitlines() == [
        "API_SERVICE_PORT is 'many': expected a whole number from 1 to 65535",
        "WS_AUTH_SECONDS is 'no': expected seconds from 0.1 to 300",
    ]


def test_a_database_from_its_making_to_its_end(line: Line) -> None:
    """Each of these commands starts the embedded server and stops it."""
    assert "is created" in done(line("db", "create"))
    assert "exists already" in done(line("db", "create"))
    assert re.search(r"from nothing to \d{4}", done(line("db", "migrate")))
    assert "already at" in done(line("db", "migrate"))
    assert "has its examples" in done(line("db", "fill"))
    users = {row[0]: row[1] for row in fields(done(line("user", "list")))}
    assert users["user1@example.com"] == "confirmed"
    assert len(users) == 5
    assert "is adopted: generation" in done(line("db", "adopt", "--yes"))
    assert "is new, at" in done(line("db", "reset", "--yes"))
    assert len(fields(done(line("user", "list")))) == 5
    assert "is removed" in done(line("db", "drop", says="y\n"))
    assert "is new" in done(line("db", "reset", "-y", ENVIRONMENT="LOCAL"))


def test_examples_are_filled_in_once(on_database: Line) -> None:
    assert "has its examples" in done(on_database("db", "fill"))
    assert "Everything is consistent" in done(on_database("db", "check"))
    assert len(fields(done(on_database("user", "list")))) == 5


def test_what_destroys_is_asked_for_first(on_database: Line) -> None:
    line = on_database
    for words in (
        ("db", "drop"),
        ("db", "reset"),
        ("db", "adopt"),
        ("user", "disable", "user1@example.com"),
        ("user", "delete", "user1@example.com"),
        ("user", "password", "user1@example.com"),
    ):
        refused = line(*words, says="n\n")
        assert refused.returncode == 1
        assert "(LOCAL)" in refused.stdout.partition("?")[0]
        done(line(*words), 1)  # nobody there to answer
    users = {row[0]: row[1] for row in fields(done(line("user", "list")))}
    assert users["user1@example.com"] == "confirmed"
    assert len(users) == 5


def test_examples_stay_out_of_real_databases(on_new_database: Line) -> None:
    line = on_new_database
    real = {
        "ENVIRONMENT": "DEV",
        "JWT_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
        "MAIL_SERVER": "localhost",
        "MAIL_FROM_EMAIL": "a@example.com",
    }
    assert "LOCAL" in done(line("db", "fill", **real), 1)
    done(line("db", "reset", "--yes", **real))
    assert done(line("user", "list", **real)) == ""


def test_what_is_wrong_is_found_set_right_and_told_by_the_exit_code(
    line: Line, make_server: Callable[..., Server]
) -> None:
    server = make_server(line.folder)
    server.start()
    with server.database() as connection:
        connection.execute("UPDATE reading SET less = less - 1")
    # beside the messenger that runs on it
    found = line("db", "check")
    assert found.returncode == 3
    assert "unread messages are counted wrong" in found.stdout
    assert "--repair can repair" in found.stderr
    repaired = line("db", "check", "--repair")
    assert "Everything is consistent" in done(repaired)
    assert "unread messages are counted wrong" in repaired.stdout
    assert "Repaired:" not in done(line("db", "check"))
    assert server.process is not None
    assert server.process.poll() is None


class TestUsers:
    def test_who_is_made_signs_in_and_who_is_kept_out_does_not(
        self, line: Line, make_server: Callable[..., Server]
    ) -> None:
        server = make_server(line.folder)
        server.start()
        created = done(line("user", "create", "new@example.com", "--password-stdin", says=f"{PASSWORD}\n"))
        assert re.search(
            r"new@example.com is created in the embedded database in .*var \(LOCAL\): account", created
        )
        sign_in = {"email": "new@example.com", "password": PASSWORD, "fingerprint": "laptop"}
        with httpx.Client(base_url=server.url) as http:
            token = http.post("/accounts/sign-in/", json=sign_in).json()["data"]["accessToken"]
            http.headers["Authorization"] = f"Bearer {token}"
            assert http.get("/accounts/me/").status_code == 200
            ((_, fingerprint, _, _, address, program),) = fields(
                done(line("user", "sessions", "NEW@example.com"))
            )
            assert (fingerprint, address) == ("laptop", "127.0.0.1")
            assert program.startswith("python-httpx")
            disabled = done(line("user", "disable", "new@example.com", "--yes"))
            assert re.search(r"is disabled in the embedded .* \(LOCAL\); 1 sessions ended", disabled)
            assert http.get("/accounts/me/").status_code == 401
            assert http.post("/accounts/sign-in/", json=sign_in).status_code == 401
            states = {row[0]: row[1] for row in fields(done(line("user", "list")))}
            assert states["new@example.com"] == "disabled"
            assert "(LOCAL)." in done(line("user", "enable", "new@example.com"))
            unknown = line("user", "forget-factor", "new@example.com", "--yes")
            assert unknown.returncode == 1
            assert "has no second factor" in unknown.stderr
            assert http.post("/accounts/sign-in/", json=sign_in).status_code == 200
            changed = line("user", "password", "new@example.com", "--password-stdin", says="Another-Horse\n")
            assert re.search(
                r"has a new password in the embedded .* \(LOCAL\); 1 sessions ended", done(changed)
            )
            assert http.post("/accounts/sign-in/", json=sign_in).status_code == 401
            sign_in["password"] = "Another-Horse"
            assert http.post("/accounts/sign-in/", json=sign_in).status_code == 200
            assert "is deleted from" in done(line("user", "delete", "new@example.com", "--yes"))
            assert http.post("/accounts/sign-in/", json=sign_in).status_code == 401
            assert "new@example.com" not in done(line("user", "list"))
        with server.database() as connection:
            ((profile_id,),) = connection.execute(
                "SELECT profile_id FROM profile_of_account JOIN account_by_email USING (account_id)"
                " WHERE email_folded = 'user3@example.com'"
            ).fetchall()
            present = "SELECT count(*) > 0 FROM member WHERE profile_id = %s AND left_at IS NULL"
            assert connection.execute(present, [profile_id]).fetchone() == (True,)
            done(line("user", "delete", "user3@example.com", "--yes"))
            assert connection.execute(present, [profile_id]).fetchone() == (False,)
        assert PASSWORD not in server.log()

    async def test_who_is_kept_out_hears_it_on_open_sockets(
        self, line: Line, make_server: Callable[..., Server]
    ) -> None:
        """The command is another process than the messenger: nobody tells the messenger, it has to see."""
        server = make_server(line.folder)
        server.start()
        async with Visit(server.url, server.ws_url) as visit:
            anna, boris = await visit.user(1), await visit.user(2)
            chat_id = await anna.create_chat("A chat", boris)
            gone, staying = await anna.open(chat_id), await boris.open(chat_id)
            done(await asyncio.to_thread(line, "user", "disable", "user1@example.com", "-y"))
            assert (await gone.closed())[0] == 4401
            await staying.say("Still here")

    @pytest.mark.parametrize(
        ("email", "password", "told"),
        [
            ("user1@example.com", PASSWORD, "Another account has this address already."),
            ("nobody", PASSWORD, "This is not an e-mail address."),
            ("new@example.com", "weak", "The password is too weak"),
        ],
    )
    def test_what_cannot_be(self, on_database: Line, email: str, password: str, told: str) -> None:
        create = ("user", "create", email, "--password-stdin")
        assert told in done(on_database(*create, says=f"{password}\n"), 1)

    def test_before_there_are_tables(self, on_new_database: Line) -> None:
        line = on_new_database
        for words in (("user", "list"), ("db", "check"), ("db", "adopt", "-y")):
            assert "run `messenger db migrate` first" in done(line(*words), 2)

    def test_nobody(self, on_database: Line) -> None:
        for words in (
            ("disable", "nobody@example.com", "-y"),
            ("delete", "nobody@example.com", "-y"),
            ("sessions", "nobody@example.com"),
        ):
            assert "No account has this address." in done(on_database("user", *words), 1)


class TestMail:
    def test_without_a_server_it_is_a_file(self, line: Line) -> None:
        assert f"{line.folder / 'var' / 'mail'} (LOCAL)." in done(line("mail", "try", "ann@example.com"))
        (letter,) = (line.folder / "var" / "mail").iterdir()
        assert "ann@example.com" in letter.read_text()

    def test_a_server_that_is_not_there(self, line: Line, unused_tcp_port: int) -> None:
        ran = line(
            "mail",
            "try",
            "ann@example.com",
            MAIL_SERVER="127.0.0.1",
            MAIL_PORT=str(unused_tcp_port),
            MAIL_SECURITY="none",
            MAIL_FROM_EMAIL="messenger@example.com",
        )
        assert done(ran, 1).startswith("Not sent: ")

    async def test_a_server_gets_it(self, line: Line) -> None:
        async with serving(Sink()) as sink:
            settings = {
                "MAIL_SERVER": "127.0.0.1",
                "MAIL_PORT": str(sink.port),
                "MAIL_SECURITY": "none",
                "MAIL_FROM_EMAIL": "messenger@example.com",
            }
            ran = await asyncio.to_thread(line, "mail", "try", "ann@example.com", **settings)
        assert f"Sent to ann@example.com by 127.0.0.1:{sink.port} (LOCAL)." in done(ran)
        (mail,) = sink.mails
        assert (mail.mail_from, mail.rcpt_tos) == ("messenger@example.com", ["ann@example.com"])
        assert isinstance(mail.content, bytes)
        assert (
            "trial letter"
            in BytesParser(EmailMessage, policy=policy.default).parsebytes(mail.content)["Subject"]
        )


class TestSettings:
    def test_what_is_in_force_and_from_where(self, line: Line) -> None:
        (line.folder / ".env").write_text("API_SERVICE_PORT=9000\nMETRICS_TOKEN=hunter2hunter2hunter2\n")
        shown = done(line("settings", LOG_LEVEL="ERROR"))
        rows = {row[0]: row[1:] for row in fields(shown)}
        assert rows["API_SERVICE_PORT"] == ["9000", ".env"]
        assert rows["LOG_LEVEL"] == ["ERROR", "environment"]
        assert rows["METRICS_TOKEN"] == ["(set)", ".env"]
        assert "hunter2" not in shown
        assert [path.name for path in line.folder.iterdir()] == [".env"]


def test_a_terminal_gets_colours_and_progress_and_a_pipe_gets_fields(on_database: Line) -> None:
    line = on_database
    piped = line("user", "list"), line("db", "check")
    assert not any("\x1b" in ran.stdout + ran.stderr or "Checking" in ran.stderr for ran in piped)
    shown = line.on_a_terminal("db", "check")
    (looked_at,) = set(re.findall(r"(\d+) chats and (\d+) profiles were checked", shown))
    total = sum(map(int, looked_at))
    assert re.search(rf"Checking .*{total}/{total}", shown)
    assert "\x1b[32mEverything is consistent." in shown
    listed = line.on_a_terminal("user", "list")
    assert "e-mail" in listed
    assert "\t" not in listed


def test_a_restored_database_is_refused_until_it_is_adopted(
    line: Line, make_server: Callable[..., Server]
) -> None:
    server = make_server(line.folder)
    server.start()
    with server.database() as connection:
        connection.execute("UPDATE origin SET home = 'elsewhere'")
    server.interrupt()
    server.launch()
    assert server.process is not None
    assert server.process.wait(PATIENCE) == 2
    (told,) = [text for text in server.log().splitlines() if "messenger db adopt" in text]
    assert told.startswith("this database was restored or copied")
    for words in (("db", "migrate"), ("user", "list")):
        assert "messenger db adopt" in done(line(*words), 2)
    done(line("db", "adopt", "--yes"))
    server.start()
    assert httpx.get(f"{server.url}/healthcheck/").status_code == 200

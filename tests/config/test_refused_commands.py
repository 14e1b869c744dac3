"""Every command on a database that it cannot use: one line with the setting and the cause, exit code 2, and no password."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from psycopg import sql
from typer.testing import CliRunner

from config.commands import commands
from interfaces.cli.main import command_line
from tests.config.conftest import StrictServer

SECRET = "s3cret+of ann"

ARGUMENTS: Mapping[str, Sequence[str]] = {
    "db adopt": ("--yes",),
    "db check": (),
    "db create": (),
    "db drop": ("--yes",),
    "db dump": ("new.dump",),
    "db distribute": ("--yes",),
    "db fill": (),
    "db import": ("postgresql://ann@127.0.0.1:1/original",),
    "db migrate": (),
    "db reset": ("--yes",),
    "user create": ("new@example.com", "--password-stdin"),
    "user delete": ("ann@example.com", "--yes"),
    "user disable": ("ann@example.com", "--yes"),
    "user enable": ("ann@example.com",),
    "user forget-factor": ("ann@example.com", "--yes"),
    "user list": (),
    "user password": ("ann@example.com", "--password-stdin", "--yes"),
    "user sessions": ("ann@example.com",),
}

WITHOUT_A_DATABASE = {"serve", "settings", "mail try", "module create", "db restore"}
"""`serve` is tested in `test_start`; `db restore` looks at the dump first."""

NOT_IN_IT = {"db create", "db drop", "db reset"}
"""Commands that connect to the server, but not to the database, which need not exist."""

AS_IT_IS = {"db dump"}
"""Commands that say what is in the database in words of their own."""

CAUSES = {
    "password": "password authentication failed",
    "port": "Connection refused",
    "name": 'database "nowhere" does not exist',
    "encoding": "in the encoding SQL_ASCII",
    "newer": "9999",
    "original": "the original messenger",
}

LINE = command_line(commands())


def names(command: Any, prefix: str = "") -> Iterator[str]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield prefix
        return
    for name, each in subcommands.items():
        yield from names(each, f"{prefix} {name}".strip())


EVERY = sorted(names(typer.main.get_command(LINE)))


@pytest.fixture(scope="module")
def addresses(strict: StrictServer) -> Mapping[str, str]:
    """The address of a database with each fault, and the password in it."""
    folder = str(strict.embedded.socket_dir).replace("/", "%2F")

    def address(database: str, password: str = SECRET, port: int = strict.embedded.port) -> str:
        return f"postgresql://ann:{password}@/{database}?host={folder}&port={port}"

    strict.run(
        sql.SQL("ALTER ROLE ann PASSWORD {}").format(sql.Literal(SECRET)),
        sql.SQL("CREATE DATABASE ascii OWNER ann ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"),
        sql.SQL("CREATE DATABASE newer OWNER ann"),
        sql.SQL("CREATE DATABASE original OWNER ann"),
    )
    for name, revision in (("newer", "9999"), ("original", "20250527182423")):
        strict.run(
            sql.SQL("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"),
            sql.SQL("INSERT INTO alembic_version VALUES ({})").format(sql.Literal(revision)),
            sql.SQL("GRANT ALL ON alembic_version TO ann"),
            database=name,
        )
    return {
        "password": address("here", f"{SECRET}, wrong"),
        "port": f"postgresql://ann:{SECRET}@127.0.0.1:1/here",
        "name": address("nowhere"),
        "encoding": address("ascii"),
        "newer": address("newer"),
        "original": address("original"),
    }


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of our own, and an empty folder."""
    for name in os.environ:
        if name not in {"PATH", "LANG", "TMPDIR", "HOME"} and not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ENVIRONMENT", "LOCAL")
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_no_command_is_forgotten() -> None:
    assert len(EVERY) > len(WITHOUT_A_DATABASE)
    assert set(EVERY) - WITHOUT_A_DATABASE <= ARGUMENTS.keys()


@pytest.mark.parametrize("fault", CAUSES)
def test_a_fault_of_the_database_is_one_line(
    environment: pytest.MonkeyPatch, addresses: Mapping[str, str], fault: str
) -> None:
    environment.setenv("DATABASE_URL", addresses[fault])
    for command in EVERY:
        if (
            command in WITHOUT_A_DATABASE
            or (command in NOT_IN_IT and fault not in {"password", "port"})
            or (command in AS_IT_IS and fault not in {"password", "port", "name"})
        ):
            continue
        words = [*command.split(), *ARGUMENTS[command]]
        ran = CliRunner().invoke(LINE, words, input="Correct-Horse\n")
        assert ran.exit_code == 2, (command, ran.output, ran.exception)
        (line,) = ran.stderr.splitlines()
        assert line.startswith("DATABASE_URL: "), (command, line)
        assert CAUSES[fault] in line, (command, line)
        assert ran.stdout == "", command
        assert SECRET not in ran.output


def test_a_database_is_named_without_its_password(environment: pytest.MonkeyPatch) -> None:
    """Not even one that is a parameter, or has characters that end a URL's part."""
    refused = []
    for address in (
        "postgresql://ann:s3cret%2F%40+x@127.0.0.1:1/here",
        "postgresql://ann@127.0.0.1:1/here?password=s3cret",
        "postgresql://ann:s3cret of ann@127.0.0.1:1/here",
    ):
        environment.setenv("DATABASE_URL", address)
        ran = CliRunner().invoke(LINE, ["db", "drop"], input="n\n")
        assert ran.exit_code == 1, ran.output
        assert "Remove the database postgresql://ann@127.0.0.1:1/here (LOCAL) with everything" in ran.output
        refused.append(ran.output)
    assert "s3cret" not in "".join(refused)

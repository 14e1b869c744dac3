"""The pages under docs/ name what there is, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from config.commands import commands
from config.settings.groups import names
from domain.security import SecurityAct
from interfaces.cli.main import command_line
from tests.metrics import complete_meter

ROOT = Path(__file__).resolve().parents[2]

ORIGINALS = [
    "ENVIRONMENT",
    "API_HOST",
    "API_SERVICE_PORT",
    "API_RELOAD",
    "API_WORKERS",
    "API_PREFIX",
    "API_TITLE",
    "API_DESCRIPTION",
    "API_VERSION",
    "API_CONTACT_NAME",
    "API_CONTACT_EMAIL",
    "API_DOC_PATH",
    "API_REDOC_PATH",
    "API_NO_LOG_ENDPOINTS",
    "API_HTTP",
    "API_ROUTE_CONFIRM_PASSWORD",
    "API_ROUTE_SETUP_NEW_PASSWORD",
    "API_CORS_ALLOWED_HOSTS",
    "PG_SERVER_LOGIN",
    "PG_SERVER_PASSWD",
    "PG_SERVER_ADDRESS",
    "PG_SERVER_PORT",
    "PG_SERVER_DB",
    "PG_SERVER_DB_SCHEMA",
    "PG_SERVER_DIALECT",
    "PG_SERVER_TEST_PREFIX",
    "PG_SERVER_ECHO",
    "PG_SERVER_CHUNK_SIZE",
    "PG_SERVER_EXTERNAL_PORT",
    "MODULES_SECTION_ENABLED_MODULES",
    "MODULES_SECTION_MODULES_DIR",
    "MODULES_SECTION_BASE_MODULES",
    "JWT_SECRET_KEY",
    "JWT_ALG",
    "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
    "JWT_REFRESH_TOKEN_EXPIRE_DAYS",
    "JWT_CONFIRMATION_TOKEN_EXPIRE_DAYS",
    "MAIL_SERVER",
    "MAIL_USERNAME",
    "MAIL_PASSWORD",
    "MAIL_FROM_EMAIL",
    "MAIL_PORT",
    "MAIL_FROM_NAME",
    "MAIL_TIMEOUT",
    "AUTH_EMAIL_PATTERN",
    "AUTH_PASSWORD_PATTERN",
    "AUTH_EMAIL_STRIP_ENABLED",
    "AUTH_PASSWORD_STRIP_ENABLED",
    "CHAT_CACHE_TTL_SECONDS",
    "CHAT_MIN_MESSAGE_INTERVAL",
    "LOG_ENABLE",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "LOG_WRITE_TO_FILE",
    "LOG_ACCESS_LOG_PATH",
    "LOG_ASGI_LOG_PATH",
    "TESTING",
]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([A-Z][A-Z_]+[A-Z])`", text))


class TestSettings:
    def test_each_of_the_originals_is_named_and_said_what_became_of_it(self) -> None:
        rows = [line for line in page("settings.md").splitlines() if line.startswith("| `")]
        first, _, _ = page("settings.md").partition("## New ones")
        assert set(ORIGINALS) - quoted(first) == set()
        told = {name: line.split("|")[2] for line in rows for name in quoted(line.split("|")[1])}
        for name in ORIGINALS:
            is_ours = name in names()
            assert is_ours != bool(re.search(r"left out|not built|in docker-compose", told[name])), name

    def test_each_of_ours_is_named(self) -> None:
        assert set(names()) - quoted(page("settings.md")) == set()

    def test_new_ones_are_ours(self) -> None:
        _, _, new = page("settings.md").partition("## New ones")
        assert quoted(new) == set(names()) - set(ORIGINALS)


def words_of(command: Any, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every command that does something, as it is typed."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield before
        return
    for name, each in inner.items():
        yield from words_of(each, (*before, name))


class TestCommands:
    def test_each_is_named_and_no_other(self) -> None:
        line = typer.main.get_command(command_line(commands()))
        table, _, _ = page("commands.md").partition("## From the original")
        told = re.findall(r"^\| `(messenger(?: [a-z]+(?:-[a-z]+)*)+)", table, re.MULTILINE)
        assert set(told) == {" ".join(words) for words in words_of(line, ("messenger",))}

    @pytest.mark.parametrize(
        "original",
        [
            "python main.py",
            "entrypoint.sh",
            "alembic upgrade head",
            "manage.py db --create",
            "manage.py db --drop",
            "manage.py db --migrate",
            "manage.py db --fill",
            "manage.py db --recreate",
            "manage.py module --name",
            "run_tests.sh",
        ],
    )
    def test_each_of_the_originals_has_a_place(self, original: str) -> None:
        _, _, mapping = page("commands.md").partition("## From the original")
        assert original in mapping


def test_each_figure_is_told_and_no_other() -> None:
    text = complete_meter().text().decode()
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    table, _, _ = page("operation.md").partition("## Limits")
    told = set(re.findall(r"`((?:messenger|process)_\w+)`", table))
    assert told == {name for name in known if not name.endswith("_created")}


def test_each_act_of_the_security_log_is_told_in_its_order() -> None:
    _, _, section = page("operation.md").partition("Its `act` is one of")
    acts, _, _ = section.partition(";")
    assert re.findall(r"`(\w+)`", acts) == [act.value for act in SecurityAct]


def test_no_number_of_a_decision_repeats() -> None:
    """A gap is no fault: numbers are given out before the decisions are written."""
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(path.name.partition("-")[0]) for path in decisions]
    assert numbers == sorted(set(numbers))
    for number, path in zip(numbers, decisions, strict=True):
        assert path.name.startswith(f"{number:04}-")
        assert path.read_text().startswith(f"# {number}. "), path.name

"""What the console script imports before it knows what to do: `messenger --help` must answer at once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = {
    "alembic",
    "asyncio",
    "cryptography",
    "dependency_injector",
    "jinja2",
    "joserfc",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "yaml",
    "config.asgi",
    "config.container",
    "config.settings",
    "infrastructure",
}
"""Packages that a command may need, but not the command line."""

OF_OTHER_COMMANDS = {
    "config.backup",
    "config.commands.accounts",
    "config.commands.database",
    "config.importing",
    "infrastructure.original",
    "infrastructure.postgres.backup",
    "infrastructure.scaffold",
    "infrastructure.smtp.trial",
}
"""Packages that `messenger serve` never needs."""

RUN = """
import sys
from config.main import main
sys.argv = ["messenger", *sys.argv[1:]]
try:
    main()
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def imported_by(program: str, *words: str) -> set[str]:
    """The names of all modules that a program has imported when it ends."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(ran.stderr.split())


def within(modules: set[str], packages: set[str]) -> set[str]:
    return {name for name in modules if any(f"{name}.".startswith(f"{each}.") for each in packages)}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_command_line_imports_little(option: str) -> None:
    modules = imported_by(RUN, option)
    assert "interfaces.cli.db" in modules
    assert within(modules, HEAVY) == set()
    assert len(modules) < 450


def test_serving_imports_nothing_of_the_other_commands() -> None:
    modules = imported_by('import sys, config.start; print(*sys.modules, sep="\\n", file=sys.stderr)')
    assert "config.asgi" in modules
    assert within(modules, OF_OTHER_COMMANDS) == set()

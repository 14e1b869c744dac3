"""
The commands. Each one reads the settings that it uses, connects to the database, and puts the application together for as
long as it takes.

What a command needs is imported when it runs, so that `messenger --help` and a mistyped option answer at once:
SQLAlchemy and Alembic alone take longer than everything else. `tests/architecture/test_imports.py` keeps it so.
"""

from collections.abc import Sequence
from pathlib import Path

from config.quick_imports import quick_imports
from interfaces.cli.db import Database
from interfaces.cli.main import Commands, EffectiveSetting
from interfaces.cli.users import Users

# ruff: noqa: PLC0415

# The functions have an underscore: importing `config.commands.database` binds the name `database` here.


def commands() -> Commands:
    return Commands(
        version=_version,
        serve=_serve,
        database=_database,
        users=_users,
        create_module=_create_module,
        try_mail=_try_mail,
        settings=_settings,
    )


def _version() -> str:
    with quick_imports():
        from config.build import this_build

    return str(this_build())


def _serve(local: bool, workers: str | None) -> None:
    with quick_imports():
        from config import start

    start.serve(local, workers)


def _database() -> Database:
    with quick_imports():
        from config.commands.database import operations

    return operations()


def _users() -> Users:
    with quick_imports():
        from config.commands.accounts import operations

    return operations()


def _create_module(name: str) -> Sequence[Path]:
    with quick_imports():
        from config.commands import modules

    return modules.create_module(name)


def _try_mail(address: str) -> str:
    with quick_imports():
        from config.commands import letters

    return letters.try_mail(address)


def _settings() -> Sequence[EffectiveSetting]:
    with quick_imports():
        from config.commands import settings

    return settings.settings_in_force()

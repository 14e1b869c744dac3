"""`messenger module`: creates the files of a module."""

from collections.abc import Sequence
from pathlib import Path

from infrastructure.scaffold.module import AlreadyThere, BadModuleName, lay_module
from interfaces.cli.looks import CommandRefused


def create_module(name: str) -> Sequence[Path]:
    try:
        return lay_module(name, Path.cwd())
    except (BadModuleName, AlreadyThere) as why:
        raise CommandRefused(str(why)) from None

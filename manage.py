"""
The original messenger's commands, for whoever has them in scripts and in their fingers:

    python manage.py db [--create | --drop | --migrate | --fill | --recreate]
    python manage.py module --name NAME

Each is a command of `messenger`, which docs/commands.md explains. Those that destroy something ask first, or take --yes.
"""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

ROOT = Path(__file__).resolve().parent

DATABASE = {
    "drop": ["db", "drop"],
    "create": ["db", "create"],
    "migrate": ["db", "migrate"],
    "fill": ["db", "fill"],
    "recreate": ["db", "reset"],
}
"""In the original's order: of several flags the first one here counts."""

ASKING = ("drop", "recreate")


def command_of(arguments: list[str]) -> list[str]:
    """The arguments of `messenger`; none where there is nothing to do but to show the help."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    rooms = parser.add_subparsers(dest="room")
    database = rooms.add_parser("db", help="the database")
    for name, command in DATABASE.items():
        database.add_argument(
            f"-{name[0]}", f"--{name}", action="store_true", help=f"messenger {' '.join(command)}"
        )
    database.add_argument("-y", "--yes", action="store_true", help="do not ask")
    module = rooms.add_parser("module", help="modules")
    module.add_argument("-n", "--name", required=True, help="messenger module create NAME")
    given = parser.parse_args(arguments)
    if given.room == "module":
        return ["module", "create", given.name]
    for name, command in DATABASE.items():
        if given.room == "db" and getattr(given, name):
            return [*command, "--yes"] if given.yes and name in ASKING else command
    (database if given.room == "db" else parser).print_help()
    return []


def main() -> None:
    command = command_of(sys.argv[1:])
    if not command:
        return
    python = ROOT / ".venv" / "bin" / "python"
    if python.exists() and Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execv(python, [str(python), "-m", "config.main", *command])  # noqa: S606 - the same program, with its packages
    os.execv(sys.executable, [sys.executable, "-m", "config.main", *command])  # noqa: S606


if __name__ == "__main__":
    main()

"""
Reads the texts of settings from the process environment and from `.env`.

Imports next to nothing of the messenger, because the health check reads settings every few seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.variables import parse_variables

DOTENV: Final = Path(".env")


class WrongSettings(Exception):
    """Some settings are wrong. The message has one line for each, without the values of secrets."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def values_by_name(environ: Mapping[str, str], dotenv_path: Path) -> dict[str, str]:
    """The texts of settings by upper-case name. Empty and blank texts count as not set."""
    values: dict[str, str] = {}
    try:
        with dotenv_path.open(encoding="utf-8-sig") as file:
            found = dotenv_values(stream=file, interpolate=False)
            found = interpolated(found, environ)
    except FileNotFoundError:
        found = {}
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings([f"{dotenv_path} cannot be read: {error}"]) from error
    for source in (found, environ):
        for name, value in source.items():
            if value is not None and value.strip():
                values[name.upper()] = value
    return values


def interpolated(found: Mapping[str, str | None], environ: Mapping[str, str]) -> dict[str, str | None]:
    """
    Replaces ``${NAME}`` and ``${NAME:-default}`` in the file by the value of NAME in the lines above, or else in the
    environment. These are the rules of python-dotenv, as in the original messenger. An unknown name becomes empty.
    """
    resolved: dict[str, str | None] = {}
    for name, value in found.items():
        known = {**environ, **resolved}
        resolved[name] = (
            None if value is None else "".join(atom.resolve(known) for atom in parse_variables(value))
        )
    return resolved

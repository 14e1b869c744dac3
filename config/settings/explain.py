"""The settings in force and where each value comes from, for `messenger settings`."""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import fields, has

from config.settings.groups import PgServer, Settings
from config.settings.load import FILE_SUFFIX, Loader
from config.settings.texts import WrongSettings, values_by_name


def explain(environ: Mapping[str, str], dotenv_path: Path) -> list[tuple[str, str, str]]:
    """
    Returns the name, the value as text and the source of every setting. For a secret, the text only tells whether it is
    set. Nothing is written to disk.

    Raises:
        WrongSettings: Some settings are wrong; the error lists all of them.
    """
    values = values_by_name(environ, dotenv_path)
    from_process = {name.upper() for name, value in environ.items() if value.strip()}
    is_local = values.get("ENVIRONMENT", "").strip().upper() == "LOCAL"
    made = is_local and not {"JWT_SECRET_KEY", f"JWT_SECRET_KEY{FILE_SUFFIX}"} & values.keys()
    reader = Loader.of(values | ({"JWT_SECRET_KEY": "made at the first start"} if made else {}))
    settings = reader.settings()
    if reader.faults:
        raise WrongSettings(reader.faults)
    rows = []
    for group in (settings, *(getattr(settings, each.name) for each in fields(Settings))):
        if not has(type(group)):
            continue
        for each in fields(type(group)):
            if "name" not in each.metadata:
                continue
            name, value = each.metadata["name"], getattr(group, each.name)
            if f"{name}{FILE_SUFFIX}" in values:
                source = values[f"{name}{FILE_SUFFIX}"].strip()
            elif name in values:
                source = "environment" if name in from_process else str(dotenv_path)
            else:
                source = "default" if value == each.default or name == "VAR_DIR" else "follows other settings"
            if name == "JWT_SECRET_KEY" and made:
                source = str(settings.var_dir / "secrets" / "jwt_secret_key")
            rows.append((name, _hidden(value) if each.metadata["secret"] else _as_text(name, value), source))
    for each in fields(PgServer):
        name = each.metadata["name"]
        if f"{name}{FILE_SUFFIX}" in values:
            rows.append((name, "(set)", values[f"{name}{FILE_SUFFIX}"].strip()))
        elif name in values:
            source = "environment" if name in from_process else str(dotenv_path)
            rows.append((name, "(set)" if each.metadata["secret"] else values[name].strip(), source))
    return sorted(rows)


def _hidden(value: object) -> str:
    return "(set)" if value else "(not set)"


UNITS: Final = {"DAYS": timedelta(days=1), "MINUTES": timedelta(minutes=1)}
"""The units of durations, by the last word of the name of the setting; all others are in seconds."""


def _as_text(name: str, value: object) -> str:
    """The value as it would be written in the environment."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case Enum():
            return str(value.value)
        case timedelta():
            unit = UNITS.get(name.rpartition("_")[2], timedelta(seconds=1))
            return f"{value / unit:.9g}"
        case _:
            return str(value)

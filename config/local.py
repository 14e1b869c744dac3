"""Builds the state and the letters that the web client shows of a messenger that somebody tries out."""

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from sqlalchemy import make_url

from config.build import this_build
from config.container import Application
from config.data.people import PASSWORD, PEOPLE
from config.operation import health_details
from config.settings.groups import Settings
from config.settings.readers import Environment
from infrastructure.smtp.reading import LetterFolder
from interfaces.web.status import LOOPBACK_HOSTS, Local, Person, WrittenLetter


def is_alone(settings: Settings) -> bool:
    """Tell whether the messenger is there to be tried out, and answers nobody but this machine."""
    return settings.environment is Environment.LOCAL and settings.api.host in LOOPBACK_HOSTS


def make_local(application: Application, settings: Settings) -> Local | None:
    """Return what people on this machine may see, or None where others could see it."""
    if not is_alone(settings):
        return None
    build = this_build()
    return Local(
        letters=None if settings.mail.server else KeptLetters(LetterFolder(settings.var_dir / "mail")),
        about={
            "environment": settings.environment.value,
            "version": build.version,
            "revision": build.revision or "unknown",
            "python": build.python,
            "storage": _where(settings.database.url, settings.var_dir),
            "data": str(settings.var_dir.absolute()),
        },
        checks=health_details(application, settings).checks,
        people=[
            Person(each.email, " ".join(filter(None, (each.first_name, each.last_name)))) for each in PEOPLE
        ],
        password=PASSWORD,
    )


def _where(url: str | None, folder: Path) -> str:
    """Say in words which database this is. No password is in them."""
    if url is None:
        return f"PostgreSQL, embedded in {folder / 'postgres'}"
    parts = make_url(url)
    return f"PostgreSQL, {parts.database} at {parts.host or parts.query.get('host', 'localhost')}"


@frozen
class KeptLetters:
    folder: LetterFolder

    def newest(self) -> Sequence[WrittenLetter]:
        return [
            WrittenLetter(each.name, each.to, each.subject, each.link, each.written)
            for each in self.folder.newest()
        ]

    def html(self, name: str) -> str | None:
        return self.folder.html(name)

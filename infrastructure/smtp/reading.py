"""Reads the letters of a mailbox folder."""

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html import escape
from pathlib import Path
from typing import Final

from attrs import frozen

_LINK: Final = re.compile(r"https?://\S+\?token=[\w.-]+")

MOST: Final = 20


@frozen
class KeptLetter:
    name: str
    """The name of its file, without the ending."""
    to: str
    subject: str
    link: str | None
    """The link that the letter is about, if it has one."""
    written: datetime


@frozen
class LetterFolder:
    folder: Path

    def newest(self, most: int = MOST) -> Sequence[KeptLetter]:
        """Return the newest letters, the newest first; none if there is no such folder."""
        paths = sorted(self.folder.glob("*.eml"), key=_written_at, reverse=True)[:most]
        return [_kept(path) for path in paths]

    def html(self, name: str) -> str | None:
        """Return a letter as HTML that loads nothing, its pictures within it, or None if there is no such letter."""
        path = next((each for each in self.folder.glob("*.eml") if each.stem == name), None)
        return _html(_message(path)) if path is not None else None


def _written_at(path: Path) -> float:
    return path.stat().st_mtime


def _message(path: Path) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())


def _kept(path: Path) -> KeptLetter:
    message = _message(path)
    body = message.get_body(("plain",))
    link = _LINK.search(body.get_content()) if body is not None else None
    return KeptLetter(
        name=path.stem,
        to=str(message["To"]),
        subject=str(message["Subject"]),
        link=link.group(0) if link else None,
        written=datetime.fromtimestamp(_written_at(path), UTC),
    )


def _html(message: EmailMessage) -> str:
    body = message.get_body(("html",))
    if body is None:
        plain = message.get_body(("plain",))
        text = escape(plain.get_content()) if plain is not None else ""
        return f"<!doctype html>\n<html>\n<head></head>\n<body><pre>{text}</pre></body>\n</html>\n"
    content = str(body.get_content())
    for part in message.walk():
        if name := str(part["Content-ID"] or "").strip("<>"):
            data = part.get_payload(decode=True)
            assert isinstance(data, bytes)
            picture = f"data:{part.get_content_type()};base64,{b64encode(data).decode()}"
            content = content.replace(f"cid:{name}", picture)
    return content

"""Reads the letters of a mailbox folder."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Final

from attrs import frozen

_LINK: Final = re.compile(r"https?://\S+\?token=[\w.-]+")


@frozen
class KeptLetter:
    to: str
    subject: str
    link: str | None
    """The link that the letter is about, if it has one."""
    written: datetime


def newest_letters(folder: Path, most: int = 20) -> Sequence[KeptLetter]:
    """Return the newest letters of the folder, the newest first; none if there is no such folder."""
    paths = sorted(folder.glob("*.eml"), key=_written_at, reverse=True)[:most]
    return [_letter(path) for path in paths]


def _written_at(path: Path) -> float:
    return path.stat().st_mtime


def _letter(path: Path) -> KeptLetter:
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())
    body = message.get_body(("plain",))
    link = _LINK.search(body.get_content()) if body is not None else None
    return KeptLetter(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        link=link.group(0) if link else None,
        written=datetime.fromtimestamp(_written_at(path), UTC),
    )

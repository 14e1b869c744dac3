"""
Shows the letters that a messenger for trying out has written instead of sending them, so that a newcomer needs no mailbox.

Their links sign people in. The composition root passes letters only in LOCAL, where the server listens on the loopback
interface; and a request that names another host is refused, because a page elsewhere could have its own name lead here.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from interfaces.http.envelope import success
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.wire.values import moment

HOSTS: Final = {"localhost", "127.0.0.1", "::1"}


@frozen
class WrittenLetter:
    """A letter of the mailbox folder."""

    to: str
    subject: str
    link: str | None
    written: datetime


ReadLetters = Callable[[], Sequence[WrittenLetter]]
"""Returns the newest letters, the newest first."""


@frozen
class LocalLetters:
    options: HttpOptions
    read: ReadLetters

    @property
    def path(self) -> str:
        return f"{self.options.web_path}letters"

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", self.path, self.show)]

    async def show(self, request: Request) -> Response:
        if request.url.hostname not in HOSTS:
            raise HTTPException(404)
        letters = await asyncio.to_thread(self.read)
        return success(
            [
                {
                    "to": each.to,
                    "subject": each.subject,
                    "link": each.link,
                    "written": moment(each.written),
                }
                for each in letters
            ]
        )

"""
Shows the state of a messenger that somebody tries out, at `/app/status`, and the letters that it has written instead of
sending them, so that a newcomer needs no mailbox and opens no file.

The links of letters sign people in. The composition root passes them only in LOCAL, where the server listens on the loopback
interface; and a request that names another host is refused, because a page elsewhere could have its own name lead here.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from attrs import field, frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from interfaces.http.envelope import success
from interfaces.http.look import STYLE
from interfaces.http.options import HttpOptions
from interfaces.http.pages import page, policy, source
from interfaces.http.routes import Endpoint
from interfaces.wire.values import moment

LOOPBACK_HOSTS: Final = {"localhost", "127.0.0.1", "::1"}

CHECK_SECONDS: Final = 5.0
"""Seconds after which a check has failed."""


@frozen
class WrittenLetter:
    """A letter of the mailbox folder."""

    name: str
    """Tells the letter apart from the others."""
    to: str
    subject: str
    link: str | None
    written: datetime


class Letters(Protocol):
    """The letters that were written on this machine."""

    def newest(self) -> Sequence[WrittenLetter]:
        """Return the newest letters, the newest first."""

    def html(self, name: str) -> str | None:
        """Return a letter as HTML that loads nothing, or None if there is no such letter."""


@frozen
class Person:
    email: str
    name: str


@frozen(kw_only=True)
class Local:
    """The facts about a messenger that somebody tries out on this machine."""

    letters: Letters | None = None
    """None if letters are sent."""
    about: Mapping[str, str] = field(factory=dict)
    """Facts about the process. Their names, and those of the checks, are known to the page, which says them in words."""
    checks: Mapping[str, Callable[[], Awaitable[object]]] = field(factory=dict)
    """Checks by name. A check raises when something is wrong."""
    people: Sequence[Person] = ()
    """The people who can sign in with ``password``."""
    password: str = ""


@frozen
class LocalStatus:
    options: HttpOptions
    local: Local

    @property
    def letters_path(self) -> str:
        """The path of the letters as JSON, for the web client."""
        return f"{self.options.web_path}letters"

    def routes(self) -> list[Endpoint]:
        at = self.options.status_path
        return [
            Endpoint("GET", at, self.show),
            *(
                (
                    Endpoint("GET", self.letters_path, self.list_letters),
                    Endpoint("GET", f"{at}/letters/{{name}}", self.show_letter),
                    Endpoint("GET", f"{at}/letters/{{name}}/html", self.show_html),
                )
                if self.local.letters
                else ()
            ),
        ]

    async def show(self, request: Request) -> Response:
        _refuse_others(request)
        checks = await asyncio.gather(*map(_is_well, self.local.checks.values()))
        return page(
            request.headers,
            "status.html",
            more={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
            places=self.options.places,
            here="status",
            status_at=f"{self.options.public_path}{self.options.status_path}",
            about=self.local.about,
            checks=dict(zip(self.local.checks, checks, strict=True)),
            people=self.local.people,
            password=self.local.password,
            are_letters_here=self.local.letters is not None,
            letters=await self._newest(),
        )

    async def list_letters(self, request: Request) -> Response:
        _refuse_others(request)
        return success(
            [
                {
                    "name": each.name,
                    "to": each.to,
                    "subject": each.subject,
                    "link": each.link,
                    "written": moment(each.written),
                }
                for each in await self._newest()
            ]
        )

    async def show_letter(self, request: Request) -> Response:
        _refuse_others(request)
        name = request.path_params["name"]
        letter = next((each for each in await self._newest() if each.name == name), None)
        if letter is None:
            raise HTTPException(404)
        return page(
            request.headers,
            "letter.html",
            more={
                "Cache-Control": "no-store",
                "Content-Security-Policy": policy(styles=(STYLE,), images="data:", own=("frame-src",)),
            },
            places=self.options.places,
            status_at=f"{self.options.public_path}{self.options.status_path}",
            letter=letter,
        )

    async def show_html(self, request: Request) -> Response:
        """Return the letter itself, for the frame of the page around it. Its links open in the place of that page."""
        _refuse_others(request)
        letters = self.local.letters
        content = await asyncio.to_thread(letters.html, request.path_params["name"]) if letters else None
        if content is None:
            raise HTTPException(404)
        styles = sorted({source(each) for each in re.findall(r'style="([^"]*)"', content)})
        directives = (
            "default-src 'none'",
            "img-src data:",
            f"style-src 'unsafe-hashes' {' '.join(styles)}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
            "sandbox allow-top-navigation-by-user-activation",
        )
        headers = {
            "Content-Security-Policy": "; ".join(directives),
            "X-Frame-Options": "SAMEORIGIN",
            "Cache-Control": "no-store",
        }
        return HTMLResponse(content.replace("<head>", '<head>\n  <base target="_top">', 1), headers=headers)

    async def _newest(self) -> Sequence[WrittenLetter]:
        return await asyncio.to_thread(self.local.letters.newest) if self.local.letters else ()


def _refuse_others(request: Request) -> None:
    if request.url.hostname not in LOOPBACK_HOSTS:
        raise HTTPException(404)


async def _is_well(check: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception:  # noqa: BLE001  # whatever is wrong, the page says that something is
        return False
    return True

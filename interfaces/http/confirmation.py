"""
The page that the link in a confirmation letter opens.

It asks before it confirms: mail scanners open links, and one that runs scripts must not activate an account that
somebody else made with its reader's address.
"""

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint

TEMPLATE: Final = Path(__file__).with_name("confirmation.html")


def _source(page: str, tag: str) -> str:
    """The page's one inline ``tag``, as a content security policy names it."""
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def headers_of(page: str) -> dict[str, str]:
    """A page that a letter leads to runs its own script and asks this server, and nothing else."""
    policy = (
        f"default-src 'none'; script-src {_source(page, 'script')}; style-src {_source(page, 'style')}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",  # the address holds the token
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


@frozen
class ConfirmationPage:
    path: str
    _page: str
    _headers: dict[str, str]

    @classmethod
    def of(cls, options: HttpOptions) -> "ConfirmationPage":
        accounts = f"{options.prefix}/accounts"
        page = (
            TEMPLATE.read_text(encoding="utf-8")
            .replace("{confirm_url}", escape(f"{accounts}/email/confirm/"))
            .replace("{sign_out_url}", escape(f"{accounts}/sign-out/"))
        )
        return cls(options.confirm_path, page, headers_of(page))

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", self.path, self.show)]

    async def show(self, _: Request) -> Response:
        return HTMLResponse(self._page, headers=self._headers)

"""
The page that the link in the letter for a forgotten password opens.

The link is redeemed when a password is sent, not when the page is opened: mail scanners open links. It works once, so the
page keeps what it was redeemed for until a password was accepted.
"""

from html import escape
from pathlib import Path
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from interfaces.http.confirmation import headers_of
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint

TEMPLATE: Final = Path(__file__).with_name("new_password.html")


@frozen
class NewPasswordPage:
    path: str
    _page: str
    _headers: dict[str, str]

    @classmethod
    def of(cls, options: HttpOptions) -> "NewPasswordPage":
        accounts = f"{options.prefix}/accounts"
        page = (
            TEMPLATE.read_text(encoding="utf-8")
            .replace("{redeem_url}", escape(f"{accounts}/token/redeem/"))
            .replace("{set_url}", escape(f"{accounts}/password/set/"))
            .replace("{sign_out_url}", escape(f"{accounts}/sign-out/"))
        )
        return cls(options.new_password_path, page, headers_of(page))

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", self.path, self.show)]

    async def show(self, _: Request) -> Response:
        return HTMLResponse(self._page, headers=self._headers)

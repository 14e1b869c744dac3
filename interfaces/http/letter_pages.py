"""
The pages to which links in letters lead.

They do nothing until a button is pressed: mail scanners open links, and a scanner that runs scripts must not activate an
account that a stranger created with the reader's address.
"""

import re
from html import escape
from pathlib import Path

from attrs import frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from interfaces.http.options import HttpOptions
from interfaces.http.pages import policy
from interfaces.http.routes import Endpoint


@frozen
class LetterPage:
    path: str
    _content: str
    _headers: dict[str, str]

    @classmethod
    def of(cls, path: str, template: str, **values: str) -> "LetterPage":
        """Fill a template: a file beside this one, with the names of ``values`` in braces, one inline style and one script."""
        content = Path(__file__).with_name(template).read_text(encoding="utf-8")
        for name, value in values.items():
            content = content.replace(f"{{{name}}}", escape(value))
        return cls(path, content, _headers(content))

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", self.path, self.show)]

    async def show(self, _: Request) -> Response:
        return HTMLResponse(self._content, headers=self._headers)


def confirmation_page(options: HttpOptions) -> LetterPage:
    accounts = f"{options.base}/accounts"
    return LetterPage.of(
        options.confirm_path,
        "confirmation.html",
        confirm_url=f"{accounts}/email/confirm/",
        sign_out_url=f"{accounts}/sign-out/",
    )


def new_password_page(options: HttpOptions) -> LetterPage:
    """Return the page that sets a password. The link works once, so the page keeps its token until a password is accepted."""
    accounts = f"{options.base}/accounts"
    russian, english = options.password_pattern.wording
    return LetterPage.of(
        options.new_password_path,
        "new_password.html",
        redeem_url=f"{accounts}/token/redeem/",
        set_url=f"{accounts}/password/set/",
        sign_out_url=f"{accounts}/sign-out/",
        rule_ru=russian,
        rule_en=english,
    )


def _headers(page: str) -> dict[str, str]:
    """Return headers that allow the page to run its own script and send requests to this server, and nothing else."""
    style, script = (_inline(page, tag) for tag in ("style", "script"))
    return {
        "Content-Security-Policy": policy(styles=(style,), scripts=(script,), own=("connect-src",)),
        "Referrer-Policy": "no-referrer",  # the address holds the token
        "Cache-Control": "no-store",
    }


def _inline(page: str, tag: str) -> str:
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return str(content)

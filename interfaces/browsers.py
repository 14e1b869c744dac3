"""
Tells requests of our own web pages from those that a foreign page makes a browser send.

A browser names the page in ``Origin`` (RFC 6454) and its relation to us in ``Sec-Fetch-Site`` (Fetch Metadata), which scripts
cannot change. It adds our cookies to such requests, and opens WebSockets from any page. Clients that are no browsers send
neither header, and are not affected.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

NOT_FOREIGN: Final = frozenset({"none", "same-origin"})
"""Values of ``Sec-Fetch-Site``: a person entered the address, or the page is of the same origin."""

_PORT_LEFT_OUT: Final = {"http": ":80", "https": ":443"}


class ForeignPage(Exception):
    """The request was sent by a browser for a web page that is not ours and not allowed."""


@frozen
class Pages:
    """Decides from which web pages requests are accepted: our own, and those of ``allowed`` origins."""

    allowed: frozenset[str]

    @classmethod
    def of(cls, public_url: str, others: Collection[str]) -> "Pages":
        """Return the rule for a messenger whose address is ``public_url`` and which other origins may call."""
        parts = urlsplit(public_url)
        own = {f"{parts.scheme}://{parts.netloc}".lower()} if parts.netloc else set()
        return cls(frozenset({*own, *others}))

    def accept(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        if len(origins) > 1:
            return False
        if origins and origins[0] in self.allowed:
            return True
        is_near = headers.get("sec-fetch-site", "none") in NOT_FOREIGN
        return is_near and (not origins or origins[0] in _origins_of_host(scope, headers))

    def check(self, scope: Scope) -> None:
        """
        Raises:
            ForeignPage: The request is from a page that is not accepted.
        """
        if not self.accept(scope):
            raise ForeignPage


def _origins_of_host(scope: Scope, headers: Headers) -> Collection[str]:
    """
    Return the origins that a page at the address of this request has. HTTPS is always among them, because a proxy that we
    do not trust may have taken the encryption off.
    """
    host = headers.get("host", "").lower()
    scheme = "http" if scope.get("scheme") in {"http", "ws"} else "https"
    return (
        {f"{each}://{host.removesuffix(_PORT_LEFT_OUT[each])}" for each in (scheme, "https")} if host else ()
    )


@frozen
class SocketsOfPages:
    """Middleware that refuses WebSocket handshakes from foreign pages, with 403 and before anything else is done."""

    app: ASGIApp
    pages: Pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not self.pages.accept(scope):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        await self.app(scope, receive, send)

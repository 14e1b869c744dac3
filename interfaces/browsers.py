"""
Tells requests of our own web pages from those that a foreign page makes a browser send.

A browser names the page in ``Origin`` (RFC 6454) and its relation to us in ``Sec-Fetch-Site`` (Fetch Metadata), which scripts
cannot change. It adds our cookies to such requests, and opens WebSockets from any page. Most clients that are no browsers send
neither header. WebSocket libraries for phones may send the address that they open as ``Origin``, with ``ws`` or ``wss``, which
no page of a browser can.
"""

import re
from collections.abc import Collection, Set
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen
from starlette.datastructures import Headers
from starlette.types import Scope

NOT_FOREIGN: Final = frozenset({"none", "same-origin"})
"""Values of ``Sec-Fetch-Site``: a person entered the address, or the page is of the same origin."""

FETCH_SITE: Final = "sec-fetch-site"

_USUAL_PORT: Final = {"http": ":80", "https": ":443"}
_OF_SOCKETS: Final = {"http": "ws", "https": "wss"}
_WITH_PORT: Final = re.compile(r":[0-9]+\Z")


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
        own = _origins(parts.scheme, parts.netloc) if parts.netloc else frozenset[str]()
        return cls(frozenset({*own, *others}))

    def accept(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        if len(origins) > 1:
            return False
        # Only libraries write a host as they were given it; browsers write small letters.
        origin = origins[0].lower() if origins else None
        if origin in self.allowed:
            return True
        is_near = headers.get(FETCH_SITE, "none") in NOT_FOREIGN
        return is_near and (origin is None or origin in _origins_of_host(scope, headers))

    def check(self, scope: Scope) -> None:
        """
        Raises:
            ForeignPage: The request is from a page that is not accepted.
        """
        if not self.accept(scope):
            raise ForeignPage


def is_of_browser(scope: Scope) -> bool:
    """Tell whether a browser sent the request. Those of before 2023 do not say so, and count as other programs."""
    return FETCH_SITE in Headers(scope=scope)


def _origins(scheme: str, netloc: str) -> Set[str]:
    """
    Return what clients of the address write as its origin: browsers without the usual port, other clients as the URL of a
    socket too, and some of them with every port.
    """
    port = _USUAL_PORT[scheme]
    plain = netloc.lower().removesuffix(port)
    written = {plain} if _WITH_PORT.search(plain) else {plain, plain + port}
    return {f"{each}://{name}" for each in (scheme, _OF_SOCKETS[scheme]) for name in written}


def _origins_of_host(scope: Scope, headers: Headers) -> Set[str]:
    """
    Return the origins that a page at the address of this request has. HTTPS is always among them, because a proxy that we
    do not trust may have taken the encryption off.
    """
    host = headers.get("host", "").removesuffix(":")
    if not host:
        return frozenset()
    scheme = "http" if scope.get("scheme") in {"http", "ws"} else "https"
    return _origins(scheme, host) | _origins("https", host)

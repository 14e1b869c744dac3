"""
Where a request really came from, if it came through proxies that are trusted.

They say so in ``Forwarded`` (RFC 7239), or in ``X-Forwarded-For`` and ``X-Forwarded-Proto``. Each proxy adds the address
it was asked from at the end, so the last address that is no trusted proxy is the client: whatever stands before it, the
client may have made up.
"""

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.network import address
from interfaces.http.addresses import Networks

_PAIR: Final = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*')

_SCHEMES: Final = {
    "http": ("http", "ws"),
    "https": ("https", "wss"),
    "ws": ("http", "ws"),
    "wss": ("https", "wss"),
}
"""What a proxy says, and what it means for a request and for a WebSocket."""

LONGEST: Final = 50
"""Addresses of one chain that are looked at, from the end. More proxies than that stand in front of nobody."""


@frozen
class Hop:
    """What one proxy says of the request that it passed on; empty where it says nothing."""

    address: str = ""
    scheme: str = ""


@frozen
class BehindProxies:
    """Corrects the client's address and the scheme of what comes from a trusted proxy, and writes IPv4 as IPv4."""

    app: ASGIApp
    trusted: Networks = Networks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and (client := scope.get("client")):
            host, port = client[:2]
            if host in self.trusted:
                host, port = self._told(scope, host, port)
            scope["client"] = (str(address(host) or host), port)
        await self.app(scope, receive, send)

    def _told(self, scope: Scope, host: str, port: int) -> tuple[str, int]:
        chain = hops(Headers(scope=scope))
        for hop in reversed(chain[-LONGEST:]):
            if hop.scheme in _SCHEMES:
                scope["scheme"] = _SCHEMES[hop.scheme][scope["type"] == "websocket"]
            if address(hop.address) is None:  # hidden ("unknown", "_name") or made up: no one is before it
                break
            host, port = hop.address, 0
            if host not in self.trusted:
                break
        return host, port


def hops(headers: Headers) -> Sequence[Hop]:
    """Of every proxy in the chain, the client's own first. ``Forwarded`` is believed alone where it is there."""
    if forwarded := ",".join(headers.getlist("forwarded")):
        return [_hop(element) for element in _split(forwarded)]
    listed = ",".join(headers.getlist("x-forwarded-for"))
    chain = [Hop(_host(each)) for each in listed.split(",")] if listed.strip() else []
    scheme = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
    if not scheme:
        return chain
    return [*chain[:-1], Hop(chain[-1].address if chain else "", scheme)]


_ELEMENT: Final = re.compile(r'(?:"(?:[^"\\]|\\.?)*(?:"|$)|[^,"])+', re.DOTALL)
"""Up to the next comma outside quotes. A quote that nothing closes goes to the end, so that matching never goes back."""


def _split(forwarded: str) -> Sequence[str]:
    return _ELEMENT.findall(forwarded)


def _hop(element: str) -> Hop:
    said = {}
    for pair in element.split(";"):
        if match := _PAIR.fullmatch(pair):
            name, quoted, token = match.groups()
            said[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
    return Hop(_host(said.get("for", "")), said.get("proto", "").lower())


def _host(node: str) -> str:
    """Without a port, and without the brackets of IPv6."""
    node = node.strip()
    if node.startswith("["):
        return node[1:].partition("]")[0]
    host, colon, port = node.partition(":")
    return host if colon and ":" not in port else node

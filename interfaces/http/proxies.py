"""
Finds the client's address and scheme of a request that came through trusted proxies.

Proxies report them in ``Forwarded`` (RFC 7239), or in ``X-Forwarded-For`` and ``X-Forwarded-Proto``. Each proxy appends
the address from which it got the request, so the last address that is not a trusted proxy is the client. The client may
have forged everything before it.
"""

import re
from collections.abc import Awaitable, Sequence
from functools import lru_cache
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
"""The scheme that a proxy reports, and the resulting schemes of a request and of a WebSocket."""

LONGEST: Final = 50
"""The number of addresses of a chain that are examined, from the end: no real chain of proxies is longer."""


@frozen
class Hop:
    """The report of one proxy about a request that it passed on; fields that it does not report are empty."""

    address: str = ""
    scheme: str = ""


@frozen
class BehindProxies:
    """Sets the client's address and scheme of requests from trusted proxies, and writes IPv4-mapped addresses as IPv4."""

    app: ASGIApp
    trusted: Networks = Networks()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] in {"http", "websocket"} and (client := scope.get("client")):
            host, port = client[:2]
            if host in self.trusted:
                host, port = self._client_of(scope, host, port)
            scope["client"] = (_written(host), port)
        return self.app(scope, receive, send)

    def _client_of(self, scope: Scope, host: str, port: int) -> tuple[str, int]:
        chain = hops(Headers(scope=scope))
        for hop in reversed(chain[-LONGEST:]):
            if hop.scheme in _SCHEMES:
                scope["scheme"] = _SCHEMES[hop.scheme][scope["type"] == "websocket"]
            if (
                address(hop.address) is None
            ):  # hidden ("unknown", "_name") or forged: nothing before it counts
                break
            host, port = hop.address, 0
            if host not in self.trusted:
                break
        return host, port


@lru_cache(maxsize=256)
def _written(host: str) -> str:
    return str(address(host) or host)


def hops(headers: Headers) -> Sequence[Hop]:
    """Return the reports of all proxies, that of the first proxy first. If there is ``Forwarded``, only that is read."""
    if forwarded := ",".join(headers.getlist("forwarded")):
        return [_hop(element) for element in _split(forwarded)]
    listed = ",".join(headers.getlist("x-forwarded-for"))
    chain = [Hop(_host(each)) for each in listed.split(",")] if listed.strip() else []
    scheme = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
    if not scheme:
        return chain
    return [*chain[:-1], Hop(chain[-1].address if chain else "", scheme)]


_ELEMENT: Final = re.compile(r'(?:"(?:[^"\\]|\\.?)*(?:"|$)|[^,"])+', re.DOTALL)
"""Matches up to the next comma outside quotes. An unclosed quote extends to the end, so that matching never backtracks."""


def _split(forwarded: str) -> Sequence[str]:
    return _ELEMENT.findall(forwarded)


def _hop(element: str) -> Hop:
    parameters = {}
    for pair in element.split(";"):
        if match := _PAIR.fullmatch(pair):
            name, quoted, token = match.groups()
            parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
    return Hop(_host(parameters.get("for", "")), parameters.get("proto", "").lower())


def _host(node: str) -> str:
    """Return a node's address without its port, and without the brackets of IPv6."""
    node = node.strip()
    if node.startswith("["):
        return node[1:].partition("]")[0]
    host, colon, port = node.partition(":")
    return host if colon and ":" not in port else node

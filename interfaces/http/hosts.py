"""
Refuses requests that name another host than ours.

A page whose own name was made to lead to this address (DNS rebinding) has the messenger for its own origin in the browser's
eyes, but the browser still sends the page's name in ``Host``. Addresses are accepted as they are: no name was rebound to make
a browser send one. Probes and scrapers may use any name: balancers and Prometheus send that of a service, and what they read
is no secret, or asks for a token.
"""

from collections.abc import Awaitable, Collection
from functools import lru_cache
from typing import Final

from attrs import field, frozen
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.network import address
from interfaces.http.envelope import Refusal
from interfaces.http.handshakes import refuse

MISDIRECTED: Final = Refusal(
    421, "MISDIRECTED_REQUEST", "This server does not answer for the host that was asked"
)


def _plain(names: Collection[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen
class AllowedHosts:
    """Middleware for requests and handshakes. Without ``names`` every host is accepted."""

    app: ASGIApp
    names: frozenset[str] = field(default=frozenset(), converter=_plain)
    exempt: frozenset[str] = frozenset()
    """Paths at which every host is accepted."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_open = not self.names or scope["type"] == "lifespan" or scope["path"] in self.exempt
        if is_open or self.accept(Headers(scope=scope).getlist("host")):
            return self.app(scope, receive, send)
        return refuse(scope, receive, send, MISDIRECTED)

    def accept(self, hosts: Collection[str]) -> bool:
        """Tell whether one allowed host is named. HTTP/1.0 may name none."""
        if len(hosts) > 1:
            return False
        return all(_is_accepted(host, self.names) for host in hosts)


@lru_cache(maxsize=64)  # what a client sends is kept here, which may be long
def _is_accepted(host: str, names: frozenset[str]) -> bool:
    name = name_of(host)
    return name in names or address(name) is not None


def name_of(host: str) -> str:
    """Return the host in lower case, without its port, without brackets, and without the dot that may end a full name."""
    if host.startswith("[") and "]" in host:
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    return (name if name and (not port or port.isdecimal()) else host).lower().removesuffix(".")

"""Authenticates a request by its bearer token. Endpoints do this before they read anything else of the request."""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from application.accounts.authenticate import Authenticate
from application.actor import Actor
from application.errors import NotAuthenticated
from application.messenger import Messenger
from domain.network import network_of


def find_bearer(headers: Headers) -> str | None:
    """Return the bearer token, possibly empty, or None if ``Authorization`` is missing or has another scheme."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def actor_of(request: Request, messenger: Messenger) -> Actor:
    """
    Authenticate the caller of a request.

    Raises:
        NotAuthenticated: The token is missing, invalid or expired; ``reason`` tells which.
    """
    token = find_bearer(request.headers)
    if token is None:
        raise NotAuthenticated("not_authenticated")
    return await messenger.accounts.authenticate(Authenticate(token=token, network=network_in(request)))


def network_in(request: HTTPConnection) -> str:
    """Return the network of the client (`domain.network.network_of`), or nothing if the server does not know its address."""
    return network_of(request.client.host) if request.client else ""

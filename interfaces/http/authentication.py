"""Authenticates a request by its bearer token. Endpoints do this before they read anything else of the request."""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from application.accounts.authenticate import Authenticate
from application.actor import Actor
from application.errors import NotAuthenticated
from application.messenger import Messenger
from domain.network import network_of
from interfaces.http.long_answers import note_wait
from interfaces.pace import Pace

PACE: Final = "pace"
"""The attribute of the state of the application with the pace of accounts (`interfaces.pace`)."""

ACCOUNT: Final = "messenger.account"
"""The entry of a request's scope with the id of the account that it belongs to, once that is known."""


def find_bearer(headers: Headers) -> str | None:
    """Return the bearer token, possibly empty, or None if ``Authorization`` is missing or has another scheme."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def actor_of(request: Request, messenger: Messenger) -> Actor:
    """
    Authenticate the caller of a request, and wait for its turn if the account asks too much at once.

    Raises:
        NotAuthenticated: The token is missing, invalid or expired; ``reason`` tells which.
    """
    token = find_bearer(request.headers)
    if token is None:
        raise NotAuthenticated("not_authenticated")
    actor = await messenger.accounts.authenticate(Authenticate(token=token, network=network_in(request)))
    request.scope[ACCOUNT] = actor.account_id
    pace: Pace = getattr(request.app.state, PACE)
    if wait := pace.take(actor.account_id):
        note_wait(request, wait)
        await asyncio.sleep(wait)
    return actor


def network_in(request: HTTPConnection) -> str:
    """Return the network of the client (`domain.network.network_of`), or nothing if the server does not know its address."""
    return network_of(request.client.host) if request.client else ""

"""Authenticates a request by its bearer token. Endpoints do this before they read anything else of the request."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from application.accounts.authenticate import Authenticate
from application.actor import Actor
from application.errors import NotAuthenticated
from application.messenger import Messenger
from application.ports.views import PageAsked
from application.views import HistoryPage
from domain.ids import ChatId, ProfileId
from domain.network import network_of
from interfaces.http.long_answers import note_wait
from interfaces.pace import CHANGE, REFUSED_SIGN_IN, Asking, Moments, Pace

PACE: Final = "pace"
"""The attribute of the state of the application with the pace of accounts (`interfaces.pace`)."""

LISTENING: Final = "listening"
"""The attribute of the state of the application with the function that counts the sockets that listen to a chat."""

SIGN_INS: Final = "sign_ins"
"""The attribute of the state of the application with the moments of sign-ins (`interfaces.pace.Moments`)."""

ASKING: Final = "messenger.asking"
"""The entry of a request's scope that says whose requests it waits for, once that is known."""

WEIGHT: Final = "messenger.weight"
"""The entry of a request's scope that says as how many requests of its network it counts, if that is more than one."""


@asynccontextmanager
async def trying_password(request: Request) -> AsyncIterator[None]:
    """
    Waits until the network of a request may try a password, and runs the block then. If the block raises `NotAuthenticated`, the
    network has used up one of its sign-ins, and the request counts as `REFUSED_SIGN_IN` requests. The sign-in is given back, and
    the request counts once, if the password was right or was not looked at, for example because a second factor is
    still missing or the server is overloaded.

    Raises:
        Overloaded: Too many passwords from this network are wrong, or are being tried at once.
    """
    network = network_in(request)
    moments: Moments = getattr(request.app.state, SIGN_INS) if network else Moments()
    began = time.monotonic()
    await moments.wait(network)
    note_wait(request, time.monotonic() - began)
    try:
        yield
    except NotAuthenticated:
        request.scope[WEIGHT] = REFUSED_SIGN_IN
        raise
    except BaseException:
        moments.give_back(network)
        raise
    else:
        moments.give_back(network)


def find_bearer(headers: Headers) -> str | None:
    """Return the bearer token, possibly empty, or None if ``Authorization`` is missing or has another scheme."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def actor_of(request: Request, messenger: Messenger) -> Actor:
    """
    Authenticate the caller of a request, and wait for its turn if the account asks too much at once.

    Raises:
        NotAuthenticated: The token is missing, invalid or expired; ``reason`` tells which.
        Overloaded: The account asks far too much.
    """
    return await _in_turn(request, messenger, lambda actor: actor.account_id)


async def changer_of(request: Request, messenger: Messenger) -> Actor:
    """
    Authenticate the caller of a request that changes a chat or its members, which counts as several requests.

    Raises:
        NotAuthenticated, Overloaded: See `actor_of`.
    """
    return await _in_turn(request, messenger, lambda actor: actor.account_id, CHANGE)


def charge_named(request: Request, actor: Actor, people: Sequence[ProfileId]) -> None:
    """Counts what it costs to put these people into a group, of whom there may be thousands (`interfaces.pace`)."""
    pace: Pace = getattr(request.app.state, PACE)
    pace.charge_named(actor.account_id, len(people))


def charge_told(request: Request, actor: Actor, chat_id: ChatId) -> None:
    """Counts what a message costs that is told to many sockets (`interfaces.pace`)."""
    pace: Pace = getattr(request.app.state, PACE)
    pace.charge_told(actor.account_id, getattr(request.app.state, LISTENING)(chat_id))


async def owner_of(request: Request, messenger: Messenger) -> Actor:
    """
    Authenticate the caller of a request that manages the account itself, for example its sessions.

    Such a request waits only for requests of the same session. Otherwise a thief with another session could keep the
    owner from ending it.

    Raises:
        NotAuthenticated, Overloaded: See `actor_of`.
    """
    return await _in_turn(request, messenger, lambda actor: actor.session_id)


async def authenticate(request: HTTPConnection, messenger: Messenger) -> Actor:
    """
    Authenticate the caller without waiting for a turn, to see whether the session of a request has ended meanwhile.

    Raises:
        NotAuthenticated: See `actor_of`.
    """
    return await messenger.accounts.authenticate(_caller_of(request))


async def actor_and_page(
    request: Request, messenger: Messenger, asked: PageAsked
) -> tuple[Actor, HistoryPage | None]:
    """
    Authenticate the caller of a request for a page of history like `actor_of`, and read the page in the same exchange with
    storage. The page is None if it must still be read.

    Raises:
        NotAuthenticated, Overloaded: See `actor_of`.
    """
    pace: Pace = getattr(request.app.state, PACE)
    actor, page = await messenger.accounts.authenticate_for_page(_caller_of(request), asked, pace.has_room)
    if await _has_waited(request, actor.account_id):
        return await authenticate(request, messenger), None
    return actor, page


def _caller_of(request: HTTPConnection) -> Authenticate:
    token = find_bearer(request.headers)
    if token is None:
        raise NotAuthenticated("not_authenticated")
    return Authenticate(token=token, network=network_in(request))


async def _in_turn(
    request: Request, messenger: Messenger, asking_of: Callable[[Actor], Asking], requests: int = 1
) -> Actor:
    actor = await authenticate(request, messenger)
    if await _has_waited(request, asking_of(actor), requests):
        return await authenticate(request, messenger)
    return actor


async def _has_waited(request: Request, asking: Asking, requests: int = 1) -> bool:
    """
    Wait for the turn of a request, which counts as so many. If it had to wait, what was read before may be out of date: the
    session may have ended.

    Raises:
        Overloaded: The turn is too far away.
    """
    pace: Pace = getattr(request.app.state, PACE)
    wait = pace.take(asking, requests)
    request.scope[ASKING] = asking  # not before: one that is refused here is limited by its network alone
    if not wait:
        return False
    note_wait(request, wait)
    await asyncio.sleep(wait)
    return True


def network_in(request: HTTPConnection) -> str:
    """Return the network of the client (`domain.network.network_of`), or nothing if the server does not know its address."""
    return network_of(request.client.host) if request.client else ""

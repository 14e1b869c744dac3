"""
The table of errors for sockets: how each error is reported to a client.

An error is looked up by its class, and then by its base classes.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Final

from attrs import frozen

from application.errors import ApplicationError, NotAuthenticated, Overloaded, Unavailable
from application.messages.send import NonceReused
from application.ports.limiter import TooManyRequests
from domain.chat_errors import ChatNotFound, NotAMember, TooFrequent
from domain.errors import DomainError
from interfaces.wire.lookup import along_mro
from interfaces.wire.server_frames import ErrorDetails
from interfaces.ws.closing import CloseCode
from interfaces.ws.crowds import TooManySockets

Error = DomainError | ApplicationError


def _nothing(_: Any) -> ErrorDetails:
    return {}


def _retry_after(error: Any) -> ErrorDetails:
    return {"retry_after": error.retry_after}


def _first(error: NonceReused) -> ErrorDetails:
    message = error.first.message
    return {"id": message.id, "seq": message.seq}


@frozen(kw_only=True)
class Refusal:
    code: Callable[[Any], str] = lambda error: str(error.code)
    fields: Callable[[Any], ErrorDetails] = _nothing
    """Returns the fields of the frame besides message and code."""
    not_sent: Callable[[Any], str] = lambda _: "Failed to send message"
    """Returns the message for a refused send."""
    no_entry: str | None = "Authentication failed"
    """The message of the `auth_error` for a refused entry; None sends no such frame, and only closes the socket."""
    close: CloseCode = CloseCode.POLICY
    """The close code for a refused entry."""
    reason: Callable[[Any], str] = lambda _: "Authentication failed"


BUSY: Final[Mapping[str, Any]] = {
    "fields": _retry_after,
    "no_entry": None,
    "close": CloseCode.TRY_LATER,
    "reason": lambda _: "try again in 1 s",
}

LIMITED: Final[Mapping[str, Any]] = {
    "fields": lambda error: {"retry_after": error.wait},
    "not_sent": lambda error: f"Message blocked: Too many requests. Wait {error.wait:.1f}s",
    "no_entry": None,
    "close": CloseCode.TRY_LATER,
}
"""A client that has used up a limit, and may come back."""

REFUSALS: Final[Mapping[type[Exception], Refusal]] = {
    DomainError: Refusal(),
    ApplicationError: Refusal(no_entry=None, close=CloseCode.TRY_LATER, reason=lambda _: "try again in 1 s"),
    NotAuthenticated: Refusal(code=lambda error: error.reason),
    Unavailable: Refusal(code=lambda _: Unavailable.code, **BUSY),
    Overloaded: Refusal(**BUSY),
    ChatNotFound: Refusal(no_entry="Chat not found", reason=lambda _: "Chat not found"),
    NotAMember: Refusal(no_entry="You are not a member of this chat", reason=lambda _: "Access denied"),
    TooManyRequests: Refusal(
        **LIMITED, reason=lambda error: f"too many requests; try again in {ceil(error.wait)} s"
    ),
    TooManySockets: Refusal(
        **LIMITED, reason=lambda error: f"too many sockets; try again in {ceil(error.wait)} s"
    ),
    NonceReused: Refusal(fields=_first),
    TooFrequent: Refusal(not_sent=lambda error: f"Message blocked: Too frequent. Wait {error.wait:.1f}s"),
}


def refusal_of(error: Error) -> Refusal:
    refusal = along_mro(REFUSALS, type(error))
    assert refusal is not None, "both roots of errors are in the table"
    return refusal

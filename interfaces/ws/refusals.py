"""
The one table of this transport: which error is told to a client in which words.

An error is looked up by its class, and then by the classes that it is derived from.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from application.errors import ApplicationError, NotAuthenticated, Overloaded, Unavailable
from application.messages.send import NonceReused
from domain.chat_errors import ChatNotFound, NotAMember, TooFrequent
from domain.errors import DomainError
from interfaces.wire.lookup import along_mro
from interfaces.ws.closing import CloseCode

Error = DomainError | ApplicationError


def _nothing(_: Any) -> Mapping[str, Any]:
    return {}


def _retry_after(error: Any) -> Mapping[str, Any]:
    return {"retry_after": error.retry_after}


def _first(error: NonceReused) -> Mapping[str, Any]:
    message = error.first.message
    return {"id": message.id, "seq": message.seq}


@frozen(kw_only=True)
class Refusal:
    code: Callable[[Any], str] = lambda error: str(error.code)
    fields: Callable[[Any], Mapping[str, Any]] = _nothing
    """What the frame has beside its message and code."""
    not_sent: Callable[[Any], str] = lambda _: "Failed to send message"
    """The message where a send was refused."""
    no_entry: str | None = "Authentication failed"
    """The message of the `auth_error` where entering was refused. None: there is no such frame, only a close."""
    close: CloseCode = CloseCode.POLICY
    """How a socket is closed whose entry was refused."""
    reason: str = "Authentication failed"


BUSY: Final[Mapping[str, Any]] = {
    "fields": _retry_after,
    "no_entry": None,
    "close": CloseCode.TRY_LATER,
    "reason": "try again in 1 s",
}

REFUSALS: Final[Mapping[type[Exception], Refusal]] = {
    DomainError: Refusal(),
    ApplicationError: Refusal(no_entry=None, close=CloseCode.TRY_LATER, reason="try again in 1 s"),
    NotAuthenticated: Refusal(code=lambda error: error.reason),
    Unavailable: Refusal(code=lambda _: Unavailable.code, **BUSY),
    Overloaded: Refusal(**BUSY),
    ChatNotFound: Refusal(no_entry="Chat not found", reason="Chat not found"),
    NotAMember: Refusal(no_entry="You are not a member of this chat", reason="Access denied"),
    NonceReused: Refusal(fields=_first),
    TooFrequent: Refusal(not_sent=lambda error: f"Message blocked: Too frequent. Wait {error.wait:.1f}s"),
}


def refusal_of(error: Error) -> Refusal:
    refusal = along_mro(REFUSALS, type(error))
    assert refusal is not None, "both roots of errors are in the table"
    return refusal

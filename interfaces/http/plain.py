"""
One plain request and its answer, in place of h11.

h11 checks each header by itself and goes through its tables for each event, which is a third of what the smallest request
costs. After a plain head (`interfaces.http.heads`) little is left to decide. `PlainExchange` has the states and methods of
`h11.Connection` that `interfaces.http.protocol` uses, and answers as h11 would.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar, Final

import h11
from attrs import define, field
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES

from interfaces.http.heads import CLOSE, Head

_NAME: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_NOT_IN_A_VALUE: Final = re.compile(rb"[\0\r\n]")

_WITHOUT_BODY: Final = frozenset({204, 304})

_END: Final = h11.EndOfMessage()

State = Any
"""One of the states that h11 exports, whose common type it does not."""


@define(eq=False)
class PlainExchange:
    """
    The request whose head was read, the body of which is still to come, and its answer.

    States are those of h11. Nothing else may be done with the connection before both sides are DONE or MUST_CLOSE.
    """

    they_are_waiting_for_100_continue: ClassVar = False

    _is_head: bool
    """True if the request has the method HEAD. Its answer has no body."""
    _missing: int
    """Bytes of the request's body that have not come yet."""
    _goes_on: bool
    """True if the connection stays open for another request after this one."""
    their_state: State = field(init=False, default=h11.SEND_BODY)
    our_state: State = field(init=False, default=h11.SEND_RESPONSE)
    _received: bytes = field(init=False, default=b"")
    _unsent: int | None = field(init=False, default=0)
    """Bytes that are missing from the answer's body, or None if it is sent in chunks."""

    @classmethod
    def of(cls, head: Head) -> "PlainExchange":
        return cls(
            is_head=head.method == b"HEAD",
            missing=head.body_length,
            goes_on=head.fields.get(b"connection") != CLOSE,
        )

    # The request

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """The bytes that came after the request."""
        return (b"" if self.their_state is h11.SEND_BODY else self._received), False

    def receive_data(self, data: bytes) -> None:
        self._received += data

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is not h11.SEND_BODY:
            return h11.PAUSED
        if not self._missing:
            self.their_state = self._done
            return _END
        if not self._received:
            return h11.NEED_DATA
        data, self._received = self._received[: self._missing], self._received[self._missing :]
        self._missing -= len(data)
        return h11.Data(data=data)

    # The answer

    def head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """
        Begins the answer.

        Raises:
            h11.LocalProtocolError: A header is not one.
        """
        lines, length, closes = [], None, False
        for name, value in headers:
            match name.lower():
                case b"content-length":
                    length = int(value)
                case b"connection":
                    closes = closes or value.lower() == CLOSE
                    continue
                case b"transfer-encoding":
                    raise h11.LocalProtocolError("The server chooses the transfer coding")
            if not _is_name(name) or _NOT_IN_A_VALUE.search(value):
                raise h11.LocalProtocolError(f"{name!r} with the value {value!r} is no header")
            lines.append(b"%b: %b\r\n" % (name, value))
        has_none = status in _WITHOUT_BODY
        if length is None and not has_none:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        if closes or not self._goes_on:
            self._end_with_this()
            lines.append(b"Connection: close\r\n")
        self._unsent = 0 if has_none or self._is_head else length
        self.our_state = h11.SEND_BODY
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, STATUS_PHRASES[status], b"".join(lines))

    def body(self, data: bytes) -> bytes:
        """
        Raises:
            h11.LocalProtocolError: This is more than Content-Length says.
        """
        if not data or self._is_head:
            return b""
        if self._unsent is None:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if len(data) > self._unsent:
            raise h11.LocalProtocolError("The answer is longer than its Content-Length")
        self._unsent -= len(data)
        return data

    def end(self) -> bytes:
        """
        Raises:
            h11.LocalProtocolError: This is less than Content-Length says.
        """
        if self._unsent:
            raise h11.LocalProtocolError("The answer is shorter than its Content-Length")
        self.our_state = self._done
        return b"0\r\n\r\n" if self._unsent is None else b""

    def send(self, event: h11.Event) -> None:
        """Notes that the connection is closed. The answer is made by `head`, `body` and `end`."""
        if not isinstance(event, h11.ConnectionClosed):
            raise h11.LocalProtocolError(f"A plain answer is not made of {type(event).__name__}")
        self.our_state = h11.CLOSED

    @property
    def _done(self) -> State:
        return h11.DONE if self._goes_on else h11.MUST_CLOSE

    def _end_with_this(self) -> None:
        self._goes_on = False
        if self.their_state is h11.DONE:
            self.their_state = h11.MUST_CLOSE


@lru_cache(maxsize=256)
def _is_name(name: bytes) -> bool:
    return _NAME.fullmatch(name) is not None

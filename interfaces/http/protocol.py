"""
An HTTP protocol class for uvicorn that limits what one client may cost the others. h11 parses the requests, but for plain ones and
plain WebSocket handshakes (`heads`, `plain`).

- Work: input is parsed in slices, and all connections share each turn of the event loop.
- Time: every head, body and pause between requests has a deadline, and so has the reading of an answer.
- Memory: heads, trailers, chunks and pipelined requests are limited per connection, bodies for the whole node.
- Places: the number of connections is limited, see `interfaces.http.node`.
- Pace: a network that connects or asks too often waits, see `interfaces.pace`.

It also follows RFC 9112 where uvicorn does not: it accepts empty lines before a request (2.2) and targets in absolute form
(3.2.2), and refuses messages whose end two parties could find in different places (6.1, 6.3).
"""

import asyncio
import contextvars
import re
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Final, cast
from urllib.parse import unquote

import h11
from attrs import define, field
from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
    Scope,
)
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import CLOSE_HEADER, HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from application.errors import OutcomeUnknown, Overloaded
from interfaces.http.addresses import Networks
from interfaces.http.authentication import ASKING, WEIGHT
from interfaces.http.envelope import Refusal, refused
from interfaces.http.errors import refusal_of
from interfaces.http.heads import Head, read_head
from interfaces.http.long_answers import LONG_ANSWER
from interfaces.http.middleware import SAFE_HEADERS
from interfaces.http.node import READ, SLICE, HttpLimits, Node, Place
from interfaces.http.plain import PlainExchange
from interfaces.pace import Moments
from interfaces.wire.parts import PART_BYTES

FINAL_GRACE: Final = 2.0
"""
Seconds in which a refused client may still read the answer. Until then its input is read and dropped: if a connection is
closed with unread input, TCP sends a reset, which may overtake the answer (RFC 9112, 9.6).
"""

PARTING_SHARE: Final = 1 / 3
"""
The share of the time for stopping in which a client must send the rest of its request, and read a part of its answer, once
the server stops. The rest of the time belongs to requests that wait for the server itself.
"""

READ_IN_TIME: Final = 16 * 1024
"""Bytes of a pending answer that a client must read within a deadline to get another one."""

DROPPED: Final = 64 * 1024 * 1024
"""Bytes of input that are dropped within `FINAL_GRACE` at most. A client that sends more does not get to read the answer."""

LEFT_OVER: Final = 256 * 1024
"""Bytes of a body that are read and dropped after the request was answered, so that the connection can be reused."""

TRAILER_BYTES: Final = 1024
"""The maximum size in bytes of the line that begins a chunk, and of all trailers."""

CHEAPER: Final = 16
"""Bytes of a body with a known length that take as much work as one byte of a head."""

NOT_HTTP: Final = Refusal(400, "BAD_REQUEST", "The request is not valid HTTP")
TWO_FRAMINGS: Final = Refusal(400, "BAD_REQUEST", "The request has both Content-Length and Transfer-Encoding")
OLD_FRAMING: Final = Refusal(400, "BAD_REQUEST", "HTTP/1.0 has no Transfer-Encoding")
BAD_TARGET: Final = Refusal(400, "BAD_REQUEST", "The request target is neither a path nor a URL")
TOO_MANY_CHUNKS: Final = Refusal(400, "BAD_REQUEST", "The body is sent in too many chunks")
HEAD_TOO_LARGE: Final = Refusal(
    431, "HEADERS_TOO_LARGE", "The headers of the request are too many or too long"
)
OTHER_CODING: Final = Refusal(501, "NOT_IMPLEMENTED", "The only supported transfer coding is chunked")
OTHER_VERSION: Final = Refusal(505, "HTTP_VERSION_NOT_SUPPORTED", "Only HTTP/1.1 and HTTP/1.0 are supported")
HEAD_TOO_LATE: Final = Refusal(408, "REQUEST_TIMEOUT", "The head of the request took too long")
BODY_TOO_LATE: Final = Refusal(408, "REQUEST_TIMEOUT", "The body of the request took too long")
GIVEN_UP: Final = refusal_of(OutcomeUnknown(), {})
"""For a request that is cancelled because the server stops."""
NO_ROOM: Final = Refusal(503, "OVERLOADED", "Server overloaded; nothing was done", {"Retry-After": "5"})

BY_HINT: Final = {431: HEAD_TOO_LARGE, 501: OTHER_CODING}
"""Refusals by the status that h11 suggests for a request that it cannot parse."""

_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_URL: Final = re.compile(rb"https?://([^/?#@\\]+)(?=[/?]|$)(.*)", re.IGNORECASE | re.DOTALL)


class Moment(Enum):
    """The state of a request in the pace of its client's network (`interfaces.pace.Moments`)."""

    NOT_TAKEN = "not taken"
    """Nothing of the request has come yet."""
    AWAITED = "awaited"
    """The network asks too much at once. Nothing of the request is parsed until its moment comes."""
    HELD = "held"
    """The request counts against its network."""
    FREE = "free"
    """The request does not count: its sender is signed in, its network has no pace, or the request is refused or gone."""


class HttpConnection(H11Protocol, asyncio.BufferedProtocol):
    flow: "Flow"
    conn: h11.Connection | PlainExchange  # type: ignore[assignment]
    """Reads the present request and writes its answer."""
    _h11: h11.Connection
    """The parser of requests that are not plain. While a plain one is answered it is not used."""
    _node: Node
    _place: Place | None = None
    _unread: bytes = b""
    """Input that was not parsed yet."""
    _has_turn = False
    _is_first = True
    """Whether nothing of the current request was parsed yet."""
    _moment = Moment.NOT_TAKEN
    _drops_input = False
    """Whether input is dropped, because the client was refused."""
    _dropped = 0
    """Bytes of input that were dropped."""
    _is_chunked = False
    _remaining = 0
    """Bytes that are missing from a body with a known length."""
    _chunks = 0
    _left_over = 0
    _pipelined = 0
    """The number of consecutive requests that were sent before the previous one was answered."""
    _was_sent_ahead = False
    _held = 0
    """Bytes of the complete body of the request that is being answered."""
    _lines = 0
    """The number of lines of the current head so far."""
    _tail: bytes = b""
    """The last bytes of the current head, for the empty line at its end may be split. Empty before a head begins."""
    _unsent = 0
    _held_back = 0
    """Bytes of the answer that are written when the client has read more."""
    _stop_answering: Callable[[], None] | None = None
    """Ends an answer that would otherwise go on, because the server stops."""
    _serving = 0
    """The number of requests from which the application has not returned: the last one, and the one before it for a moment."""
    _is_over = False
    """True once the connection is lost or has become a WebSocket."""
    _is_parting = False
    """Whether the server stops: the current request is the last one."""

    def __init__(
        self,
        node: Node,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._node = node
        self.conn = self._h11 = h11.Connection(h11.SERVER, node.limits.head_bytes)
        self._reading = Deadline(self.loop, self._too_late)
        self._writing = Deadline(self.loop, self._not_read)

    # Coming and going

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.flow = Flow(self.transport, self._flow_changed)
        self._place = self._node.places.take(self.client[0] if self.client else "")
        if self._place is None:
            self._refuse(NO_ROOM, lingering=False)
            return
        self._node.places.waits(self._place, self)
        self._reading.set(self._node.limits.head_seconds)
        self._take_moment()  # also if it never asks for anything: each connection costs something

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        if self._place is not None:
            self._place.leave()
        super().connection_lost(exc)
        self._is_over = True
        self._let_go()

    def _served(self, _: object) -> None:
        """Note that the application has returned from a request."""
        self._serving -= 1
        self._let_go()

    def _let_go(self) -> None:
        """
        Drop the references by which a connection that is over refers to itself. Otherwise its memory would be freed by a full
        collection of garbage only, and after thousands of connections would not be returned to the system.
        """
        if self._serving or not self._is_over:
            return
        self._reading.let_go()
        self._writing.let_go()
        self.flow.let_go()
        self.cycle = cast(Any, None)
        self.scope = cast(Any, {})

    def _forget(self) -> None:
        """Give back everything that the connection holds except its place, and stop waiting on its client."""
        self._unread = b""
        self._reading.close()
        self._writing.close()
        if self._moment is Moment.AWAITED:
            self._moment = Moment.FREE
        self._release_body()
        self._held_back = 0
        self._node.answers.forget(self)
        if self._place is not None:
            self._node.places.waits_no_more(self._place, self)

    def _release_body(self) -> None:
        self._node.bodies.forget(self)
        held, self._held = self._held, 0
        self._node.bodies.release(held)

    def shutdown(self) -> None:
        """
        Finish the request that is being answered, if there is one, and close the connection.

        A client that does not send or does not read is given up sooner than otherwise, so that it holds up nobody.
        """
        self._is_parting = True
        if not self._is_answering:
            self._close()
            return
        self.cycle.keep_alive = False
        if self.conn.their_state is h11.SEND_BODY:
            self._reading.set(self._patience(self._node.limits.body_seconds))
        if self.flow.write_paused:
            self._must_be_read()
        if self._stop_answering is not None:
            self._stop_answering()

    def _patience(self, seconds: float) -> float:
        """How long the connection waits for its client: ``seconds``, or less while the server stops."""
        whole = self.config.timeout_graceful_shutdown
        return seconds if whole is None or not self._is_parting else min(seconds, whole * PARTING_SHARE)

    def give_up(self) -> None:
        """End the request, which was cancelled because the server stops."""
        self._refuse(GIVEN_UP, lingering=False)

    # As a `LongAnswer`

    def when_stopping(self, stop: Callable[[], None]) -> None:
        self._give_moment_back()  # a long answer may begin late, or last for hours
        self._stop_answering = stop
        if self._is_parting:
            stop()

    def abort(self) -> None:
        self.transport.abort()

    @property
    def is_held_up(self) -> bool:
        return self.flow.write_paused

    async def writable(self) -> None:
        await self.flow.drain()

    @property
    def _network(self) -> str:
        return "" if self._place is None else self._place.network

    @property
    def _is_answering(self) -> bool:
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is not None and not cycle.response_complete

    # Reading

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's
        return self._node.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._drops_input:
            self.data_received(bytes(memoryview(self._node.buffer)[:nbytes]))
            return
        self._dropped += nbytes
        if self._dropped > DROPPED:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_last:
            return
        if self._moment is Moment.NOT_TAKEN:
            self._take_moment()
            if self.has_ended:
                return
        is_small = len(data) <= SLICE and not self._unread and not self._has_turn
        if is_small and self._may_parse() and self._node.turns.has_room():
            self._parse(data)
            if self._unread:
                self._wait_for_turn()
                self._flow_changed()
        else:
            self._unread += data
            self._wait_for_turn()
            self._flow_changed()

    @property
    def _is_last(self) -> bool:
        """
        The request that came last is the last one of its connection: nothing that follows it is looked at (RFC 9112, 9.6).
        """
        return self.conn.their_state in {h11.MUST_CLOSE, h11.CLOSED}

    def _may_parse(self) -> bool:
        """Tell whether input may be parsed: not while a request is being answered, nor while the body's buffer is full."""
        if self._moment is Moment.AWAITED or self._drops_input:
            return False
        is_expected = self.conn.their_state in {h11.IDLE, h11.SEND_BODY}
        return is_expected and not self.flow.read_paused

    def _take_moment(self) -> None:
        """Takes the moment of the current request, before which nothing of it is parsed."""
        self._moment = Moment.FREE
        if not self._network:
            return
        try:
            begins = self._node.moments.take(self._network, self._moment_has_come)
        except Overloaded:
            self._refuse(NO_ROOM, lingering=False)
            return
        if begins:
            self._moment = Moment.HELD
        else:
            self._moment = Moment.AWAITED
            self._reading.clear()  # the delay is on our side

    def _moment_has_come(self) -> bool:
        if self._moment is not Moment.AWAITED:
            return False
        self._moment = Moment.HELD
        self._reading.set(self._node.limits.head_seconds)
        self._wait_for_turn()
        self._flow_changed()
        return True

    def _weigh(self) -> None:
        """Settles what the request counts for its network, now that its answer begins."""
        self._give_moment_back()
        weight: int = cast(Any, self.scope).get(WEIGHT, 1)
        if self._moment is Moment.HELD:
            self._node.moments.pace.charge_as(self._network, weight)

    def _give_moment_back(self) -> None:
        """Gives back the moment of a request whose sender is signed in."""
        if self._moment is Moment.HELD and ASKING in self.scope:
            self._moment = Moment.FREE
            self._node.moments.give_back(self._network)

    def _wait_for_turn(self) -> None:
        if not self._has_turn and self._unread and self._may_parse():
            self._has_turn = True
            if self._is_first:
                self._node.turns.wait_for_first(self._take_turn)
            else:
                self._node.turns.wait(self._network, self._take_turn)

    def _take_turn(self) -> None:
        self._has_turn = False
        if self.transport.is_closing() or not self._may_parse():
            return
        is_whole = self.conn.their_state is h11.SEND_BODY and not self._is_chunked
        size = max(1, min(self._remaining, READ)) if is_whole else SLICE
        some, self._unread = self._unread[:size], self._unread[size:]
        self._parse(some)
        self._wait_for_turn()
        self._flow_changed()

    def _flow_changed(self) -> None:
        if self.transport.is_closing():
            return
        if self._drops_input:
            self.transport.resume_reading()
        elif self._unread or self.flow.read_paused:
            self.transport.pause_reading()
            self._wait_for_turn()
        else:
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        self._is_first = False
        if self.conn.their_state is h11.SEND_BODY:
            self._parse_body(data)
            return
        is_begin = not self._tail
        head, rest = self._head(data)
        self._node.turns.spend(1 + len(head))
        if not head:
            return
        self._unread = rest + self._unread
        plain = read_head(head) if is_begin else None
        if plain is not None:
            self.headers = [*plain.fields.items()]
            if plain.is_handshake and self._should_upgrade():
                self._upgrade(plain.method, plain.target)
                return
        if plain is not None and plain.is_request:
            self._begin_plain(plain)
        else:
            self.conn.receive_data(head)
        self.handle_events()
        # Chunks wait for a further turn, because a KiB of small ones takes a millisecond.
        is_short = len(self._unread) <= SLICE and not self._is_chunked
        if is_short and self.conn.their_state is h11.SEND_BODY and self._may_parse():
            rest, self._unread = self._unread, b""
            self._parse_body(rest)

    def _parse_body(self, data: bytes) -> None:
        self._node.turns.spend(1 + (len(data) if self._is_chunked else len(data) // CHEAPER))
        if data:
            self.conn.receive_data(data)
            self.handle_events()

    def _head(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Return the next part of a head without empty lines before it, and what follows the head. Both are empty if the head is
        refused.

        Lines are counted here, because h11 parses all lines of a head at once.
        """
        if not self._tail:
            data = data.lstrip(b"\r\n")
            if data:
                self._reading.set(self._node.limits.head_seconds)
        window = self._tail + data
        end = _END_OF_HEAD.search(window)
        self._lines += window.count(b"\n", len(self._tail), end.end() if end else len(window))
        self._tail = window[-3:]
        if self._lines > self._node.limits.headers + 2:
            self._refuse(HEAD_TOO_LARGE)
            return b"", b""
        if end is None:
            return data, b""
        size = end.end() - len(window) + len(data)
        return data[:size], data[size:]

    def handle_events(self) -> None:
        while not self._drops_input and not self.transport.is_closing():
            try:
                event = self.conn.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(BY_HINT.get(error.error_status_hint, NOT_HTTP))
                return
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._take(event)
            elif isinstance(event, h11.EndOfMessage):
                self._end_of_request(event)
                return  # what follows waits for the answer
            else:
                is_line_long = len(self.conn.trailing_data[0]) > TRAILER_BYTES
                if event is h11.NEED_DATA and self.conn.their_state is h11.SEND_BODY and is_line_long:
                    self._refuse(HEAD_TOO_LARGE)
                return

    def _begin_plain(self, head: Head) -> None:
        self.conn = PlainExchange.of(head)
        self._carry_out(head.method, head.target, b"1.1", length=head.body_length, is_chunked=False)

    def _begin(self, event: h11.Request) -> None:
        target = _path_of(event)
        if refusal := _unfit(event, target, self._node.limits.headers):
            self._refuse(refusal)
            return
        assert target is not None, "else it is unfit"
        names = dict(event.headers)
        self.headers = [(name.lower(), value) for name, value in event.headers]
        if (authority := _authority_of(event)) is not None:
            self.headers = [(n, v) for n, v in self.headers if n != b"host"] + [(b"host", authority)]
        if self._should_upgrade():
            self._upgrade(event.method, target)
            return
        is_chunked, length = b"transfer-encoding" in names, int(names.get(b"content-length", 0))
        self._carry_out(event.method, target, event.http_version, length=length, is_chunked=is_chunked)

    def _carry_out(
        self, method: bytes, target: bytes, version: bytes, *, length: int, is_chunked: bool
    ) -> None:
        """Starts the application on the request, whose headers are in ``self.headers``."""
        self._lines, self._tail = 0, b""
        self._is_chunked, self._remaining = is_chunked, length
        self._chunks = self._left_over = 0
        self._reading.set(self._node.limits.body_seconds)
        self._pipelined = self._pipelined + 1 if self._was_sent_ahead else 0
        if self._pipelined >= self._node.limits.pipelined:
            self.headers.append(CLOSE_HEADER)
        self._serve(self._scope(method, target, version))

    def _scope(self, method: bytes, target: bytes, version: bytes) -> HTTPScope:
        raw_path, _, query_string = target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version.decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": method.decode("ascii"),
            "root_path": self.root_path,
            "path": self.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query_string,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "extensions": {LONG_ANSWER: cast(Any, self)},
        }

    def _serve(self, scope: HTTPScope) -> None:
        self.scope = scope
        self._stop_answering = None
        self.cycle = Cycle(
            scope=scope,
            conn=cast(Any, self.conn),
            transport=cast(asyncio.Transport, LastAnswer(self)),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
            begins=self._weigh,
            is_last=self._must_be_last,
            give_up=self.give_up,
            wait=self._answer_waits,
        )
        # Each request has a context of its own, so that it does not see variables set by the previous one.
        task = self.loop.create_task(self.cycle.run_asgi(self.app), context=contextvars.Context())
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(self._served)
        self._serving += 1
        self.tasks.add(task)

    def _must_be_last(self) -> bool:
        """
        Returns whether an answer that begins now is the connection's last: before the next request, too much of this one's
        body would have to be read and dropped, or an unknown amount.
        """
        return self.conn.their_state is h11.SEND_BODY and (self._is_chunked or self._remaining > LEFT_OVER)

    def _take(self, event: h11.Data) -> None:
        count = len(event.data)
        self._remaining -= count
        self._chunks += event.chunk_start
        if self._chunks > self._node.limits.chunks:
            self._refuse(TOO_MANY_CHUNKS)
        elif self.conn.our_state in {h11.DONE, h11.MUST_CLOSE}:  # it was answered already
            self._left_over += count
            if self._left_over > LEFT_OVER:
                self._end()
        else:
            self.cycle.body += event.data
            self._node.bodies.add(self, count)
            if len(self.cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            self.cycle.message_event.set()

    def _end_of_request(self, event: h11.EndOfMessage) -> None:
        if len(list(event.headers)) > self._node.limits.headers:
            self._refuse(HEAD_TOO_LARGE)
            return
        self._held = self._node.bodies.complete(self)
        if self._is_last:
            self._unread = b""
        if self.conn.our_state is h11.DONE:
            self._next_request()
            return
        self._reading.clear()
        if self._place is not None:
            self._node.places.waits_no_more(self._place, self)
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._answer_waits(0)
        if self.transport.is_closing():
            self._must_be_read()  # a close waits for that
            return
        self.flow.resume_reading()
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self._next_request()

    def _next_request(self) -> None:
        """Prepare for the next request: the last one and its answer are complete."""
        self._release_body()
        sent_ahead = self.conn.trailing_data[0]
        self._unread = sent_ahead + self._unread
        if sent_ahead and self.conn is self._h11:
            # A new h11 connection: the old one would parse the whole next head at once, and refuse empty lines before it.
            self._h11 = h11.Connection(h11.SERVER, self._node.limits.head_bytes)
        elif self.conn is self._h11:
            self._h11.start_next_cycle()
        self.conn = self._h11
        self._was_sent_ahead = bool(self._unread)
        self._is_first, self._moment = True, Moment.NOT_TAKEN
        self._reading.set(self._node.limits.idle_seconds)
        if self._place is not None:
            self._node.places.waits(self._place, self)
        if self._unread:
            self._take_moment()
        self._flow_changed()
        self._wait_for_turn()

    # Becoming a WebSocket

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: a server may ignore an upgrade to a protocol that it does not support (RFC 9110, 7.8)."""

    def _upgrade(self, method: bytes, target: bytes) -> None:
        place, self._place = self._place, None
        if place is not None:
            self._node.places.waits_no_more(place, self)
        sent_ahead = self.conn.trailing_data[0] + self._unread
        self._drops_input = True
        self._forget()
        self.connections.discard(self)
        protocol = self.ws_protocol_class(  # type: ignore[call-arg, misc]
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        if place is not None:
            cast(Any, protocol).left = place.leave
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        self.transport.resume_reading()
        if (take := getattr(protocol, "take_request", None)) is None or not take(
            method, target, self.headers
        ):
            lines = [b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % each for each in self.headers)]
            protocol.data_received(b"\r\n".join([*lines, b"", b""]))
        if sent_ahead:
            protocol.data_received(sent_ahead)
        self._is_over = True
        self._let_go()

    # Writing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._must_be_read()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing.clear()
        self._answer_waits(self._held_back)

    def _answer_waits(self, held_back: int) -> None:
        """
        Count the bytes that wait for the client: those that are written, if they are many, and those that are held back until
        it has read more.
        """
        self._held_back = held_back
        if held_back or self.flow.write_paused:
            self._node.answers.wait(self, held_back + self.transport.get_write_buffer_size())
        else:
            self._node.answers.forget(self)

    def _must_be_read(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._writing.set(self._patience(self._node.limits.write_seconds))

    def cut_answer(self) -> None:
        self.transport.abort()

    def _not_read(self) -> None:
        if self.transport.get_write_buffer_size() <= self._unsent - READ_IN_TIME:
            self._must_be_read()
        else:
            self._node.turns.wait(self._network, self._end_unread)

    def _end_unread(self) -> None:
        if self._writing.is_over:
            self._node.late.warn(why="the answer was not read")
            self.transport.abort()

    # The end

    def _too_late(self) -> None:
        # in turns, because the deadlines of a thousand connections that were opened at once are over at once
        self._node.turns.wait(self._network, self._end_late)

    def _end_late(self) -> None:
        if not self._reading.is_over:
            return  # what was missing came meanwhile, or the connection ends
        if self.conn.their_state is h11.SEND_BODY:
            self._node.late.warn(why="the body took too long")
            self._refuse(BODY_TOO_LATE)
        elif self._tail:
            self._node.late.warn(why="the head took too long")
            self._refuse(HEAD_TOO_LATE)
        else:
            self._close()

    def give_way(self) -> None:
        if self._tail or self._unread or self._is_answering:
            self._refuse(NO_ROOM, lingering=False)
        else:
            self._close()

    def _refuse(self, refusal: Refusal, *, lingering: bool = True) -> None:
        """
        Send the refusal unless an answer has begun, and end the connection.

        With ``lingering=False`` the connection closes at once, because its place is needed.
        """
        if self._drops_input or self.transport.is_closing():
            return
        if refusal.status not in {408, 503}:  # these have warnings of their own
            self._node.unfit.warn(why=refusal.message, client=self.client[0] if self.client else None)
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_answer(refusal, self.server_state.default_headers))
        self._end(lingering=lingering)

    def _end(self, *, lingering: bool = True) -> None:
        """End the connection: the client may read what was sent, and its input is dropped."""
        self._drops_input = True
        self._forget()
        if self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.flow.resume_writing()
        if not lingering or self._is_parting:
            self.transport.close()
        elif self.transport.can_write_eof():
            with suppress(OSError):  # the client is gone, which the transport has not noticed yet
                self.transport.write_eof()
        self._flow_changed()
        self._writing = Deadline(self.loop, self.transport.abort)
        self._writing.set(self._patience(FINAL_GRACE))

    @property
    def has_ended(self) -> bool:
        """The connection ends: input is dropped, and a refusal or the last answer was written."""
        return self._drops_input or self.transport.is_closing()

    def end_after_answer(self) -> None:
        """End the connection after its last answer, which the client may read even if it is still sending the request."""
        if self._drops_input or self.transport.is_closing():
            return
        if self.conn.their_state is h11.SEND_BODY or self._unread:
            self._end()
        else:
            self.transport.close()

    def _close(self) -> None:
        """Close a connection that has no request in progress."""
        self._forget()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._writing = Deadline(self.loop, self.transport.abort)
            self._writing.set(self._patience(FINAL_GRACE))


class Cycle(RequestResponseCycle):
    """
    uvicorn's cycle of request and answer, which also announces when an answer is the connection's last. Otherwise a proxy
    would send its next request on a connection that is about to close, and could not tell whether it was carried out.

    ``begins`` is called when the answer begins, also if the client has gone. ``give_up`` is called when the request is cancelled,
    which uvicorn would log as an error of the application. ``wait`` is called with the bytes that are held back until the client
    has read more, which are none once a body is written.
    """

    conn: h11.Connection | PlainExchange  # type: ignore[assignment]

    def __init__(
        self,
        *,
        begins: Callable[[], None],
        is_last: Callable[[], bool],
        give_up: Callable[[], None],
        wait: Callable[[int], None],
        **cycle: Any,
    ) -> None:
        super().__init__(**cycle)
        self._begins = begins
        self._is_last = is_last
        self._give_up = give_up
        self._wait = wait

    async def run_asgi(self, app: ASGI3Application) -> None:
        async def cancellable(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                self._give_up()

        await super().run_asgi(cancellable)

    async def send(self, message: ASGISendEvent) -> None:
        answer = cast(LastAnswer, self.transport)
        if message["type"] == "http.response.start":
            self._begins()
            if self._is_last():
                headers = list(message.get("headers", []))
                if CLOSE_HEADER not in headers:
                    message["headers"] = [*headers, CLOSE_HEADER]
            answer.gather()
            if isinstance(self.conn, PlainExchange):
                await self._begin_answer(self.conn, message)
            else:
                await super().send(message)
        elif message["type"] == "http.response.body":
            await self._send_body(message)
        else:
            await super().send(message)

    async def _begin_answer(self, exchange: PlainExchange, message: HTTPResponseStartEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            raise RuntimeError("The application began its answer twice")
        self.response_started = True
        headers = [*self.default_headers, *message.get("headers", ())]
        if CLOSE_HEADER in self.scope["headers"]:
            headers.append(CLOSE_HEADER)
        self.transport.write(exchange.head(message["status"], headers))

    async def _send_part(self, data: bytes, *, more_body: bool) -> None:
        if not isinstance(self.conn, PlainExchange):
            await super().send({"type": "http.response.body", "body": data, "more_body": more_body})
            return
        if self.response_complete or not self.response_started:
            raise RuntimeError("The application sent a body before or after its answer")
        self.transport.write(self.conn.body(data))
        if more_body:
            return
        self.response_complete = True
        self.message_event.set()
        self.transport.write(self.conn.end())
        if self.conn.our_state is h11.MUST_CLOSE or not self.keep_alive:
            self.conn.send(h11.ConnectionClosed())
            self.transport.close()
        self.on_response()

    async def _send_body(self, message: HTTPResponseBodyEvent) -> None:
        """
        Sends a body in parts. Each part is written when the client has read most of the one before.

        A body that is only a little longer than a part is sent whole. It may itself be a part of a streamed answer, whose
        writer must learn that this part waits before it makes the next one.
        """
        body = memoryview(message.get("body", b""))
        more_body = message.get("more_body", False)
        rest = body
        while not self.disconnected:
            if self.flow.write_paused:
                self._wait(len(body))
                await self.flow.drain()
            size = PART_BYTES if len(rest) > 2 * PART_BYTES else len(rest)
            part, rest = rest[:size], rest[size:]
            await self._send_part(bytes(part), more_body=more_body or bool(rest))
            cast(LastAnswer, self.transport).flush()
            if not rest:
                self._wait(0)
                return


@define(eq=False)
class LastAnswer:
    """
    The transport as uvicorn's cycle of request and answer sees it: closing leaves the client time to read the answer.

    The head of an answer is written together with the beginning of its body, since each write costs a system call. If the
    body does not begin in the same turn of the event loop, the head goes alone.
    """

    _connection: HttpConnection
    _gathered: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        if self._gathered is not None:
            self._gathered.append(data)
        elif data:
            self._connection.transport.write(data)

    def gather(self) -> None:
        self._gathered = []
        self._connection.loop.call_soon(self.flush)

    def flush(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered and not self._connection.has_ended:
            self._connection.transport.write(b"".join(gathered))

    def is_closing(self) -> bool:
        """Tell whether nothing may be written any more, not even that a client may send its body (`Expect`)."""
        return self._connection.has_ended

    def close(self) -> None:
        self.flush()
        self._connection.end_after_answer()


@define(eq=False)
class HttpConnections:
    """
    Creates the connections of one server. uvicorn takes it as its HTTP class.

    ``descriptors`` is the limit on file descriptors of the process, and ``exempt`` are the networks of trusted proxies.
    """

    limits: HttpLimits
    descriptors: int
    exempt: Networks = Networks()
    moments: Moments = field()
    """When the requests of each network may begin. The sockets of the same server share it."""
    node: Node = field(init=False)

    @moments.default
    def _moments(self) -> Moments:
        return Moments.of_networks(self.limits.requests_per_network)

    def __call__(self, **made: Any) -> HttpConnection:
        if not hasattr(self, "node"):  # only now does the server's event loop run
            self.node = Node(self.limits, self.descriptors, self.exempt, self.moments)
        return HttpConnection(self.node, **made)


class Flow(FlowControl):
    """Reports whether the application wants input, and leaves pausing to the connection, which has other reasons too."""

    def __init__(self, transport: asyncio.Transport, changed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._changed = changed

    def let_go(self) -> None:
        """Report nothing from now on."""
        self._changed = lambda: None

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self._changed()

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._changed()


@define(eq=False)
class Deadline:
    """One timer for successive deadlines: moving the deadline later needs no new timer."""

    _loop: asyncio.AbstractEventLoop
    _late: Callable[[], None] | None
    is_over: bool = False
    """True once the deadline has passed, until it is set again or cleared."""
    _at: float | None = None
    _timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        self.is_over = False
        if self._late is None:
            return
        self._at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._at, self._fire)

    def clear(self) -> None:
        self.is_over = False
        self._at = None

    def let_go(self) -> None:
        """Close it for good: it may be set again, and never fires."""
        self.close()
        self._late = None

    def close(self) -> None:
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._at is None or self._late is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._fire)
        else:
            self._at = None
            self.is_over = True
            self._late()


def _path_of(event: h11.Request) -> bytes | None:
    """Return the path and query of the request target, or None if its form is not one that an origin server accepts."""
    target = event.target
    if target.startswith(b"/") or (target == b"*" and event.method == b"OPTIONS"):
        return target
    if match := _URL.fullmatch(target):
        rest = match[2]
        return rest if rest.startswith(b"/") else b"/" + rest
    return None


def _authority_of(event: h11.Request) -> bytes | None:
    """Return the host of a target in absolute form, which overrides ``Host`` (RFC 9112, 3.2.2), or None."""
    match = _URL.fullmatch(event.target)
    return match[1] if match else None


def _unfit(event: h11.Request, target: bytes | None, most_headers: int) -> Refusal | None:
    names = [name for name, _ in event.headers]
    if not event.http_version.startswith(b"1."):
        return OTHER_VERSION
    if target is None:
        return BAD_TARGET
    if len(names) > most_headers:
        return HEAD_TOO_LARGE
    if b"transfer-encoding" in names:
        if b"content-length" in names:
            return TWO_FRAMINGS
        if event.http_version != b"1.1":
            return OLD_FRAMING
    return None


def _answer(refusal: Refusal, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the whole answer as bytes, because h11 may be in a state in which it cannot send one."""
    response = refused(refusal)
    headers = {**SAFE_HEADERS, "Connection": "close"}
    lines = [
        b"HTTP/1.1 %d %s" % (refusal.status, STATUS_PHRASES[refusal.status]),
        *(b"%s: %s" % each for each in [*default_headers, *response.raw_headers]),
        *(f"{name}: {value}".encode("latin-1") for name, value in headers.items()),
    ]
    return b"\r\n".join([*lines, b"", bytes(response.body)])

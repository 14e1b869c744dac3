"""
A uvicorn WebSocket class that takes a socket over after the handshake.

Starlette's route accepts the handshake and hands the socket over through an ASGI extension. Its task then ends, which frees
the memory of the request. Frames of the client go directly to the connection, and frames of the server are written as they
were encoded. Everything for one socket within a tick of the event loop is written in one system call at its end, because
system calls are most of the cost of delivery; what the many sockets of a large chat get may wait a little longer (`shared_writes`).

The cost of one client for the others is bounded. A slow reader is limited by its outbox. Frames without content (pings,
empty fragments) are limited in how many may follow each other, and pings are not answered while the client does not read.
Pings, pongs and parts of messages count as requests of the account (`interfaces.pace`): a client that sends too many is read more
slowly.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from logging import getLogger
from typing import Any, Final, Literal, cast
from urllib.parse import unquote

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame as Fragment
from websockets.http11 import Request
from websockets.protocol import Protocol, State

from interfaces.wire.frames import Frame
from interfaces.ws import handshake
from interfaces.ws.closing import GONE, Close, CloseCode
from interfaces.ws.endpoint import HAND_OVER, Opening
from interfaces.ws.exchange import Exchange
from interfaces.ws.framing import Framing
from interfaces.ws.heartbeats import Keepalive
from interfaces.ws.outbox import Outbox
from interfaces.ws.plain_frames import plain_texts
from interfaces.ws.services import Tick

SLICE: Final = 4096
"""Bytes that are parsed at once."""

SHORT_SLICE: Final = 1024
"""Bytes that are parsed at once after a slice with more than `FEW` frames. 170 of the smallest take some two milliseconds."""

FEW: Final = 16
"""Frames of one slice up to which the next slice is a long one."""

FRAGMENTS: Final = 64
"""Fragments of one message that are kept separate. Fragments of two bytes take thirty times their size in memory."""

PLAIN_HEADERS: Final = 64
PLAIN_BYTES: Final = 4096
"""Headers of a handshake, and bytes of each, up to which the library refuses none for its size."""

ESCAPED: Final = "surrogateescape"
"""How the library decodes what is not ASCII, and uvicorn encodes it again."""

IDLE_FRAMES: Final = 1000
"""
Pings, pongs and empty fragments in a row, without a message among them, after which the socket is closed. Pongs that answer our
pings are not counted.
"""

JOINED: Final = 16384
"""Bytes that are written at once. With larger writes, a client that does not read would be noticed late."""

FINAL_GRACE: Final = 2.0
"""Seconds in which a client that is disconnected may still read the waiting data and the close frame."""

LEAVING_GRACE: Final = 0.5
"""The same, in seconds, when the server stops."""


ONLY_UNTIL_OPEN: Final = {
    "app",
    "asgi_version",
    "client",
    "close_timeout",
    "default_headers",
    "last_ping_rtt",
    "ping_interval",
    "ping_sent_at",
    "ping_timeout",
    "root_path",
    "scheme",
    "server",
}
"""Attributes of the parent class that nothing needs once the socket is handed over."""


class _Writable:
    """
    Tells whether an open socket can be written to, as an `asyncio.Event` did during the handshake. An open
    socket has no waiters, so that one flag is enough.
    """

    __slots__ = ("_is_set",)

    def __init__(self, *, is_set: bool) -> None:
        self._is_set = is_set

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False


class _Nowhere:
    """A queue that discards everything."""

    def put_nowait(self, event: object) -> None: ...


NOWHERE: Final = _Nowhere()

_ABSENT: Final = object()


class SocketProtocol(WebSocketsSansIOProtocol):
    # What the parent class sets for each object, and most open sockets never change (`_forget_handshake`).
    logger = getLogger("uvicorn.error")
    client: tuple[str, int] | None = None
    queue: Any = NOWHERE
    close_sent = False
    close_timer: asyncio.TimerHandle | None = None
    disconnected = False
    initial_response: tuple[int, list[tuple[str, str]], bytes] | None = None
    read_paused = False
    ping_timer: asyncio.TimerHandle | None = None
    pong_timer: asyncio.TimerHandle | None = None
    pending_ping_payload: bytes | None = None
    curr_msg_data_type: Literal["text", "bytes"] = "bytes"

    left: Callable[[], None] = staticmethod(lambda: None)
    """Called when the connection is lost. The HTTP side sets it, because it counts connections."""
    takes_parts = True
    _exchange: Exchange | None = None
    _outbox: Outbox | None = None
    _close_timeout = 5.0
    _message_timeout = 30.0
    _message_deadline: asyncio.TimerHandle | None = None
    _idle_frames = 0
    _unparsed: bytes = b""
    _slice = SLICE
    """Bytes that are parsed at once next."""
    _has_turn = False
    _resting: asyncio.TimerHandle | None = None
    """Set while nothing is parsed, because the client has sent too many small frames."""
    _is_between_frames = False
    """True if the next byte is known to begin a message. It is not known before the first parse."""
    _is_deaf = False
    """True after the connection has failed (RFC 6455, 7.1.7): data is still read, and discarded."""
    _keepalive: Keepalive | None = None
    _tick: Tick
    _framing: Framing
    _unwritten: bytes = b""
    _key: bytes | None = None
    """The key of a plain handshake, which is answered here. None if the library answers the handshake."""

    # The handshake, under ASGI

    def take_request(self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """
        Takes the request of the handshake as the HTTP side has parsed it. Returns False if the library has to parse it again,
        because it may refuse the request before it looks at the handshake.
        """
        if method != b"GET" or len(headers) > PLAIN_HEADERS or len(target) > PLAIN_BYTES:
            return False
        if any(name in handshake.BODY_HEADERS or len(value) > PLAIN_BYTES for name, value in headers):
            return False
        self._begin_parser()  # behind the request
        self._key = handshake.plain_key(headers, has_extensions=bool(self.conn.available_extensions))
        if self._key is not None:
            self._begin_plain(target, headers)
            return True
        fields = Headers([(name.decode("ascii"), value.decode("ascii", ESCAPED)) for name, value in headers])
        self.handle_connect(Request(target.decode("ascii"), fields))
        return True

    def _begin_plain(self, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Does for a plain handshake what `handle_connect` does for the others."""
        self.handshake_initiated = True
        raw_path, _, query_string = target.partition(b"?")
        self.scope = {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query_string,
            "headers": [*headers],
            "subprotocols": [],
            "state": self.app_state.copy(),
            "extensions": {
                "websocket.http.response": {},
                HAND_OVER: cast(dict[object, object], self.hand_over),
            },
        }
        self.queue.put_nowait({"type": "websocket.connect"})
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    def _accept_plain(self, key: bytes, added: Iterable[tuple[bytes, bytes]]) -> None:
        self.handshake_complete = True
        self.conn.state = State.OPEN
        self.transport.write(handshake.accepted(key, [*self.default_headers, *added]))

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # the library has not refused it
            extensions = cast(dict[str, object], self.scope["extensions"])
            extensions[HAND_OVER] = self.hand_over

    def hand_over(self, opening: Opening) -> None:
        self._exchange = opening.exchange(self)
        self._outbox = self._exchange.connection.outbox
        self._tick = opening.services.tick
        self._framing = opening.services.framing
        self._close_timeout = opening.services.options.close_timeout
        self._message_timeout = opening.services.options.message_timeout
        self._keepalive = opening.services.heartbeats.begin(self)
        self._exchange.begin()

    async def send(self, message: ASGISendEvent) -> None:
        if not self.handshake_complete and self.transport.is_closing():
            # Its connection was reset, and the event loop has not said so yet. The parent class would log an error.
            raise ClientDisconnected
        if message["type"] == "websocket.accept" and self._key is not None and not self.handshake_complete:
            self._accept_plain(self._key, message.get("headers", ()))
        else:
            await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # it was answered, which uvicorn would report as an error
        if self._unparsed:  # the client sent frames before the answer to the handshake
            self._parse_soon()

    async def run_asgi(self) -> None:
        # when the application returns, the parent class closes the socket, unless it sees a close timer
        self.close_timer = cast(asyncio.TimerHandle, _Never())
        await super().run_asgi()
        self.close_timer = None
        if self._exchange is None:
            self.transport.close()
            return
        del self.scope, self.app_state
        if self._key is None:
            del self.request, self.response
        self._key = None
        # The parent class has paused behind the first message. From here on the exchange decides.
        self.read_paused = False
        while not self.queue.empty():  # frames that arrived before the socket was handed over
            event = self.queue.get_nowait()
            if event["type"] == "websocket.receive":
                self._exchange.hear(event.get("text"))
        self.queue = NOWHERE
        if self.transport.is_closing():
            self._exchange.gone(self._said_by_client())
        else:
            self._read_on()
            self._forget_handshake()

    def _forget_handshake(self) -> None:
        """
        Frees what only the handshake needed, which is a third of what a silent socket takes.

        Attributes that have the value of the class are dropped too. A dictionary does not shrink by that, so that the object
        gets a new one.
        """
        self.writable = cast(asyncio.Event, _Writable(is_set=self.writable.is_set()))
        self.__dict__ = {
            name: value
            for name, value in self.__dict__.items()
            if name not in ONLY_UNTIL_OPEN and value is not getattr(type(self), name, _ABSENT)
        }
        self._rest_parser()

    def _rest_parser(self) -> None:
        """
        Notes whether the client is between two messages, and frees the library's parser then: it keeps the last frame, such as
        the one with the client's token.
        """
        self._is_between_frames = not self._is_unfinished
        if self._is_between_frames and self.conn.state is State.OPEN:
            self.conn.parser = cast(Any, None)

    # Reading

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        is_early = self.handshake_initiated and not self.handshake_complete
        if len(data) <= self._slice and not self._unparsed and self._resting is None and not is_early:
            self._parse(data)
            return
        self._unparsed += data
        self.transport.pause_reading()
        if not is_early:
            self._parse_soon()

    def _parse_soon(self) -> None:
        if not self._has_turn:
            self._has_turn = True
            self.loop.call_soon(self._parse_some)

    def _parse_some(self) -> None:
        """Parses one slice, and schedules the rest, so that other sockets get their turn."""
        self._has_turn = False
        if self.transport.is_closing():
            self._unparsed = b""
            return
        if self._must_not_parse:
            return
        some, self._unparsed = self._unparsed[: self._slice], self._unparsed[self._slice :]
        self._parse(some)
        self._read_on()

    @property
    def _must_not_parse(self) -> bool:
        return self._resting is not None or (self.read_paused and self._exchange is not None)

    def _read_on(self) -> None:
        if self._must_not_parse or self.transport.is_closing():
            return
        if self._unparsed:
            self._parse_soon()
        elif not self.read_paused:
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        texts: Sequence[bytes] = ()
        if self._is_between_frames and not self.close_sent:
            texts, data = self._plain(data)
        if data:
            # The rest is parsed before the texts are heard, so that pongs and closes are written in the same order as where
            # the library parses everything: a text may close the socket (decision 63).
            if not self._has_parser:
                self._begin_parser()
            self.conn.receive_data(data)
        if texts and self._idle_frames:
            self._idle_frames = 0
        for text in texts:
            self._hear_text(text)
        if not data:
            return
        frames = 1 + len(self.conn.events)  # a piece of a frame is work, too
        if (size := SLICE if frames <= FEW else SHORT_SLICE) != self._slice:
            self._slice = size
        self.handle_events()  # including those before an invalid frame
        if self._exchange is not None:
            self._rest_parser()
            self._time_message(is_unfinished=not self._is_between_frames)
            self._rest(self._exchange.count(frames))
        if self.conn.parser_exc is not None:
            self.handle_parser_exception()
        elif self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_head()

    def _rest(self, seconds: float) -> None:
        """Parses and reads nothing for so long. What the client sends meanwhile waits in the buffers of the operating system."""
        if seconds and not self._is_deaf and not self.transport.is_closing():
            self._resting = self.loop.call_later(seconds, self._rested)
            self.transport.pause_reading()

    def _rested(self) -> None:
        assert self._exchange is not None, "only sockets that were handed over rest"
        self._resting = None
        self._rest(self._exchange.count(0))
        self._read_on()

    def _rest_no_more(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    @property
    def _is_behind(self) -> bool:
        """True if frames that the client has sent may still be unread. The delay is the server's then, and the client must not be closed for it."""
        return self.read_paused or self._resting is not None or bool(self._unparsed)

    @property
    def _has_parser(self) -> bool:
        return cast(object, self.conn.parser) is not None

    def _begin_parser(self) -> None:
        """Begins to parse frames, at the beginning of one."""
        self.conn.parser = Protocol.parse(self.conn)
        next(self.conn.parser)

    def _plain(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        """Returns the messages with which ``data`` begins that need no parser, and what follows them."""
        return plain_texts(data, self.config.ws_max_size)

    # The deadline for a message

    def _time_message(self, *, is_unfinished: bool) -> None:
        if not is_unfinished:
            self._forget_message_deadline()
        elif self._message_deadline is None:
            self._message_deadline = self.loop.call_later(self._message_timeout, self._is_unfinished_still)

    @property
    def _is_unfinished(self) -> bool:
        """
        Whether the client is in the middle of a message or a frame.

        Between two frames the library's parser is suspended in `at_eof`, or there is none (`_rest_parser`); within a frame it is
        suspended elsewhere.
        """
        if not self._has_parser:
            return False
        waits_for: Any = self.conn.parser
        while (inner := waits_for.gi_yieldfrom) is not None:
            waits_for = inner
        return bool(self.frames) or waits_for.__name__ != "at_eof"

    def _is_unfinished_still(self) -> None:
        self._message_deadline = None
        if self._is_behind:
            self._time_message(is_unfinished=True)
        elif not self._is_deaf and not self._is_ending:
            self.conn.fail(CloseCode.POLICY, "message not finished in time")
            self._fail()

    def _forget_message_deadline(self) -> None:
        if self._message_deadline is not None:
            self._message_deadline.cancel()
            self._message_deadline = None

    def _refuse_head(self) -> None:
        """Refuses a request that uvicorn took for an upgrade and the library did not (a body, too many headers)."""
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or self.conn.reject(HTTPStatus.BAD_REQUEST, "").serialize())
        self.transport.close()

    def handle_text(self, event: Fragment) -> None:
        self._idle_frames = 0
        super().handle_text(event)

    def handle_cont(self, event: Fragment) -> None:
        if event.data:
            self._idle_frames = 0
        elif self._is_flood():
            return
        if len(self.frames) == FRAGMENTS:
            self.frames = [b"".join(self.frames)]
        super().handle_cont(event)

    def handle_ping(self) -> None:
        if self._is_flood():
            return
        if self.writable.is_set() or self.conn.eof_sent:  # after EOF the data ends with a close frame
            super().handle_ping()
        else:
            self.conn.data_to_send()  # a client that does not read gets no pongs: drop it

    def handle_pong(self, event: Fragment) -> None:
        # One that answers a ping is no flood: otherwise a client that only listens would be closed after some hours.
        if self._keepalive is None or not self._keepalive.is_answered_by(bytes(event.data)):
            self._is_flood()

    def _is_flood(self) -> bool:
        self._idle_frames += 1
        if self._idle_frames == IDLE_FRAMES:
            self.conn.fail(CloseCode.POLICY, "too many empty frames")
            self._fail()
        return self._idle_frames >= IDLE_FRAMES

    def send_receive_event_to_app(self) -> None:
        if self._exchange is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.curr_msg_data_type == "text":
            self._hear_text(data)
        elif not self.close_sent:
            self._exchange.hear(None)

    def _hear_text(self, data: bytes) -> None:
        assert self._exchange is not None, "before, messages go to the application"
        if self.close_sent:
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.finish(Close(CloseCode.NOT_TEXT, "invalid UTF-8"))
        else:
            self._exchange.hear(text)

    def pause(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self._read_on()

    # Writing

    def write(self, frame: Frame) -> None:
        if self.close_sent:
            return
        framing = self._framing  # inlined: this runs for each listener of each message
        data = framing.data if frame is framing.last else framing.framed(frame)
        if not self._unwritten:
            self._unwritten = data
            self._tick.at_its_end(self._write_out)
        else:
            self._unwritten += data
            if len(self._unwritten) >= JOINED:
                self._write_out()

    def write_shared(self, frames: Sequence[Frame]) -> None:
        if self.close_sent:
            return
        framing = self._framing
        data = framing.data if frames is framing.last else framing.framed(frames)
        if not self._unwritten:
            self._unwritten = data
            self._tick.shared_writes.soon(self._write_out)
        else:
            self._unwritten = framing.behind(self._unwritten)
            if len(self._unwritten) >= JOINED:
                self._write_out()

    def _write_out(self) -> None:
        data, self._unwritten = self._unwritten, b""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._outbox is not None:
            self._outbox.hold_up()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._outbox is not None:
            self._outbox.clear()

    # The end

    def finish(self, close: Close) -> None:
        if not self._is_ending:
            self._say_close(close.code, close.reason)
            # the client answers the close, and the parent class then closes the transport
            self._end_within(FINAL_GRACE if close.is_final else self._close_timeout)

    def shutdown(self) -> None:
        """
        Closes the socket because the server stops.

        The parent class would close the transport directly after its close frame. A client that is sending then gets a TCP
        reset, and may never read the close frame (RFC 6455, 7.1.1).
        """
        if self._exchange is None:
            super().shutdown()
            self._end_within(FINAL_GRACE)
            return
        if not self._is_ending:
            self._say_close(CloseCode.RESTART, "")
        self._end_within(LEAVING_GRACE)

    @property
    def _is_ending(self) -> bool:
        return self.close_sent or self.transport.is_closing()

    def _say_close(self, code: int, reason: str) -> None:
        self._write_out()
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            pass
        else:
            self.transport.write(b"".join(self.conn.data_to_send()))

    def handle_parser_exception(self) -> None:
        close = self.conn.close_sent
        assert close is not None, "nothing is parsed before the handshake was answered"
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self._fail()

    def _fail(self) -> None:
        """
        Sends the close frame of a failed connection, and ends it.

        Data of the client must be read until it has the close frame: a transport that is closed with unread data sends a
        TCP reset, which overtakes the close frame (RFC 6455, 7.1.1).
        """
        self._is_deaf = True
        self._unparsed = b""
        if self._resting is not None:
            self._rest_no_more()
            self.transport.resume_reading()
        self._write_out()
        if not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()))
            if self.transport.can_write_eof():
                with suppress(OSError):  # the client is gone, which the transport has not noticed yet
                    self.transport.write_eof()
        self._end_within(FINAL_GRACE)

    def handle_close(self, event: Fragment) -> None:
        self._write_out()
        super().handle_close(event)
        self._end_within(FINAL_GRACE)

    # Pings

    def start_keepalive(self) -> None:
        """Does nothing: `heartbeats` pings, whatever uvicorn's `ws_ping_interval` is."""

    def ping(self, frame: bytes) -> None:
        if not self._is_ending:
            self.transport.write(frame)

    def end_unanswered(self) -> None:
        if self._is_behind and not self._is_ending:
            return  # the pong may be among what waits
        self._write_out()
        self.keepalive_timeout()
        self._end_within(FINAL_GRACE)

    def stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None

    def _end_within(self, seconds: float) -> None:
        """Aborts the transport after ``seconds``: otherwise it would wait forever for a client that does not read."""
        self.close_sent = True
        self.stop_keepalive()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unparsed = b""
        self._unwritten = b""
        super().connection_lost(exc)
        self.left()
        self._rest_no_more()
        self._forget_message_deadline()
        closing = self._outbox.closing if self._outbox is not None else None
        if self._outbox is not None:
            self._outbox.abandon()
        if self._exchange is not None:
            self._exchange.gone(closing or self._said_by_client())

    def _said_by_client(self) -> Close:
        if (heard := self.conn.close_rcvd) is not None:
            return Close(heard.code, heard.reason)
        if (said := self.conn.close_sent) is not None:  # the library closed, because of an invalid frame
            return Close(said.code, said.reason)
        return GONE


class _Never:
    """A timer that is never due."""

    def cancel(self) -> None: ...

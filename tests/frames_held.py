"""
A pytest plug-in that holds every frame of the sockets to the registry of frames, whatever a test is about.

It looks at what connections hear and say in this process, simulated worlds included, at what event streams write in it, and at
what clients of `websockets` send and receive, whose server is another process. A test fails if a frame has a field that its row does not name, or lacks one,
if a request is answered or refused as its row does not say, and if a frame that fits its row is refused as malformed.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

import orjson
import pytest
from attrs import Factory, define, field

UNHELD: Final = "frames_unheld"
"""The marker of a test that makes frames or errors which no messenger has."""

Json = dict[str, Any]


@define(eq=False)
class Talk:
    """One connection: what was asked on it, and what of that is not answered."""

    channel: Any
    asked: dict[object, list[Any]] = Factory(dict)
    """The rows of requests by their id. Some tests use an id twice."""
    fits: bool = False
    """Whether the frame that is heard right now fits its row."""


@define(eq=False)
class Watch:
    faults: list[str] = Factory(list)
    held: int = 0
    _talks: "WeakKeyDictionary[Any, Talk]" = field(init=False, factory=WeakKeyDictionary)
    """By outbox, or by connection of a client."""
    _last: Any = field(init=False, default=None)
    """The channel and the frame that was looked at last. It may go to a thousand listeners."""

    def talk(self, end: Any, channel: Any) -> Talk:
        if (talk := self._talks.get(end)) is None:
            talk = self._talks[end] = Talk(channel)
        return talk

    def hear(self, talk: Talk, text: str | bytes) -> None:
        """Looks at a frame of a client. Most tests that send others than such that fit do so on purpose."""
        from interfaces.wire.decoding import NotJson, decode  # noqa: PLC0415
        from interfaces.wire.registry import of_clients  # noqa: PLC0415 - only runs with sockets import it
        from tests.frame_schemas import of_client_frames  # noqa: PLC0415

        talk.fits = False
        try:
            fields = decode(text if isinstance(text, str) else text.decode())
        except (NotJson, UnicodeDecodeError):
            return
        if not isinstance(fields, dict) or not isinstance(kind := fields.get("type"), str):
            return
        for row in of_clients(talk.channel):
            if row.type == kind:
                self.held += 1
                talk.fits = of_client_frames(talk.channel, kind).is_valid(fields)
                if isinstance(id := fields.get("id"), str | int):
                    talk.asked.setdefault(id, []).append(row)

    def tell(self, talk: Talk, data: str | bytes, frame: object = None) -> None:
        """Looks at a frame of the server."""
        if frame is not None:
            if self._last == (talk.channel, id(frame)):
                return
            self._last = talk.channel, id(frame)
        self.held += 1
        fields = orjson.loads(data)
        if fault := self._fault(talk, fields):
            self.faults.append(f"{talk.channel}: {fault}: {data!r:.2000}")

    def _fault(self, talk: Talk, fields: Json) -> str | None:
        from interfaces.wire.registry import ENTRY_CODES, error_codes  # noqa: PLC0415
        from tests.frame_schemas import of_answers, of_server_frames  # noqa: PLC0415

        kind, id = fields["type"], fields.get("id")
        if not of_server_frames(talk.channel, kind).is_valid(fields):
            return "a frame that is not as its row says"
        rows = talk.asked.get(id, []) if isinstance(id, str | int) else []
        if kind == "answer" and not any(of_answers(row).is_valid(fields) for row in rows):
            return "an answer that is not as the row of its request says"
        if kind == "error":
            code = fields["code"]
            if code == "malformed" and talk.fits:
                return "a frame that fits its row was refused"
            if code not in error_codes(talk.channel):
                return "an error code that the registry does not have"
            if rows and not any(code in row.refusals for row in rows):
                return "an error code that the row of its request does not have"
        if kind == "auth_error" and fields["code"] not in ENTRY_CODES[talk.channel]:
            return "a code of a refused entry that the registry does not have"
        return None


WATCH: Final = Watch()


def watch_connections() -> None:
    """Looks at every connection that is made in this process from now on."""
    from interfaces.wire.registry import Channel  # noqa: PLC0415
    from interfaces.ws.all_chats_connection import AllChatsConnection  # noqa: PLC0415
    from interfaces.ws.chat_connection import ChatConnection  # noqa: PLC0415
    from interfaces.ws.connection import Connection  # noqa: PLC0415
    from interfaces.ws.outbox import Outbox  # noqa: PLC0415

    hear, put, put_shared = Connection.hear, Outbox.put, Outbox.put_shared
    channels: dict[type[Connection], Channel] = {
        ChatConnection: Channel.CHAT,
        AllChatsConnection: Channel.ALL_CHATS,
    }

    def hear_and_look(self: Connection, text: str) -> object | None:
        channel = next(channel for kind, channel in channels.items() if isinstance(self, kind))
        talk = WATCH.talk(self.outbox, channel)
        WATCH.hear(talk, text)
        heard = hear(self, text)
        talk.fits = False
        return heard

    def put_and_look(self: Outbox, frame: Any, *, ephemeral: bool = False) -> None:
        if (talk := WATCH._talks.get(self)) is not None:
            WATCH.tell(talk, frame.data, frame)
        put(self, frame, ephemeral=ephemeral)

    def put_shared_and_look(self: Outbox, frames: Any) -> None:
        if (talk := WATCH._talks.get(self)) is not None:
            for frame in frames:
                WATCH.tell(talk, frame.data, frame)
        put_shared(self, frames)

    Connection.hear = hear_and_look  # type: ignore[method-assign]
    Outbox.put = put_and_look  # type: ignore[method-assign]
    Outbox.put_shared = put_shared_and_look  # type: ignore[method-assign]


def watch_streams() -> None:
    """Looks at every event that a stream writes in this process: its data is a frame, and nothing else but an id stands in it."""
    from interfaces.http import events  # noqa: PLC0415
    from interfaces.wire.registry import Channel  # noqa: PLC0415

    talk, event_of = Talk(Channel.EVENTS), events.event_of

    def write_and_look(frame: Any) -> bytes:
        event = event_of(frame)
        *ids, data = event.removesuffix(b"\n\n").split(b"\n")
        is_plain = data == b"data: " + frame.data and all(line.startswith(b"id: ") for line in ids)
        if not is_plain or len(ids) > 1:
            WATCH.faults.append(f"{Channel.EVENTS}: an event of another form: {event!r:.2000}")
        WATCH.tell(talk, frame.data, frame)
        return event

    events.event_of = write_and_look


def watch_clients() -> None:
    """Looks at every client's connection of `websockets` to a socket of the messenger."""
    from websockets.asyncio.client import ClientConnection  # noqa: PLC0415

    from interfaces.wire.registry import Channel  # noqa: PLC0415

    receive, send = ClientConnection.recv, ClientConnection.send

    def talk_of(self: ClientConnection) -> Talk | None:
        path = self.request.path.partition("?")[0] if self.request else ""
        if not path.endswith("/ws"):
            return None
        return WATCH.talk(self, Channel.CHAT if "/chats/" in path else Channel.ALL_CHATS)

    async def receive_and_look(self: ClientConnection, *arguments: Any, **options: Any) -> Any:
        data = await receive(self, *arguments, **options)
        if (talk := talk_of(self)) is not None:
            WATCH.tell(talk, data)
        return data

    async def send_and_look(self: ClientConnection, message: Any, *arguments: Any, **options: Any) -> None:
        if isinstance(message, str) and (talk := talk_of(self)) is not None:
            WATCH.hear(talk, message)
            talk.fits = False  # its answer comes after those to other frames
        await send(self, message, *arguments, **options)

    ClientConnection.recv = receive_and_look  # type: ignore[method-assign, assignment]
    ClientConnection.send = send_and_look  # type: ignore[method-assign, assignment]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{UNHELD}: frames of this test are not held to the registry")


def pytest_collection_finish() -> None:
    if "interfaces.ws.outbox" in sys.modules:
        watch_connections()
    if "interfaces.http.events" in sys.modules:
        watch_streams()
    if "websockets.asyncio.client" in sys.modules:
        watch_clients()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    WATCH.faults.clear()
    try:
        yield
    finally:
        faults = [*WATCH.faults]
        WATCH.faults.clear()
    if faults and item.get_closest_marker(UNHELD) is None:
        shown = "\n".join(faults[:5])
        pytest.fail(
            f"{len(faults)} frames are not as the registry says, the first ones:\n{shown}", pytrace=False
        )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if os.environ.get("SHOW_FRAMES_HELD"):
        terminalreporter.write_line(f"frames held to the registry: {WATCH.held}")

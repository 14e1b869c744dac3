"""A socket's other side, without a socket."""

from collections.abc import Sequence
from typing import Any

import orjson
from attrs import Factory, define, field

from application.actor import Actor
from domain.ids import ChatId
from interfaces.wire import frames
from interfaces.wire.frames import Frame
from interfaces.ws.chat_connection import ChatConnection
from interfaces.ws.closing import Close
from interfaces.ws.outbox import Outbox

GREETING = frames.greeting(heartbeat_interval=25.0, max_message_bytes=65536)


@define(eq=False)
class Ear:
    """What was written, decoded; and the close, if there was one."""

    frames: list[dict[str, Any]] = Factory(list)
    closes: list[Close] = Factory(list)
    outbox: Outbox = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = Outbox(self, 256, 256 * 1024)

    def write(self, frame: Frame) -> None:
        self.frames.append(orjson.loads(frame.text))

    def write_shared(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.write(frame)

    def finish(self, close: Close) -> None:
        self.closes.append(close)

    def connection(self, chat_id: ChatId, actor: Actor | None = None) -> ChatConnection:
        """With an actor it has said who it is and is on its way in."""
        connection = ChatConnection(self.outbox, GREETING, chat_id)
        if actor:
            connection.hear('{"type": "auth", "token": "t"}')
            connection.recognise(actor)
        return connection

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    @property
    def positions(self) -> list[int]:
        """The positions of the durable frames."""
        return [frame["position"] for frame in self.frames if "after" in frame]

    @property
    def close(self) -> tuple[int, str] | None:
        if not self.closes:
            return None
        (close,) = self.closes
        return close.code, close.reason

    def take(self) -> list[dict[str, Any]]:
        taken, self.frames = self.frames, []
        return taken

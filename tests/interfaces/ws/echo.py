"""
`python -m tests.interfaces.ws.echo ours 9101` says again what it hears, for Autobahn's test suite (docs/decisions/0010-what-one-socket-may-cost.md).

Frames go through our protocol class, or with `plain` through uvicorn's own.
"""

import sys
from typing import Any, Final, cast

import uvicorn
from attrs import field, frozen
from starlette.types import Receive, Scope, Send
from typing_extensions import override
from websockets.frames import Opcode

from interfaces.ws.closing import Close
from interfaces.ws.endpoint import HAND_OVER, Opening
from interfaces.ws.exchange import Exchange
from interfaces.ws.framing import FINAL, Framing, Part, head
from interfaces.ws.outbox import Outbox
from interfaces.ws.protocol import SocketProtocol
from interfaces.ws.services import Tick

GREATEST: Final = 64 * 1024 * 1024
"""Bytes of a message; the suite's greatest has 16 MiB."""


@frozen
class Said(Part):
    """A whole message, which may be binary."""

    is_first: bool = field(init=False, default=True)
    is_last: bool = field(init=False, default=True)
    opcode: Opcode = field(kw_only=True)

    @property
    @override
    def framed(self) -> bytes:
        return head(len(self.data), FINAL | self.opcode) + self.data


class Echo(SocketProtocol):
    """In the place of an exchange it is one itself."""

    @override
    def hand_over(self, opening: Opening) -> None:
        self._tick, self._framing = Tick(), Framing()
        self._outbox = Outbox(self, GREATEST, GREATEST)
        self._exchange = cast(Exchange, self)

    @override
    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            super().send_receive_event_to_app()
        else:
            data, self.frames = b"".join(self.frames), []
            self._say(Opcode.BINARY, data)

    def hear(self, text: str) -> None:
        self._say(Opcode.TEXT, text.encode())

    def count(self, frames: int) -> float:
        return 0.0

    def gone(self, close: Close) -> None: ...

    def _say(self, opcode: Opcode, data: bytes) -> None:
        assert self._outbox is not None, "it was handed over"
        self._outbox.put(Said(data, opcode=opcode))


async def ours(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    cast(Any, scope["extensions"][HAND_OVER])(None)


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


if __name__ == "__main__":
    which, port = sys.argv[1:]
    uvicorn.run(
        ours if which == "ours" else plain,
        port=int(port),
        http="h11",
        ws=Echo if which == "ours" else "websockets-sansio",
        ws_max_size=GREATEST,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
    )

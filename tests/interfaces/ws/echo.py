"""
`python -m tests.interfaces.ws.echo ours 9101` says again what it hears, for Autobahn's test suite (docs/decisions/0010-what-one-socket-may-cost.md).

Frames go through our protocol class, or with `plain` through uvicorn's own.
"""

import sys
from typing import Any, Final, cast

import uvicorn
from starlette.types import Receive, Scope, Send
from typing_extensions import override
from websockets.frames import Frame as Fragment
from websockets.frames import Opcode

from interfaces.wire.frames import Frame
from interfaces.ws.endpoint import HAND_OVER, Opening
from interfaces.ws.exchange import Exchange
from interfaces.ws.outbox import Outbox
from interfaces.ws.protocol import SocketProtocol

GREATEST: Final = 64 * 1024 * 1024
"""Bytes of a message; the suite's greatest has 16 MiB."""


class Echo(SocketProtocol):
    """In the place of an exchange it is one itself."""

    @override
    def hand_over(self, opening: Opening) -> None:
        self._outbox = Outbox(self._write, self._close, GREATEST, GREATEST)
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

    def gone(self) -> None: ...

    def _say(self, opcode: Opcode, data: bytes) -> None:
        assert self._outbox is not None, "it was handed over"
        self._outbox.put(Frame(Fragment(opcode, data).serialize(mask=False)))


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

"""uvicorn's WebSocket class, with a way to end a socket whose reader does not read."""

from typing import Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request

CUT: Final = "messenger.cut"
"""The ASGI extension: ``scope["extensions"][CUT](code, reason)``."""

GRACE: Final = 2.0
"""Seconds in which what was written before, and the close, may still reach the other side."""


class CuttableProtocol(WebSocketsSansIOProtocol):
    """
    ASGI's send waits until the other side has read. Somebody who never reads could neither be told to go nor be let go:
    `cut` writes the close at once and drops the connection a moment later, read or not.
    """

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # the handshake was not refused by the library
            extensions = cast(dict[str, object], self.scope["extensions"])
            extensions[CUT] = self.cut

    def cut(self, code: int, reason: str) -> None:
        if self.transport.is_closing():
            return
        if not self.close_sent:
            try:
                self.conn.send_close(code, reason)
            except InvalidState:
                pass
            else:
                self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.stop_keepalive()
        self.loop.call_later(GRACE, self.transport.abort)

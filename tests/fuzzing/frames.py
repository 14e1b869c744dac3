"""Frames on sockets: every frame of clients with parts that are exchanged, and bytes that are hardly WebSocket."""

import asyncio
import time
from random import Random
from typing import Any, Final

import orjson
from attrs import define
from websockets.frames import Opcode

from interfaces.wire.registry import CHANNELS, FROM_CLIENTS, Channel, example
from tests.fuzzing.chance import Chance
from tests.fuzzing.oracle import Oracle
from tests.fuzzing.scene import Scene
from tests.interfaces.ws.house import House, Line, framed, handshake, raw

PATIENCE: Final = 20.0

EACH: Final = 12
"""Frames on one socket at most."""


@define(eq=False)
class FrameFuzzer:
    house: House
    oracle: Oracle
    scene: Scene
    port: int | None = None
    """The port of the listener that hostile bytes are sent to. None stands for the messenger."""

    async def strike(self, seed: int, count: int | None = None, until: float | None = None) -> None:
        self.oracle.begins()
        number = 0
        while (count is None or number < count) and (until is None or time.monotonic() < until):
            await self.scene.refresh(number)
            chance = Chance(Random(f"{seed} frames {number}"), self.scene.known)
            talking = self._socket(chance)
            if number % 10 == 0:
                _, waited = await asyncio.gather(talking, self.ask_as_others_do())
                self.oracle.waits.append(waited)
                self.oracle.small()
            else:
                await talking
            number += 1

    async def _socket(self, chance: Chance) -> None:
        channel = chance.one((Channel.CHAT, Channel.ALL_CHATS))
        path = CHANNELS[channel].path.replace(
            "{chat_id}", self.scene.chat_id if chance.happens(0.9) else chance.id()
        )
        line = await self.house.dial(port=self.port)
        sent = bytearray(handshake(path))
        try:
            line.writer.write(sent)
            head = await line.head()
            if " 101 " not in head:
                self.oracle.heard(head.split(" ", 2)[1], head, bytes(sent))
                return
            if chance.happens(0.85):
                auth = orjson.dumps({"type": "auth", "token": chance.one(self.scene.tokens)})
                line.writer.write(framed(Opcode.TEXT, auth))
            for _ in range(chance.random.randrange(1, EACH)):
                data = self._frame(chance, channel)
                sent += data
                line.writer.write(data)
            line.writer.write(framed(Opcode.TEXT, b'{"type":"ping","id":"over"}'))
            if line.writer.can_write_eof():
                line.writer.write_eof()
            await self._judge(line, bytes(sent))
        finally:
            self.house.lines.remove(line)
            line.writer.transport.abort()

    def _frame(self, chance: Chance, channel: Channel) -> bytes:
        if chance.happens(0.08):
            return raw(
                chance.random.randrange(256), chance.random.randrange(256), chance.random.randbytes(12)
            )
        if chance.happens(0.06):
            opcode = chance.one((Opcode.TEXT, Opcode.BINARY, Opcode.CONT))
            size = chance.one((0, 1, 2, 125, 126, 3000))
            return framed(opcode, chance.random.randbytes(size), fin=chance.happens(0.5))
        if chance.happens(0.03):
            opcode = chance.one((Opcode.PING, Opcode.PONG, Opcode.CLOSE))
            return framed(opcode, chance.random.randbytes(chance.one((0, 1, 2, 125))))
        if chance.happens(0.04):
            return framed(Opcode.TEXT, b"a" * chance.one((65535, 65536, 65537, 200_000)))
        rows = [row for row in FROM_CLIENTS if row.on is channel or chance.happens(0.05)]
        fields = self._known(chance, dict(example(chance.one(rows))))
        return framed(Opcode.TEXT, chance.written(chance.changed(fields)))

    def _known(self, chance: Chance, fields: dict[str, Any]) -> dict[str, Any]:
        if "chat_id" in fields and chance.happens(0.8):
            fields["chat_id"] = self.scene.chat_id
        return fields

    async def _judge(self, line: Line, sent: bytes) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    opcode, data = await line.frame()
                    if opcode == Opcode.CLOSE:
                        code = int.from_bytes(data[:2]) if data else 1005
                        self.oracle.heard(str(code), data[2:].decode(), sent)
                        return
                    if opcode == Opcode.TEXT and line.is_final:
                        self._told(data, sent)
        except TimeoutError:
            self.oracle.fault("the socket neither answered nor closed", sent)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            self.oracle.heard("cut", "", sent)

    def _told(self, data: bytes, sent: bytes) -> None:
        frame = orjson.loads(data)
        kind = frame["type"] + (f" {frame['code']}" if "code" in frame else "")
        # texts of messages are what clients wrote, now or before
        judged = data.decode() if frame["type"] in {"error", "auth_error"} else ""
        self.oracle.heard(kind, judged, sent)

    async def ask_as_others_do(self) -> float:
        """Return how long a well-behaved client waited."""
        token = await self.scene.healthy()
        began = time.monotonic()
        line = await self.house.dial()
        line.writer.write(handshake("/ws"))
        await line.head()
        line.say(type="auth", token=token)
        line.say(type="ping", id="healthy")
        while (await line.hear()).get("id") != "healthy":
            pass
        waited = time.monotonic() - began
        self.house.lines.remove(line)
        line.writer.transport.abort()
        return waited

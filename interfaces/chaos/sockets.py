"""
Breaks sockets on purpose, as networks, proxies and servers do by accident.

The class stands between the socket's transport and the messenger, which does not know of it: it does with frames only what
docs/protocol.md says that clients must expect.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import orjson
from typing_extensions import override

from interfaces.chaos.chance import Chaos, Draw
from interfaces.wire.frames import Frame
from interfaces.ws.closing import Close
from interfaces.ws.framing import Part
from interfaces.ws.protocol import SocketProtocol

NOT_UNDERSTOOD: Final = "chaos"
"""Replaces the `since` of a client, so that the messenger answers with a `reset` for the reason `malformed`."""


class ChaoticSocketProtocol(SocketProtocol):
    """See `chaotic`, which makes a class of it for one node."""

    chaos: ClassVar[Chaos]
    _draw: Draw | None = None
    _held: list[Frame] | None = None
    """Frames that wait for the end of a delay; None while there is none."""
    _release: asyncio.TimerHandle | None = None
    _has_heard = False

    @property
    def _chance(self) -> Draw:
        if self._draw is None:
            self._draw = self.chaos.of("socket")
        return self._draw

    # From the client

    @override
    def _hear_text(self, data: bytes) -> None:
        if not self._has_heard:
            self._has_heard = True
            if self._chance() < self.chaos.rates.resets:
                data = _without_since(data)
        super()._hear_text(data)

    # To the client

    @override
    def write(self, frame: Frame) -> None:
        if self.transport.is_closing() or isinstance(frame, Part):
            super().write(frame)
        elif self._held is not None:
            self._held.append(frame)
        else:
            self._write_perhaps(frame)

    @override
    def write_shared(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.write(frame)

    def _write_perhaps(self, frame: Frame) -> None:
        rates, drawn = self.chaos.rates, self._chance()
        if (drawn := drawn - rates.drops) < 0:
            self.transport.abort()
        elif (drawn := drawn - rates.tears) < 0:
            self._tear(frame)
        elif drawn - rates.delays < 0:
            self._held = [frame]
            wait = self._chance() * rates.delay_seconds
            self._release = self.loop.call_later(wait, self._write_held)
        else:
            self._write_now(frame)

    def _write_now(self, frame: Frame) -> None:
        rates, fields = self.chaos.rates, _decoded(frame)
        if (lost := _lost(fields)) and self._chance() < rates.lost_answers:
            super().write(Frame(orjson.dumps(lost)))
            return
        super().write(frame)
        if "after" in fields and fields["type"] != "gap" and self._chance() < rates.repeats:
            super().write(frame)

    def _write_held(self) -> None:
        self._release = None
        held, self._held = self._held or [], None
        for frame in held:
            self._write_now(frame)

    def _tear(self, frame: Frame) -> None:
        """Writes half of a frame, and then nothing."""
        self._write_out()
        framed = self._framing.framed(frame)
        self.transport.write(framed[: len(framed) // 2])
        self.transport.close()

    @override
    def finish(self, close: Close) -> None:
        self._end_delay()
        super().finish(close)

    @override
    def shutdown(self) -> None:
        self._end_delay()
        super().shutdown()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._release is not None:
            self._release.cancel()
        super().connection_lost(exc)

    def _end_delay(self) -> None:
        if self._release is not None:
            self._release.cancel()
            self._write_held()


def chaotic(chaos: Chaos) -> type[SocketProtocol]:
    """Makes the class for the sockets of one node."""
    return type("ChaoticSocketProtocol", (ChaoticSocketProtocol,), {"chaos": chaos})


def _without_since(data: bytes) -> bytes:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data
    if isinstance(fields, dict) and fields.get("since") is not None:
        return orjson.dumps({**fields, "since": NOT_UNDERSTOOD})
    return data


def _decoded(frame: Frame) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(frame.data)
    return fields


def _lost(fields: dict[str, Any]) -> dict[str, Any] | None:
    """The refusal that takes the place of the answer to a message, as if the database had not told what became of it."""
    refusal = {"type": "error", "message": "Failed to send message", "code": "outcome_unknown"}
    match fields:
        case {"type": "message_ack", "nonce": nonce}:
            return {**refusal, "nonce": nonce}
        case {"type": "answer", "id": id, "message": {"nonce": nonce}, "duplicate": _}:
            return {**refusal, "id": id, "nonce": nonce}
        case _:
            return None

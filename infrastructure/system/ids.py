import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final
from uuid import UUID

from attrs import define, field

from domain.ids import (
    AccountId,
    ChatId,
    ConfirmationId,
    EventId,
    IdentityId,
    LetterId,
    MessageId,
    PasskeyId,
    ProfileId,
    SessionId,
)

BLOCK: Final = 4096
"""Random bytes per system call. A call for each id would take three times as long as making the id."""

TAIL_BITS: Final = 74
STEP_BITS: Final = 32
VERSION_7: Final = 7 << 76
VARIANT: Final = 0b10 << 62


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


@define(eq=False)
class SystemIds:
    """
    UUIDs of version 7 (RFC 9562): milliseconds, then random bits.

    Within a millisecond, and while the clock stands still or steps back, the random part of the last UUID is increased by
    a random step (section 6.2, method 2). Later UUIDs therefore sort after earlier ones and cannot be predicted.
    """

    milliseconds: Callable[[], int] = _milliseconds
    _last: int = field(default=0, init=False)
    _tail: int = field(default=0, init=False)
    _block: bytes = field(default=b"", init=False)
    _used: int = field(default=0, init=False)

    def account(self) -> AccountId:
        return AccountId(self._next())

    def profile(self) -> ProfileId:
        return ProfileId(self._next())

    def session(self) -> SessionId:
        return SessionId(self._next())

    def confirmation(self) -> ConfirmationId:
        return ConfirmationId(self._next())

    def event(self) -> EventId:
        return EventId(self._next())

    def identity(self) -> IdentityId:
        return IdentityId(self._next())

    def letter(self) -> LetterId:
        return LetterId(self._next())

    def passkey(self) -> PasskeyId:
        return PasskeyId(self._next())

    def chat(self) -> ChatId:
        return ChatId(self._next())

    def message(self) -> MessageId:
        return MessageId(self._next())

    def fresh(self) -> UUID:
        """An id for the objects of a module."""
        return self._next()

    def token_id(self) -> str:
        return urlsafe_b64encode(self._random(16)).rstrip(b"=").decode()

    def _next(self) -> UUID:
        now = self.milliseconds()
        if now > self._last:
            self._last = now
            # The top bit stays free, so that counting up has room.
            self._tail = int.from_bytes(self._random(10), "big") >> (80 - TAIL_BITS + 1)
        else:
            self._tail += 1 + int.from_bytes(self._random(STEP_BITS // 8), "big")
            if self._tail >> TAIL_BITS:
                self._last += 1
                self._tail &= (1 << TAIL_BITS) - 1
        high, low = self._tail >> 62, self._tail & ((1 << 62) - 1)
        return UUID(int=self._last << 80 | VERSION_7 | high << 64 | VARIANT | low)

    def _random(self, size: int) -> bytes:
        if self._used + size > len(self._block):
            self._block = os.urandom(BLOCK)
            self._used = 0
        self._used += size
        return self._block[self._used - size : self._used]

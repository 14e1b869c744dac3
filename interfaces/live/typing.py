"""
Remembers who is typing, as the listeners of this node were told, and ends it in time.

A client says again and again that its person types. If it stops saying so, nobody else would ever tell the others: its
device may have lost power. Typing therefore ends by itself, and also with the message and with the membership.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from attrs import define, field

from application.ports.updates import Typing
from domain.ids import ChatId, ProfileId

Typist = tuple[ChatId, ProfileId]


@define(eq=False)
class TypingNow:
    _tell: Callable[[Typing], None]
    _now: Callable[[], datetime]
    expiry: float
    """Seconds after which typing that was not renewed ends."""
    _until: dict[Typist, float] = field(init=False, factory=dict)
    """When the typing of each typist ends, by the clock of the event loop. The first entry ends first."""
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def __len__(self) -> int:
        return len(self._until)

    def heard(self, update: Typing) -> None:
        """Tells the others a state that a client has sent."""
        typist = update.chat_id, update.profile_id
        self._until.pop(typist, None)
        if update.is_typing:
            self._until[typist] = asyncio.get_running_loop().time() + self.expiry
            self._wind_up()
        self._tell(update)

    def ended(self, chat_id: ChatId, profile_id: ProfileId) -> None:
        """Tells the others that somebody types no longer, if they believe the opposite."""
        if self._until and self._until.pop((chat_id, profile_id), None) is not None:
            self._tell(Typing(chat_id=chat_id, profile_id=profile_id, is_typing=False, at=self._now()))

    def stop(self) -> None:
        """Forgets everybody, without telling anybody."""
        self._until.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind_up(self) -> None:
        if self._timer is None and self._until:
            self._timer = asyncio.get_running_loop().call_at(next(iter(self._until.values())), self._expire)

    def _expire(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        for typist in [typist for typist, until in self._until.items() if until <= now]:
            self.ended(*typist)
        self._wind_up()

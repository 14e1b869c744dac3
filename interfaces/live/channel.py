"""
Tracks how far each chat has been delivered on this node.

All live listeners of a chat are at the position of its channel, so that a position is kept for each chat and not for each
listener. An update that does not directly follow the channel's position is early: it waits until the updates before it
have arrived. Updates that do not arrive are read from the chat's log, once for all listeners.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final

from attrs import Factory, define, field

from application.errors import ApplicationError
from application.ports.updates import ChatUpdate
from domain.ids import ChatId, Position
from interfaces.live.roster import Audience
from interfaces.live.tails import Tails

log: Final = logging.getLogger(__name__)

PAGE: Final = 100
"""Log entries that are read at once."""

PAUSE_BETWEEN_PAGES: Final = 0.01
"""Seconds between two pages of missed updates, so that clients that read at a normal speed can keep up."""

ReadLog = Callable[[ChatId, Position, int], Awaitable[Sequence[ChatUpdate]]]
"""Returns the updates of a chat after a position, up to a limit."""


@define(eq=False)
class Channel:
    """The delivery state of one chat on this node."""

    chat_id: ChatId
    audience: Audience
    position: Position | None = None
    """None until a listener has entered: its snapshot contains everything that happened before."""
    heard: Position = Position(0)
    """The greatest known position, delivered or not."""
    hints: int = 0
    """The number of position hints so far: a read that began before the latest hint cannot disprove it."""
    early: dict[Position, ChatUpdate] = Factory(dict)
    healing: asyncio.Lock | None = None
    """Created when an update is missing for the first time."""
    is_scheduled: bool = False

    @property
    def is_behind(self) -> bool:
        return self.position is not None and self.position < self.heard

    def hear_of(self, position: Position) -> None:
        self.heard = max(self.heard, position)
        self.hints += 1

    def due(self, update: ChatUpdate) -> Iterator[ChatUpdate]:
        """Yields the updates to deliver now that ``update`` has arrived: none if it is a repeat or early."""
        self.hear_of(update.position)
        if self.position is None or update.position <= self.position:
            return
        if update.position > self.position + 1:
            if len(self.early) < PAGE:
                self.early[update.position] = update
            return
        following: ChatUpdate | None = update
        while following is not None:
            self.position = following.position
            yield following
            following = self.early.pop(Position(self.position + 1), None) if self.early else None


@define(eq=False, kw_only=True)
class Channels:
    """The chats that have listeners on this node. Reads the updates that they missed."""

    read_log: ReadLog
    told: Callable[[Channel, Sequence[ChatUpdate]], None]
    """Called with each update exactly once, in the order of the chat's log. What arrived together is told together."""
    tails: Tails
    interval: float
    """Seconds until a failed read is tried again."""
    _by_chat: dict[ChatId, Channel] = field(init=False, factory=dict)
    _tasks: asyncio.TaskGroup | None = field(init=False, default=None)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._by_chat.values())

    def __len__(self) -> int:
        return len(self._by_chat)

    def find(self, chat_id: ChatId) -> Channel | None:
        return self._by_chat.get(chat_id)

    def open(self, chat_id: ChatId) -> Channel:
        if (channel := self._by_chat.get(chat_id)) is None:
            audience = Audience(chat_id, opened_at=asyncio.get_running_loop().time())
            channel = self._by_chat[chat_id] = Channel(chat_id, audience)
        return channel

    def close_empty(self, audiences: Iterable[Audience]) -> None:
        for audience in audiences:
            channel = self._by_chat.get(audience.chat_id)
            if audience.is_empty and channel and channel.audience is audience:
                del self._by_chat[audience.chat_id]
                if channel.position is not None:
                    self.tails.watch(channel.chat_id, channel.position)

    def forget(self) -> None:
        """
        Makes later listeners start with new channels. Those of the former channels get no more updates, and must be ended.
        """
        self._by_chat.clear()

    def advance(self, chat_id: ChatId, updates: Sequence[ChatUpdate]) -> None:
        """Takes updates of one chat."""
        channel = self._by_chat.get(chat_id)
        due: list[ChatUpdate] = []
        for update in updates:
            if channel is None or channel.position is None or update.position <= channel.position:
                self.tails.follow(update)
            if channel is not None:
                due.extend(channel.due(update))
        if channel is not None:
            if due:
                self.told(channel, due)
            self.heal_soon(channel)

    def hear_of(self, chat_id: ChatId, position: Position | None) -> None:
        """Notes that a chat may have moved to ``position``; None means by an unknown distance, at least one entry."""
        if channel := self._by_chat.get(chat_id):
            channel.hear_of(Position((channel.position or 0) + 1) if position is None else position)
            self.heal_soon(channel)

    # Missed updates

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begins to read missing updates, in tasks of ``tasks``."""
        self._tasks = tasks

    def stop(self) -> None:
        self._tasks = None

    def heal_soon(self, channel: Channel) -> None:
        if channel.is_behind and not channel.is_scheduled and self._tasks is not None:
            channel.is_scheduled = True
            self._tasks.create_task(self._heal_later(channel))

    async def heal(self, channel: Channel) -> None:
        """
        Reads the updates between the channel's position and the greatest known one, and delivers them to all listeners.

        Raises:
            Unavailable: Storage did not answer.
        """
        if channel.healing is None:
            channel.healing = asyncio.Lock()
        async with channel.healing:
            while channel.is_behind and self._is_open(channel):
                assert channel.position is not None
                hints = channel.hints
                missed = await self.read_log(channel.chat_id, channel.position, PAGE)
                self.advance(channel.chat_id, missed)
                if not missed and channel.hints == hints:
                    channel.heard = channel.position  # the hint was wrong: the log has no such entry
                elif channel.is_behind:
                    await asyncio.sleep(PAUSE_BETWEEN_PAGES)
            channel.early.clear()

    async def _heal_later(self, channel: Channel) -> None:
        try:
            await asyncio.sleep(0)  # the missing updates may arrive in the same tick of the event loop
            while channel.is_behind and self._is_open(channel):
                try:
                    await self.heal(channel)
                except ApplicationError as error:
                    log.warning("could not read missed updates", extra={"reason": error.code})
                    await asyncio.sleep(self.interval)
        finally:
            channel.is_scheduled = False

    def _is_open(self, channel: Channel) -> bool:
        return self._by_chat.get(channel.chat_id) is channel

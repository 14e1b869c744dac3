"""Tells which line of history storage is in, whenever its changes are read."""

from collections.abc import Callable

from attrs import frozen

from application.ports.changes import Changes, Cursor, News, ReadRange
from domain.events import MessagesRead


@frozen
class FollowedChanges:
    """Calls ``see`` with the epoch of each cursor, before the reader has it."""

    _changes: Changes
    _see: Callable[[str], None]

    async def now(self) -> Cursor:
        cursor = await self._changes.now()
        self._see(cursor.epoch)
        return cursor

    async def since(self, cursor: Cursor) -> News:
        news = await self._changes.since(cursor)
        self._see(news.cursor.epoch)
        return news

    async def recall(self, read: ReadRange) -> MessagesRead:
        return await self._changes.recall(read)

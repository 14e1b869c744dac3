"""Changes on their way to the application, and what is stored when it has handled them."""

import asyncio
from collections import deque
from collections.abc import Mapping

from messenger_client.changes import Change
from messenger_client.core import Saved, Tell
from messenger_client.model import Chat
from messenger_client.storage import Storage


class Stream:
    """
    The changes that the application has not handled yet, as an asynchronous iterator. A change is handled when the next one is
    asked for. Before `keep` everything counts as handled at once.

    Args:
        storage: Where to store what was handled.
        most: Changes that may wait. With so many the client stops reading its socket.
    """

    def __init__(self, storage: Storage, most: int) -> None:
        self._storage = storage
        self._most = most
        self._waiting: deque[Tell] = deque()
        self._is_given = False
        """True while the application handles the first of the waiting changes."""
        self._keeps = False
        self._is_over = False
        self._is_closed = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._saves: dict[str, Saved] = {}
        self._unsaved = asyncio.Event()
        self._saving = asyncio.Lock()

    def put(self, tell: Tell) -> None:
        if not self._keeps:
            self._handled(tell)
            return
        self._waiting.append(tell)
        self._news.set()
        if len(self._waiting) >= self._most:
            self._room.clear()

    async def has_room(self) -> None:
        """Waits until the application has handled half of what it was told."""
        await self._room.wait()

    def keep(self) -> None:
        """From here on changes wait until somebody asks for them."""
        self._keeps = True

    def end(self) -> None:
        """Nothing more comes: the iterator ends after what waits."""
        self._is_over = True
        self._news.set()

    def begin(self) -> None:
        """More may come again."""
        self._is_over = False

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Change:
        if self._is_given:
            self._is_given = False
            self._advance()
        while True:
            while self._waiting:
                change = self._waiting[0].change
                if change is not None:
                    self._is_given = True
                    return change
                self._advance()
            if self._is_over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()

    def _advance(self) -> None:
        self._handled(self._waiting.popleft())
        if len(self._waiting) <= self._most // 2:
            self._room.set()

    # Storing

    def _handled(self, tell: Tell) -> None:
        if tell.saves:
            self._saves.update(tell.saves)
            self._unsaved.set()

    async def save_always(self) -> None:
        """Stores what was handled, until `close`; many changes at once while the storage is busy."""
        while not self._is_closed:
            await self._unsaved.wait()
            await self.save()

    def close(self) -> None:
        """Lets `save_always` return after what was handled is stored."""
        self._is_closed = True
        self._unsaved.set()

    async def save(self, more: Mapping[str, str | None] | None = None) -> None:
        """Stores what was handled up to here, and ``more`` with it."""
        async with self._saving:
            saves, self._saves = self._saves, {}
            self._unsaved.clear()
            texts = {
                name: value.to_text() if isinstance(value, Chat) else value for name, value in saves.items()
            }
            texts.update(more or {})
            if texts:
                await self._storage.save(texts)

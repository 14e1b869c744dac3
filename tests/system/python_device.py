"""A device with the Python client, in this process."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from typing_extensions import override

from messenger_client import FileStorage, MessengerClient, NewMessage, Options, State, Surroundings
from messenger_client.core import Core, Wish, Write
from messenger_client.states import ABNORMAL
from tests.system.device import PASSWORD, Device, Observer, Status


class ObservedCore(Core):
    """The core of a client, and what goes in and out of it over the wire."""

    observer: Observer

    @override
    def connected(self, now: float) -> None:
        if self.state is State.CONNECTING:  # otherwise it was stopped meanwhile
            is_behind = any(chat.is_behind for chat in self.held.chats.values())
            self.observer.opened(has_cursor=self._place is not None, is_behind=is_behind)
        super().connected(now)

    @override
    def disconnected(self, now: float, code: int = ABNORMAL, reason: str = "", **more: Any) -> None:
        if self.state.has_socket:
            self.observer.ended(code, is_break=True)
        super().disconnected(now, code, reason, **more)

    @override
    def stop(self) -> None:
        if self.state.has_socket:
            self.observer.ended(1000, is_break=False)
        super().stop()

    @override
    def heard(self, now: float, text: str) -> None:
        if self.state.has_socket:
            self.observer.heard(text)
        super().heard(now, text)

    @override
    def _wish(self, wish: Wish) -> None:
        if isinstance(wish, Write):
            self.observer.wrote(wish.text)
        super()._wish(wish)


class ObservedClient(MessengerClient):
    observer: Observer | None = None

    @override
    def _new_core(self) -> Core:
        core = ObservedCore(
            self._surroundings.uniform,
            self._options,
            has_session=self._session.is_open,
            has_password=self._has_password,
        )
        if self.observer is not None:
            core.observer = self.observer
        return core

    def cut(self) -> None:
        if self._connection is not None:
            self._connection.transport.abort()


@define(eq=False, kw_only=True)
class PythonDevice(Device):
    client: ObservedClient = field(init=False)
    _handling: asyncio.Task[None] = field(init=False)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @override
    async def _begin(self) -> None:
        ids = (f"{self.name} {self.life} {number}" for number in itertools.count())
        self.client = ObservedClient(
            self.url,
            email=self.email,
            password=PASSWORD,
            storage=FileStorage(self.path, slack=20_000),
            options=Options(first_pause=0.02, longest_pause=0.5, messages_most=None, gap_most=None),
            surroundings=Surroundings(uniform=self.chance.uniform, new_id=lambda: next(ids)),
        )
        self.client.observer = Observer(self.record, self.name, self.profile, is_restored=self.life > 1)
        await self.client.__aenter__()
        self._handling = asyncio.create_task(self._handle())

    async def _handle(self) -> None:
        async for change in self.client.changes():
            if isinstance(change, NewMessage):
                self.handle(change.chat.id, change.message.seq)

    @override
    async def end(self) -> None:
        self._handling.cancel()
        await asyncio.wait([self._handling])
        await self.client.__aexit__(None, None, None)

    @override
    async def send(self, chat: str, text: str) -> None:
        await self.client.send(chat, text)

    @override
    def cut(self) -> None:
        self.client.cut()

    @override
    async def status(self) -> Status:
        chats = self.client.chats
        return Status(
            is_live=self.client.state is State.LIVE,
            unsent=self.client.unsent,
            positions={id: chat.position for id, chat in chats.items()},
            is_current=not any(chat.is_behind for chat in chats.values()),
        )

    @override
    async def messages(self, chat: str) -> list[str]:
        return [message.id for message in self.client.messages(chat)]

    @override
    async def stored(self) -> bytes:
        return self.path.read_bytes()

    @override
    def restore(self, stored: bytes) -> None:
        self.path.write_bytes(stored)


@asynccontextmanager
async def python_devices(folder: Path) -> AsyncIterator[type[PythonDevice]]:
    yield PythonDevice

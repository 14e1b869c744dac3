"""A connection between two places on which nothing arrives any more, though it stays open, as through a firewall that forgets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attrs import define, field

from tests.ports import free_port


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@define(eq=False)
class BlackHole:
    """Passes bytes on to ``target``, a port of this machine, while it is not `shut`. New connections are made and hear nothing then."""

    target: int
    port: int = field(factory=free_port)
    passed: int = 0
    """Bytes, in both directions."""
    _way: asyncio.Event = field(factory=_open)
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BlackHole"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()
            for task in [*self._tasks]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Nothing passes during the block. What came meanwhile is passed on afterwards, as TCP would send it again."""
        self._way.clear()
        try:
            yield
        finally:
            self._way.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, onward = await asyncio.open_connection("127.0.0.1", self.target)
            both = [asyncio.create_task(self._pass(*ends)) for ends in ((reader, onward), (there, writer))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in both:
                    each.cancel()
                onward.close()
                writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            await self._way.wait()
            writer.write(chunk)
            await writer.drain()
            self.passed += len(chunk)

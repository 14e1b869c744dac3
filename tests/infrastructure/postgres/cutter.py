"""Stands between a connection and PostgreSQL, and cuts it at its COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from pathlib import Path

from attrs import Factory, define


class Cut(Enum):
    NOWHERE = auto()
    BEFORE_COMMIT = auto()
    """The server does not hear it."""
    AFTER_COMMIT = auto()
    """The client does not hear the answer."""
    SILENCE = auto()
    """The answer never comes, and the connection stays."""


@define(eq=False)
class Cutter:
    target: Path
    """The server's socket."""
    cut: Cut = Cut.NOWHERE
    sign: bytes = b"COMMIT\0"
    """The bytes by which it recognises the message that commits, which may be a statement without BEGIN and COMMIT."""
    _committing: set[asyncio.StreamWriter] = Factory(set)

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """At the socket that PostgreSQL's clients expect in ``folder``."""
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            await self._serve(reader, writer)

        server = await asyncio.start_unix_server(accept, folder / ".s.PGSQL.5432")
        try:
            yield
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.target)
        try:
            async with asyncio.TaskGroup() as both:
                there = both.create_task(self._there(reader, up_writer, writer))
                back = both.create_task(self._back(up_reader, writer))
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                there.cancel()
                back.cancel()
        finally:
            self._committing.discard(writer)
            for end in (writer, up_writer):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    async def _there(
        self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if self.sign in data and self.cut is not Cut.NOWHERE:
                if self.cut is Cut.BEFORE_COMMIT:
                    return
                self._committing.add(writer)
            up.write(data)
            await up.drain()

    async def _back(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await up.read(65536):
            if writer in self._committing:
                if self.cut is Cut.SILENCE:
                    continue
                return
            writer.write(data)
            await writer.drain()

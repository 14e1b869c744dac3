"""A wire does to a connection what the weather says, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest

from tests.system.faults.lines import reach
from tests.system.faults.wire import COMMIT, FINE, Weather, Wire

ENOUGH = 30
"""Seconds after which something hangs."""

MUCH = 1_000_000

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """To a server that says everything again."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass  # the wire was cut
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    wire = Wire(server.sockets[0].getsockname()[1], Random(1))
    await wire.open()
    yield wire
    await wire.close()
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def connected(wire: Wire) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    try:
        async with asyncio.timeout(ENOUGH):
            yield reader, writer
    finally:
        writer.transport.abort()


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await reader.readexactly(1)
    except TimeoutError:
        return True
    return False


async def test_carries_everything_in_order_and_the_end(wire: Wire) -> None:
    data = bytes(range(256)) * 10_000
    async with connected(wire) as (reader, writer):
        writer.write(data)
        writer.write_eof()
        assert await reader.read(-1) == data


async def test_carries_everything_slowly(wire: Wire) -> None:
    data = bytes(range(256)) * 100
    wire.change(Weather(delay=0.01, jitter=0.02, rate=200_000))
    began = asyncio.get_running_loop().time()
    async with connected(wire) as (reader, writer):
        writer.write(data)
        writer.write_eof()
        assert await reader.read(-1) == data
    assert asyncio.get_running_loop().time() - began > len(data) / 200_000


@pytest.mark.parametrize("weather", [Weather(stops_up=True), Weather(stops_down=True)])
async def test_what_was_stopped_arrives_later(wire: Wire, weather: Weather) -> None:
    async with connected(wire) as (reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        wire.change(weather)
        writer.write(b"two")
        assert await is_silent(reader)
        wire.change(FINE)
        assert await reader.readexactly(3) == b"two"


async def test_a_client_that_left_a_stopped_wire_is_gone_when_it_goes_on(wire: Wire) -> None:
    async with connected(wire) as (reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        wire.change(Weather(stops_up=True, stops_down=True))
    assert wire.pipes
    wire.change(FINE)
    async with asyncio.timeout(ENOUGH):
        while wire.pipes:  # noqa: ASYNC110 - the event loop does it
            await asyncio.sleep(0.01)


async def test_little_fits_into_a_narrow_wire() -> None:
    """Megabytes fit into an ordinary one while nobody reads."""
    poured: list[int] = []

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)
        number = len(poured)
        poured.append(0)
        with suppress(OSError):  # the client goes
            while poured[number] < MUCH:
                writer.write(b"x" * 1000)
                poured[number] += 1000
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    wire = Wire(server.sockets[0].getsockname()[1], Random(1))
    await wire.open()
    async with asyncio.timeout(ENOUGH):
        with await reach(wire.port, is_narrow=False):
            while not poured or poured[0] < MUCH:  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.01)
        wire.change(Weather(is_narrow=True))
        with await reach(wire.port, is_narrow=True):
            before = 0
            while len(poured) < 2 or poured[1] != before:
                before = sum(poured[1:])
                await asyncio.sleep(0.1)
            assert poured[1] < MUCH / 4
        while wire.pipes:  # noqa: ASYNC110 - the event loop does it
            await asyncio.sleep(0.01)
    await wire.close()
    server.close()
    await server.wait_closed()


async def test_cuts_connections(wire: Wire) -> None:
    async with connected(wire) as (reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        wire.cut()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)


async def test_cuts_within_what_is_said(wire: Wire) -> None:
    wire.change(Weather(cut_within=1000))
    async with connected(wire) as (reader, writer):
        writer.write(b"x" * 3000)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1001)


async def test_refuses(wire: Wire) -> None:
    wire.change(Weather(refuses=True))
    async with connected(wire) as (reader, _):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


@pytest.mark.parametrize("commits", ["held", "unanswered"])
async def test_keeps_back_the_end_of_a_transaction(wire: Wire, commits: str) -> None:
    wire.change(Weather(commits="held" if commits == "held" else "unanswered"))
    async with connected(wire) as (reader, writer), connected(wire) as (other_reader, other_writer):
        writer.write(b"first")
        assert await reader.readexactly(5) == b"first"
        assert wire.committing == 0
        writer.write(COMMIT)
        assert await is_silent(reader)
        assert wire.committing == 1
        other_writer.write(b"others go on")
        assert await other_reader.readexactly(12) == b"others go on"
        wire.change(FINE)
        assert await reader.readexactly(len(COMMIT)) == COMMIT

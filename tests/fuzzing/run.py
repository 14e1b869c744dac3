"""Sets the messenger up, and runs one of the fuzzers against it over TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, cast

from attrs import evolve
from typing_extensions import override

from tests.fuzzing.frames import FrameFuzzer
from tests.fuzzing.http import HttpFuzzer
from tests.fuzzing.oracle import QUIET, Oracle
from tests.fuzzing.scene import Scene
from tests.interfaces.ws.house import serving

Kind = Literal["http", "frames"]
KINDS: Final[tuple[Kind, ...]] = ("http", "frames")


class Dropping(asyncio.Protocol):
    """Reads and drops. It answers handshakes, because sockets send nothing before, and closes when the client has sent all."""

    _transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        if b"Upgrade: websocket" in data:
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")


@asynccontextmanager
async def dropping() -> AsyncIterator[int]:
    """A listener that is not the messenger. Its port."""
    async with await asyncio.get_running_loop().create_server(Dropping, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


async def fuzz(
    kind: Kind,
    seed: int,
    *,
    count: int | None = None,
    until: float | None = None,
    quiet: int = QUIET,
    control: int = 0,
) -> Oracle:
    """
    Run ``count`` requests or sockets, or until a moment of the monotonic clock. The same seed sends the same.

    Before that, a well-behaved client asks ``quiet`` times, and the first ``control`` inputs go to a listener that is not the
    messenger: what it waits then is the fuzzer's part, which shares its process.
    """
    oracle = Oracle()
    with oracle.listening():
        async with serving("handed over") as house:
            make = HttpFuzzer if kind == "http" else FrameFuzzer
            fuzzer: HttpFuzzer | FrameFuzzer = make(house, oracle, Scene(house))
            for _ in range(quiet):
                oracle.quiet.append(await fuzzer.ask_as_others_do())
            if control:
                async with dropping() as port:
                    oracle.control = Oracle()
                    await evolve(fuzzer, oracle=oracle.control, port=port).strike(seed, control)
                oracle.faults += oracle.control.faults
            await fuzzer.strike(seed, count, until)
    return oracle

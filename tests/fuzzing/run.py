"""Sets the messenger up, and runs one of the fuzzers against it over TCP."""

from typing import Final, Literal

from tests.fuzzing.frames import FrameFuzzer
from tests.fuzzing.http import HttpFuzzer
from tests.fuzzing.oracle import Oracle
from tests.fuzzing.scene import Scene
from tests.interfaces.ws.house import serving

Kind = Literal["http", "frames"]
KINDS: Final[tuple[Kind, ...]] = ("http", "frames")


async def fuzz(kind: Kind, seed: int, *, count: int | None = None, until: float | None = None) -> Oracle:
    """Run ``count`` requests or sockets, or until a moment of the monotonic clock. The same seed sends the same."""
    oracle = Oracle()
    with oracle.listening():
        async with serving("handed over") as house:
            fuzzer = HttpFuzzer if kind == "http" else FrameFuzzer
            await fuzzer(house, oracle, Scene(house)).run(seed, count, until)
    return oracle

"""
Sends what no client should, and watches: ``python -m tests.fuzzing http|frames --minutes 10 --seed 1``.

It prints the seed, what was sent and answered, the p99 of what a well-behaved client waited (before, while the same was sent to
something that is not the messenger, and meanwhile) with the ratios of the last to both others, and every fault: a 500, a
close with 1011, an answer that shows internals, an error in the log, a process that grows, or a client that gets no answer.
The exit status is 1 if there was one. The same seed sends the same.
"""

import argparse
import asyncio
import secrets
import sys
import time

from tests.fuzzing.run import KINDS, fuzz


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzzing", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, help="requests or sockets, in place of a time")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--quiet", type=int, default=500, help="how often the client asks before")
    parser.add_argument("--control", type=int, default=4000, help="inputs to something else, before")
    options = parser.parse_args(arguments)
    seed = secrets.randbits(31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    until = None if options.count else time.monotonic() + options.minutes * 60
    oracle = asyncio.run(
        fuzz(
            options.kind, seed, count=options.count, until=until, quiet=options.quiet, control=options.control
        )
    )
    print(oracle.report())
    print(*dict.fromkeys(oracle.faults[:50]), sep="\n")
    return 1 if oracle.faults else 0


if __name__ == "__main__":
    sys.exit(main())

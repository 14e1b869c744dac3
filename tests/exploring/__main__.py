"""
Looks for faults with fresh chance: properties and state machines, the simulated world, a real messenger that is killed, and
devices with either client whose connections break.

    make explore MINUTES=10
    python -m tests.exploring [--minutes 10] [--seed N]

It goes round the four until the time is up, prints each seed before it is used, and stops at the first finding, which
becomes a file in `tests/regressions` that `make test` tries again from then on. The exit status is 1 if something was
found.
"""

import argparse
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from tests.exploring.kept import DEVICES, REGRESSIONS, Kept
from tests.exploring.runs import explore_chaos, explore_devices, explore_properties, explore_simulation
from tests.scratch import use_memory

SIMULATIONS = 200
"""Runs of the simulated world in each round."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.exploring", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="of the first round; later ones count up from it")
    parser.add_argument("--keep", type=Path, default=REGRESSIONS, help="the folder for what is found")
    options = parser.parse_args(arguments)
    use_memory()
    first = secrets.randbits(31) if options.seed is None else options.seed
    until = time.time() + options.minutes * 60
    for round_number, found in enumerate(explore(first, options.keep, until)):
        if found:
            for path in found:
                print(f"found something: {path}\n", *Kept.read(path).told, sep="\n")
            return 1
        print(f"nothing found in part {round_number + 1}", flush=True)
    print("the time is up, and nothing was found")
    return 0


def explore(seed: int, keep: Path, until: float) -> Iterator[list[Path]]:
    """Part by part, what each of them found. The client for JavaScript takes part where Node.js is installed."""
    clients = cycle(client for client in DEVICES if client != "javascript" or shutil.which("node"))
    while time.time() < until:
        print(f"properties and machines with seed {seed}", flush=True)
        yield explore_properties(seed, keep, until)
        print(f"simulated worlds {seed} to {seed + SIMULATIONS - 1}", flush=True)
        for number in range(seed, seed + SIMULATIONS):
            if time.time() > until:
                return
            if kept := explore_simulation(number):
                yield [kept.write(keep)]
        yield []
        if time.time() > until:
            return
        print(f"kills of a real messenger, number {seed}", flush=True)
        kept = explore_chaos(seed)
        yield [kept.write(keep)] if kept else []
        if time.time() > until:
            return
        client = next(clients)
        print(f"broken connections of devices with the client for {client}, number {seed}", flush=True)
        kept = explore_devices(seed, client)
        yield [kept.write(keep)] if kept else []
        seed += SIMULATIONS


if __name__ == "__main__":
    sys.exit(main())

"""
Faults on a cluster of two nodes, again and again, while people with hostile clients talk.

    python -m tests.system.faults [--minutes 10] [--bus nats|notify] [--workers 1] [--from 0] [--all] [--fault F1]
        [--write docs]
    python -m tests.system.faults --mutants [--fault NAME]

Each round has one fault; a number decides which, and what the people do, though not how the machine shares its time. The table
tells for each fault how often it happened, what was wrong and how long it took until everything had healed. ``--write`` makes
a page of it in a folder, with a picture. With ``--mutants`` the messenger is made wrong in seven ways, and each must be found.
"""

import argparse
import asyncio
import itertools
import sys
import time
from pathlib import Path
from random import Random
from typing import Final

from tests.scratch import scratch_folder, use_memory
from tests.system.faults.catalogue import BY_NAME, FAULTS, Fault
from tests.system.faults.cluster import Bus, Cluster, clustered
from tests.system.faults.page import NAME, Shown, Table, document, picture
from tests.system.faults.registry import Registry, registry
from tests.system.faults.round import Outcome, Round
from tests.system.faults.trials import ALL, try_mutant

IN_TURN: Final = ("F1", "F8", "F15", "proxy")
"""Each part killed once: a node, PostgreSQL, the bus, and what stands in front of a node."""

BUSES: Final[tuple[Bus, ...]] = ("nats", "notify")


async def play(
    cluster: Cluster, people: Registry, number: int, faults: list[Fault], workers: int, table: Table
) -> Outcome:
    outcome = await Round(cluster, people, number, faults, workers=workers).run()
    print(cluster.bus, outcome, *(str(each)[:1000] for each in outcome.violations[:5]), sep="\n", flush=True)
    table.add(cluster.bus, outcome)
    return outcome


async def run(bus: Bus, folder: Path, options: argparse.Namespace, table: Table) -> Shown:
    """One round with each part killed in turn, and then rounds with one fault each until the time is up."""
    chosen = [BY_NAME[options.fault]] if options.fault else [f for f in FAULTS if f.is_default or options.all]
    seed, workers = options.first, options.workers
    async with (
        clustered(folder, bus, Random(seed), workers=workers) as cluster,
        registry(cluster) as people,
    ):
        until = time.monotonic() + options.minutes * 60 / len(options.buses)
        in_turn = [BY_NAME[name] for name in IN_TURN]
        shown = Shown(bus, await play(cluster, people, seed, in_turn, workers, table))
        for number, fault in zip(itertools.count(seed + 1), itertools.cycle(chosen), strict=False):
            if time.monotonic() > until:
                return shown
            await play(cluster, people, number, [fault], workers, table)
    raise AssertionError


def schedule(options: argparse.Namespace) -> int:
    table, shown = Table(), []
    for bus in options.buses:
        with scratch_folder("messenger-faults-") as folder:
            shown.append(asyncio.run(run(bus, folder, options, table)))
    print(*table.lines(), sep="\n")
    if options.write:
        text = document(table, minutes=options.minutes, seed=options.first, workers=options.workers)
        (options.write / NAME).with_suffix(".md").write_text(text)
        (options.write / NAME).with_suffix(".svg").write_text(picture(shown))
    return int(not table.is_good)


def mutants(options: argparse.Namespace) -> int:
    missed = 0
    for mutant in ALL:
        if options.fault not in {None, mutant.name}:
            continue
        rounds, outcome = asyncio.run(try_mutant(mutant, options.first))
        if outcome is None:
            missed += 1
            print(f"{mutant.title}: not found in {rounds} rounds", flush=True)
        else:
            first = next(each for each in outcome.violations if each.rule in mutant.rules)
            print(f"{mutant.title}: found in round {rounds}: {str(first)[:200]}", flush=True)
    return int(missed > 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--bus", choices=BUSES, help="both, one after the other, if it is not given")
    parser.add_argument("--workers", type=int, default=1, help="of each node")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first number")
    parser.add_argument(
        "--all", action="store_true", help="also faults that take long or much of the machine"
    )
    parser.add_argument("--fault", help="only this one, or only this mutant")
    parser.add_argument("--write", type=Path, help="the folder in which it writes a page and its picture")
    parser.add_argument("--mutants", action="store_true")
    options = parser.parse_args()
    options.buses = [options.bus] if options.bus else [*BUSES]
    use_memory()
    return mutants(options) if options.mutants else schedule(options)


if __name__ == "__main__":
    sys.exit(main())

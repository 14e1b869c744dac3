"""
Faults on a cluster of two nodes, again and again, while people with hostile clients talk.

    python -m tests.system.faults [--minutes 10] [--each 2] [--bus nats|notify] [--workers 1] [--from 0] [--all] [--fault F1]
        [--keep FILE] [--write docs]
    python -m tests.system.faults --mutants [--fault NAME] [--keep FILE] [--write docs]
    python -m tests.system.faults --minutes 0 --keep FILE --write docs

Each round has three faults, those that were played least so far; a number decides what the people do, though not how the
machine shares its time. The table tells for each fault how often it happened, what was wrong in its rounds and how long it
took until everything had healed. With ``--keep`` a run goes on where the runs before it ended, so that a long schedule can be played in
pieces. ``--write`` makes a page of the table in a folder, with a picture; without any minutes, of what was kept before. With
``--mutants`` the messenger is made wrong in seven ways, and each must be found.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

from attrs import define

from tests.scratch import scratch_folder, use_memory
from tests.system.faults import trials
from tests.system.faults.catalogue import BY_NAME, FAULTS, Fault
from tests.system.faults.cluster import Bus, Cluster, clustered
from tests.system.faults.page import NAME, Table, document, picture
from tests.system.faults.record import Record, Trial, append, read, read_trials
from tests.system.faults.registry import Registry, registry
from tests.system.faults.round import Round
from tests.system.faults.trials import ALL, try_mutant

IN_TURN: Final = ("F1", "F8", "F15", "proxy")
"""Each part killed once: a node, PostgreSQL, the bus, and what stands in front of a node."""

AT_A_TIME: Final = 3
"""Faults of one round, which happen one after the other."""

BUSES: Final[tuple[Bus, ...]] = ("nats", "notify")


@define(eq=False)
class Schedule:
    """Rounds on one bus. ``records`` are those of all runs so far."""

    cluster: Cluster
    people: Registry
    options: argparse.Namespace
    records: list[Record]

    async def run(self, until: float) -> None:
        """A round with each part killed in turn, unless there was one, and then rounds with the faults played least."""
        if self.options.fault is None and not any(record.latencies for record in self._mine()):
            await self._play([BY_NAME[name] for name in IN_TURN], has_latencies=True)
        while time.monotonic() < until and (faults := self._least_played()):
            await self._play(faults)

    def _mine(self) -> Iterator[Record]:
        return (record for record in self.records if record.bus == self.cluster.bus)

    def _least_played(self) -> list[Fault]:
        options = self.options
        chosen = (
            [BY_NAME[options.fault]] if options.fault else [f for f in FAULTS if f.is_default or options.all]
        )
        runs = Counter(mark.fault for record in self._mine() for mark in record.marks)
        due = [fault for fault in chosen if options.each is None or runs[fault.name] < options.each]
        return sorted(due, key=lambda fault: runs[fault.name])[:AT_A_TIME]

    async def _play(self, faults: Sequence[Fault], *, has_latencies: bool = False) -> None:
        bus, options = self.cluster.bus, self.options
        number = options.first + sum(1 for _ in self._mine())
        outcome = await Round(self.cluster, self.people, number, faults, workers=options.workers).run()
        print(bus, outcome, *(str(each)[:1000] for each in outcome.violations[:5]), sep="\n", flush=True)
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        record = Record.of(bus, outcome, load, has_latencies=has_latencies)
        self.records.append(record)
        if options.keep:
            append(options.keep, record)


async def run(bus: Bus, folder: Path, options: argparse.Namespace, records: list[Record]) -> None:
    until = time.monotonic() + options.minutes * 60 / len(options.buses)
    async with (
        clustered(folder, bus, Random(options.first + len(records)), workers=options.workers) as cluster,
        registry(cluster) as people,
    ):
        await Schedule(cluster, people, options, records).run(until)


def schedule(options: argparse.Namespace) -> int:
    records = [*read(options.keep)] if options.keep else []
    for bus in options.buses if options.minutes else ():
        with scratch_folder("messenger-faults-") as folder:
            asyncio.run(run(bus, folder, options, records))
    table = Table.of(records)
    print(*table.lines(), sep="\n")
    write(records, [*read_trials(options.keep)] if options.keep else [], options)
    return int(not table.is_good)


def write(records: Sequence[Record], tried: Sequence[Trial], options: argparse.Namespace) -> None:
    if options.write:
        shown = [record for record in records if record.latencies]
        page = (options.write / NAME).with_suffix(".md")
        page.write_text(document(records, tried, workers=options.workers))
        page.with_suffix(".svg").write_text(picture(shown))


def mutants(options: argparse.Namespace) -> int:
    tried = []
    for mutant in ALL:
        if options.fault not in {None, mutant.name}:
            continue
        rounds, found = asyncio.run(try_mutant(mutant, options.first))
        trial = Trial(mutant.name, rounds, None if found is None else found.rule)
        tried.append(trial)
        print(f"{mutant.title}: {f'round {rounds}: {found}'[:200] if found else 'not found'}", flush=True)
        if options.keep:
            append(options.keep, trial)
    print(*trials.table(tried), sep="\n")
    if options.keep:
        write([*read(options.keep)], [*read_trials(options.keep)], options)
    return int(any(trial.found is None for trial in tried))


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
    parser.add_argument("--each", type=int, help="end when each fault was played so often")
    parser.add_argument("--keep", type=Path, help="a file of the rounds, to which this run adds its own")
    parser.add_argument(
        "--write", type=Path, help="the folder in which it writes a page of all rounds and its picture"
    )
    parser.add_argument("--mutants", action="store_true")
    options = parser.parse_args()
    if options.write and not options.keep and options.mutants:
        parser.error("the page is made of the rounds in a file: --write needs --keep")
    options.buses = [options.bus] if options.bus else [*BUSES]
    use_memory()
    return mutants(options) if options.mutants else schedule(options)


if __name__ == "__main__":
    sys.exit(main())

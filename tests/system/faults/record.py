"""What the rounds of a long schedule and the trials of mutants have shown, in a file to which further runs add theirs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cattrs
import orjson
from attrs import frozen

from tests.system.faults.cluster import Bus
from tests.system.faults.round import Latency, Mark, Outcome


@frozen
class Record:
    """One round. ``load`` is how many processes wanted each processor of the machine, and ``latencies`` may be left out."""

    bus: Bus
    number: int
    marks: list[Mark]
    violations: list[str]
    messages: int
    load: float
    latencies: list[Latency]

    @classmethod
    def of(cls, bus: Bus, outcome: Outcome, load: float, *, has_latencies: bool) -> "Record":
        return cls(
            bus,
            outcome.number,
            outcome.marks,
            [str(violation) for violation in outcome.violations],
            outcome.messages,
            load,
            outcome.latencies if has_latencies else [],
        )


@frozen
class Trial:
    """One trial of a mutant."""

    mutant: str
    rounds: int
    """How many it took to find it, or how many did not."""
    found: str | None
    """The first guarantee that was seen broken; None if the mutant survived."""


def read(path: Path) -> Iterator[Record]:
    return (cattrs.structure(each, Record) for each in _lines(path) if "mutant" not in each)


def read_trials(path: Path) -> Iterator[Trial]:
    return (cattrs.structure(each, Trial) for each in _lines(path) if "mutant" in each)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().splitlines():
            yield orjson.loads(line)


def append(path: Path, record: Record | Trial) -> None:
    with path.open("ab") as file:
        file.write(orjson.dumps(cattrs.unstructure(record)) + b"\n")

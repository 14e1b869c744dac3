"""What the rounds of a long schedule have shown, in a file to which further runs add theirs."""

from collections.abc import Iterator
from pathlib import Path

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


def read(path: Path) -> Iterator[Record]:
    if path.exists():
        for line in path.read_bytes().splitlines():
            yield cattrs.structure(orjson.loads(line), Record)


def append(path: Path, record: Record) -> None:
    with path.open("ab") as file:
        file.write(orjson.dumps(cattrs.unstructure(record)) + b"\n")

"""The table of a long schedule, its page and its picture."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from math import log10
from statistics import median
from typing import Final

from attrs import define, field

from tests.system.faults import trials
from tests.system.faults.catalogue import BY_NAME
from tests.system.faults.cluster import Bus
from tests.system.faults.record import Record, Trial
from tests.system.faults.round import Latency, Mark

NAME: Final = "faults"
"""The name of the page and of its picture, without a suffix."""

HEALED_WITHIN: Final = 10.0
"""Seconds in which everything heals, by D12."""

WIDTH, HEIGHT = 1000, 260
"""The size of the picture of one bus, in pixels."""

LEFT, TOP, RIGHT, BOTTOM = 60, 40, 12, 34
"""The margins around its diagram."""

LEAST, MOST = 0.005, 20.0
"""Seconds at the bottom and at the top of it."""


@define(eq=False)
class Row:
    """What became of one fault."""

    took: list[float | None] = field(factory=list)
    violations: int = 0

    @property
    def healed(self) -> list[float]:
        return [each for each in self.took if each is not None]

    @property
    def is_good(self) -> bool:
        return (
            not self.violations and len(self.healed) == len(self.took) and max(self.healed) <= HEALED_WITHIN
        )


@define(eq=False)
class Table:
    rows: dict[tuple[str, Bus], Row] = field(factory=dict)

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Table":
        """Violations of a round count for each of its faults."""
        table = cls()
        for record in records:
            for mark in record.marks:
                row = table.rows.setdefault((mark.fault, record.bus), Row())
                row.took.append(mark.took)
                row.violations += len(record.violations)
        return table

    @property
    def is_good(self) -> bool:
        return all(row.is_good for row in self.rows.values())

    def lines(self) -> Iterator[str]:
        yield "| fault | | bus | runs | violations | heals in, median | longest |"
        yield "|---|---|---|---|---|---|---|"
        order = [*BY_NAME]
        for (name, bus), row in sorted(
            self.rows.items(), key=lambda each: (order.index(each[0][0]), each[0][1])
        ):
            healed = row.healed
            middle = f"{median(healed):.1f} s" if healed else "never"
            longest = f"{max(healed):.1f} s" if len(healed) == len(row.took) else "never"
            yield (
                f"| {name} | {BY_NAME[name].title} | {bus} | {len(row.took)} | {row.violations} | {middle} | {longest} |"
            )


def document(records: Sequence[Record], tried: Sequence[Trial], *, workers: int) -> str:
    lines = "\n".join(Table.of(records).lines())
    faults, messages = sum(len(each.marks) for each in records), sum(each.messages for each in records)
    load, processors = median(each.load for each in records), os.cpu_count() or 1
    return f"""# What happens when parts break

`python -m tests.system.faults --write docs` has written this page. Two nodes, each with {workers} worker{"" if workers == 1 else "s"}, served people with
hostile clients over one PostgreSQL: sockets of one chat and of all chats, event streams, `/sync/` and requests. The people came
and went, repeated themselves under their nonces, read slowly and marked what they had read. In {len(records)} rounds there were
{faults} faults and {messages:,} messages. `tests/checker` judged everything that the clients saw by the [guarantees](guarantees.md).

A fault has healed when somebody on each node has an answer to what they said after it, and everybody has heard that and all
that was said before, in busy chats and in quiet ones. What is killed is started again half a second later, and the time that
its start takes counts. D12 promises ten seconds on a machine that has time. This one had {processors} processors for both nodes,
PostgreSQL, the bus, all clients and the judge, and {load:.1f} processes wanted to run on each at the same time (the median of the
rounds): the times are upper bounds.

{lines}

Latency while each part is killed in turn, with load. Each point is one message: grey until it was acknowledged, blue until
somebody on each node had heard it. While the red bar lasts the part is away; the red line behind it lasts until everything
has healed.

![Latency over time with faults marked]({NAME}.svg)
{_mutants(tried)}"""


def _mutants(tried: Sequence[Trial]) -> str:
    if not tried:
        return ""
    lines = "\n".join(trials.table(tried))
    return f"""
## Would it have been seen?

A harness that finds nothing may be blind. `python -m tests.system.faults --mutants` makes the messenger wrong in one way after
the other, each of which breaks a promise under some fault, and plays rounds until one of the [guarantees](guarantees.md) is seen broken.

{lines}
"""


def picture(shown: Sequence[Record]) -> str:
    height = HEIGHT * len(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        "<title>Latency over time with faults marked</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, each in enumerate(shown):
        parts.append(f'<g transform="translate(0 {number * HEIGHT})">')
        parts += _diagram(each)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _diagram(shown: Record) -> Iterator[str]:
    latencies, marks = shown.latencies, shown.marks
    end = max([each.at for each in latencies] + [mark.healed or mark.lifted for mark in marks])
    across = (WIDTH - LEFT - RIGHT) / max(end, 1.0)

    def x(at: float) -> float:
        return LEFT + at * across

    yield f'<text x="{LEFT}" y="16" font-weight="bold">{escape(shown.bus)}</text>'
    for seconds, name in _SCALE.items():
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(seconds):.1f}" y2="{_y(seconds):.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{_y(seconds) + 4:.1f}" text-anchor="end" fill="#555">{name}</text>'
    for mark in marks:
        yield from _marked(mark, x)
    for each in latencies:
        yield from _points(each, x(each.at))
    step = max(round(end / 10), 1)
    for at in range(0, int(end) + 1, step):
        yield f'<text x="{x(at):.1f}" y="{HEIGHT - 14}" text-anchor="middle" fill="#555">{at} s</text>'


_SCALE: Final[Mapping[float, str]] = {0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s"}


def _y(seconds: float) -> float:
    share = (log10(min(max(seconds, LEAST), MOST)) - log10(LEAST)) / (log10(MOST) - log10(LEAST))
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _marked(mark: Mark, x: Callable[[float], float]) -> Iterator[str]:
    began, lifted = x(mark.began), x(mark.lifted)
    top, bottom = TOP - 6, HEIGHT - BOTTOM
    yield (
        f'<rect x="{began:.1f}" y="{top}" width="{max(lifted - began, 1):.1f}" height="{bottom - top}" fill="#d33"'
        ' fill-opacity="0.15"/>'
    )
    yield f'<rect x="{began:.1f}" y="{top}" width="{max(lifted - began, 1):.1f}" height="5" fill="#d33"/>'
    if mark.healed is not None:
        yield (
            f'<line x1="{lifted:.1f}" x2="{x(mark.healed):.1f}" y1="{top + 2.5}" y2="{top + 2.5}" stroke="#d33"'
            ' stroke-width="1.5"/>'
        )
    yield f'<text x="{began:.1f}" y="{top - 4}" fill="#a11">{escape(BY_NAME[mark.fault].title)}</text>'


def _points(latency: Latency, x: float) -> Iterator[str]:
    for seconds, colour in ((latency.acked, "#999"), (latency.heard, "#2563c9")):
        if seconds is not None:
            yield f'<circle cx="{x:.1f}" cy="{_y(seconds):.1f}" r="1.6" fill="{colour}"/>'

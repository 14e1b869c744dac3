"""
Runs the benchmarks that count, briefly, and compares each figure with its latest one on the same machine. `make bench` is this
command.

    python -m tests.benchmarks.everything [AREA ...] [--rounds 1] [--folder .bench] [--page FILE]

It takes about seven minutes on two quiet cores. Each run is kept in ``--folder`` as JSON. ``--page`` writes the page with its
pictures beside it. The load comes from `wsload` in C where MESSENGER_TOOLS names its folder, and from Python elsewhere; only
runs with the same load are compared.
"""

import argparse
import asyncio
import hashlib
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cattrs
from attrs import Factory, frozen

from tests.benchmarks import (
    fan_out,
    growth,
    history,
    idle,
    idle_all_chats,
    latency,
    pictures,
    sockets,
    stored,
    storm,
)
from tests.benchmarks.asking import Asking
from tests.benchmarks.house import database, house, quantile
from tests.benchmarks.people import SECRET
from tests.benchmarks.tools import VARIABLE, Tools, compiled
from tests.benchmarks.wire import run

RATES: Final = (50, 100, 250, 500, 1000)
"""Messages a second over forty chats of ten, for the curve of latency."""


@frozen
class Figure:
    name: str
    unit: str
    value: float
    target: float | None = None
    """From the design; None where there is none."""
    more_is_better: bool = False

    @property
    def is_reached(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.more_is_better else self.value <= self.target


@frozen
class Picture:
    """``lines`` has the points of curves by name; ``bars`` the values of bars."""

    name: str
    title: str
    unit: str
    of: str = ""
    bars: dict[str, float] = Factory(dict)
    lines: dict[str, list[tuple[float, float]]] = Factory(dict)

    def svg(self) -> str:
        if self.bars:
            return pictures.bars(self.title, self.unit, self.bars)
        return pictures.curves(self.title, self.unit, self.of, self.lines)


@frozen
class Run:
    at: str
    machine: str
    load: str
    rounds: int | None = None
    """How often each area measures. A run that was kept before this was recorded has None."""
    figures: list[Figure] = Factory(list)
    pictures: list[Picture] = Factory(list)


Found = Iterator[Figure | Picture]

Area = Callable[[int, Tools | None], Found]
"""Measures so many rounds, with the tools in C if they are there."""


def store(rounds: int, _tools: Tools | None) -> Found:
    given = argparse.Namespace(seconds=2, rounds=rounds, senders=100, chats=100)
    with database() as postgres:
        found = asyncio.run(stored.measure(postgres, given))
    middle = {name: stored.middle_of(each) for name, each in found.items()}
    ours, bench = middle["gathered"], middle["pgbench"]
    yield Figure("stored by 100 senders", "messages/s", ours.rate, more_is_better=True)
    yield Figure("stored, beside pgbench", "x", ours.rate / bench.rate, 3, more_is_better=True)
    yield Figure("stored: CPU a message", "us", ours.python + ours.postgres)
    yield Picture(
        "stored",
        "Messages stored a second by a hundred senders",
        "",
        bars={"messenger": ours.rate, "pgbench": bench.rate, "one a transaction": middle["one each"].rate},
    )


def through_sockets(rounds: int, _tools: Tools | None) -> Found:
    with house() as built:
        found = [run(sockets.measure(built, 100, 1, 3)) for _ in range(rounds)]
    rate, server, postgres = (statistics.median(each) for each in zip(*found, strict=True))
    yield Figure("100 senders over sockets", "messages/s", rate, more_is_better=True)
    yield Figure("100 senders over sockets: CPU a message", "us", server + postgres, 60)


def _fan_out(
    chats: int, listeners: int, rates: Sequence[float], rounds: int, tools: Tools | None
) -> Mapping[float, Mapping[str, fan_out.Figures]]:
    """By messages a second offered, 0 for as many as are heard, and by server."""
    found: dict[float, dict[str, fan_out.Figures]] = {}
    with house() as built:
        seats, size = run(fan_out.seated(built, chats, listeners))
        with fan_out.rivals(built, tools, size) as rivals:
            for rate in rates:
                senders = chats if chats > 1 else 8
                trial = fan_out.Trial(built, seats, senders, rate, 3)
                measured: dict[str, list[fan_out.Figures]] = {rival.name: [] for rival in rivals}
                for _ in range(rounds):
                    for rival in rivals:
                        one = trial.by_wsload(tools, rival) if tools else run(trial.by_python(rival))
                        measured[rival.name].append(one)
                found[rate] = {name: fan_out.median(of_one) for name, of_one in measured.items()}
    return found


def one_room(rounds: int, tools: Tools | None) -> Found:
    smaller = _fan_out(1, 200, [0], rounds, tools)[0]["messenger"]
    yield Figure("one chat of 200: deliveries a CPU second", "", smaller.told, more_is_better=True)
    found = _fan_out(1, 1000, [0], rounds, tools)[0]
    yield Figure(
        "one chat of 1,000: deliveries a CPU second",
        "",
        found["messenger"].told,
        400_000,
        more_is_better=True,
    )
    yield Picture(
        "one-chat",
        "Deliveries a CPU second of the server, one chat of a thousand",
        "",
        bars={name: each.told for name, each in found.items()},
    )


def many_chats(rounds: int, tools: Tools | None) -> Found:
    found = _fan_out(40, 10, [0, *RATES], rounds, tools)
    fast = found[0]
    ours = fast["messenger"]
    yield Figure("40 chats of 10: CPU a message", "us", ours.server + ours.database, 150)
    yield Figure("40 chats of 10", "messages/s", ours.rate, more_is_better=True)
    more = _fan_out(200, 10, [0], rounds, tools)[0]["messenger"]
    yield Figure("200 chats of 10: CPU a message", "us", more.server + more.database)
    yield Figure("200 chats of 10", "messages/s", more.rate, more_is_better=True)
    calm = found[250]["messenger"]
    yield Figure("250 messages/s over 40 chats: CPU a message", "us", calm.server + calm.database, 500)
    yield Figure("250 messages/s over 40 chats: p50", "ms", calm.half, 1.0)
    yield Figure("250 messages/s over 40 chats: p99", "ms", calm.most, 3.5)
    yield Picture(
        "many-chats",
        "CPU of server and database for a message, 40 chats of 10",
        "us",
        bars={name: each.server + each.database for name, each in fast.items() if each.database},
    )
    yield Picture(
        "latency",
        "From a send to its delivery, 40 chats of 10",
        "ms",
        "messages a second",
        lines={
            f"{name}, {share}": [
                (rate, each[name].half if share == "p50" else each[name].most)
                for rate, each in found.items()
                if rate
            ]
            for name in ("messenger", "naive")
            for share in ("p50", "p99")
        },
    )


def alone(_rounds: int, _tools: Tools | None) -> Found:
    with house() as built:
        _acknowledged, delivered, commits = asyncio.run(latency.measure(built, 1000))
    half, most = (quantile(delivered, at) * 1e3 for at in (0.5, 0.99))
    yield Figure("one sender alone: p50 to the delivery", "ms", half, 3.0)
    yield Figure("one sender alone: p99 to the delivery", "ms", most, 12.0)
    yield Figure("one sender alone, beside a bare commit", "x", half / quantile(commits, 0.5) / 1e3, 3.0)


def coming_back(rounds: int, _tools: Tools | None) -> Found:
    for name, is_all in (("one chat", False), ("all chats", True)):
        with house(JWT_SECRET_KEY=SECRET) as built:
            found = run(
                storm.measure(
                    built, all_chats=is_all, sockets=2000, listeners=10, at_once=2000, rounds=rounds
                )
            )
        one = sorted(found, key=lambda each: each.back)[len(found) // 2]
        yield Figure(f"2,000 sockets of {name} come back", "s", one.back, 2.0)
        yield Figure(f"2,000 sockets of {name} come back: CPU each", "ms", (one.server + one.database) / 2)
        yield Figure(f"2,000 sockets of {name} come back: others' p99", "ms", one.meanwhile * 1e3, 100)


def silent(_rounds: int, _tools: Tools | None) -> Found:
    with house() as built:
        of_one, _cpu = run(idle.measure(built, 1000, 10, 3))
    yield Figure("an idle socket of one chat", "kB", of_one, 6)
    # Among few sockets, what else the process takes meanwhile counts as much as they do.
    for chats, connections, target in ((10, 800, 6.0), (1000, 200, 26.0)):
        with house(JWT_SECRET_KEY=SECRET) as built:
            of_all = run(idle_all_chats.measure(built, chats, connections, 10))
        yield Figure(f"an idle socket of all {chats:,} chats", "kB", of_all, target)


def pinged(_rounds: int, _tools: Tools | None) -> Found:
    with house() as built:
        _kilobytes, cpu = run(idle.measure(built, 10_000, 10, 45))  # three pings each
    yield Figure("pings of 10,000 sockets: share of a CPU", "%", cpu * 100, 2)


def pages(rounds: int, _tools: Tools | None) -> Found:
    with house() as built:
        token, reader = asyncio.run(history.who(built))
        asking = Asking.by(built, token)
        large = history.grow(built, reader, 100_000, 1000)[0]
        newest, oldest = [
            statistics.median(
                asking.cost(f"/chats/{large.id}/history/?limit=50{place}", 0.7).cpu for _ in range(rounds)
            )
            for place in ("", "&after=0")
        ]
        asking.connection.close()
    yield Figure("a page of 50 messages: CPU", "ms", newest * 1e3, 0.7)
    yield Figure("the oldest page, beside the newest", "x", oldest / newest, 1.5)


def growing(rounds: int, _tools: Tools | None) -> Found:
    with house() as built:
        curves = run(growth.measure(built, rounds))
    for each in curves:
        yield Figure(f"{each.name}, by {each.of}: the most beside the first", "x", each.ratio, 1.5)
    yield Picture(
        "growth",
        "CPU of server and database, by what could make it grow",
        "us",
        "how many",
        lines={
            f"{each.name}, by {each.of}": [(max(1, point), value) for point, value in each.points.items()]
            for each in curves
        },
    )


AREAS: Final[Mapping[str, Area]] = {
    "stored": store,
    "sockets": through_sockets,
    "one-chat": one_room,
    "many-chats": many_chats,
    "alone": alone,
    "coming-back": coming_back,
    "idle": silent,
    "pings": pinged,
    "pages": pages,
    "growth": growing,
}


def machine() -> str:
    """Describes the machine as far as figures depend on it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


@frozen
class Earlier:
    figure: Figure
    run: Run


def earlier_figures(folder: Path, like: Run) -> dict[str, Earlier]:
    """
    Returns the latest of each figure, by name, of runs on the same machine under the same load. A run may have measured only
    some of them.
    """
    latest: dict[str, Earlier] = {}
    for path in sorted(folder.glob("*.json")):
        run = cattrs.structure(json.loads(path.read_text()), Run)
        if (run.machine, run.load) == (like.machine, like.load):
            latest |= {each.name: Earlier(each, run) for each in run.figures}
    return latest


def in_rounds(run: Run) -> str:
    match run.rounds:
        case None:
            return "rounds unknown"
        case 1:
            return "1 round"
        case _:
            return f"{run.rounds} rounds"


def table(now: Run, earlier: Mapping[str, Earlier]) -> list[tuple[str, str, str, str]]:
    """
    Rows of a figure's name, its value, its target, and how it has changed since when. Where the earlier one is of another
    number of rounds, that is told, because the median of more rounds is a different figure.
    """
    rows = []
    for each in now.figures:
        target = ""
        if each.target is not None:
            target = f"{pictures.number(each.target)}: {'reached' if each.is_reached else 'missed'}"
        change = ""
        if (old := earlier.get(each.name)) and old.figure.value:
            change = f"{(each.value / old.figure.value - 1) * 100:+.0f} % since {old.run.at[:10]}"
            if old.run.rounds != now.rounds:
                change += f" ({in_rounds(old.run)})"
        rows.append((each.name, f"{pictures.number(each.value)} {each.unit}".strip(), target, change))
    return rows


def write_page(path: Path, now: Run) -> None:
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    introduction = (
        f"`make bench` wrote this page on {now.at[:10]}: {now.machine}, load from {now.load}, {in_rounds(now)}. The server has one CPU and the load"
        " the other; PostgreSQL runs where it likes, with its default durability. `naive` is a small server on Starlette that"
        " stores each message and tells it on, without repeats, read marks, resuming or checks of membership, measured in the"
        " same run. [tests/benchmarks](../tests/benchmarks/README.md) explains each figure and has those of other products."
    )
    lines = [
        "# Benchmarks",
        "",
        introduction,
        "",
        "| what | figure | target |",
        "| --- | --- | --- |",
        *(f"| {name} | {value} | {target} |" for name, value, target, _ in table(now, {})),
        "",
    ]
    for each in now.pictures:
        (folder / f"{each.name}.svg").write_text(each.svg())
        lines += [f"![{each.title}]({folder.name}/{each.name}.svg)", ""]
    path.write_text("\n".join(lines).rstrip() + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    if unknown := set(given.areas) - set(AREAS):
        parser.error(f"no such area: {', '.join(sorted(unknown))}")
    load = "C" if VARIABLE in os.environ else "Python"
    at = datetime.now(UTC).isoformat(timespec="seconds")
    now = Run(at, machine(), load, given.rounds)
    with compiled() as tools:
        for area in given.areas or AREAS:
            print(f"{area} ...", file=sys.stderr, flush=True)
            for found in AREAS[area](given.rounds, tools):
                if isinstance(found, Figure):
                    now.figures.append(found)
                else:
                    now.pictures.append(found)
    print(f"{now.machine}, load from {now.load}, {in_rounds(now)}")
    line = "{:66} {:>18} {:>18}  {}"
    print(line.format("", "", "target", "change").rstrip())
    for row in table(now, earlier_figures(given.folder, now)):
        print(line.format(*row).rstrip())
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = json.dumps(cattrs.unstructure(now), indent=1)
    name = f"{at.replace(':', '').replace('+', 'Z')}-{hashlib.sha256(kept.encode()).hexdigest()[:6]}.json"
    (given.folder / name).write_text(kept)
    if given.page:
        write_page(given.page, now)


if __name__ == "__main__":
    main()

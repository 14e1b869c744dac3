"""Runs of the simulated world, and that a number is a run."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checker.history import (
    Acked,
    AllEnded,
    AllHeard,
    Connecting,
    Cut,
    Detached,
    Ended,
    Event,
    History,
    Joined,
    MarkSeen,
    ReadTold,
    Refused,
    Reset,
    Restored,
    Resumed,
    Told,
    TooOften,
    Unknown,
)
from tests.simulation.__main__ import digest
from tests.simulation.found import FOUND_BY, FOUND_IN_CLUSTERS
from tests.simulation.world import simulate

RUNS = sorted({*range(112), *FOUND_BY.values(), *FOUND_IN_CLUSTERS.values()})
"""
The first runs, and each that finds a mutant of `test_mutants`: a fault like one of these would be found. `make explore` goes on with
other numbers.
"""

LEAST = 4
"""How often everything has to happen in these runs."""


def test_keeps_every_promise() -> None:
    """``python -m tests.simulation --from NUMBER --runs 1 --show`` replays one that did not."""
    happened: Counter[str] = Counter()
    found: list[str] = []
    for number in RUNS:
        outcome = simulate(number)
        happened.update(thing for event in outcome.history for thing in _things(event))
        happened.update(_returns(outcome.history))
        found += [f"run {number}: {each}" for each in outcome.violations()[:3]]
    assert not found, "\n".join(found)
    assert {thing for thing in _EXPECTED if happened[thing] < LEAST} == set(), (
        "the world has become too quiet"
    )


_EXPECTED = {
    *("acked", "duplicate", "unknown", "told", "changed", "read", "marked", "detached", "joined"),
    *(
        "refused unavailable",
        "refused overloaded",
        "refused nonce_reused",
        "refused too_frequent",
        "too often",
    ),
    *("resumed", "reset epoch", "reset ahead", "reset too_far", "reset malformed"),
    *("resumed elsewhere", "told again"),
    *("deleted", "signed out", "put out", "told nobody", "restored"),
    *("ended 1006", "ended 1008", "ended 1012", "ended 1013", "ended 4401", "ended 4403"),
    *(
        "all: auth_success",
        "all: snapshot",
        "all: resumed",
        "all: reset malformed",
        "all: reset epoch",
        "all: cursor",
        "all: gap",
    ),
    *("all: new_message", "all: chat_changed", "all: member_added", "all: member_removed"),
    *("all: chat_added", "all: chat_removed", "all: read_up_to", "all: messages_read"),
    *("all: answer", "all: error", "all: presence", "all: typing", "all: goaway"),
    *("all: ended 1006", "all: ended 1012", "all: ended 1013"),
}


def _things(event: Event) -> Iterator[str]:
    match event:
        case Acked():
            yield "duplicate" if event.duplicate else "acked"
        case Refused():
            yield f"refused {event.code}"
        case Unknown():
            yield "unknown"
        case Told():
            yield "changed" if isinstance(event.what, str) else "told"
        case ReadTold():
            yield "read"
        case MarkSeen():
            yield "marked" if event.seq else "unmarked"
        case Resumed():
            yield "resumed"
        case Reset():
            yield f"reset {event.reason}"
        case TooOften():
            yield "too often"
        case Detached():
            yield "detached"
        case Restored():
            yield "restored"
        case Joined():
            yield "joined"
        case Cut():
            yield "signed out" if event.session else "put out" if event.profile else "deleted"
            yield "told" if event.node else "told nobody"
        case Ended():
            yield f"ended {event.code}"
        case AllHeard(frame={"type": "reset", "scope": "all", "reason": reason}):
            yield f"all: reset {reason}"
        case AllHeard():
            yield f"all: {event.frame['type']}"
        case AllEnded():
            yield f"all: ended {event.code}"
        case _:
            pass


def _returns(history: History) -> Iterator[str]:
    """To another node than before, and to something that was missed."""
    opened: dict[int, Connecting] = {}
    nodes: dict[str | None, str] = {}
    moved: set[int] = set()
    for event in history:
        if isinstance(event, Connecting):
            opened[event.connection] = event
            if nodes.get(event.device, event.node) != event.node:
                moved.add(event.connection)
            nodes[event.device] = event.node
        elif isinstance(event, Resumed):
            if event.connection in moved:
                yield "resumed elsewhere"
            if opened[event.connection].since != event.position:
                yield "told again"


@pytest.mark.parametrize("number", [3, 17, 42])
def test_the_same_number_is_the_same_run(number: int) -> None:
    first, again = simulate(number), simulate(number)
    assert first.history == again.history
    assert (first.steps, first.limits) == (again.steps, again.limits)


def test_another_number_is_another_run() -> None:
    assert simulate(1).history != simulate(2).history


def test_the_same_number_is_the_same_run_in_any_process() -> None:
    """Neither the hashes of texts nor the addresses of objects matter."""
    here = [f"{number} {digest(simulate(number))}" for number in range(5)]
    there = _digests("4242" if os.environ.get("PYTHONHASHSEED") != "4242" else "0")
    assert there == here


def _digests(hash_seed: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--runs", "5", "--digest"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in ran.stdout.splitlines() if line[0].isdigit() and "runs" not in line]

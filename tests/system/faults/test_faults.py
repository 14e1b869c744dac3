"""
A short schedule of faults on either bus; `python -m tests.system.faults` has a long one.

Which faults happen, and in which order, is the same in every run. No verdict depends on how soon anything heals.
"""

import asyncio
from random import Random

import pytest

from tests.scratch import scratch_folder
from tests.system.faults.catalogue import BY_NAME
from tests.system.faults.cluster import Bus, clustered
from tests.system.faults.registry import registry
from tests.system.faults.round import Outcome, Round

HANGS = 400.0
"""Seconds after which a schedule hangs. On a machine that has time it takes fifteen."""


async def play(bus: Bus, number: int, *faults: str) -> Outcome:
    with scratch_folder("messenger-faults-") as folder:
        async with (
            asyncio.timeout(HANGS),
            clustered(folder, bus, Random(number)) as cluster,
            registry(cluster) as people,
        ):
            return await Round(cluster, people, number, [BY_NAME[name] for name in faults]).run()


@pytest.mark.parametrize(
    ("bus", "number", "faults"),
    [
        ("nats", 1, ("F1", "F8", "F15", "proxy", "F23")),
        ("notify", 2, ("F2", "F5", "F15", "F16", "F17")),
    ],
)
async def test_nothing_is_broken_while_parts_end_and_come_back(
    bus: Bus, number: int, faults: tuple[str, ...]
) -> None:
    outcome = await play(bus, number, *faults)
    assert outcome.violations == []
    assert [mark.fault for mark in outcome.marks] == [*faults]
    assert outcome.messages > 100

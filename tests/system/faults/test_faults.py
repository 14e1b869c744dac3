"""
A short schedule of faults on either bus; `python -m tests.system.faults` has a long one.

Which faults happen, and in which order, is the same in every run. Its bounds of time are so wide that only what hangs exceeds
them; what merely takes too long is found by the long schedule on a machine that has time. That another node knows of a removal
or of the end of a session is judged without a clock: by the order of the chat's log, and from the moment at which the node
has shown that it has looked.
"""

import asyncio
from random import Random

import pytest

from tests.scratch import scratch_folder
from tests.system.faults.catalogue import BY_NAME
from tests.system.faults.cluster import Bus, clustered
from tests.system.faults.registry import registry
from tests.system.faults.round import Outcome, Round

HANGS = 900.0
"""Seconds after which a schedule hangs. On a machine that has time it takes fifteen."""

NEVER = 240.0
"""Seconds after which a single thing, such as a node's news that somebody was removed, will never happen."""

SHORT = 0.4
"""How long faults last here, as a share of what they take in a long schedule."""


async def play(bus: Bus, number: int, *faults: str) -> Outcome:
    with scratch_folder("messenger-faults-") as folder:
        async with (
            asyncio.timeout(HANGS),
            clustered(folder, bus, Random(number)) as cluster,
            registry(cluster) as people,
        ):
            chosen = [BY_NAME[name] for name in faults]
            played = Round(
                cluster, people, number, chosen, heals=NEVER, rests=NEVER, grace=NEVER, lasts=SHORT
            )
            return await played.run()


@pytest.mark.parametrize(
    ("bus", "number", "faults"),
    [
        ("nats", 1, ("F1", "F8", "F15", "proxy", "F23")),
        ("notify", 2, ("F2", "F15", "F16", "F17")),
    ],
)
async def test_nothing_is_broken_while_parts_end_and_come_back(
    bus: Bus, number: int, faults: tuple[str, ...]
) -> None:
    outcome = await play(bus, number, *faults)
    assert outcome.violations == []
    assert [mark.fault for mark in outcome.marks] == [*faults]
    assert outcome.messages > 2 * len(faults), "each pulse says something after each fault"

"""Every mutant is found, and soon: the numbers of the runs that find them are in the test's output with ``-s``."""

from typing import Final

import pytest

from tests.simulation.mutants import MUTANTS, OF_ALL_CHATS, OF_RESTORES, OF_SYNC, planted
from tests.simulation.test_simulation import RUNS
from tests.simulation.world import hears_all, is_cluster, restores, simulate, transports

FOUND_BY: Final = {
    "told before the commit": 2,
    "answered before the commit": 1,
    "nonces forgotten": 1,
    "stale membership: taken after the deletion": 6,
    "stale membership: deletion not heard": 13,
    "stale membership: removal not heard": 28,
    "stale membership: sign-out not heard": 36,
    "subscribed after the history": 2,
    "dropped on overflow": 8,
    "kept on overflow": 8,
    "healing switched off": 12,
    "cursor switched off": 1,
    "gaps not minded": 2,
    "early ones out of order": 2,
    "told twice": 2,
    "seats confused": 0,
    "postponed ones overtaken": 8,
    "sends overtaken by questions": 3,
    "answered after it is told": 1,
    "clocks trusted": 0,
    "resume: nothing is replayed": 1,
    "resume: one page is replayed": 4,
    "resume: one too late": 1,
    "resume: one too early": 4,
    "resume: from what is not there": 10,
    "resume: another history": 9,
    "resume: the newest of too many": 23,
    "resume: nonsense passed over": 59,
    "resume: put out again": 96,
    "resume: a tail with a gap": 12,
    "resume: a tail with a gap among what is told": 18,
    "resume: a tail that goes too far": 19,
    "resume: an earlier read": 42,
    "resume: a deleted chat": 11,
    "resume: what comes meanwhile not told": 11,
    "resume: own mark forgotten": 10,
    "resume: the others' marks forgotten": 5,
    "reset without a snapshot": 3,
    "reset without a word": 3,
    "said again at once": 3,
    "said again at once, in one batch": 84,
    "never said again": 485,
    "said again: nonces refused": 237,
    "said again: nonces counted": 21,
    "said again: others counted": 11,
    "own messages unread": 0,
    "all chats: cursor taken after the snapshot": 5,
    "all chats: reading of an unmoved chat not told": 273,
    "all chats: removal not told": 5,
    "all chats: personal log forgotten": 5,
    "all chats: gap without state": 77,
    "all chats: additions not heard": 5,
    "all chats: membership ignored": 29,
    "all chats: own marks forgotten": 5,
    "all chats: own reading not heard": 29,
    "all chats: cursor after an unread page": 5,
    "all chats: cursor told at once": 29,
    "slow reader: gap not told": 61,
    "slow reader: told on in a gap": 29,
    "presence: leaked to strangers": 1,
    "presence: never ends": 113,
    "presence: going not told": 1,
    "typing: never ends": 1,
    "sync: a part taken for the whole": 97,
    "sync: a walk ends where its last part was read": 97,
    "sync: cursor taken after the snapshot": 25,
    "sync: the chat that did not fit is passed over": 97,
    "sync: the chat that did not fit begins anew": 41,
    "restore: tails kept": 41,
    "restore: not heard": 41,
    "restore: cursors of the former history": 9,
}
"""
The first run that finds each mutant. It is tried before all others, which takes a tenth of the time; a number that is no longer
true costs time and nothing else.
"""


FOUND_IN_CLUSTERS: Final = {
    "told before the commit": 15,
    "nonces forgotten": 15,
    "subscribed after the history": 15,
    "gaps not minded": 15,
    "early ones out of order": 15,
    "clocks trusted": 15,
    "told twice": 79,
    "healing switched off": 79,
    "cursor switched off": 127,
    "stale membership: sign-out not heard": 143,
    "stale membership: removal not heard": 207,
}
"""The same among the runs with three nodes, for what an unruly bus and other clocks bring to light."""


ALL: Final = {**MUTANTS, **OF_ALL_CHATS, **OF_SYNC, **OF_RESTORES}


@pytest.mark.parametrize("name", ALL)
def test_is_found(name: str) -> None:
    with planted(*ALL[name]):
        for number in (FOUND_BY.get(name, 0), *range(RUNS)):
            if name in OF_ALL_CHATS and not hears_all(number):
                continue
            if name in OF_SYNC and "sync" not in transports(number):
                continue
            if name in OF_RESTORES and not restores(number):
                continue
            outcome = simulate(number)
            if violations := outcome.violations():
                print(f"{name}: found by run {number}: {violations[0]}")
                return
    pytest.fail(f"{RUNS} runs found nothing wrong with: {name}")


@pytest.mark.parametrize("name", FOUND_IN_CLUSTERS)
def test_is_found_in_a_cluster(name: str) -> None:
    with planted(*ALL[name]):
        for number in (FOUND_IN_CLUSTERS[name], *filter(is_cluster, range(RUNS))):
            assert is_cluster(number)
            if simulate(number).violations():
                return
    pytest.fail(f"no run with three nodes found anything wrong with: {name}")


def test_the_numbers_are_among_those_of_all_runs() -> None:
    assert FOUND_BY.keys() <= ALL.keys()
    assert max(FOUND_BY.values()) < RUNS

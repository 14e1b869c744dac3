"""
Every mutant is found, and soon: the numbers of the runs that find them are in the test's output with ``-s``. Where another
run is the first by now, a line begins with "stale".
"""

from typing import Final

import pytest

from tests.simulation.found import FOUND_BY, FOUND_IN_CLUSTERS, SEARCHED
from tests.simulation.mutants import MUTANTS, OF_ALL_CHATS, OF_RESTORES, OF_SYNC, planted
from tests.simulation.world import hears_all, is_cluster, restores, simulate, transports

ALL: Final = {**MUTANTS, **OF_ALL_CHATS, **OF_SYNC, **OF_RESTORES}


def tell(name: str, number: int, known: int | None, violation: object) -> None:
    print(f"{'' if number == known else 'stale: '}{name}: found by run {number}: {violation}")


@pytest.mark.parametrize("name", ALL)
def test_is_found(name: str) -> None:
    with planted(*ALL[name]):
        for number in (FOUND_BY.get(name, 0), *range(SEARCHED)):
            if name in OF_ALL_CHATS and not hears_all(number):
                continue
            if name in OF_SYNC and "sync" not in transports(number):
                continue
            if name in OF_RESTORES and not restores(number):
                continue
            if violations := simulate(number).violations():
                tell(name, number, FOUND_BY.get(name), violations[0])
                return
    pytest.fail(f"{SEARCHED} runs found nothing wrong with: {name}")


@pytest.mark.parametrize("name", FOUND_IN_CLUSTERS)
def test_is_found_in_a_cluster(name: str) -> None:
    with planted(*ALL[name]):
        for number in (FOUND_IN_CLUSTERS[name], *filter(is_cluster, range(SEARCHED))):
            assert is_cluster(number)
            if violations := simulate(number).violations():
                tell(name, number, FOUND_IN_CLUSTERS[name], violations[0])
                return
    pytest.fail(f"no run with three nodes found anything wrong with: {name}")


def test_the_numbers_are_among_those_of_all_runs() -> None:
    assert FOUND_BY.keys() <= ALL.keys()
    assert max(FOUND_BY.values()) < SEARCHED

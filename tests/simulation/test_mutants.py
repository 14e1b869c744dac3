"""Every mutant is found, and soon: the numbers of the runs that find them are in the test's output with ``-s``."""

import pytest

from tests.simulation.mutants import MUTANTS, OF_ALL_CHATS, planted
from tests.simulation.test_simulation import RUNS
from tests.simulation.world import hears_all, simulate


@pytest.mark.parametrize("name", [*MUTANTS, *OF_ALL_CHATS])
def test_is_found(name: str) -> None:
    mutant = MUTANTS.get(name) or OF_ALL_CHATS[name]
    with planted(*mutant):
        for number in range(RUNS):
            if name in OF_ALL_CHATS and not hears_all(number):
                continue
            outcome = simulate(number)
            if violations := outcome.violations():
                print(f"{name}: found by run {number}: {violations[0]}")
                return
    pytest.fail(f"{RUNS} runs found nothing wrong with: {name}")

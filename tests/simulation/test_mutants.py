"""Every mutant is found, and soon: the numbers of the runs that find them are in the test's output with ``-s``."""

import pytest

from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.test_simulation import RUNS
from tests.simulation.world import simulate


@pytest.mark.parametrize("name", MUTANTS)
def test_is_found(name: str) -> None:
    with planted(*MUTANTS[name]):
        for number in range(RUNS):
            outcome = simulate(number)
            if violations := outcome.violations():
                print(f"{name}: found by run {number}: {violations[0]}")
                return
    pytest.fail(f"{RUNS} runs found nothing wrong with: {name}")

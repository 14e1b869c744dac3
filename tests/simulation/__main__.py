"""Runs of the simulated world, as many as one likes: ``python -m tests.simulation --runs 1000 --from 0``."""

import argparse
import hashlib
import sys
import time
from collections import Counter

from tests.simulation.world import Outcome, simulate


def digest(outcome: Outcome) -> str:
    """Returns a digest of the history. Two histories with the same digest are the same."""
    return hashlib.sha256(repr(outcome.history).encode()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first number")
    parser.add_argument("--show", action="store_true", help="print the histories")
    parser.add_argument("--digest", action="store_true", help="print a digest of each history")
    options = parser.parse_args()
    began, steps, failed = time.monotonic(), 0, 0
    events: Counter[str] = Counter()
    for number in range(options.first, options.first + options.runs):
        outcome = simulate(number)
        steps += outcome.steps
        events.update(type(event).__name__ for event in outcome.history)
        if options.show:
            print(*outcome.history, sep="\n")
        if options.digest:
            print(number, digest(outcome))
        violations = outcome.violations()
        failed += bool(violations)
        for violation in violations[:5]:
            print(f"run {number}: {violation}")
    print(
        f"{options.runs} runs, {failed} failed, {steps} steps,"
        f" {time.monotonic() - began:.1f} s: {dict(events.most_common())}"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

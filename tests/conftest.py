"""What every test may ask for. Databases are in `tests.postgres`."""

import os
import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres"]

# Ten thousand quick examples say more than a deadline on each: this machine may be busy.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True, derandomize=True)
settings.register_profile(
    "thorough",
    max_examples=2000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests there were of each layer, and of each adapter that a contract ran over."""
    names = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    layers = Counter(name.split("/")[1] for name in names if name.count("/") > 1)
    adapters = Counter(
        found for name in names for found in re.findall(r"[\[-](memory|postgres)(?=[]-])", name)
    )
    for what, counted in (("layers", layers), ("adapters", adapters)):
        if counted:
            terminalreporter.write_line(
                f"{what}: " + ", ".join(f"{n} {c}" for n, c in sorted(counted.items()))
            )

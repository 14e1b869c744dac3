"""What every test may ask for. Databases are in `tests.postgres`."""

import os

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

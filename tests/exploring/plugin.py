"""
A pytest plugin that decides what is left to chance. `tests/conftest.py` loads it.

Without options everything is fixed: Hypothesis draws the same examples and `uuid4` gives the same identities in every run.
``--hypothesis-profile=explore --hypothesis-seed=N`` makes both functions of N; `tests.exploring` calls it that way.
"""

import random
import re
import time
import uuid
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.database import ExampleDatabase
from hypothesis.internal.conjecture import engine

from tests.exploring.kept import Kept

SHRINKING_SECONDS = 20
"""How long Hypothesis looks for a smaller failing example. Its own limit is five minutes."""

TIME_IS_UP = 75
"""The exit status of a run that was ended by ``--until``."""

_REPRODUCTION = re.compile(r"@reproduce_failure\('[^']*', b'([^']*)'\)")


class Replayed(ExampleDatabase):
    """An example database that holds the choices of one kept file, whichever property asks."""

    def __init__(self, choices: Iterable[bytes] = ()) -> None:
        super().__init__()
        self.choices = tuple(choices)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        return () if key.endswith((b".secondary", b".pareto")) else self.choices

    def save(self, key: bytes, value: bytes) -> None:
        """Keeps nothing."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Forgets nothing."""


# No limit depends on how fast the machine is, or a busy one would give another verdict. The `explain` phase is left out:
# it runs failing examples again and again.
_COMMON = settings(
    derandomize=False,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("fixed", _COMMON, max_examples=100, derandomize=True)
settings.register_profile("explore", _COMMON, max_examples=300)
settings.register_profile("thorough", _COMMON, max_examples=2000)
settings.load_profile("fixed")
engine.MAX_SHRINKING_SECONDS = SHRINKING_SECONDS

_identities = random.Random(0)


def _seeded_uuid4() -> uuid.UUID:
    return uuid.UUID(int=_identities.getrandbits(128), version=4)


uuid.uuid4 = _seeded_uuid4


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("exploring")
    group.addoption("--until", type=float, help="end after the test that is running at this Unix time")
    group.addoption("--keep", type=Path, help="write a file to this folder for each property that fails")
    group.addoption("--replay", type=Path, help="run only the examples that this file keeps")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "explored(by): draws examples inside its body, so that Hypothesis does not mark it; with by='seed' it draws from"
        " several properties, and a finding is kept as a seed",
    )
    if file := config.getoption("--replay"):
        kept = Kept.read(file)
        database = Replayed(map(bytes.fromhex, kept.choices))
        settings.register_profile("replay", _COMMON, database=database, phases=[Phase.reuse])
        settings.load_profile("replay")


def is_property(item: pytest.Item) -> bool:
    """Whether the verdict of a test depends on examples that Hypothesis draws."""
    return any(item.iter_markers("hypothesis")) or any(item.iter_markers("explored"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--keep"):
        others = [item for item in items if not is_property(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if is_property(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seed = item.config.getoption("--hypothesis-seed", None) or 0
    _identities.seed(f"{seed}/{item.nodeid}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    folder: Path | None = item.config.getoption("--keep")
    if report.failed and folder is not None:
        told = "\n".join([report.longreprtext, *(text for _, text in report.sections)])
        by_seed = any(mark.kwargs.get("by") == "seed" for mark in item.iter_markers("explored"))
        blobs = [] if by_seed else _REPRODUCTION.findall(told)
        seed = int(item.config.getoption("--hypothesis-seed"))
        Kept.of_property(item.nodeid, seed, blobs, told).write(folder)
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    until: float | None = item.config.getoption("--until")
    if until is not None and nextitem is not None and time.time() > until:
        item.session.shouldstop = "time is up"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.shouldstop == "time is up" and not session.testsfailed:
        session.exitstatus = TIME_IS_UP

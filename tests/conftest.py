"""What every test may ask for. Databases are in `tests.postgres`, profiles of Hypothesis in `tests.exploring.plugin`."""

import fcntl
import gc
import os
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.clusters import SHARED
from tests.ports import free_port
from tests.scratch import use_memory

use_memory()
# With it, each of the many processes that the tests start would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# `nohup` has SIGHUP ignored by all children too, and messengers respect that. A handler stays with this process.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def interrupted(number: int, frame: FrameType | None) -> None:
    """
    What Ctrl-C does. Where Python's own handler is in place, each run of an event loop puts another one there for as long as
    it takes, and `signal.signal` looks for that one in an enumeration. The error that it then catches quotes the handler,
    its task and what the task returned: of a fixture that is a whole messenger with all that it stores.
    """
    signal.default_int_handler(number, frame)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, interrupted)
# Each client of httpx reads the certificates of all authorities, which takes 40 ms of a processor, though it speaks no TLS.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)  # type: ignore[attr-defined]  # not public

pytest_plugins = [
    "tests.exploring.plugin",
    "tests.frames_held",
    "tests.postgres",
    "tests.pgbouncer",
    "tests.nats",
]

LONGEST_FIRST = (
    *("browser", "system", "simulation", "exploring", "checkout"),
    *("contracts", "config", "infrastructure", "interfaces"),
)
"""Folders whose tests take longest. Workers get them first, so that none is left with a long one at the end."""

OF_A_CHECKOUT = re.compile(r"tests/system/test_(?:contributing|module_create)\b")
"""
Files whose tests run mypy on a copy of the checkout and its cache. They come later than the rest of their folder, when the
mypy that `make test` runs beside them has filled that cache.
"""

EACH_ALONE = re.compile(
    r"tests/(?:config/test_start|contracts/test_(?:account_machine|paging)|exploring/|infrastructure/postgres/test_embedded"
    r"|simulation/test_mutants|system/test_(?:commands|contributing|kill|module_create|operation|resume|secrets|start))\b"
)
"""Files whose tests share nothing, so that workers may divide them. Elsewhere a worker gets a whole file."""


IN_A_BROWSER = re.compile(r"tests/browser/(?:test_web_)?")
"""Files in two groups, each for one worker: a browser and its messenger cost four seconds of a processor before the first test."""


class Schedule(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Gives each worker of xdist what it should run in one go."""

    def _split_scope(self, nodeid: str) -> str:
        if group := IN_A_BROWSER.match(nodeid):
            return group[0]
        return nodeid if EACH_ALONE.match(nodeid) else nodeid.partition("::")[0]


@pytest.fixture
def unused_tcp_port() -> int:
    """In place of the one of pytest-asyncio, whose ports outgoing connections take."""
    return free_port()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule | None:
    """For ``--dist loadscope``."""
    if config.getoption("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    return Schedule(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        folder = "checkout" if OF_A_CHECKOUT.match(item.nodeid) else item.nodeid.split("/")[1]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    if hasattr(config, "workerinput"):  # it is a worker of xdist
        items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput["is_fresh"] = not (Path(__file__).parent / "domain" / "__pycache__").exists()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """
    What is collected stays to the end, so the garbage collector need not look at it. Of what the tests leave later, too, much
    stays: with Python's own thresholds, the collector looks at all of it so often that it takes a fifth of the time of some
    folders.
    """
    gc.disable()
    try:
        with after_the_first(getattr(session.config, "workerinput", {})):
            return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(5_000, 20, 20)
        gc.enable()


@contextmanager
def after_the_first(workerinput: Mapping[str, Any]) -> Iterator[None]:
    """
    In a fresh checkout the first worker compiles all tests, with their assertions rewritten, and reads the constants of all
    modules for Hypothesis. The others wait for it, or each would do the same, which takes five seconds of a processor.
    """
    if not workerinput.get("is_fresh"):
        yield
        return
    done = Path(os.environ[SHARED]) / "collected"
    with done.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            fcntl.flock(lock, fcntl.LOCK_UN)
            yield
            return
        yield
        given(st.none())(lambda _: None)()
        done.touch()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Seconds by folder, and how many tests there were of each layer and of each adapter that a contract ran over."""
    reports = [
        report
        for kind in ("passed", "failed", "error", "")
        for report in terminalreporter.stats.get(kind, [])
        if isinstance(report, pytest.TestReport)
    ]
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    layers = Counter(name.split("/")[1] for name in passed if name.count("/") > 1)
    adapters = Counter(
        found for name in passed for found in re.findall(r"[\[-](memory|postgres)(?=[]-])", name)
    )
    for line in seconds_by_folder(reports):
        terminalreporter.write_line(line)
    for what, counted in (("layers", layers), ("adapters", adapters)):
        if counted:
            terminalreporter.write_line(
                f"{what}: " + ", ".join(f"{n} {c}" for n, c in sorted(counted.items()))
            )


def seconds_by_folder(reports: list[pytest.TestReport]) -> list[str]:
    """A table of where the time went, fixtures included; with several workers their seconds are added up."""
    seconds: defaultdict[str, float] = defaultdict(float)
    tests: defaultdict[str, set[str]] = defaultdict(set)
    for report in reports:
        folder = "/".join(report.nodeid.partition("::")[0].split("/")[1:-1][:2]) or "tests"
        seconds[folder] += report.duration
        tests[folder].add(report.nodeid)
    if not seconds:
        return []
    width = max(map(len, seconds))
    rows = [
        f"{folder:{width}} {len(tests[folder]):6} {seconds[folder]:8.1f}"
        for folder in sorted(seconds, key=lambda folder: -seconds[folder])
    ]
    return [f"{'folder':{width}} {'tests':>6} {'seconds':>8}", *rows]

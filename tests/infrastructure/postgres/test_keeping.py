"""Restarts of a server that ends by itself: when, how often, and what the log says. The servers here are made up."""

import threading
from collections.abc import Callable
from queue import Queue

import pytest
from attrs import define, field

from infrastructure.postgres.server.keeping import Keeper, NotRunning

PATIENCE = 60.0
"""Seconds after which something hangs."""


@define(eq=False)
class Servers:
    """Each server ends when the test says how; each start succeeds or fails as the test says."""

    ends: "Queue[str]" = field(factory=Queue)
    starts: "Queue[str]" = field(factory=Queue)
    is_asked: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))

    def await_end(self) -> str:
        return self.ends.get(timeout=PATIENCE)

    def restart(self) -> None:
        self.is_asked.release()
        if why := self.starts.get(timeout=PATIENCE):
            raise NotRunning(why)

    def await_restart(self) -> None:
        assert self.is_asked.acquire(timeout=PATIENCE)


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def keep(servers: Servers) -> Callable[..., Keeper]:
    def keep(**pauses: float) -> Keeper:
        keeper = Keeper(await_end=servers.await_end, restart=servers.restart, **pauses)
        keeper.begin()
        return keeper

    return keep


def is_gone(keeper: Keeper) -> bool:
    keeper.join(PATIENCE)
    assert keeper._thread is not None
    return not keeper._thread.is_alive()


def test_restarts_until_one_succeeds_with_growing_pauses(
    servers: Servers, keep: Callable[..., Keeper], caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keep(first_pause=0.01, longest_pause=0.04)
    servers.ends.put("killed by signal 9: out of memory")
    for why in ("disk full", "disk full", "disk full", ""):
        servers.await_restart()
        servers.starts.put(why)
    servers.ends.put("exit code 1: terminated")
    servers.await_restart()
    servers.starts.put("")
    keeper.stop()
    servers.ends.put("stopped")
    servers.ends.put("stopped")
    assert is_gone(keeper)
    told = [(record.getMessage(), record.__dict__.get("restarted_in_seconds")) for record in caplog.records]
    prefix = "the embedded PostgreSQL has ended: "
    assert [text.removeprefix(prefix) for text, _ in told] == [
        "killed by signal 9: out of memory",
        *["disk full"] * 3,
        "the embedded PostgreSQL runs again",
        "exit code 1: terminated",
        "the embedded PostgreSQL runs again",
    ]
    assert [pause for _, pause in told[:4]] == [0.01, 0.02, 0.04, 0.04]


def test_an_end_that_was_asked_for_is_left_alone(
    servers: Servers, keep: Callable[..., Keeper], caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keep()
    keeper.stop()
    servers.ends.put("stopped")
    servers.ends.put("stopped")
    assert is_gone(keeper)
    assert caplog.records == []
    assert not servers.is_asked.acquire(blocking=False)


def test_a_pause_ends_with_the_messenger(servers: Servers, keep: Callable[..., Keeper]) -> None:
    keeper = keep(first_pause=2 * PATIENCE)
    servers.ends.put("killed")
    servers.ends.put("is dead already")
    keeper.stop()
    assert is_gone(keeper)
    assert not servers.is_asked.acquire(blocking=False)

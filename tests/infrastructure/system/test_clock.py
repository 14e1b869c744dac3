from datetime import UTC, datetime, timedelta

import pytest

from domain.session import Lifetimes
from infrastructure.system.clock import FollowClock, SystemClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Node(SystemClock):
    """A machine whose own clock is so far ahead of the real time, which stands still."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__()
        self.own = ahead

    def now(self) -> datetime:
        return NOW + self.own - self._ahead


async def shared() -> datetime:
    return NOW


@pytest.mark.parametrize("minutes", [-60, -2, 2, 60])
async def test_a_clock_that_is_wrong_follows_and_says_so_once(
    caplog: pytest.LogCaptureFixture, minutes: int
) -> None:
    clock = Node(timedelta(minutes=minutes))
    follow = FollowClock(clock, shared)
    for _ in range(3):
        assert not await follow()
    assert clock.now() == NOW
    (said,) = caplog.messages
    assert f"{minutes * 60:+.1f} s" in said


async def test_a_clock_that_is_put_right_meanwhile_is_followed_back() -> None:
    clock = Node(timedelta(minutes=2))
    await FollowClock(clock, shared)()
    clock.own = timedelta(0)
    await FollowClock(clock, shared)()
    assert clock.now() == NOW


async def test_small_differences_stay(caplog: pytest.LogCaptureFixture) -> None:
    clock = Node(timedelta(seconds=0.9))
    await FollowClock(clock, shared)()
    assert clock.now() == NOW + timedelta(seconds=0.9)
    assert caplog.messages == []


def test_what_a_slow_answer_cannot_tell_changes_nothing() -> None:
    clock = Node(timedelta(0))
    clock.follow(NOW + timedelta(seconds=3), asked_at=NOW, answered_at=NOW + timedelta(seconds=5))
    assert clock.now() == NOW
    clock.follow(NOW + timedelta(seconds=9), asked_at=NOW, answered_at=NOW + timedelta(seconds=5))
    assert clock.now() == NOW + timedelta(seconds=6.5)


async def test_two_nodes_agree_on_the_grace_of_a_refresh_token() -> None:
    """Two tabs refresh with one token, each on another node: nobody is signed out by it."""
    behind, ahead = Node(timedelta(seconds=-90)), Node(timedelta(seconds=90))
    grace = Lifetimes().grace
    assert not ahead.now() < behind.now() + grace, "so it would be without following"
    for node in (behind, ahead):
        await FollowClock(node, shared)()
    assert ahead.now() < behind.now() + grace

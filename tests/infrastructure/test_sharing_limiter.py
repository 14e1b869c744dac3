"""Limiters of several processes on one bus count like one."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.ports.limiter import Allowance, Left, Limiter, TooManyRequests
from application.ports.updates import LimitUsed, Update
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.sharing_limiter import SharingLimiter
from tests.strategies import START

THREE = Allowance("letters", 3, timedelta(minutes=3))


def processes(number: int) -> tuple[list[SharingLimiter], list[Update]]:
    bus, told = MemoryUpdates(), list[Update]()
    limiters = [SharingLimiter(MemoryLimiter(), bus.publish, str(each)) for each in range(number)]
    for each in limiters:
        bus.subscribe(each.hear)
    bus.subscribe(told.extend)
    return limiters, told


def answer(limiter: Limiter, key: str, seconds: int, *, uses: bool) -> Left | float | None:
    """What is left, or how long it says to wait."""
    at = START + timedelta(seconds=seconds)
    try:
        if uses:
            limiter.use(THREE, key, at=at)
        return limiter.look(THREE, key, at=at, uses=0 if uses else 1)
    except TooManyRequests as refused:
        return refused.wait


def test_an_allowance_is_used_up_by_all_together() -> None:
    (one, other, third), _ = processes(3)
    for limiter in (one, other, one):
        limiter.use(THREE, "ann@example.com", at=START)
    for limiter in (one, other, third):
        with pytest.raises(TooManyRequests):
            limiter.use(THREE, "ann@example.com", at=START)
    third.use(THREE, "bob@example.com", at=START)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 60), st.booleans()), max_size=30
    )
)
def test_several_answer_as_one_would(asked: Sequence[tuple[int, str, int, bool]]) -> None:
    (limiters, _), alone, moment = processes(3), MemoryLimiter(), 0
    for process, key, pause, uses in asked:
        moment += pause
        assert answer(limiters[process], key, moment, uses=uses) == answer(alone, key, moment, uses=uses)


def test_what_is_told_has_no_address_in_it_and_refusals_are_not_told() -> None:
    (one,), told = processes(1)
    for _ in range(5):
        answer(one, "ann@example.com 192.0.2.1", 0, uses=True)
        answer(one, "ann@example.com 192.0.2.1", 0, uses=False)
    assert len(told) == 3
    assert all(isinstance(each, LimitUsed) for each in told)
    assert "ann" not in repr(told)
    assert "192" not in repr(told)


def test_what_each_process_counts_for_itself_is_not_told() -> None:
    (one, other), told = processes(2)
    allowance = Allowance("send", 2, timedelta(minutes=1), is_of_process=True)
    for limiter in (one, other):
        limiter.use(allowance, "ann", at=START, uses=2)
        with pytest.raises(TooManyRequests):
            limiter.use(allowance, "ann", at=START)
        with pytest.raises(TooManyRequests):
            limiter.look(allowance, "ann", at=START)
    assert not told


def test_several_uses_at_once_count_elsewhere_as_many() -> None:
    (one, other), _ = processes(2)
    one.use(THREE, "ann@example.com", at=START, uses=2)
    other.use(THREE, "ann@example.com", at=START)
    with pytest.raises(TooManyRequests):
        one.use(THREE, "ann@example.com", at=START)


def test_without_a_limit_nothing_is_told() -> None:
    (one,), told = processes(1)
    one.use(Allowance("any", 0, timedelta(minutes=1)), "ann", at=START)
    assert not told


@pytest.mark.parametrize("key", ["", "Ж", "\ud800", "a" * 10_000])
def test_any_key_can_be_counted(key: str) -> None:
    (one, other), _ = processes(2)
    one.use(Allowance("once", 1, timedelta(minutes=1)), key, at=START)
    with pytest.raises(TooManyRequests):
        other.use(Allowance("once", 1, timedelta(minutes=1)), key, at=START)

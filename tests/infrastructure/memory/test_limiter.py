from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.ports.limiter import Allowance, Left, TooManyRequests
from infrastructure.memory.limiter import MemoryLimiter

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TWELVE_A_MINUTE = Allowance("this", 12, timedelta(minutes=1))


def use(
    limiter: MemoryLimiter, at: datetime, key: str = "one", allowance: Allowance = TWELVE_A_MINUTE
) -> float:
    """For how long it says to wait; 0 for not at all."""
    try:
        limiter.use(allowance, key, at=at)
    except TooManyRequests as refused:
        return refused.wait
    return 0


def test_so_many_at_once_and_then_one_after_the_other() -> None:
    limiter = MemoryLimiter()
    assert [use(limiter, NOW) for _ in range(13)] == [0] * 12 + [5]
    assert use(limiter, NOW + timedelta(seconds=4.5)) == 0.5
    assert use(limiter, NOW + timedelta(seconds=5)) == 0
    assert use(limiter, NOW + timedelta(seconds=5)) == 5
    assert [use(limiter, NOW + timedelta(minutes=2)) for _ in range(13)] == [0] * 12 + [5]


@pytest.mark.parametrize("most", [1, 6, 7, 13, 59, 61, 997])
def test_so_many_as_it_says_also_where_the_time_is_not_divided_evenly(most: int) -> None:
    limiter, allowance = MemoryLimiter(), Allowance("this", most, timedelta(minutes=1))
    assert [use(limiter, NOW, allowance=allowance) > 0 for _ in range(most + 1)] == [False] * most + [True]


def test_more_than_microseconds_is_as_many_as_one_likes() -> None:
    limiter, allowance = MemoryLimiter(), Allowance("this", 10**12, timedelta(minutes=1))
    assert not any(use(limiter, NOW, allowance=allowance) for _ in range(1000))


def test_it_answers_with_what_is_left_and_when_there_is_more() -> None:
    limiter = MemoryLimiter()
    assert limiter.look(TWELVE_A_MINUTE, "one", at=NOW) == Left(TWELVE_A_MINUTE, 12, 0)
    for used in range(1, 13):
        limiter.use(TWELVE_A_MINUTE, "one", at=NOW)
        assert limiter.look(TWELVE_A_MINUTE, "one", at=NOW, uses=0) == Left(TWELVE_A_MINUTE, 12 - used, 5)
    later = NOW + timedelta(seconds=12)
    assert limiter.look(TWELVE_A_MINUTE, "one", at=later) == Left(TWELVE_A_MINUTE, 2, 3)
    limiter.use(TWELVE_A_MINUTE, "one", at=later)
    assert limiter.look(TWELVE_A_MINUTE, "one", at=later) == Left(TWELVE_A_MINUTE, 1, 3)
    assert limiter.look(TWELVE_A_MINUTE, "one", at=NOW + timedelta(minutes=2)) == Left(TWELVE_A_MINUTE, 12, 0)


def test_several_uses_at_once_are_all_or_none() -> None:
    limiter = MemoryLimiter()
    limiter.use(TWELVE_A_MINUTE, "one", at=NOW, uses=7)
    with pytest.raises(TooManyRequests) as refused:
        limiter.use(TWELVE_A_MINUTE, "one", at=NOW, uses=6)
    assert refused.value.wait == 5
    assert limiter.look(TWELVE_A_MINUTE, "one", at=NOW, uses=5) == Left(TWELVE_A_MINUTE, 5, 5)


def test_more_than_the_whole_takes_the_whole() -> None:
    limiter = MemoryLimiter()
    limiter.use(TWELVE_A_MINUTE, "one", at=NOW, uses=1000)
    with pytest.raises(TooManyRequests) as refused:
        limiter.use(TWELVE_A_MINUTE, "one", at=NOW, uses=1000)
    assert refused.value.wait == 60
    assert limiter.look(TWELVE_A_MINUTE, "one", at=NOW, uses=0) == Left(TWELVE_A_MINUTE, 0, 5)


def test_a_clock_that_is_set_back_leaves_nothing_and_no_less() -> None:
    limiter = MemoryLimiter()
    use(limiter, NOW + timedelta(hours=1))
    assert use(limiter, NOW) == 3605 + 5 - 60


def test_everybody_has_their_own_and_each_thing_its_own() -> None:
    limiter = MemoryLimiter()
    once = Allowance("that", 1, timedelta(minutes=1))
    assert use(limiter, NOW, "one", once) == 0
    assert use(limiter, NOW, "other", once) == 0
    assert use(limiter, NOW, "one") == 0
    assert use(limiter, NOW, "one", once) == 60


def test_looking_uses_nothing_up() -> None:
    limiter, once = MemoryLimiter(), Allowance("that", 1, timedelta(minutes=1))
    for _ in range(3):
        limiter.look(once, "one", at=NOW)
    limiter.use(once, "one", at=NOW)
    with pytest.raises(TooManyRequests) as refused:
        limiter.look(once, "one", at=NOW + timedelta(seconds=20))
    assert refused.value.wait == 40


def test_zero_is_no_limit() -> None:
    limiter = MemoryLimiter()
    unlimited = Allowance("that", 0, timedelta(minutes=1))
    assert limiter.look(unlimited, "one", at=NOW) is None
    for _ in range(1000):
        limiter.use(unlimited, "one", at=NOW)
    assert limiter.look(unlimited, "one", at=NOW) is None


def test_it_remembers_no_more_than_it_may_and_forgets_the_lightest_first() -> None:
    limiter = MemoryLimiter(most_keys=10)
    for _ in range(12):
        use(limiter, NOW, "heavy")
    for number in range(1000):
        use(limiter, NOW, f"light {number}")
    assert use(limiter, NOW, "heavy") > 0


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_what_is_said_to_be_left_is_there_and_no_more(pauses: list[float], most: int) -> None:
    limiter, allowance, at = MemoryLimiter(), Allowance("this", most, timedelta(minutes=1)), NOW
    for pause in pauses:
        at += timedelta(seconds=pause)
        try:
            limiter.use(allowance, "one", at=at)
            left = limiter.look(allowance, "one", at=at, uses=0)
        except TooManyRequests as refused:
            left = Left(allowance, 0, refused.wait)
        assert left is not None
        aside, soon = deepcopy(limiter), at + timedelta(seconds=left.wait)
        is_refused = [use(aside, at, allowance=allowance) > 0 for _ in range(left.uses + 1)]
        assert is_refused == [False] * left.uses + [True]
        assert use(aside, soon - timedelta(milliseconds=1), allowance=allowance) > 0
        assert use(aside, soon, allowance=allowance) == 0


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_no_minute_has_more_than_twice_the_allowance(pauses: list[float], most: int) -> None:
    limiter, allowance, at = MemoryLimiter(), Allowance("this", most, timedelta(minutes=1)), NOW
    used = []
    for pause in pauses:
        at += timedelta(seconds=pause)
        if use(limiter, at, allowance=allowance) == 0:
            used.append(at)
    for first in used:
        within = [each for each in used if first <= each < first + allowance.within]
        assert len(within) <= 2 * most


@pytest.mark.parametrize("is_known", [False, True])
def test_uses_elsewhere_delay_nobody_for_longer_than_a_period_beyond_the_allowance(is_known: bool) -> None:
    limiter = MemoryLimiter()
    if is_known:
        limiter.look(TWELVE_A_MINUTE, "one", at=NOW)
    for _ in range(100):
        limiter.add(TWELVE_A_MINUTE.name, "one", timedelta(minutes=1), at=NOW)
    assert use(limiter, NOW) == 60 + 5
    assert use(limiter, NOW + timedelta(seconds=65)) == 0
    limiter.add(TWELVE_A_MINUTE.name, "other", timedelta(seconds=5), at=NOW)
    assert limiter.look(TWELVE_A_MINUTE, "other", at=NOW) == Left(TWELVE_A_MINUTE, 11, 5)

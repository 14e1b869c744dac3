from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.system.clock import SystemClock
from infrastructure.system.ids import SystemIds


def test_a_uuid_of_version_7_with_the_time_in_front() -> None:
    made = SystemIds(lambda: 0x0192_3456_789A).message()
    assert (made.version, made.variant) == (7, UUID(int=0x8 << 60).variant)
    assert made.hex.startswith("01923456789a7")


@given(st.lists(st.integers(0, 2**44), min_size=2, max_size=50))
def test_later_ones_sort_after_earlier_ones_whatever_the_clock_does(milliseconds: list[int]) -> None:
    times = iter(milliseconds)
    ids = SystemIds(lambda: next(times))
    made = [ids.message() for _ in milliseconds]
    assert all(one < other for one, other in pairwise(made))
    assert all(each.version == 7 and each.variant == made[0].variant for each in made)


def test_a_full_counter_borrows_from_the_next_millisecond() -> None:
    ids = SystemIds(lambda: 5)
    first = ids.message()
    ids._tail = (1 << 74) - 1
    second, third = ids.message(), ids.message()
    assert first < second < third
    assert second.hex.startswith("0000000000067")


def test_a_hundred_thousand_are_all_different() -> None:
    ids = SystemIds()
    assert len({ids.message() for _ in range(100_000)}) == 100_000


def test_names_of_tokens_are_128_bits_of_chance() -> None:
    ids = SystemIds()
    made = {ids.token_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {len(each) for each in made} == {22}


def test_the_clock_is_aware_and_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is not None
    assert now.utcoffset() is not None
    assert not now.utcoffset()

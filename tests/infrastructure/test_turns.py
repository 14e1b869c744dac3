"""Owners of waiting items take turns."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.turns import Turns


def queued(items: Sequence[tuple[str, int]]) -> Turns[int]:
    turns: Turns[int] = Turns()
    for owner, item in items:
        turns.append(owner, item)
    return turns


def drained(turns: Turns[int]) -> list[tuple[object, int]]:
    return [turns.pop() for _ in range(len(turns))]


def test_owners_take_turns_each_in_their_order() -> None:
    turns = queued([("ann", 1), ("ann", 2), ("ann", 3), ("bob", 4), ("bob", 5), ("eve", 6)])
    assert (turns.first, len(turns), list(turns.owners)) == (1, 6, ["ann", "bob", "eve"])
    assert drained(turns) == [("ann", 1), ("bob", 4), ("eve", 6), ("ann", 2), ("bob", 5), ("ann", 3)]
    assert not turns


def test_who_is_served_out_of_turn_goes_behind_the_others() -> None:
    turns = queued([("ann", 1), ("bob", 2), ("bob", 3), ("bob", 4), ("eve", 5)])
    assert turns.pop_of("bob") == 2
    turns.take("bob", 4)
    assert drained(turns) == [("ann", 1), ("eve", 5), ("bob", 3)]


def test_an_item_that_is_given_up_costs_no_turn() -> None:
    turns = queued([("ann", 1), ("ann", 2), ("bob", 3)])
    turns.discard("ann", 1)
    turns.discard("bob", 3)
    turns.discard("bob", 3)
    turns.discard("eve", 1)
    assert drained(turns) == [("ann", 2)]


def test_what_is_put_back_comes_first_in_the_old_order() -> None:
    turns = queued([("ann", 1), ("ann", 2), ("bob", 3), ("bob", 4)])
    taken = [turns.pop(), turns.pop()]
    turns.append("eve", 5)
    turns.put_back(taken)
    assert list(turns) == [1, 2, 3, 4, 5]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=20))
def test_nobody_waits_for_more_than_one_item_of_each_other_owner(items: list[tuple[str, int]]) -> None:
    order = drained(queued(items))
    assert sorted(order) == sorted(items)
    for owner in "abc":
        assert [item for who, item in order if who == owner] == [item for who, item in items if who == owner]
        places = [place for place, (who, _) in enumerate(order) if who == owner]
        for before, after in pairwise(places):
            between = [who for who, _ in order[before + 1 : after]]
            assert len(between) == len(set(between))

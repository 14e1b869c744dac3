"""How often all objects are looked through, counted by the collector itself."""

import gc
from collections.abc import Iterator

import pytest
from attrs import define

from infrastructure.system.collecting import FullCollections


@define
class Hand:
    """A clock that is moved by hand."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hand() -> Iterator[Hand]:
    """Full collections are rare, and all that the collector counts is small, so that a few objects begin one."""
    usual, hand = gc.get_threshold(), Hand()
    gc.freeze()
    gc.collect()  # from here on a quarter more is not much
    gc.set_threshold(10, 1, 1)
    collections = FullCollections(30.0, now=hand)
    collections.begin()
    try:
        yield hand
    finally:
        collections.end()
        assert gc.get_threshold() == (10, 1, 1)
        gc.set_threshold(*usual)
        gc.unfreeze()


def full_collections_of(kept: list[object]) -> int:
    """How many there are while many objects are made that stay."""
    before = gc.get_stats()[2]["collections"]
    kept += [[number] for number in range(20_000)]
    return int(gc.get_stats()[2]["collections"] - before)


def test_they_are_so_far_apart(hand: Hand) -> None:
    kept: list[object] = []
    assert full_collections_of(kept) == 1
    hand.at = 29.0
    assert full_collections_of(kept) == 0
    hand.at = 30.0
    assert full_collections_of(kept) == 1


def test_young_objects_are_collected_meanwhile(hand: Hand) -> None:
    kept: list[object] = []
    assert full_collections_of(kept) == 1
    before = gc.get_stats()[0]["collections"]
    full_collections_of(kept)
    assert gc.get_stats()[0]["collections"] > before


def test_what_is_there_at_the_beginning_is_never_looked_at(hand: Hand) -> None:
    assert gc.get_freeze_count() > 1000

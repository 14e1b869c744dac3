"""How often all objects are looked through, counted by the collector itself."""

import gc
from collections.abc import Iterator

import pytest
from attrs import define

from infrastructure.system.collecting import SERVING, GarbageCollection

PRESENT = 10_000


@define
class Hand:
    """A clock that is moved by hand."""

    at: float = 0.0
    frozen: int = 0
    """Objects that were left out of collections before the beginning."""

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hand() -> Iterator[Hand]:
    """
    Full collections are rare, and all that the collector counts is small, so that a few objects begin one. It works only inside
    `full_collections_of`, because otherwise the few objects that pytest makes before the test would begin the first one.
    """
    usual, hand = gc.get_threshold(), Hand()
    gc.collect()
    gc.freeze()  # to the end of the run: later tests need not look at it either
    gc.collect()  # from here on a quarter more is not much
    hand.frozen = gc.get_freeze_count()
    present = [[number] for number in range(PRESENT)]
    collection = GarbageCollection(30.0, (10, 1, 1), now=hand)
    gc.disable()
    collection.begin()
    try:
        yield hand
    finally:
        collection.end()
        gc.enable()
        present.clear()
        assert gc.get_threshold() == usual


def full_collections_of(kept: list[object]) -> int:
    """How many there are while many objects are made that stay."""
    before = gc.get_stats()[2]["collections"]
    gc.enable()
    try:
        kept += [[number] for number in range(20_000)]
    finally:
        gc.disable()
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


def test_young_objects_are_collected_rarely() -> None:
    """A batch of a hundred messages makes some thousand objects, and begins no collection."""
    gc.collect()  # what is garbage by now would be kept for good
    before = gc.get_stats()[0]["collections"]
    collection = GarbageCollection()
    collection.begin()
    try:
        kept = [[number] for number in range(SERVING[0] // 2)]
    finally:
        collection.end()
    assert kept
    assert gc.get_stats()[0]["collections"] - before <= 1


def test_what_is_there_at_the_beginning_is_never_looked_at(hand: Hand) -> None:
    assert gc.get_freeze_count() >= hand.frozen + PRESENT // 2

"""Waiting items of several owners, who take turns."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from attrs import define, field

Item = TypeVar("Item")


@define(eq=False)
class Turns(Generic[Item]):
    """
    A queue in which owners take turns, each with their items in the order of arrival. An owner of a thousand items delays
    the others by one item each. An owner whose item is taken goes behind the others.
    """

    _by_owner: dict[Hashable, deque[Item]] = field(init=False, factory=dict)
    """The owner whose turn it is first. An owner without items is not in it."""

    def __bool__(self) -> bool:
        return bool(self._by_owner)

    def __len__(self) -> int:
        return sum(map(len, self._by_owner.values()))

    def __iter__(self) -> Iterator[Item]:
        """Goes through all items, owner by owner."""
        return chain.from_iterable(self._by_owner.values())

    @property
    def owners(self) -> Iterable[Hashable]:
        return self._by_owner.keys()

    @property
    def first(self) -> Item:
        return next(iter(self._by_owner.values()))[0]

    def append(self, owner: Hashable, item: Item) -> None:
        items = self._by_owner.get(owner)
        if items is None:
            items = self._by_owner[owner] = deque()
        items.append(item)

    def pop(self) -> tuple[Hashable, Item]:
        """Takes the first item of the owner whose turn it is."""
        owner, items = next(iter(self._by_owner.items()))
        item = items.popleft()
        if len(self._by_owner) > 1 or not items:
            del self._by_owner[owner]
            if items:
                self._by_owner[owner] = items
        return owner, item

    def pop_of(self, owner: Hashable) -> Item:
        """Takes the first item of one owner."""
        items = self._by_owner.pop(owner)
        item = items.popleft()
        if items:
            self._by_owner[owner] = items
        return item

    def take(self, owner: Hashable, item: Item) -> None:
        """Takes an item of an owner that may not be its first one."""
        items = self._by_owner.pop(owner)
        items.remove(item)
        if items:
            self._by_owner[owner] = items

    def discard(self, owner: Hashable, item: Item) -> None:
        """Removes an item, if it waits, for which its owner has not had a turn."""
        items = self._by_owner.get(owner)
        if items is not None and item in items:
            items.remove(item)
            if not items:
                del self._by_owner[owner]

    def put_back(self, taken: Iterable[tuple[Hashable, Item]]) -> None:
        """Puts items with their owners, in the order in which they were taken, in front of all others."""
        later, self._by_owner = self._by_owner, {}
        for owner, item in taken:
            self.append(owner, item)
        for owner, items in later.items():
            if owner in self._by_owner:
                self._by_owner[owner] += items
            else:
                self._by_owner[owner] = items

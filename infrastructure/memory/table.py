from collections.abc import Iterator
from copy import copy
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """
    A dictionary as one unit of work sees it: the committed entries, overlaid with the unit's own writes.

    Values are copied on the way in and out, so that changes of an aggregate are stored only when it is put back. The copy
    is shallow: the fields of an aggregate must be immutable or be replaced as a whole.
    """

    def __init__(self, committed: dict[K, V]) -> None:
        self._committed = committed
        self._written: dict[K, V] = {}
        self._deleted: set[K] = set()

    def get(self, key: K) -> V | None:
        value = self._written.get(key)
        if value is None and key not in self._deleted:
            value = self._committed.get(key)
        return copy(value)

    def __contains__(self, key: K) -> bool:
        return key in self._written or (key in self._committed and key not in self._deleted)

    def __setitem__(self, key: K, value: V) -> None:
        self._written[key] = copy(value)

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._written.pop(key, None)
        self._deleted.add(key)

    def __iter__(self) -> Iterator[K]:
        """Yields the keys that exist at the start; the unit may write meanwhile. No value is copied."""
        found = {**self._committed, **self._written}
        return iter([key for key in found if key in self] if self._deleted else list(found))

    def items(self) -> Iterator[tuple[K, V]]:
        """Yields the entries that exist at the start; the unit may write meanwhile."""
        for key in self:
            value = self.get(key)
            if value is not None:
                yield key, value

    def values(self) -> Iterator[V]:
        return (value for _, value in self.items())

    def apply(self) -> None:
        """Commits the writes. Nothing is awaited, so other units see all of them or none."""
        for key in self._deleted:
            self._committed.pop(key, None)
        self._committed.update(self._written)
        self._written.clear()
        self._deleted.clear()

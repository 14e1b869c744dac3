"""Long lists and rows are made some at a time, and other tasks have turns in between."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
from attrs import define

from infrastructure.postgres.driver import reads
from interfaces import slices
from interfaces.wire.codec import dumps

Made = Callable[[Callable[[Any], Any], Sequence[Any]], Awaitable[Sequence[Any]]]


async def turns_of_others(work: Awaitable[Any]) -> tuple[Any, int]:
    """Returns the result of the work, and how many turns another task had until then."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await asyncio.sleep(0)
    try:
        return await work, turns
    finally:
        task.cancel()


@pytest.mark.parametrize("module", [slices, reads], ids=["interfaces", "postgres"])
@pytest.mark.parametrize(("count", "turns"), [(0, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
async def test_others_have_turns_while_a_list_is_made(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, count: int, turns: int
) -> None:
    monkeypatch.setattr(module, "SLICE", 2)
    found, had = await turns_of_others(module.made(str, range(count)))
    assert (found, had) == ([*map(str, range(count))], turns)


@define(eq=False)
class Cursor:
    rowcount: int
    _read: int = 0

    async def fetchmany(self, size: int) -> list[int]:
        first, self._read = self._read, min(self._read + size, self.rowcount)
        return [*range(first, self._read)]


@pytest.mark.parametrize(("count", "turns"), [(0, 0), (2, 0), (3, 1), (5, 2)])
async def test_others_have_turns_while_rows_are_decoded(
    monkeypatch: pytest.MonkeyPatch, count: int, turns: int
) -> None:
    monkeypatch.setattr(reads, "SLICE", 2)
    found, had = await turns_of_others(reads._all_rows(Cursor(count)))  # type: ignore[arg-type]  # what is used of one
    assert (found, had) == ([*range(count)], turns)


async def test_items_are_encoded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 2)
    items: list[dict[str, object]] = [{"name": "Ann", "count": 1}, {"name": "Zoë"}, {}]
    encoded, turns = await turns_of_others(slices.encoded(lambda item: {**item}, items))
    assert (dumps({"data": encoded}), turns) == (dumps({"data": items}), 1)

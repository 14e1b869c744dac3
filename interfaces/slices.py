"""Makes long lists some items at a time, so that a request for one does not keep other requests waiting."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import orjson

from interfaces.wire.codec import dumps

T = TypeVar("T")
Made = TypeVar("Made")

SLICE: Final = 250
"""Items that are made before other tasks have a turn, which takes about a millisecond."""


async def made(make: Callable[[T], Made], items: Sequence[T]) -> list[Made]:
    """Makes something of each item, in their order."""
    all_made: list[Made] = []
    for first in range(0, len(items), SLICE):
        if first:
            await asyncio.sleep(0)
        all_made += map(make, items[first : first + SLICE])
    return all_made


async def encoded(as_json: Callable[[T], object], items: Sequence[T]) -> list[orjson.Fragment]:
    """Encodes each item, in their order. `dumps` only copies them then."""
    return await made(lambda item: orjson.Fragment(dumps(as_json(item))), items)

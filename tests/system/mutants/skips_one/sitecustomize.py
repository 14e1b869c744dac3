"""A mutant: a client that comes back is told what it missed without the first of it."""

from typing import Any

from interfaces.live.entry import Entry

honest = Entry._replay


async def replay(self: Entry, entrant: Any, after: Any, up_to: Any, *more: Any, **options: Any) -> Any:
    return await honest(self, entrant, min(after + 1, up_to), up_to, *more, **options)


Entry._replay = replay  # type: ignore[method-assign]

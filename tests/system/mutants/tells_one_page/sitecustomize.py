"""A mutant: a client that comes back is told a page of what it missed, and no second one."""

from typing import Any

from interfaces.live.channel import PAGE
from interfaces.live.entry import Entry

honest = Entry._replay


async def replay(self: Entry, entrant: Any, after: Any, up_to: Any, *more: Any, **options: Any) -> Any:
    return await honest(self, entrant, after, min(after + PAGE, up_to), *more, **options)


Entry._replay = replay  # type: ignore[method-assign]

"""
A mutant: a client that comes back is told what it missed without the first of it, on either socket. Who missed a single entry
is told it: the client would wait for it for ever, where others notice by the next one.
"""

from typing import Any

from interfaces.live.all_chats import AllChats
from interfaces.live.entry import Entry

honest_replay, honest_tell_kept = Entry._replay, AllChats._tell_kept


def without_first(after: Any, up_to: Any) -> Any:
    return after + 1 if up_to - after > 1 else after


async def replay(self: Entry, entrant: Any, after: Any, up_to: Any, *more: Any, **options: Any) -> Any:
    return await honest_replay(self, entrant, without_first(after, up_to), up_to, *more, **options)


def tell_kept(self: AllChats, way: Any, after: Any, up_to: Any, *more: Any) -> Any:
    """Returns a position. The node reads the entries after it from storage, because it has not kept them."""
    return honest_tell_kept(self, way, without_first(after, up_to), up_to, *more)


Entry._replay = replay  # type: ignore[method-assign]
AllChats._tell_kept = tell_kept  # type: ignore[assignment, method-assign]

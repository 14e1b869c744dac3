"""What a trial writes down for the checker, whichever clients take part."""

import time
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import psycopg
from attrs import define, field

from tests.checker.history import Event, Kept, Said


@define(eq=False)
class Recorded:
    """What all clients see, in one order."""

    events: list[Event] = field(factory=list)
    changes: dict[tuple[str, int], str] = field(factory=dict)
    """By chat and position, what stands there that is no message."""
    _last: int = 0

    @property
    def at(self) -> float:
        return time.monotonic()

    def number(self) -> int:
        """For a connection, a send or a question; none is given twice."""
        self._last += 1
        return self._last


def read_kept(
    database: "psycopg.Connection[Any]",
    chat: str,
    at: float,
    changes: Mapping[tuple[str, int], str],
    unseen: str = "",
) -> Kept:
    """Reads what a chat holds in the end. ``unseen`` stands for changes that no client has seen."""
    rows = database.execute(
        "SELECT message_id, seq, position, sender_id, body, nonce, sent_at FROM message"
        " WHERE chat_id = %s ORDER BY seq",
        [chat],
    )
    messages = [
        Said(
            id=str(message_id),
            chat=chat,
            seq=seq,
            position=position,
            author=str(sender_id),
            text=body,
            nonce=nonce.removeprefix("c:"),
            sent_at=sent_at.astimezone(UTC).replace(tzinfo=None).isoformat(),
        )
        for message_id, seq, position, sender_id, body, nonce, sent_at in rows
    ]
    others = database.execute("SELECT position FROM chat_log WHERE chat_id = %s AND seq IS NULL", [chat])
    told = {position: changes.get((chat, position), unseen) for (position,) in others}
    return Kept(at=at, chat=chat, messages=messages, changes=told)

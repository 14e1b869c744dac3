"""Requests that wait for an answer, over breaks of the connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "r"

HARMLESS = frozenset(
    {
        "mark_read",
        "mark_single_read",
        "get_history",
        "get_readers",
        "catch_up",
        "more",
        "create_chat",
        "open_direct",
        "add_members",
        "watch_presence",
    }
)
"""
Requests that are sent again when their outcome is unknown: reads, marks, which only go forward, and those with a key under
which a repeat is recognised.
"""


@dataclass(slots=True)
class Asked:
    id: str
    kind: str
    fields: Mapping[str, Any]
    not_before: float = 0.0
    is_sent: bool = False
    is_own: bool = False
    """True if the client itself made this request, and the application did not ask for it."""

    @property
    def is_harmless(self) -> bool:
        """True if the request can be sent twice and has the same effect as once."""
        return self.kind in HARMLESS


@dataclass(slots=True)
class Requests:
    waiting: dict[str, Asked] = field(default_factory=dict)
    _last: int = 0

    def add(self, kind: str, fields: Mapping[str, Any], *, is_own: bool = False) -> Asked:
        self._last += 1
        asked = Asked(f"{PREFIX}{self._last}", kind, fields, is_own=is_own)
        self.waiting[asked.id] = asked
        return asked

    def take(self, now: float) -> list[Asked]:
        """Returns the requests to be sent now, oldest first."""
        due = [asked for asked in self.waiting.values() if not asked.is_sent and asked.not_before <= now]
        for asked in due:
            asked.is_sent = True
        return due

    def lose(self) -> list[Asked]:
        """
        Handles a broken connection. Returns the requests whose outcome is unknown and which must not be repeated; the other
        ones are sent again. Requests that the client made by itself are dropped, because it makes them anew.
        """
        unknown = []
        for asked in list(self.waiting.values()):
            if asked.is_own:
                del self.waiting[asked.id]
            elif asked.is_sent and not asked.is_harmless:
                unknown.append(self.waiting.pop(asked.id))
            else:
                asked.is_sent = False
        return unknown

    def put_back(self, asked: Asked, not_before: float) -> None:
        asked.is_sent, asked.not_before = False, not_before

    def next_at(self) -> float | None:
        return min((asked.not_before for asked in self.waiting.values() if not asked.is_sent), default=None)

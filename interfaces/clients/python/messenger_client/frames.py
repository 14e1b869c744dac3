"""Frames as JSON objects, and the few things that are the same for all of them."""

import json
from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]

DURABLE = frozenset({"new_message", "chat_changed", "member_added", "member_removed", "role_changed"})


def read(text: str) -> dict[str, Any] | None:
    """Decode a frame. Returns None for a text that is no object, which a client ignores."""
    try:
        frame = json.loads(text)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("type"), str) else None


def write(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))


def is_durable(frame: Fields) -> bool:
    """Tells whether a frame has a position in the log of its chat. Frames of unknown types may have one, too."""
    return (
        isinstance(frame.get("chat_id"), str)
        and isinstance(frame.get("position"), int)
        and isinstance(frame.get("after"), int)
    )

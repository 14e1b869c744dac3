"""What clients make of frames."""

from typing import Any

import orjson

from tests.checker.history import Said

Fields = dict[str, Any]


def said(message: Fields) -> Said:
    return Said(
        id=message["id"],
        chat=message["chat_id"],
        seq=message["seq"],
        position=message["position"],
        author=message["sender_id"],
        text=message["text"],
        nonce=message.get("nonce"),
        sent_at=message["sent_at"],
    )


def durable(fields: Fields) -> Said | str:
    """What a durable frame tells."""
    if fields["type"] == "new_message":
        return said(fields["message"])
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()

"""
Events as they are stored: JSON, versioned, with a converter of its own, because clients' JSON may change and what is
stored may not.

A row of a log has its key, position and kind in columns; the rest of the event is the payload. A message's row has no
payload: it points to the message.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from cattrs.preconf.json import make_converter

from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberAdded,
    MemberRemoved,
    MessageSent,
    RoleChanged,
    SessionEnded,
)

VERSION: Final = 1

MESSAGE_SENT: Final = 1
LoggedEvent = ChatChanged | MemberAdded | MemberRemoved | RoleChanged

CHAT_EVENTS: Final[Mapping[int, type[LoggedEvent]]] = {
    2: ChatChanged,
    3: MemberAdded,
    4: MemberRemoved,
    5: RoleChanged,
}
PERSONAL_EVENTS: Final[Mapping[int, type[ChatAdded] | type[ChatRemoved] | type[SessionEnded]]] = {
    1: ChatAdded,
    2: ChatRemoved,
    3: SessionEnded,
}
"""Numbers in logs, for ever: a kind that is given up leaves its number unused."""

_kinds: Final[Mapping[type[object], int]] = {
    MessageSent: MESSAGE_SENT,
    **{event: kind for kind, event in CHAT_EVENTS.items()},
    **{event: kind for kind, event in PERSONAL_EVENTS.items()},
}
_converter = make_converter()
_converter.register_structure_hook(UUID, lambda value, _: value if isinstance(value, UUID) else UUID(value))
_converter.register_unstructure_hook(UUID, str)
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_unstructure_hook(datetime, datetime.isoformat)


def kind_of(event: object) -> int:
    return _kinds[type(event)]


def payload_of(event: object, *columns: str) -> dict[str, Any]:
    """The event without what its row has in ``columns``."""
    payload = cast(dict[str, Any], _converter.unstructure(event))
    for column in columns:
        del payload[column]
    return payload | {"v": VERSION}


def chat_event(kind: int, payload: Mapping[str, Any], **columns: Any) -> LoggedEvent:
    return _converter.structure({**payload, **columns}, CHAT_EVENTS[kind])


def personal_event(
    kind: int, payload: Mapping[str, Any], **columns: Any
) -> ChatAdded | ChatRemoved | SessionEnded:
    event = PERSONAL_EVENTS[kind]
    given = {name: value for name, value in columns.items() if value is not None}
    return _converter.structure({**payload, **given}, event)

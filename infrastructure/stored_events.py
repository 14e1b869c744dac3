"""
The stored form of events: versioned JSON. It has a converter of its own, because the JSON of clients may change while
stored events must stay readable.

A row of a log has the key, position and kind of an event in columns, and the rest as its payload. The row of a message has
no payload and refers to the message.
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
"""These numbers are stored and must not change. The number of a removed kind must not be used again."""

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
    """The event without the fields that its row has in ``columns``."""
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

"""
The form in which updates cross from one process to another: versioned JSON.

Processes of two versions run side by side while a release is rolled out. An envelope of another version is not read, and
neither is an update of an unknown kind: what they tell is read from storage a second later. A field may therefore be added
to an update without a new version if it has a default.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from attrs import field, frozen
from cattrs.preconf.json import make_converter

from application.ports.updates import (
    AttendingThere,
    LimitUsed,
    Moved,
    NewMember,
    NewMessage,
    OnlineThere,
    Typing,
    Update,
    WhoIsThere,
)
from application.views import MessageView, ProfileView
from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberRemoved,
    MessagesRead,
    RoleChanged,
    SessionEnded,
)
from domain.ids import ChatId, MessageId, ProfileId
from domain.message import Body, Message, Nonce

VERSION: Final = 1

OF_A_MESSAGE: Final = 1

KINDS: Final[Mapping[int, type[Update]]] = {
    OF_A_MESSAGE: NewMessage,
    2: ChatChanged,
    3: NewMember,
    4: MemberRemoved,
    5: RoleChanged,
    6: ChatAdded,
    7: ChatRemoved,
    8: SessionEnded,
    9: MessagesRead,
    10: Typing,
    11: Moved,
    12: OnlineThere,
    13: AttendingThere,
    14: WhoIsThere,
    15: LimitUsed,
}
"""These numbers are sent between versions and must not change. The number of a removed kind must not be used again."""

OF_A_CHAT: Final = frozenset({OF_A_MESSAGE, 2, 3, 4, 5, 9, 10, 11, 13})
"""The kinds that concern only processes in which somebody listens to the chat."""

_numbers: Final[Mapping[type[Any], int]] = {kind: number for number, kind in KINDS.items()}

_converter = make_converter(prefer_attrib_converters=False)
_converter.register_structure_hook(UUID, lambda value, _: UUID(value))
_converter.register_unstructure_hook(UUID, str)
_converter.register_structure_hook(timedelta, lambda value, _: timedelta(microseconds=value))
_converter.register_unstructure_hook(timedelta, lambda value: value // timedelta.resolution)
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_unstructure_hook(datetime, datetime.isoformat)


def _message(value: Any, chat_id: ChatId) -> NewMessage:
    """
    Reads a message of this chat from what the converter made of it. The converter itself takes twice as long, and most updates are
    messages. The text is not judged again: storage accepted it, perhaps by the rules of another version. A field that is
    added to messages later has to be read with ``get``, because processes of an older version do not send it.
    """
    view = value["view"]
    message, sender = view["message"], view["sender"]
    author_id = ProfileId(UUID(message["author_id"]))
    names = [sender[name] for name in ("first_name", "last_name", "middle_name", "username")]
    texts = [message["body"]["text"], *(name for name in names if name is not None)]
    numbers = [value["position"], view["position"], message["seq"]]
    if {*map(type, texts)} != {str} or {*map(type, numbers)} != {int}:
        raise TypeError
    return NewMessage(
        chat_id=chat_id,
        position=value["position"],
        view=MessageView(
            message=Message(
                id=MessageId(UUID(message["id"])),
                chat_id=chat_id
                if message["chat_id"] == value["chat_id"]
                else ChatId(UUID(message["chat_id"])),
                seq=message["seq"],
                author_id=author_id,
                body=Body.unjudged(message["body"]["text"]),
                nonce=None if message["nonce"] is None else Nonce(message["nonce"]["value"]),
                sent_at=datetime.fromisoformat(message["sent_at"]),
            ),
            position=view["position"],
            sender=ProfileView(
                id=author_id if sender["id"] == message["author_id"] else ProfileId(UUID(sender["id"])),
                first_name=names[0],
                last_name=names[1],
                middle_name=names[2],
                username=names[3],
            ),
            read_at=None if view["read_at"] is None else datetime.fromisoformat(view["read_at"]),
        ),
    )


class Unreadable(Exception):
    """These bytes are no envelope of this version."""


@frozen
class Envelope:
    """Updates that one publisher sent together."""

    publisher: str
    epoch: str
    """The line of history that the publisher saw: positions of another one mean something else."""
    updates: Sequence[Update]


def encoded(update: Update) -> bytes:
    """One update, to be put into an envelope."""
    return orjson.dumps([_numbers[type(update)], _converter.unstructure(update)])


@frozen
class Packing:
    """Puts the updates of one publisher into envelopes of at most ``most_bytes``."""

    publisher: str
    most_bytes: int
    beginning: bytes = field(init=False)
    """The first bytes of all envelopes of this publisher; others' envelopes begin differently."""

    @beginning.default
    def _beginning(self) -> bytes:
        return orjson.dumps({"v": VERSION, "from": self.publisher})[:-1] + b","

    def pack(self, epoch: str, updates: Iterable[bytes]) -> list[bytes]:
        """
        Envelopes with these encoded updates, in their order; one without updates if there are none. Each update must fit
        (`room`).
        """
        head = self._head(epoch)
        packed, waiting, size = [], list[bytes](), len(head) + 2
        for update in updates:
            if waiting and size + len(update) + 1 > self.most_bytes:
                packed.append(head + b",".join(waiting) + b"]}")
                waiting, size = [], len(head) + 2
            waiting.append(update)
            size += len(update) + 1
        if waiting or not packed:
            packed.append(head + b",".join(waiting) + b"]}")
        return packed

    def room(self, epoch: str) -> int:
        """The greatest size of one encoded update, in bytes."""
        return self.most_bytes - len(self._head(epoch)) - 3

    def _head(self, epoch: str) -> bytes:
        return self.beginning + b'"epoch":' + orjson.dumps(epoch) + b',"updates":['


def read_envelope(
    data: bytes,
    is_wanted: Callable[[str, str], bool],
    is_listened_to: Callable[[ChatId], bool] = lambda _: True,
) -> Envelope | None:
    """
    The envelope in ``data``, or None if ``is_wanted`` is false for its publisher and epoch. Updates of a chat for which
    ``is_listened_to`` is false are left out and not decoded, which would be most of the work.

    Raises:
        Unreadable: It is damaged, or of another version.
    """
    try:
        found = orjson.loads(data)
        _check_version(found["v"])
        publisher, epoch = found["from"], found["epoch"]
        if not is_wanted(publisher, epoch):
            return None
        updates = [*_updates(found["updates"], is_listened_to)]
    except Unreadable:
        raise
    except Exception as error:  # whatever a stranger may send on the same channel
        raise Unreadable(type(error).__name__) from error
    return Envelope(publisher, epoch, updates)


def _updates(found: Any, is_listened_to: Callable[[ChatId], bool]) -> Iterator[Update]:
    for kind, value in found:
        if kind in OF_A_CHAT:
            chat_id = ChatId(UUID(value["chat_id"]))
            if not is_listened_to(chat_id):
                continue
            if kind == OF_A_MESSAGE:
                yield _message(value, chat_id)
                continue
        if kind in KINDS:
            yield _converter.structure(value, KINDS[kind])


def _check_version(version: object) -> None:
    if version != VERSION:
        raise Unreadable(f"version {version}")

"""
Decodes the frames of a client on the socket of all chats into requests.

The fields of requests are those of the same requests over HTTP (`interfaces.wire.codec`), in snake_case.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from application.chats.create import CreateChat
from application.messages.send import SendMessage
from application.ports.views import After, Around, Before, Newest, Where
from application.receipts.mark_single import MarkSingle
from application.updates.presence import WatchPresence
from domain.chat import About
from domain.errors import DomainError
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.message import EmptyBody
from interfaces.wire import codec
from interfaces.wire.client_frames import CATCH_UP_MOST, HISTORY_MOST, ID_LIMIT, PAGE_DEFAULT
from interfaces.wire.faults import InvalidValue
from interfaces.wire.frames import Fields, Malformed
from interfaces.wire.validation import RequestInvalid, Shape
from interfaces.wire.values import GREATEST, identity, is_count
from interfaces.ws.chat_frames import (
    NOT_SENT,
    Ping,
    Unacceptable,
    echoed,
    named,
    read_message,
    read_typing,
)

INVALID: Final = "Failed to process request: invalid request"


@frozen(kw_only=True)
class ReadPage:
    """Read messages of a chat."""

    chat_id: ChatId
    where: Where
    limit: int


@frozen(kw_only=True)
class ReadReaders:
    chat_id: ChatId
    message_id: MessageId


@frozen(kw_only=True)
class CatchUp:
    """Read the log of a chat after a position, and before another one if that is given."""

    chat_id: ChatId
    after: Position
    before: Position | None
    limit: int


@frozen
class More:
    """Read the next page of chats."""

    next: str


@frozen
class Request:
    """A command or a read, with the id that its answer carries."""

    id: object
    asks: Any


def read_request(fields: Fields) -> Request:
    """
    Raises:
        Unacceptable: The frame is invalid.
    """
    kind, id = fields.get("type"), fields.get("id")
    if kind == "ping":
        return Request(id, Ping(id))
    if not is_id(id):
        raise Unacceptable(
            "The id of a request is a string of up to 64 characters or a number", Malformed.code
        )
    read = READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise Unacceptable(f"Unknown message type: {named(kind)}", "unknown_type")
    try:
        return Request(id, read(fields))
    except RequestInvalid as error:
        places = ", ".join(".".join(map(str, fault.field[1:])) for fault in error.faults[:10])
        raise Unacceptable(f"{INVALID}: {places}", Malformed.code) from error
    except InvalidValue as error:
        raise Unacceptable(INVALID, Malformed.code) from error
    except DomainError as error:
        raise Unacceptable(INVALID, error.code) from error


def is_id(id: object) -> bool:
    if isinstance(id, str):
        return len(id) <= ID_LIMIT
    return id is None or (isinstance(id, int) and not isinstance(id, bool))


def _shaped(shape: Shape[Any]) -> Callable[[Fields], Any]:
    def read(fields: Fields) -> Any:
        return shape.decode({**fields, codec.KEY: fields.get("key")}, within="body")

    return read


def _message(fields: Fields) -> SendMessage:
    command = read_message(_chat(fields), fields)
    if command is None:
        raise Unacceptable(NOT_SENT, EmptyBody.code, echoed(fields.get("nonce")))
    return command


def _mark(fields: Fields) -> Any:
    up_to = fields.get("up_to", fields.get("last_read_message_id"))
    return codec.MARK_READ.decode({**fields, "up_to": up_to}, within="body")


def _mark_single(fields: Fields) -> MarkSingle:
    return MarkSingle(chat_id=_chat(fields), message_id=MessageId(identity(fields.get("message_id"))))


def _page(fields: Fields) -> ReadPage:
    places: dict[str, Callable[[Seq], Where]] = {"before": Before, "after": After, "around": Around}
    given = [name for name in places if fields.get(name) is not None]
    if len(given) > 1:
        raise Unacceptable("Only one of before, after and around can be given", Malformed.code)
    where: Where = Newest()
    if given:
        where = places[given[0]](Seq(_count(fields, given[0], 0)))
    limit = min(_count(fields, "limit", PAGE_DEFAULT), HISTORY_MOST)
    return ReadPage(chat_id=_chat(fields), where=where, limit=max(limit, 1))


def _readers(fields: Fields) -> ReadReaders:
    return ReadReaders(chat_id=_chat(fields), message_id=MessageId(identity(fields.get("message_id"))))


def _create(fields: Fields) -> CreateChat:
    new = _shaped(codec.CREATE_CHAT)(fields)
    return CreateChat(about=About(new.name, new.description), member_ids=new.member_ids, key=new.key)


def _catch_up(fields: Fields) -> CatchUp:
    before = None if fields.get("before") is None else Position(_count(fields, "before", 0))
    limit = min(_count(fields, "limit", CATCH_UP_MOST), CATCH_UP_MOST)
    return CatchUp(
        chat_id=_chat(fields),
        after=Position(_count(fields, "after", 0)),
        before=before,
        limit=max(limit, 1),
    )


def _more(fields: Fields) -> More:
    following = fields.get("next")
    if not isinstance(following, str):
        raise Unacceptable(INVALID, Malformed.code)
    return More(following)


def _watch(fields: Fields) -> WatchPresence:
    ids = fields.get("profile_ids")
    if not isinstance(ids, list):
        raise InvalidValue
    return WatchPresence(profile_ids=[ProfileId(identity(id)) for id in ids])


def _chat(fields: Fields) -> ChatId:
    return ChatId(identity(fields.get("chat_id")))


def _count(fields: Fields, name: str, absent: int) -> int:
    value = fields.get(name)
    if value is None:
        return absent
    if not is_count(value):
        raise Unacceptable(f"{INVALID}: {name}", Malformed.code)
    return min(int(value), GREATEST)


READERS: Final[Mapping[str, Callable[[Fields], Any]]] = {
    "send_message": _message,
    "mark_read": _mark,
    "mark_single_read": _mark_single,
    "typing": lambda fields: read_typing(_chat(fields), fields),
    "get_history": _page,
    "get_readers": _readers,
    "create_chat": _create,
    "open_direct": _shaped(codec.OPEN_DIRECT),
    "change_chat": _shaped(codec.CHANGE_CHAT),
    "add_members": _shaped(codec.ADD_MEMBERS),
    "remove_member": _shaped(codec.REMOVE_MEMBER),
    "change_role": _shaped(codec.CHANGE_ROLE),
    "delete_chat": _shaped(codec.DELETE_CHAT),
    "catch_up": _catch_up,
    "more": _more,
    "watch_presence": _watch,
}
"""The function that reads each type of frame."""

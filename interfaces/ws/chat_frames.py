"""
Decodes the frames of a client on the socket of one chat into requests.

Frames that the original messenger ignored are ignored here too: a mark that names no message, and an empty message
without a nonce.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from attrs import frozen

from application.messages.send import SendMessage
from application.ports.views import Newest, PageNumber, Where
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from domain.errors import DomainError
from domain.ids import ChatId, MessageId
from domain.message import Body, EmptyBody, Nonce
from interfaces.live.entry import Since
from interfaces.wire.client_frames import HISTORY_DEFAULT, HISTORY_MOST
from interfaces.wire.faults import InvalidValue
from interfaces.wire.frames import Fields, Malformed
from interfaces.wire.reasons import Reset
from interfaces.wire.values import identity, is_count
from interfaces.ws.connection import NOT_PROCESSED

ECHO_LIMIT: Final = 100
"""The most characters of a client's own text that an error repeats to it."""

NOT_SENT: Final = "Failed to send message"


@frozen
class ReadHistory:
    where: Where
    limit: int
    """0 asks for the counts only."""


@frozen
class CountUnread:
    pass


@frozen
class Leave:
    pass


@frozen
class Ping:
    id: Any


Request = SendMessage | MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread | Leave | Ping


class Unacceptable(Exception):
    """A frame is invalid. The client is told the message, the code and the nonce."""

    def __init__(self, message: str, code: str, nonce: str | None = None) -> None:
        super().__init__(message, code, nonce)
        self.message = message
        self.code = code
        self.nonce = nonce


def read_request(chat_id: ChatId, fields: Fields) -> Request | None:
    """
    Returns None if the frame needs no action.

    Raises:
        Unacceptable: The frame is invalid.
    """
    kind = fields.get("type")
    read = READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise Unacceptable(f"Unknown message type: {named(kind)}", "unknown_type")
    return read(chat_id, fields)


def read_message(chat_id: ChatId, fields: Fields) -> SendMessage | None:
    text, name = fields.get("text"), fields.get("nonce")
    if name is None and not text:
        return None
    try:
        nonce = None if name is None else Nonce(_string(name))
        return SendMessage(chat_id=chat_id, body=Body(_string(text or "")), nonce=nonce)
    except EmptyBody as error:
        if name is None:
            return None
        raise Unacceptable(NOT_SENT, error.code, echoed(name)) from error
    except Malformed as error:
        raise Unacceptable(NOT_PROCESSED, error.code, echoed(name)) from error
    except DomainError as error:
        raise Unacceptable(NOT_SENT, error.code, echoed(name)) from error


def _mark(chat_id: ChatId, fields: Fields) -> MarkRead | None:
    up_to = _identity(fields.get("last_read_message_id"))
    return MarkRead(chat_id=chat_id, up_to=MessageId(up_to)) if up_to else None


def _mark_single(chat_id: ChatId, fields: Fields) -> MarkSingle | None:
    message_id = _identity(fields.get("message_id"))
    return MarkSingle(chat_id=chat_id, message_id=MessageId(message_id)) if message_id else None


def read_typing(chat_id: ChatId, fields: Fields) -> ShowTyping:
    return ShowTyping(chat_id=chat_id, is_typing=bool(fields.get("is_typing", False)))


def _history(_: ChatId, fields: Fields) -> ReadHistory:
    limit, page = fields.get("limit"), fields.get("offset")
    limit = HISTORY_DEFAULT if limit is None else limit
    page = 0 if page is None else page
    if not (is_count(limit) and is_count(page)):
        raise Unacceptable("Failed to load chat history", Malformed.code)
    return ReadHistory(PageNumber(page) if page > 1 else Newest(), min(limit, HISTORY_MOST))


READERS: Final[Mapping[str, Callable[[ChatId, Fields], Request | None]]] = {
    "send_message": read_message,
    "mark_read": _mark,
    "mark_single_read": _mark_single,
    "typing": read_typing,
    "get_chat_history": _history,
    "get_unread_count": lambda *_: CountUnread(),
    "leave_chat": lambda *_: Leave(),
    "ping": lambda _, fields: Ping(fields.get("id")),
}
"""The function that reads each type of frame."""


def read_since(value: object) -> Since | Reset | None:
    if value is None:
        return None
    if isinstance(value, dict):
        epoch, position = value.get("epoch"), value.get("position")
        if isinstance(epoch, str) and isinstance(position, int) and is_count(position):
            return Since(epoch, position)
    return Reset.MALFORMED


def _string(value: object) -> str:
    """
    Raises:
        Malformed: The value is not a string.
    """
    if not isinstance(value, str):
        raise Malformed
    return value


def _identity(value: object) -> UUID | None:
    try:
        return identity(value)
    except InvalidValue:
        return None


def echoed(name: object) -> str | None:
    return name if isinstance(name, str) and len(name) <= ECHO_LIMIT else None


def named(kind: object) -> str:
    # a list or an object may be nested deeper than Python can print
    return "not a name" if isinstance(kind, list | dict) else str(kind)[:ECHO_LIMIT]

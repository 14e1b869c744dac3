"""The frames of the socket of all chats, besides those that it has in common with the socket of one chat."""

from collections.abc import Iterable
from typing import Any

import orjson
from attrs import field, frozen

from application.views import ChatView
from domain.ids import ChatId, Position, ProfileId, Seq
from interfaces.wire.frames import Fields, Frame, chat_entry, write


@frozen
class CursorFrame(Frame):
    """A frame with which its reader knows everything up to ``cursor``, as resuming takes it."""

    cursor: str = field(kw_only=True)


def welcome_to_all(
    *, user_id: ProfileId, session_id: object, epoch: str, cursor: str, greeting: Fields
) -> Frame:
    return write(
        {
            "type": "auth_success",
            "user_id": user_id,
            "session_id": session_id,
            "epoch": epoch,
            "cursor": cursor,
            **greeting,
        }
    )


def reset_all(reason: str) -> Frame:
    return write({"type": "reset", "scope": "all", "reason": reason})


def snapshot(chats: Iterable[ChatView], next_page: str | None, **more: Any) -> Frame:
    return write(
        {"type": "snapshot", **more, "chats": [chat_entry(chat) for chat in chats], "next": next_page}
    )


def first_snapshot(chats: Iterable[ChatView], next_page: str | None, cursor: str) -> Frame:
    """The page with which a client begins, which resumes from ``cursor``."""
    return CursorFrame(snapshot(chats, next_page).data, cursor=cursor)


def resumed_all(cursor: str) -> Frame:
    return _told_with({"type": "resumed", "cursor": cursor})


def cursor(cursor: str) -> Frame:
    return _told_with({"type": "cursor", "cursor": cursor})


def _told_with(fields: Fields) -> Frame:
    return CursorFrame(orjson.dumps(fields), cursor=fields["cursor"])


def end(code: int, reason: str, *, comes_back: bool) -> Frame:
    """The last event of a stream. ``code`` and ``reason`` are those with which a socket would close."""
    return write({"type": "end", "code": code, "reason": reason, "come_back": comes_back})


def reset_chat(chat: ChatView, reason: str) -> Frame:
    return write(
        {
            "type": "reset",
            "scope": "chat",
            "chat_id": chat.id,
            "reason": reason,
            "state": chat_entry(chat),
        }
    )


def gap(chat: ChatView, after: Position) -> Frame:
    """``before`` is the position with which live frames continue."""
    return write(
        {
            "type": "gap",
            "chat_id": chat.id,
            "after": after,
            "before": chat.last_position + 1,
            "state": chat_entry(chat),
        }
    )


def chat_added(chat: ChatView) -> Frame:
    return write({"type": "chat_added", "chat_id": chat.id, "chat": chat_entry(chat)})


def chat_removed(chat_id: ChatId, reason: str) -> Frame:
    return write({"type": "chat_removed", "chat_id": chat_id, "reason": reason})


def read_up_to(
    chat_id: ChatId, seq: Seq, unread: int, last_seq: Seq, others_read_up_to: Seq | None = None
) -> Frame:
    """``unread`` counts the messages up to ``last_seq``."""
    others = {} if others_read_up_to is None else {"others_read_up_to": others_read_up_to}
    return write(
        {
            "type": "read_up_to",
            "chat_id": chat_id,
            "seq": seq,
            "unread_count": unread,
            "last_seq": last_seq,
            **others,
        }
    )


def answer(id: Any, fields: Fields) -> Frame:
    return write({"type": "answer", "id": id, **fields})


def refusal(id: Any, message: str, code: str, **more: Any) -> Frame:
    return write({"type": "error", "id": id, "message": message, "code": code, **more})

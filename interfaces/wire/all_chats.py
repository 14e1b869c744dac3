"""The frames of the socket of all chats, besides those that it has in common with the socket of one chat."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from attrs import field, frozen

from application.views import ChatView
from domain.events import Removal
from domain.ids import ChatId, Position, ProfileId, Seq, SessionId
from interfaces.wire import server_frames as types
from interfaces.wire.frames import Frame, chat_entry, write
from interfaces.wire.reasons import Reset
from interfaces.wire.values import moment


@frozen
class CursorFrame(Frame):
    """A frame with which its reader knows everything up to ``cursor``, as resuming takes it."""

    cursor: str = field(kw_only=True)


def welcome_to_all(
    *, user_id: ProfileId, session_id: SessionId, epoch: str, cursor: str, greeting: types.Greeting
) -> Frame:
    fields: types.AuthSuccessAll = {
        "type": "auth_success",
        "user_id": user_id,
        "session_id": session_id,
        "epoch": epoch,
        "cursor": cursor,
        **greeting,
    }
    return write(fields)


def reset_all(reason: Reset) -> Frame:
    fields: types.ResetAll = {"type": "reset", "scope": "all", "reason": reason}
    return write(fields)


def snapshot(chats: Iterable[ChatView], next_page: str | None) -> Frame:
    """The first page of chats."""
    fields: types.Snapshot = {
        "type": "snapshot",
        "chats": [chat_entry(chat) for chat in chats],
        "next": next_page,
    }
    return write(fields)


def snapshot_asked_for(id: Any, chats: Iterable[ChatView], next_page: str | None) -> Frame:
    """A page of chats that answers a request."""
    fields: types.Snapshot = {
        "type": "snapshot",
        "id": id,
        "chats": [chat_entry(chat) for chat in chats],
        "next": next_page,
    }
    return write(fields)


def first_snapshot(chats: Iterable[ChatView], next_page: str | None, cursor: str) -> Frame:
    """The page with which a client begins, which resumes from ``cursor``."""
    return CursorFrame(snapshot(chats, next_page).data, cursor=cursor)


def resumed_all(cursor: str) -> Frame:
    fields: types.ResumedAll = {"type": "resumed", "cursor": cursor}
    return CursorFrame(write(fields).data, cursor=cursor)


def cursor(cursor: str) -> Frame:
    fields: types.CursorPassed = {"type": "cursor", "cursor": cursor}
    return CursorFrame(write(fields).data, cursor=cursor)


def _restart(fields: types.ResetOne | types.Gap | types.ChatAdded | types.ChatRemoved) -> Frame:
    return Frame(write(fields).data, ChatId(fields["chat_id"]), is_restart=True)


def reset_chat(chat: ChatView, reason: Reset) -> Frame:
    fields: types.ResetOne = {
        "type": "reset",
        "scope": "chat",
        "chat_id": chat.id,
        "reason": reason,
        "state": chat_entry(chat),
    }
    return _restart(fields)


def gap(chat: ChatView, after: Position) -> Frame:
    """``before`` is the position with which live frames continue."""
    fields: types.Gap = {
        "type": "gap",
        "chat_id": chat.id,
        "after": after,
        "before": chat.last_position + 1,
        "state": chat_entry(chat),
    }
    return _restart(fields)


def chat_added(chat: ChatView) -> Frame:
    fields: types.ChatAdded = {"type": "chat_added", "chat_id": chat.id, "chat": chat_entry(chat)}
    return _restart(fields)


def chat_removed(chat_id: ChatId, reason: Removal) -> Frame:
    fields: types.ChatRemoved = {"type": "chat_removed", "chat_id": chat_id, "reason": reason}
    return _restart(fields)


def availability(profile_id: ProfileId, is_online: bool, last_seen_at: datetime | None) -> types.Availability:
    return {
        "user_id": profile_id,
        "online": is_online,
        "last_seen_at": moment(last_seen_at) if last_seen_at else None,
    }


def presence(state: types.Availability) -> Frame:
    fields: types.PresenceTold = {"type": "presence", **state}
    return write(fields)


def presence_ended(profile_id: ProfileId) -> Frame:
    fields: types.PresenceEnded = {"type": "presence_ended", "user_id": profile_id}
    return write(fields)


def read_up_to(
    chat_id: ChatId, seq: Seq, unread: int, last_seq: Seq, others_read_up_to: Seq | None = None
) -> Frame:
    """``unread`` counts the messages up to ``last_seq``."""
    fields: types.ReadUpToOwn = {
        "type": "read_up_to",
        "chat_id": chat_id,
        "seq": seq,
        "unread_count": unread,
        "last_seq": last_seq,
    }
    if others_read_up_to is not None:
        fields["others_read_up_to"] = others_read_up_to
    return write(fields)


def answer(id: Any, fields: types.AnswerFields) -> Frame:
    return write(cast(types.Answer, {"type": "answer", "id": id, **fields}))


def refusal(id: Any, message: str, code: str, details: types.RefusalDetails | None = None) -> Frame:
    fields: types.Refused = {"type": "error", "id": id, "message": message, "code": code, **(details or {})}
    return write(fields)

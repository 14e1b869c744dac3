"""
The frames of sockets: each text frame is one JSON object with names in snake_case.

This module decodes the frames of clients into fields, and is the only one that encodes frames of the server. A frame is
encoded once for all of its recipients. `interfaces.wire.server_frames` has the types of all of them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, assert_never

import orjson
from attrs import frozen

from application.messages.send import Sent
from application.ports.updates import ChatUpdate, NewMember, NewMessage, Typing
from application.views import (
    ChatView,
    HistoryPage,
    MemberView,
    MessageView,
    ProfileView,
    ReaderView,
    Snapshot,
)
from domain.errors import Invalid
from domain.events import ChatChanged, MemberRemoved, MessagesRead, RoleChanged
from domain.ids import ChatId, Position, ProfileId, SessionId
from domain.message import BODY_LIMIT, Nonce
from interfaces.wire import server_frames as types
from interfaces.wire.decoding import NotJson, decode
from interfaces.wire.reasons import Reset
from interfaces.wire.values import moment

Fields = Mapping[str, Any]


class Malformed(Invalid):
    """A frame is not a JSON object, or is one that `interfaces.wire.decoding` refuses."""

    code = "malformed"


def read(text: str) -> Fields:
    """
    Raises:
        Malformed: The text is not an acceptable JSON object.
    """
    try:
        fields = decode(text)
    except NotJson as error:
        raise Malformed from error
    if not isinstance(fields, dict):
        raise Malformed
    return fields


@frozen
class Frame:
    """One JSON object in UTF-8, encoded once for many recipients. The transport adds its own framing."""

    data: bytes
    chat_id: ChatId | None = None
    """The chat that the frame tells about; None if it is about something else."""
    position: Position | None = None
    """The place of a durable frame in the log of its chat."""
    is_restart: bool = False
    """Whether the frame replaces everything that was told of its chat before, on the socket of all chats."""

    @property
    def size(self) -> int:
        """The length of the data in bytes."""
        return len(self.data)

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def fragment(self) -> orjson.Fragment:
        """The frame as a part of another one."""
        return orjson.Fragment(self.data)


def write(fields: types.AnyFrame) -> Frame:
    """Encodes a frame. Only frames of a type in `interfaces.wire.server_frames` can be written."""
    chat_id: Any = fields.get("chat_id")
    return Frame(orjson.dumps(fields), chat_id)


# Answers to the client that asked


def auth_success(
    *,
    user_id: ProfileId,
    chat_id: ChatId,
    session_id: SessionId,
    epoch: str,
    seq: int,
    position: int,
    greeting: types.Greeting,
) -> Frame:
    fields: types.AuthSuccess = {
        "type": "auth_success",
        "user_id": user_id,
        "chat_id": chat_id,
        "session_id": session_id,
        "epoch": epoch,
        "seq": seq,
        "position": position,
        **greeting,
    }
    return write(fields)


def greeting(*, heartbeat_interval: float, max_message_bytes: int) -> types.Greeting:
    """Returns the limits and intervals that `auth_success` tells every client."""
    return {
        "heartbeat_interval": heartbeat_interval,
        "limits": {"text": BODY_LIMIT, "frame": max_message_bytes},
    }


def auth_error(message: str, code: str) -> Frame:
    fields: types.AuthError = {"type": "auth_error", "message": message, "code": code}
    return write(fields)


def error(
    message: str, code: str, nonce: str | None = None, details: types.ErrorDetails | None = None
) -> Frame:
    fields: types.Error = {"type": "error", "message": message, "code": code, **(details or {})}
    if nonce is not None:
        fields["nonce"] = nonce
    return write(fields)


def message_ack(nonce: Nonce, sent: Sent) -> Frame:
    message = sent.event.message
    fields: types.MessageAck = {
        "type": "message_ack",
        "nonce": nonce.value,
        "id": message.id,
        "seq": message.seq,
        "position": sent.event.position,
        "sent_at": moment(message.sent_at),
        "duplicate": sent.duplicate,
    }
    return write(fields)


def chat_history(page: HistoryPage, unread_count: int) -> Frame:
    fields: types.ChatHistory = {
        "type": "chat_history",
        "messages": [message_fields(view) for view in page.messages],
        "total_count": page.total_count,
        "unread_count": unread_count,
    }
    return write(fields)


def resumed(chat_id: ChatId, snapshot: Snapshot) -> Frame:
    fields: types.Resumed = {
        "type": "resumed",
        "chat_id": chat_id,
        "position": snapshot.position,
        "unread_count": snapshot.unread_count,
        "read_up_to": snapshot.read_up_to,
        "others_read_up_to": snapshot.others_read_up_to,
    }
    return write(fields)


def reset(chat_id: ChatId, reason: Reset) -> Frame:
    fields: types.ResetOfChat = {"type": "reset", "chat_id": chat_id, "reason": reason}
    return write(fields)


def unread_count(chat_id: ChatId, count: int) -> Frame:
    fields: types.CountOfUnread = {"type": "unread_count", "chat_id": chat_id, "count": count}
    return write(fields)


def goaway(within: int) -> Frame:
    """``within`` is in seconds. After them the server closes the connection itself."""
    fields: types.Goaway = {"type": "goaway", "within": within}
    return write(fields)


def pong(id: Any) -> Frame:
    """``id`` is returned unchanged. It can always be encoded: the decoder refuses values that could not."""
    fields: types.Pong = {"type": "pong", "id": id}
    return write(fields)


# Frames for all listeners


def told(update: ChatUpdate) -> Frame:
    """Encodes an update of the chat's log, with its position and the one before it (``after``)."""
    place: types.Durable = {
        "chat_id": update.chat_id,
        "position": update.position,
        "after": update.position - 1,
    }
    fields: types.DurableFrame
    match update:
        case NewMessage():
            fields = types.NewMessage(type="new_message", message=message_fields(update.view), **place)
        case ChatChanged():
            fields = types.ChatChanged(
                type="chat_changed",
                name=update.name,
                description=update.description,
                by=update.by,
                timestamp=moment(update.at),
                **place,
            )
        case NewMember():
            fields = types.MemberAdded(
                type="member_added",
                member=profile_fields(update.member),
                by=update.by,
                timestamp=moment(update.at),
                **place,
            )
        case MemberRemoved():
            fields = types.MemberRemoved(
                type="member_removed",
                user_id=update.profile_id,
                by=update.by,
                timestamp=moment(update.at),
                **place,
            )
        case RoleChanged():
            fields = types.RoleChanged(
                type="role_changed",
                user_id=update.profile_id,
                role=update.role,
                by=update.by,
                timestamp=moment(update.at),
                **place,
            )
        case _:
            assert_never(update)
    return Frame(orjson.dumps(fields), update.chat_id, update.position)


def typing(update: Typing) -> Frame:
    fields: types.Typing = {
        "type": "typing",
        "chat_id": update.chat_id,
        "user_id": update.profile_id,
        "is_typing": update.is_typing,
        "timestamp": moment(update.at),
    }
    return write(fields)


def messages_read(read: MessagesRead) -> Frame:
    fields: types.MessagesRead = {
        "type": "messages_read",
        "chat_id": read.chat_id,
        "read_by": read.reader_id,
        "message_ids": list(read.message_ids),
        "read_count": read.count,
        "from_seq": read.from_seq,
        "to_seq": read.to_seq,
        "timestamp": moment(read.at),
    }
    return write(fields)


def your_messages_read(read: MessagesRead, author_id: ProfileId) -> Frame:
    fields: types.YourMessagesRead = {
        "type": "your_messages_read",
        "chat_id": read.chat_id,
        "read_by": read.reader_id,
        "read_count": read.by_author[author_id],
        "timestamp": moment(read.at),
    }
    return write(fields)


def message_read(read: MessagesRead) -> Frame:
    fields: types.MessageRead = {
        "type": "message_read",
        "chat_id": read.chat_id,
        "message_id": read.message_ids[0],
        "read_by": read.reader_id,
        "timestamp": moment(read.at),
    }
    return write(fields)


def presence(
    kind: Literal["user_joined", "user_left", "user_disconnected"],
    chat_id: ChatId,
    user_id: ProfileId,
    at: datetime,
) -> Frame:
    who: types.Present = {"chat_id": chat_id, "user_id": user_id, "timestamp": moment(at)}
    fields: types.UserJoined | types.UserLeft | types.UserDisconnected
    match kind:
        case "user_joined":
            fields = types.UserJoined(type=kind, **who)
        case "user_left":
            fields = types.UserLeft(type=kind, **who)
        case "user_disconnected":
            fields = types.UserDisconnected(type=kind, **who)
    return write(fields)


# Parts of frames


def message_fields(view: MessageView) -> types.Message:
    message = view.message
    sent_at = moment(message.sent_at)
    fields: types.Message = {
        "id": message.id,
        "created_at": sent_at,
        "updated_at": sent_at,
        "text": message.body.text,
        "sender": profile_fields(view.sender),
        "read_at": moment(view.read_at) if view.read_at else None,
        "sent_at": sent_at,
        "chat_id": message.chat_id,
        "sender_id": view.sender.id,
        "seq": message.seq,
        "position": view.position,
    }
    if message.nonce:
        fields["nonce"] = message.nonce.value
    return fields


def chat_entry(chat: ChatView) -> types.Entry:
    """A chat as one of its members sees it, in a list."""
    return {
        "chat": {
            "id": chat.id,
            "kind": chat.kind,
            "name": chat.name,
            "description": chat.description,
            "owner": profile_fields(chat.owner),
            "other": profile_fields(chat.other) if chat.other else None,
            "member_count": chat.member_count,
            "created_at": moment(chat.created_at),
            "updated_at": moment(chat.updated_at),
        },
        "role": chat.role,
        "last_message": message_fields(chat.last_message) if chat.last_message else None,
        "unread_count": chat.unread_count,
        "read_up_to": chat.read_up_to,
        "seq": chat.last_seq,
        "position": chat.last_position,
    }


def member_fields(member: MemberView) -> types.Member:
    return {
        "profile": profile_fields(member.profile),
        "role": member.role,
        "joined_at": moment(member.joined_at),
        "read_up_to": member.read_up_to,
    }


def reader_fields(reader: ReaderView) -> types.Reader:
    return {"profile": profile_fields(reader.profile), "read_at": moment(reader.read_at)}


def profile_fields(profile: ProfileView) -> types.Person:
    return {
        "first_name": profile.first_name,
        "last_name": profile.last_name,
        "middle_name": profile.middle_name,
        "username": profile.username,
        "id": profile.id,
    }

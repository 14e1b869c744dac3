"""Converts the domain's objects to rows and back. A property test checks that each pair is a round trip."""

from hashlib import sha256
from typing import Any

from domain.chat import About, Chat, Kind
from domain.events import MessageSent, MessagesRead
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.member import Member
from domain.message import Body, Message, Nonce
from domain.reading import Reading
from domain.role import Role
from infrastructure.postgres.driver.reads import Row

OWN_NONCE = "c:"
DERIVED = "d:"
NO_NONCE = "m:"
"""
The prefixes of message keys, which are unique among an author's messages in a chat. ``c:`` is the client's own nonce.
``d:`` is derived from the text and the time slot, and keeps an author from sending the same text twice in a slot. ``m:``
is the message id, used when repeats are allowed. Clients are only ever shown their own nonces.
"""


def nonce_key(nonce: Nonce | None, message_id: MessageId) -> str:
    return f"{NO_NONCE}{message_id}" if nonce is None else f"{OWN_NONCE}{nonce.value}"


def derived_key(slot: int, body: Body) -> str:
    return f"{DERIVED}{slot}:{sha256(body.text.encode()).hexdigest()[:32]}"


def nonce_from(key: str) -> Nonce | None:
    return Nonce(key.removeprefix(OWN_NONCE)) if key.startswith(OWN_NONCE) else None


def stored_about(name: str, description: str | None) -> About:
    """Rebuilds name and description without validation: a stored chat stays readable when the rules for new ones change."""
    return About.unjudged(name, description)


def chat_row(chat: Chat) -> dict[str, Any]:
    return {
        "chat_id": chat.id,
        "kind": chat.kind,
        "name": chat.about.name,
        "description": chat.about.description,
        "owner_id": chat.owner_id,
        "created_at": chat.created_at,
        "updated_at": chat.updated_at,
        "deleted_at": chat.deleted_at,
    }


def head_row(chat: Chat) -> dict[str, Any]:
    return {
        "chat_id": chat.id,
        "last_seq": chat.last_seq,
        "last_position": chat.last_position,
        "last_at": chat.last_at,
        "member_count": chat.member_count,
    }


def chat_from(row: Row, head: Row) -> Chat:
    return Chat(
        id=ChatId(row["chat_id"]),
        kind=Kind(row["kind"]),
        about=stored_about(row["name"], row["description"]),
        owner_id=ProfileId(row["owner_id"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        last_seq=Seq(head["last_seq"]),
        last_position=Position(head["last_position"]),
        last_at=head["last_at"],
        member_count=head["member_count"],
    )


def member_row(member: Member) -> dict[str, Any]:
    return {
        "chat_id": member.chat_id,
        "profile_id": member.profile_id,
        "role": member.role,
        "joined_at": member.joined_at,
        "left_at": member.left_at,
    }


def member_from(row: Row) -> Member:
    return Member(
        chat_id=ChatId(row["chat_id"]),
        profile_id=ProfileId(row["profile_id"]),
        role=Role(row["role"]),
        joined_at=row["joined_at"],
        left_at=row["left_at"],
    )


def message_row(event: MessageSent) -> dict[str, Any]:
    message = event.message
    return {
        "chat_id": event.chat_id,
        "seq": message.seq,
        "message_id": message.id,
        "position": event.position,
        "sender_id": message.author_id,
        "nonce": nonce_key(message.nonce, message.id),
        "body": message.body.text,
        "sent_at": message.sent_at,
    }


def message_from(row: Row) -> MessageSent:
    chat_id = ChatId(row["chat_id"])
    message = Message(
        id=MessageId(row["message_id"]),
        chat_id=chat_id,
        seq=Seq(row["seq"]),
        author_id=ProfileId(row["sender_id"]),
        body=Body.unjudged(row["body"]),
        nonce=nonce_from(row["nonce"]),
        sent_at=row["sent_at"],
    )
    return MessageSent(chat_id=chat_id, position=Position(row["position"]), message=message)


def reading_row(reading: Reading) -> dict[str, Any]:
    return {
        "chat_id": reading.chat_id,
        "profile_id": reading.profile_id,
        "mark": reading.mark,
        "less": reading.excluded,
    }


def reading_from(row: Row) -> Reading:
    return Reading(
        chat_id=ChatId(row["chat_id"]),
        profile_id=ProfileId(row["profile_id"]),
        mark=Seq(row["mark"]),
        excluded=row["less"],
    )


def receipt_row(read: MessagesRead, *, early: bool) -> dict[str, Any]:
    return {
        "chat_id": read.chat_id,
        "profile_id": read.reader_id,
        "from_seq": read.from_seq,
        "to_seq": read.to_seq,
        "read_at": read.at,
        "early": early,
    }

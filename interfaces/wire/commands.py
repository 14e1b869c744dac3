"""
The errors with which each command may be refused, on every transport.

The description of an endpoint (`interfaces.http.described`) and the row of a frame (`interfaces.wire.registry`) name a command of
this table, so that a refusal is added in one place. What any command may meet, such as storage that is unavailable, is added
by the transports.
"""

from collections.abc import Mapping
from typing import Final

from application.errors import Overloaded
from application.keys import KeyReused
from application.messages.send import NonceReused
from application.ports.limiter import TooManyRequests
from application.ports.views import MessageNotFound
from domain.chat_errors import (
    BadChatDescription,
    BadChatName,
    ChatNotFound,
    MemberNotFound,
    MembersNotFound,
    NotAcquainted,
    NotAllowed,
    NotAMember,
    NotTheOwner,
    NotToOneself,
    OnlyInGroups,
    TooFrequent,
    TooManyChats,
    TooManyMembers,
)
from domain.message import BadNonce, BodyTooLong, EmptyBody
from domain.text import UnstorableText

Errors = tuple[type[Exception], ...]

IN_CHAT: Final[Errors] = (NotAMember, ChatNotFound)

ADDING: Final[Errors] = (
    MembersNotFound,
    NotAcquainted,
    TooManyMembers,
    TooManyChats,
    TooManyRequests,
)
"""The errors of putting people into a group."""

REFUSALS: Final[Mapping[str, Errors]] = {
    "send_message": (*IN_CHAT, NonceReused, TooFrequent, TooManyRequests, Overloaded),
    "mark_read": (*IN_CHAT, TooManyRequests, Overloaded),
    "mark_single_read": (*IN_CHAT, TooManyRequests, Overloaded),
    "typing": (*IN_CHAT, TooManyRequests),
    "get_chat": IN_CHAT,
    "get_members": IN_CHAT,
    "get_history": IN_CHAT,
    "get_unread_count": IN_CHAT,
    "get_readers": (*IN_CHAT, MessageNotFound),
    "catch_up": IN_CHAT,
    "create_chat": (*IN_CHAT, *ADDING, KeyReused),
    "open_direct": (ChatNotFound, NotToOneself, MembersNotFound, TooManyChats, TooManyRequests, KeyReused),
    "change_chat": (*IN_CHAT, NotTheOwner, NotAllowed, OnlyInGroups, *ADDING),
    "delete_chat": (*IN_CHAT, NotTheOwner, NotAllowed, OnlyInGroups),
    "add_members": (*IN_CHAT, NotAllowed, OnlyInGroups, *ADDING, KeyReused),
    "change_role": (*IN_CHAT, NotTheOwner, NotAllowed, MemberNotFound, OnlyInGroups),
    "remove_member": (*IN_CHAT, NotAllowed, MemberNotFound, OnlyInGroups),
}
"""The errors of the use case, by the name of the command as frames have it."""

VALUES: Final[Mapping[str, Errors]] = {
    "send_message": (EmptyBody, BodyTooLong, UnstorableText, BadNonce),
    "create_chat": (BadChatName, BadChatDescription),
    "change_chat": (BadChatName, BadChatDescription),
}
"""The errors of values that cannot be. A socket refuses the frame with their code; HTTP names them among the fields of a 422."""

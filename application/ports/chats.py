"""
Chats and readings as a unit of work keeps them.

Sending and marking, which many do at once, have ports of their own: `posting` and `marking`.
"""

from collections.abc import Sequence
from typing import Protocol

from domain.chat import Chat, Member
from domain.events import ChatEvent, MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import Reading


class Chats(Protocol):
    async def add(self, chat: Chat, members: Sequence[Member]) -> None:
        """Keep a new chat, its members and their readings, which begin before the first message."""
        ...

    async def lock(self, chat_id: ChatId) -> Chat:
        """
        Take the chat and hold it until the unit of work ends. Deleted ones are found too, and say so.

        Raises:
            ChatNotFound: There never was such a chat.
        """
        ...

    async def find_member(self, chat_id: ChatId, profile_id: ProfileId) -> Member | None:
        """Also one who left."""
        ...

    async def members(self, chat_id: ChatId) -> Sequence[Member]:
        """Who is in it now."""
        ...

    async def save(self, chat: Chat, events: Sequence[ChatEvent] = ()) -> None:
        """Keep a locked chat as it is now, and append what happened to its log."""
        ...

    async def add_members(self, members: Sequence[Member]) -> None:
        """Their readings begin before the first message: what was said earlier is unread to them."""
        ...

    async def save_members(self, members: Sequence[Member]) -> None:
        """Keep the roles of members of a locked chat, and that they left."""
        ...

    async def claim_direct(self, one: ProfileId, other: ProfileId, chat_id: ChatId) -> ChatId:
        """
        The chat of these two, in whatever order: the one there is, else ``chat_id``, which is it from now on.

        Of two units that claim at once the second waits, and gets the first one's.
        """
        ...

    async def release_direct(self, chat_id: ChatId) -> None:
        """If this was the chat of two people, they have none now."""
        ...


class Readings(Protocol):
    async def lock(self, chat_id: ChatId, profile_id: ProfileId) -> Reading | None:
        """Hold a current member's reading until the unit ends. None: no such member now."""
        ...

    async def find_message(self, chat_id: ChatId, message_id: MessageId) -> tuple[Seq, ProfileId] | None:
        """The number and the author of a message, if it is one of this chat."""
        ...

    async def is_covered(self, reading: Reading, seq: Seq) -> bool:
        """Whether a message after the mark was read singly."""
        ...

    async def save(self, reading: Reading, read: MessagesRead | None) -> None:
        """Keep a held reading, and the receipt of what was read, if anything was."""
        ...

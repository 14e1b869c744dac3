"""Chats and readings as a unit of work keeps them. Sending has a port of its own: `application.ports.posting`."""

from collections.abc import Sequence
from typing import Protocol

from domain.chat import Chat, Member
from domain.events import ChatEvent, MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import Passed, Reading


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

    async def remove_members(self, members: Sequence[Member]) -> None:
        """Keep that these left: each with its ``left_at``."""
        ...


class Readings(Protocol):
    async def lock(self, chat_id: ChatId, profile_id: ProfileId) -> Reading | None:
        """Hold a current member's reading until the unit ends. None: no such member now."""
        ...

    async def find_seq(self, chat_id: ChatId, message_id: MessageId) -> Seq | None:
        """The number of a message, if it is one of this chat."""
        ...

    async def passed(self, reading: Reading, to: Seq) -> Passed:
        """What ``reading``, held, has unread after its mark up to and including ``to``."""
        ...

    async def save(self, reading: Reading, read: MessagesRead | None) -> None:
        """Keep a held reading, and the receipt of what was read, if anything was."""
        ...

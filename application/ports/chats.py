"""
Chats and readings as a unit of work keeps them.

Sending and marking happen far more often and have ports of their own, `posting` and `marking`. Everything that is stored
here is announced once the unit of work is committed.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from domain.chat import Chat
from domain.decision import Decision
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.member import Member
from domain.reading import Reading


class Chats(Protocol):
    async def add(self, chat: Chat, opened: Decision) -> bool:
        """
        Store a new chat and the decision that opened it.

        Returns False, and stores nothing, if there is or was a chat with this id. Of two units that add it at once the
        second waits for the first.
        """
        ...

    async def keep(self, chat: Chat, decision: Decision) -> None:
        """
        Store a locked chat as it is now, and everything in the decision.

        The reading of a new member begins before the first message, so all earlier messages are unread. A former member
        continues at their old mark.
        """
        ...

    async def lock(self, chat_id: ChatId) -> Chat:
        """
        Lock the chat until the unit of work ends. Deleted chats are found too, and have ``deleted_at``.

        Raises:
            ChatNotFound: There never was such a chat.
        """
        ...

    async def find_member(self, chat_id: ChatId, profile_id: ProfileId) -> Member | None:
        """Find a member or former member of the chat."""
        ...

    async def members(self, chat_id: ChatId) -> Sequence[Member]:
        """The present members, in the order of `by_seniority`."""
        ...

    async def of(self, profile_id: ProfileId) -> Sequence[ChatId]:
        """The chats that a profile is in now, in the order of their ids."""
        ...

    async def those_in(self, profile_ids: Sequence[ProfileId], count: int) -> Collection[ProfileId]:
        """Find those of ``profile_ids`` who are in at least ``count`` chats now. What this costs grows with ``count``."""
        ...

    async def acquainted(self, profile_id: ProfileId, others: Sequence[ProfileId]) -> Collection[ProfileId]:
        """
        Find those of ``others`` whom a profile knows: they are in a group together now, or in a direct chat that the other
        opened, or in which one of the `domain.group_rules.ANSWERED_WITHIN` newest messages is theirs.
        """
        ...

    async def claim_direct(self, one: ProfileId, other: ProfileId, chat_id: ChatId) -> ChatId:
        """
        Find the direct chat of two people, in whatever order they are given, or make ``chat_id`` their direct chat.

        It stays theirs until a decision that ends the chat is kept. Of two units that claim at once the second waits,
        and gets the chat of the first.
        """
        ...


class Readings(Protocol):
    async def lock(self, chat_id: ChatId, profile_id: ProfileId) -> Reading | None:
        """Lock a member's reading until the unit ends. Returns None unless they are in the chat now."""
        ...

    async def find_message(self, chat_id: ChatId, message_id: MessageId) -> tuple[Seq, ProfileId] | None:
        """Find the number and the author of a message of this chat."""
        ...

    async def is_covered(self, reading: Reading, seq: Seq) -> bool:
        """Tell whether a message after the mark was read singly."""
        ...

    async def save(self, reading: Reading, read: MessagesRead | None) -> None:
        """Store a locked reading, and the receipt of what was read, if anything was."""
        ...

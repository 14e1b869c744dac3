"""
A memory of the conversations that a process has posted to, which saves reading them before the next message.

The memory may be out of date. The statement that stores messages by it checks it first (`posting.KEEP_REMEMBERED`).
"""

from collections.abc import Iterable
from typing import Final

from attrs import define, field

from application.ports.posting import Draft
from application.views import ProfileView
from domain.chat import Chat
from domain.ids import ChatId, ProfileId
from domain.member import Member

PROOFS: Final = 3
"""
The memory of a chat is used after this many reads in a row that found the chat as this process had left it. If other processes post to
the chat too, the memory is mostly out of date, and each attempt costs an exchange.
"""

MOST: Final = 10_000
"""Chats and authors to remember, in about eight megabytes."""


@define(eq=False)
class Author:
    member: Member
    """Present in the chat."""
    profile: ProfileView | None
    version: bytes | None
    """The ``xmin`` of the profile's row, which changes with every change of the row. None if there is no row."""


@define(eq=False)
class Remembered:
    """A conversation with the state that this process stored last."""

    chat: Chat
    tx: int
    """The ``tx`` of the chat's head, which changes with every change of the chat or its members."""
    proofs: int = 0
    """The number of reads in a row that found this ``tx``."""
    authors: dict[ProfileId, Author] = field(factory=dict)

    @property
    def size(self) -> int:
        return 1 + len(self.authors)


@define(eq=False)
class Memory:
    most: int = MOST
    _chats: dict[ChatId, Remembered] = field(init=False, factory=dict)
    """In the order in which they were last posted to."""
    _size: int = field(init=False, default=0)

    def take(self, drafts: Iterable[Draft]) -> dict[ChatId, Remembered]:
        """
        Removes and returns the conversations of these drafts, or nothing if one of them is not known well enough. The caller puts
        them back after a commit (`put`).
        """
        taken: dict[ChatId, Remembered] = {}
        for draft in drafts:
            known = self._chats.get(draft.chat_id)
            if known is None or known.proofs < PROOFS or draft.author_id not in known.authors:
                return {}
            taken[draft.chat_id] = known
        for chat_id in taken:
            self.pop(chat_id)
        return taken

    def pop(self, chat_id: ChatId) -> Remembered | None:
        known = self._chats.pop(chat_id, None)
        if known is not None:
            self._size -= known.size
        return known

    def put(self, known: Remembered) -> None:
        self._chats[known.chat.id] = known
        self._size += known.size
        while self._size > self.most:
            self.pop(next(iter(self._chats)))

    def forget(self) -> None:
        self._chats.clear()
        self._size = 0

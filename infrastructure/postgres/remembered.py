"""
What a lane knows of the conversations that it posted to last.

It is not believed: the statement that stores messages by it stores nothing if anything of it has changed (`posting.KEEP_REMEMBERED`).
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
A chat is posted to by what is remembered once it was found this often as it had been left. Where other processes post to the chat
too, it hardly ever is, and each time would cost an exchange.
"""

MOST: Final = 10_000
"""Chats and authors to remember, in about eight megabytes."""


@define(eq=False)
class Author:
    member: Member
    """Present in the chat."""
    profile: ProfileView | None
    version: bytes | None
    """The ``xmin`` of the row of the profile, if it has one: every change of the row gives it another one."""


@define(eq=False)
class Remembered:
    """A conversation as this process left it."""

    chat: Chat
    tx: int
    """The ``tx`` of the chat's head. Whoever changes the chat or its members gives it another one."""
    proofs: int = 0
    """How often in a row it was found as it had been left."""
    authors: dict[ProfileId, Author] = field(factory=dict)

    @property
    def size(self) -> int:
        return 1 + len(self.authors)


@define(eq=False)
class Memory:
    most: int = MOST
    _chats: dict[ChatId, Remembered] = field(init=False, factory=dict)
    """The one that was posted to last is the last."""
    _size: int = field(init=False, default=0)

    def take(self, drafts: Iterable[Draft]) -> dict[ChatId, Remembered]:
        """
        Takes the conversations of these drafts out if enough is known about each of them, and otherwise none. They are given back
        (`put`) by whoever has stored something; without that they are forgotten.
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

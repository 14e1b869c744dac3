"""How large groups may become, and who may be put into them without being asked."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from domain.chat_errors import NotAcquainted, TooManyChats, TooManyMembers
from domain.ids import ProfileId

ANSWERED_WITHIN: Final = 200
"""Among so many of the newest messages of a direct chat one must be by the other person, if they did not open it themselves."""


class WhoMayAdd(StrEnum):
    ANYONE = "anyone"
    """The original messenger's rule."""
    SHARED_CHAT = "shared_chat"
    """
    Somebody who is in a group with the person, or in a direct chat that the person opened or has answered in
    (`ANSWERED_WITHIN`). To open a direct chat is not enough, or everybody could do so first.
    """
    NOBODY = "nobody"


@frozen(kw_only=True)
class GroupRules:
    """Zero means no limit."""

    most_members: int = 0
    """Members of a group."""
    most_chats: int = 0
    """Chats of one person. People who are added by several others at the same moment may get a few more."""
    who_may_add: WhoMayAdd = WhoMayAdd.ANYONE
    """The answer to the question who may put a person into a group."""

    @property
    def is_by_acquaintance(self) -> bool:
        return self.who_may_add is WhoMayAdd.SHARED_CHAT

    def check_size(self, members: int) -> None:
        """
        Raises:
            TooManyMembers: A group may not have so many.
        """
        if self.most_members and members > self.most_members:
            raise TooManyMembers(self.most_members)

    def check_newcomers(
        self,
        newcomers: Sequence[ProfileId],
        *,
        acquainted: Collection[ProfileId] = (),
        full: Collection[ProfileId] = (),
    ) -> None:
        """
        ``acquainted`` contains the people who know the person who adds them, and ``full`` those who are in as many chats
        as one may be.

        Raises:
            NotAcquainted: Some may not be added by this person.
            TooManyChats: Some are in too many chats.
        """
        if self.who_may_add is not WhoMayAdd.ANYONE:
            known = acquainted if self.is_by_acquaintance else ()
            if strangers := [newcomer for newcomer in newcomers if newcomer not in known]:
                raise NotAcquainted(strangers)
        if crowded := [newcomer for newcomer in newcomers if newcomer in full]:
            raise TooManyChats(self.most_chats, crowded)

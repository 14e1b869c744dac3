"""Decisions of a chat, in the one shape that storage keeps and announcements are made from."""

from attrs import frozen

from domain.events import ChatEvent, PersonalEvent
from domain.member import Member


@frozen(kw_only=True)
class Decision:
    """
    The outcome of a method of `Chat`: everything that is stored together, and announced once it is stored.

    Storage keeps a decision as a whole, so that a use case need not know its parts.
    """

    events: tuple[ChatEvent, ...] = ()
    """Entries of the chat's log, in the order of their positions."""
    personal: tuple[PersonalEvent, ...] = ()
    """Entries of members' own logs, in the order in which they are announced."""
    joined: tuple[Member, ...] = ()
    """New members, and former members who came back."""
    changed: tuple[Member, ...] = ()
    """Members who have another role, or left."""
    ends_chat: bool = False
    """Whether the chat is over. If it was a direct chat, its two people may open another one."""

    def __add__(self, later: "Decision") -> "Decision":
        """Both decisions as one, to be stored together. ``later`` was made after this one, on the same chat."""
        return Decision(
            events=(*self.events, *later.events),
            personal=(*self.personal, *later.personal),
            joined=(*self.joined, *later.joined),
            changed=(*self.changed, *later.changed),
            ends_chat=self.ends_chat or later.ends_chat,
        )

"""What a chat decides, in the one shape that storage keeps and updates are announced from."""

from attrs import frozen

from domain.events import ChatEvent, PersonalEvent
from domain.member import Member


@frozen(kw_only=True)
class Decision:
    """
    What a method of `Chat` decided: all that has to be stored together, and announced once it is stored.

    Storage keeps a decision as a whole, so that a use case need not know its parts.
    """

    events: tuple[ChatEvent, ...] = ()
    """Entries of the chat's log, in the order of their positions."""
    personal: tuple[PersonalEvent, ...] = ()
    """Entries of members' own logs, in the order in which they are announced."""
    joined: tuple[Member, ...] = ()
    """New members, and former ones who are back."""
    changed: tuple[Member, ...] = ()
    """Members who have another role, or left."""
    ends_chat: bool = False
    """Whether the chat is over. If it was a direct chat, its two people may open another one."""

    def __add__(self, later: "Decision") -> "Decision":
        """Both decisions, to be stored together; ``later`` was made on what the first one left."""
        return Decision(
            events=(*self.events, *later.events),
            personal=(*self.personal, *later.personal),
            joined=(*self.joined, *later.joined),
            changed=(*self.changed, *later.changed),
            ends_chat=self.ends_chat or later.ends_chat,
        )

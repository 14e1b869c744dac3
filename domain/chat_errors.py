"""Why a chat refuses what is asked of it."""

from collections.abc import Sequence

from domain.errors import Conflict, Forbidden, Invalid, Limited, NotFound
from domain.ids import ProfileId


class ChatNotFound(NotFound):
    code = "chat_not_found"


class MemberNotFound(NotFound):
    """The person to remove, or to give a role, is not in the chat."""

    code = "no_such_member"


class NotAMember(Forbidden):
    code = "not_a_member"


class NotAllowed(Forbidden):
    """The member's role does not allow this; `domain.role.MAY` lists who may do what."""

    code = "not_allowed"


class NotTheOwner(NotAllowed):
    code = "not_the_owner"


class OnlyInGroups(Conflict):
    """A direct chat keeps its two members, who have equal rights in it."""

    code = "only_in_groups"


class NotToOneself(Invalid):
    code = "not_to_oneself"


class TooFrequent(Limited):
    """The author sent the same text a moment ago. ``wait`` says in how many seconds it is accepted again."""

    code = "too_frequent"

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class BadChatName(Invalid):
    code = "bad_chat_name"


class BadChatDescription(Invalid):
    code = "bad_chat_description"


class MembersNotFound(NotFound):
    """Some of the profiles to add do not exist; nobody was added. ``missing`` lists them."""

    code = "member_not_found"

    def __init__(self, missing: Sequence[ProfileId]) -> None:
        super().__init__(missing)
        self.missing = missing

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


class TooManyMembers(Conflict):
    """The group would have more than ``most`` members; nobody was added."""

    code = "too_many_members"

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} members")
        self.most = most


class TooManyChats(Conflict):
    """Those named in ``profile_ids`` are in ``most`` chats already, the actor perhaps among them; nothing was done."""

    code = "too_many_chats"

    def __init__(self, most: int, profile_ids: Sequence[ProfileId]) -> None:
        super().__init__(f"at most {most} chats")
        self.most = most
        self.profile_ids = profile_ids


class NotAcquainted(Forbidden):
    """The actor may not put those named in ``profile_ids`` into a group (`domain.group_rules`); nobody was added."""

    code = "not_acquainted"

    def __init__(self, profile_ids: Sequence[ProfileId]) -> None:
        super().__init__(profile_ids)
        self.profile_ids = profile_ids


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

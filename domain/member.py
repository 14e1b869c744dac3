"""The members of a chat, present and former."""

from collections.abc import Iterable
from datetime import datetime

from attrs import define, field
from attrs.setters import frozen as never

from domain.ids import ChatId, ProfileId
from domain.role import Role


@define(eq=False, kw_only=True)
class Member:
    """One profile's place in one chat. Former members keep theirs, with the time at which they left."""

    chat_id: ChatId = field(on_setattr=never)
    profile_id: ProfileId = field(on_setattr=never)
    role: Role
    joined_at: datetime
    left_at: datetime | None = None


def by_seniority(members: Iterable[Member]) -> list[Member]:
    """Members in the order of joining; those who joined together, in the order of their ids."""
    return sorted(members, key=lambda member: (member.joined_at, member.profile_id))

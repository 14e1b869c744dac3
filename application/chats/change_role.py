from collections.abc import Sequence

from attrs import frozen

from application.actor import Actor
from application.chats.membership import locked, shown
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import MemberView
from domain.ids import ChatId, ProfileId
from domain.member import Member
from domain.role import Role
from domain.scope import Scope


@frozen(kw_only=True)
class ChangeRole:
    chat_id: ChatId
    profile_id: ProfileId
    role: Role
    """With `Role.OWNER` the actor hands the chat over and becomes an admin."""


@frozen(kw_only=True)
class ChangeRoleHandler:
    """Give a member of a group another role."""

    begin: Begin
    views: Views
    clock: Clock

    async def __call__(self, actor: Actor, command: ChangeRole) -> Sequence[MemberView]:
        """
        Raises:
            NotAllowed: The actor is not the owner, or would give up ownership without naming a successor.
            MemberNotFound: The person is not in the chat.
            ChatNotFound: There is no such chat, or the actor is not in it.
            OnlyInGroups: It is a direct chat.
        """
        actor.require(Scope.CHATS)
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id)
            member: Member | None = by
            if command.profile_id != actor.profile_id:
                member = await work.chats.find_member(chat.id, command.profile_id)
            await work.chats.keep(chat, chat.appoint(by, member, command.role, at=self.clock.now()))
        return await shown(self.views.members(actor.profile_id, chat.id))

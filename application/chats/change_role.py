from collections.abc import Sequence

from attrs import frozen

from application.actor import Actor
from application.chats.membership import locked, shown
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.updates import Updates
from application.ports.views import Views
from application.views import MemberView
from domain.chat import Member
from domain.ids import ChatId, ProfileId
from domain.role import Role


@frozen(kw_only=True)
class ChangeRole:
    chat_id: ChatId
    profile_id: ProfileId
    role: Role
    """An owner is made by handing the chat over: the actor, who was it, becomes an admin."""


@frozen(kw_only=True)
class ChangeRoleHandler:
    begin: Begin
    views: Views
    clock: Clock
    updates: Updates

    async def __call__(self, actor: Actor, command: ChangeRole) -> Sequence[MemberView]:
        """
        Raises:
            NotAllowed: Not by the actor, or the owner's own: somebody else is made owner instead.
            MemberNotFound: There is nobody to appoint.
            ChatNotFound: No such chat, or not the actor's.
            OnlyInGroups: It is a direct chat.
        """
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id)
            member: Member | None = by
            if command.profile_id != actor.profile_id:
                member = await work.chats.find_member(chat.id, command.profile_id)
            changed = chat.appoint(by, member, command.role, at=self.clock.now())
            await work.chats.save(chat, changed)
            await work.chats.save_members([m for m in (member, by) if m])
        self.updates.publish(changed)
        return await shown(self.views.members(actor.profile_id, chat.id))

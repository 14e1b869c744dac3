from attrs import frozen

from application.actor import Actor
from application.chats.membership import locked
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.updates import Updates
from domain.chat import Member
from domain.events import MemberRemoved, RoleChanged
from domain.ids import ChatId, ProfileId


@frozen(kw_only=True)
class RemoveMember:
    chat_id: ChatId
    profile_id: ProfileId
    """Whoever goes. One's own: one leaves."""


@frozen(kw_only=True)
class RemoveMemberHandler:
    begin: Begin
    clock: Clock
    updates: Updates

    async def __call__(self, actor: Actor, command: RemoveMember) -> None:
        """
        Raises:
            NotAllowed: Not by the actor.
            MemberNotFound: There is nobody to remove.
            ChatNotFound: No such chat, or not the actor's; also who wants to leave and is gone already.
            OnlyInGroups: It is a direct chat.
        """
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id)
            others = [m for m in await work.chats.members(chat.id) if m.profile_id != command.profile_id]
            gone: Member | None = by
            events: list[MemberRemoved | RoleChanged]
            if command.profile_id == actor.profile_id:
                left, removed = chat.leave(by, others, at=self.clock.now())
                events = left
            else:
                gone = await work.chats.find_member(chat.id, command.profile_id)
                put_out, removed = chat.remove(by, gone, at=self.clock.now())
                events = [put_out]
            await work.chats.save(chat, events)
            await work.chats.save_members([member for member in (gone, chat.owner_among(others)) if member])
            await work.personal.add([removed])
        self.updates.publish([*events, removed])

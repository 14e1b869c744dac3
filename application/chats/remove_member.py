from attrs import frozen

from application.actor import Actor
from application.chats.membership import locked
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.ids import ChatId, ProfileId
from domain.scope import Scope


@frozen(kw_only=True)
class RemoveMember:
    chat_id: ChatId
    profile_id: ProfileId
    """The member to remove; the actor's own id means leaving."""


@frozen(kw_only=True)
class RemoveMemberHandler:
    """Remove somebody from a group, or leave it."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor, command: RemoveMember) -> None:
        """
        Raises:
            NotAllowed: The actor's role does not allow it.
            MemberNotFound: The person is not in the chat.
            ChatNotFound: There is no such chat, or the actor is not in it (any more).
            OnlyInGroups: It is a direct chat.
        """
        actor.require(Scope.CHATS)
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id)
            at = self.clock.now()
            if command.profile_id == actor.profile_id:
                decision = chat.leave(by, await work.chats.members(chat.id), at=at)
            else:
                member = await work.chats.find_member(chat.id, command.profile_id)
                decision = chat.remove(by, member, at=at)
            await work.chats.keep(chat, decision)

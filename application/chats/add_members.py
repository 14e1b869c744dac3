from collections.abc import Sequence

from attrs import frozen

from application.actor import Actor
from application.chats.membership import add_newcomers, locked, shown
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import MemberView
from domain.ids import ChatId, ProfileId
from domain.role import Act


@frozen(kw_only=True)
class AddMembers:
    chat_id: ChatId
    profile_ids: tuple[ProfileId, ...]


@frozen(kw_only=True)
class AddMembersHandler:
    """Add people to a group; those who are in it already stay as they are."""

    begin: Begin
    views: Views
    clock: Clock

    async def __call__(self, actor: Actor, command: AddMembers) -> Sequence[MemberView]:
        """
        Raises:
            NotAllowed: The actor's role does not allow it.
            ChatNotFound: There is no such chat, or the actor is not in it.
            OnlyInGroups: It is a direct chat.
            MembersNotFound: Some of the people do not exist; nobody was added.
        """
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id)
            chat.allowed(by, Act.ADD)
            added = await add_newcomers(work, chat, by, command.profile_ids, at=self.clock.now())
            await work.chats.keep(chat, added)
        return await shown(self.views.members(actor.profile_id, chat.id))

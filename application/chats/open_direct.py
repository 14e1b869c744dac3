from attrs import frozen

from application.actor import Actor
from application.chats.membership import shown
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.storage import Begin
from application.ports.updates import Updates
from application.ports.views import Views
from application.views import ChatView
from domain.chat import Chat, MembersNotFound
from domain.ids import ProfileId


@frozen(kw_only=True)
class OpenDirect:
    profile_id: ProfileId
    """The other one."""


@frozen(kw_only=True)
class OpenDirectHandler:
    """*The* chat of two people, made or found: also when both open it at once there is one."""

    begin: Begin
    views: Views
    clock: Clock
    ids: Ids
    updates: Updates

    async def __call__(self, actor: Actor, command: OpenDirect) -> ChatView:
        """
        Raises:
            NotToOneself: The other one is the actor.
            MembersNotFound: There is no such profile.
        """
        chat, members, added = Chat.open_direct(
            id=self.ids.chat(),
            opener_id=actor.profile_id,
            other_id=command.profile_id,
            at=self.clock.now(),
        )
        async with self.begin() as work:
            if missing := await work.profiles.missing([command.profile_id]):
                raise MembersNotFound(missing)
            chat_id = await work.chats.claim_direct(actor.profile_id, command.profile_id, chat.id)
            if is_new := chat_id == chat.id:
                await work.chats.add(chat, members)
                await work.personal.add(added)
        if is_new:
            self.updates.publish(added)
        return (await shown(self.views.get_chat(actor.profile_id, chat_id))).chat

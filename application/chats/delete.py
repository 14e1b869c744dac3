from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.updates import Updates
from domain.chat import ChatNotFound, NotTheOwner
from domain.ids import ChatId


@frozen(kw_only=True)
class DeleteChat:
    chat_id: ChatId


@frozen(kw_only=True)
class DeleteChatHandler:
    """End a chat for everybody. What was said in it can be read no more from this moment on."""

    begin: Begin
    clock: Clock
    updates: Updates

    async def __call__(self, actor: Actor, command: DeleteChat) -> None:
        """
        Raises:
            NotTheOwner: Not the actor's chat, or no such chat.
        """
        async with self.begin() as work:
            try:
                chat = await work.chats.lock(command.chat_id)
            except ChatNotFound:
                raise NotTheOwner from None
            owner = await work.chats.find_member(chat.id, actor.profile_id)
            members = await work.chats.members(chat.id)
            removed = chat.delete(owner, members, at=self.clock.now())
            await work.chats.save(chat)
            await work.chats.remove_members(members)
            await work.personal.add(removed)
        self.updates.publish(removed)

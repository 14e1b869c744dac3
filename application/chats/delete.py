from attrs import frozen

from application.actor import Actor
from application.chats.membership import locked
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.updates import Updates
from domain.chat import NotTheOwner
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
            NotTheOwner: Not the actor's chat, or no such chat. A direct chat may be ended by either.
        """
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id, NotTheOwner)
            members = await work.chats.members(chat.id)
            removed = chat.delete(by, members, at=self.clock.now())
            await work.chats.save(chat)
            await work.chats.save_members(members)
            await work.chats.release_direct(chat.id)
            await work.personal.add(removed)
        self.updates.publish(removed)

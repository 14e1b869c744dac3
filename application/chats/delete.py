from attrs import frozen

from application.actor import Actor
from application.chats.membership import locked
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.chat_errors import NotTheOwner
from domain.ids import ChatId
from domain.scope import Scope


@frozen(kw_only=True)
class DeleteChat:
    chat_id: ChatId


@frozen(kw_only=True)
class DeleteChatHandler:
    """End a chat for everybody. From this moment on its messages cannot be read any more."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor, command: DeleteChat) -> None:
        """
        Raises:
            NotTheOwner: There is no such chat, or it is a group that belongs to somebody else. Either of its two people
                may end a direct chat.
        """
        actor.require(Scope.CHATS)
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id, NotTheOwner)
            members = await work.chats.members(chat.id)
            await work.chats.keep(chat, chat.delete(by, members, at=self.clock.now()))

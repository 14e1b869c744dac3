from enum import Enum
from typing import Final

from attrs import frozen

from application.actor import Actor
from application.chats.membership import add_newcomers, locked, shown
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import ChatView
from domain.chat import About, NotTheOwner
from domain.ids import ChatId, ProfileId


class Unset(Enum):
    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""Leave it as it is. None would be an answer of its own for a description."""


@frozen(kw_only=True)
class ChangeChat:
    chat_id: ChatId
    name: str | Unset = UNSET
    description: str | Unset | None = UNSET
    member_ids: tuple[ProfileId, ...] = ()
    """Who is to be in it, beside those who are: adds, never removes."""


@frozen(kw_only=True)
class ChangeChatHandler:
    """Rename, describe, add members."""

    begin: Begin
    views: Views
    clock: Clock

    async def __call__(self, actor: Actor, command: ChangeChat) -> ChatView:
        """
        Raises:
            NotAllowed: The actor's role does not allow it; `NotTheOwner` if the actor is in no such chat.
            OnlyInGroups: It is a direct chat.
            MembersNotFound: Some of the new members do not exist; nothing was changed.
        """
        at = self.clock.now()
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id, NotTheOwner)
            about = About(
                chat.about.name if isinstance(command.name, Unset) else command.name,
                chat.about.description if isinstance(command.description, Unset) else command.description,
            )
            changed = chat.change(by, about, at=at)
            added = await add_newcomers(work, chat, by, command.member_ids, at=at)
            await work.chats.keep(chat, changed + added)
        return (await shown(self.views.get_chat(actor.profile_id, chat.id))).chat

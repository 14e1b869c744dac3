from attrs import frozen

from application.actor import Actor
from application.chats.membership import Adding, add_newcomers, locked, shown
from application.limits import Action
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import ChatView
from domain.chat_errors import NotTheOwner
from domain.ids import ChatId, ProfileId
from domain.scope import Scope
from domain.unchanged import UNCHANGED, Unchanged


@frozen(kw_only=True)
class ChangeChat:
    chat_id: ChatId
    name: str | Unchanged = UNCHANGED
    description: str | Unchanged | None = UNCHANGED
    member_ids: tuple[ProfileId, ...] = ()
    """People to add. Nobody is removed."""


@frozen(kw_only=True)
class ChangeChatHandler:
    """Rename or describe a group, and add members to it."""

    begin: Begin
    views: Views
    clock: Clock
    adding: Adding

    async def __call__(self, actor: Actor, command: ChangeChat) -> ChatView:
        """
        Raises:
            NotAllowed: The actor's role does not allow it; `NotTheOwner` if the actor is in no such chat.
            OnlyInGroups: It is a direct chat.
            BadChatName, BadChatDescription: The new name or description is refused; one that stays is not judged again.
            MembersNotFound: Some of the new members do not exist; nothing was changed.
            TooManyMembers, NotAcquainted, TooManyChats, TooManyRequests: See `GroupRules` and `Adding`; nothing was changed.
        """
        actor.require(Scope.CHATS)
        at = self.clock.now()
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id, NotTheOwner)
            about = chat.about.edited(name=command.name, description=command.description)
            changed = chat.change(by, about, at=at)
            added = await add_newcomers(
                work, chat, by, command.member_ids, actor=actor, adding=self.adding, at=at
            )
            await work.chats.keep(chat, changed + added)
        self.adding.limits.report(Action.ADD_MEMBERS, actor)
        return (await shown(self.views.get_chat(actor.profile_id, chat.id))).chat

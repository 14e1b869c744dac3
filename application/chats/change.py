from enum import Enum
from typing import Final

from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.storage import Begin, UnitOfWork
from application.ports.updates import NewMember, Update, Updates
from application.ports.views import Views
from application.views import ChatView
from domain.chat import About, Chat, ChatNotFound, Member, MembersNotFound, NotTheOwner
from domain.events import ChatAdded, ChatEvent, MemberAdded
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
    """Rename, describe, add members: the owner's alone."""

    begin: Begin
    views: Views
    clock: Clock
    updates: Updates

    async def __call__(self, actor: Actor, command: ChangeChat) -> ChatView:
        """
        Raises:
            NotTheOwner: Not the actor's chat, or no such chat.
            MembersNotFound: Some of the new members do not exist; nothing was changed.
        """
        async with self.begin() as work:
            chat, owner = await _owned(work, actor, command.chat_id)
            about = About(
                chat.about.name if isinstance(command.name, Unset) else command.name,
                chat.about.description if isinstance(command.description, Unset) else command.description,
            )
            changed = chat.change(owner, about, at=self.clock.now())
            added = await self._add(work, chat, owner, command.member_ids)
            events: list[ChatEvent] = [changed] if changed else []
            events += [event for _, event, _ in added]
            await work.chats.save(chat, events)
            await work.chats.add_members([member for member, _, _ in added])
            await work.personal.add([personal for _, _, personal in added])
            people = await work.profiles.views([member.profile_id for member, _, _ in added])
        told: list[Update] = [changed] if changed else []
        told += [
            NewMember(
                chat_id=event.chat_id,
                position=event.position,
                member=people[event.profile_id],
                by=event.by,
                at=event.at,
            )
            for _, event, _ in added
        ]
        self.updates.publish([*told, *(personal for _, _, personal in added)])
        return (await self.views.get_chat(actor.profile_id, chat.id)).chat

    async def _add(
        self, work: UnitOfWork, chat: Chat, owner: Member, wanted: tuple[ProfileId, ...]
    ) -> list[tuple[Member, MemberAdded, ChatAdded]]:
        if not wanted:
            return []
        present = {member.profile_id for member in await work.chats.members(chat.id)}
        newcomers = [profile_id for profile_id in dict.fromkeys(wanted) if profile_id not in present]
        if missing := await work.profiles.missing(newcomers):
            raise MembersNotFound(missing)
        return [chat.add(owner, newcomer, at=self.clock.now()) for newcomer in newcomers]


async def _owned(work: UnitOfWork, actor: Actor, chat_id: ChatId) -> tuple[Chat, Member]:
    try:
        chat = await work.chats.lock(chat_id)
    except ChatNotFound:
        raise NotTheOwner from None  # as for a chat of somebody else: nobody learns which ids exist
    return chat, chat.owned(await work.chats.find_member(chat_id, actor.profile_id))

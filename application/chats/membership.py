"""What use cases that change who is in a chat have in common."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TypeVar

from attrs import frozen

from application.actor import Actor
from application.errors import OutcomeUnknown, Unavailable
from application.ports.storage import UnitOfWork
from application.ports.updates import NewMember, Update
from domain.chat import Chat, ChatNotFound, Member, MembersNotFound
from domain.errors import DomainError
from domain.events import ChatAdded, MemberAdded
from domain.ids import ChatId, ProfileId

Shown = TypeVar("Shown")


async def locked(
    work: UnitOfWork, actor: Actor, chat_id: ChatId, refusal: type[DomainError] = ChatNotFound
) -> tuple[Chat, Member]:
    """
    A chat, held, and the actor's place in it.

    Raises:
        refusal: There is no such chat, or it is not the actor's: nobody learns which ids exist.
    """
    try:
        chat = await work.chats.lock(chat_id)
    except ChatNotFound:
        raise refusal from None
    member = await work.chats.find_member(chat_id, actor.profile_id)
    if member is None or member.left_at is not None:
        raise refusal
    return chat, member


@frozen
class Newcomers:
    members: Sequence[Member]
    events: Sequence[MemberAdded]
    personal: Sequence[ChatAdded]

    async def kept(self, work: UnitOfWork) -> list[Update]:
        """Keep them as members of a chat that is kept already, and say what there is to tell after the commit."""
        await work.chats.add_members(self.members)
        await work.personal.add(self.personal)
        people = await work.profiles.views([member.profile_id for member in self.members])
        told = [
            NewMember(
                chat_id=event.chat_id,
                position=event.position,
                member=people[event.profile_id],
                by=event.by,
                at=event.at,
            )
            for event in self.events
        ]
        return [*told, *self.personal]


async def add_newcomers(
    work: UnitOfWork, chat: Chat, by: Member | None, wanted: Sequence[ProfileId], *, at: datetime
) -> Newcomers:
    """
    Add those of ``wanted`` who are not in a held chat yet.

    Raises:
        NotAllowed: Not by this one.
        MembersNotFound: Some do not exist; nobody is to be added.
    """
    if not wanted:
        return Newcomers((), (), ())
    present = {member.profile_id for member in await work.chats.members(chat.id)}
    newcomers = [profile_id for profile_id in dict.fromkeys(wanted) if profile_id not in present]
    if missing := await work.profiles.missing(newcomers):
        raise MembersNotFound(missing)
    added = [chat.add(by, newcomer, at=at) for newcomer in newcomers]
    return Newcomers([m for m, _, _ in added], [e for _, e, _ in added], [p for _, _, p in added])


async def shown(read: Awaitable[Shown]) -> Shown:
    """
    What a client is shown of what was done.

    Raises:
        OutcomeUnknown: Storage does not answer just now. It was done all the same: "unavailable" would deny it.
    """
    try:
        return await read
    except Unavailable:
        raise OutcomeUnknown from None

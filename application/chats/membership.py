"""Shared by the use cases that change a chat or its members."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TypeVar

from application.actor import Actor
from application.errors import OutcomeUnknown, Unavailable
from application.ports.storage import UnitOfWork
from domain.chat import Chat
from domain.chat_errors import ChatNotFound, MembersNotFound
from domain.decision import Decision
from domain.errors import DomainError
from domain.ids import ChatId, ProfileId
from domain.member import Member

Shown = TypeVar("Shown")


async def locked(
    work: UnitOfWork, actor: Actor, chat_id: ChatId, refusal: type[DomainError] = ChatNotFound
) -> tuple[Chat, Member]:
    """
    Lock a chat that the actor is in, and return it with the actor's membership.

    Raises:
        refusal: There is no such chat, or the actor is not in it. Both look the same, so that nobody learns which ids
            exist.
    """
    try:
        chat = await work.chats.lock(chat_id)
    except ChatNotFound:
        raise refusal from None
    member = await work.chats.find_member(chat_id, actor.profile_id)
    if member is None or member.left_at is not None:
        raise refusal
    return chat, member


async def add_newcomers(
    work: UnitOfWork, chat: Chat, by: Member | None, wanted: Sequence[ProfileId], *, at: datetime
) -> Decision:
    """
    Add the people in ``wanted`` who are not in the locked chat yet.

    Raises:
        NotAllowed: The actor may not add anybody.
        MembersNotFound: Some do not exist; nobody is added.
    """
    if not wanted:
        return Decision()
    present = {member.profile_id for member in await work.chats.members(chat.id)}
    newcomers = [profile_id for profile_id in dict.fromkeys(wanted) if profile_id not in present]
    if missing := await work.profiles.missing(newcomers):
        raise MembersNotFound(missing)
    return chat.add(by, newcomers, at=at)


async def shown(read: Awaitable[Shown]) -> Shown:
    """
    Read the answer to a command that has been carried out.

    Raises:
        OutcomeUnknown: Storage does not answer. `Unavailable` would mean that the command was not carried out.
    """
    try:
        return await read
    except Unavailable:
        raise OutcomeUnknown from None

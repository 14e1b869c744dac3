"""What use cases that change who is in a chat have in common."""

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
    Lock a chat of the actor's, and find the actor's place in it.

    Raises:
        refusal: There is no such chat, or the actor is not in it: nobody learns which ids exist.
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
    Add those of ``wanted`` who are not in a locked chat yet.

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
    Read what a client is shown of what was done.

    Raises:
        OutcomeUnknown: Storage does not answer. "Unavailable" would deny what has been done.
    """
    try:
        return await read
    except Unavailable:
        raise OutcomeUnknown from None

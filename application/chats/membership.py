"""Shared by the use cases that change a chat or its members."""

from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from attrs import frozen

from application.actor import Actor
from application.errors import OutcomeUnknown, Unavailable
from application.limits import Action, ActionLimits
from application.ports.storage import UnitOfWork
from domain.chat import Chat
from domain.chat_errors import ChatNotFound, MembersNotFound, TooManyChats
from domain.decision import Decision
from domain.errors import DomainError
from domain.group_rules import GroupRules
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


@frozen(kw_only=True)
class Adding:
    """The rules and limits by which people are put into chats."""

    rules: GroupRules
    limits: ActionLimits

    async def check(self, work: UnitOfWork, actor: Actor, newcomers: Sequence[ProfileId]) -> None:
        """
        Look who may be put into a group. Count the people first (`ActionLimits`), because looking takes the database some
        work for each of them, also when the answer is no.

        Raises:
            NotAcquainted: The actor may not add some of them.
            TooManyChats: Some are in too many chats.
        """
        rules = self.rules
        acquainted = (
            await work.chats.acquainted(actor.profile_id, newcomers) if rules.is_by_acquaintance else ()
        )
        rules.check_newcomers(newcomers, acquainted=acquainted, full=await self.full(work, newcomers))

    async def check_room(self, work: UnitOfWork, people: Sequence[ProfileId]) -> None:
        """
        Raises:
            TooManyChats: Some of these people are in as many chats as they may be.
        """
        if full := await self.full(work, people):
            raise TooManyChats(self.rules.most_chats, [person for person in people if person in full])

    async def full(self, work: UnitOfWork, people: Sequence[ProfileId]) -> Collection[ProfileId]:
        most = self.rules.most_chats
        return await work.chats.those_in(people, most) if people and most else ()


async def add_newcomers(
    work: UnitOfWork,
    chat: Chat,
    by: Member | None,
    wanted: Sequence[ProfileId],
    *,
    actor: Actor,
    adding: Adding,
    at: datetime,
) -> Decision:
    """
    Add the people in ``wanted`` who are not in the locked chat yet.

    Raises:
        NotAllowed: The actor may not add anybody.
        MembersNotFound: Some do not exist; nobody is added.
        TooManyMembers, NotAcquainted, TooManyChats, TooManyRequests: See `GroupRules` and `Adding`; nobody is added.
    """
    if not wanted:
        return Decision()
    present = {member.profile_id for member in await work.chats.members(chat.id)}
    newcomers = [profile_id for profile_id in dict.fromkeys(wanted) if profile_id not in present]
    if missing := await work.profiles.missing(newcomers):
        raise MembersNotFound(missing)
    added = chat.add(by, newcomers, at=at, rules=adding.rules)
    if newcomers:
        adding.limits.use(Action.ADD_MEMBERS, actor, len(newcomers))
    await adding.check(work, actor, newcomers)
    return added


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

from collections.abc import Sequence

from attrs import frozen

from application.actor import Actor
from application.chats.membership import Adding, add_newcomers, locked, shown
from application.keys import claimed, digest, owned_by
from application.limits import Action
from application.ports.clock import Clock
from application.ports.keys import KeyUse, Operation
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import MemberView
from domain.ids import ChatId, ProfileId
from domain.message import Nonce
from domain.role import Act
from domain.scope import Scope


@frozen(kw_only=True)
class AddMembers:
    chat_id: ChatId
    profile_ids: tuple[ProfileId, ...]
    key: Nonce | None = None
    """The idempotency key: a repeat of the same request under it adds nobody who was removed since."""


@frozen(kw_only=True)
class AddMembersHandler:
    """Add people to a group. People who are in it already stay as they are."""

    begin: Begin
    views: Views
    clock: Clock
    adding: Adding

    async def __call__(self, actor: Actor, command: AddMembers) -> Sequence[MemberView]:
        """
        Raises:
            NotAllowed: The actor's role does not allow it.
            ChatNotFound: There is no such chat, or the actor is not in it.
            OnlyInGroups: It is a direct chat.
            MembersNotFound: Some of the people do not exist; nobody was added.
            TooManyMembers, NotAcquainted, TooManyChats, TooManyRequests: See `GroupRules` and `Adding`; nobody was added.
            KeyReused: The key was used for another request.
        """
        actor.require(Scope.CHATS)
        self.adding.limits.report(Action.ADD_MEMBERS, actor)
        now = self.clock.now()
        use = KeyUse(
            operation=Operation.ADD_MEMBERS,
            digest=digest(str(command.chat_id), *sorted(map(str, command.profile_ids))),
            subject_id=command.chat_id,
            used_at=now,
        )
        async with self.begin() as work:
            chat, by = await locked(work, actor, command.chat_id)
            if not await claimed(work.keys, owned_by(actor.account_id), command.key, use):
                chat.allowed(by, Act.ADD)
                added = await add_newcomers(
                    work, chat, by, command.profile_ids, actor=actor, adding=self.adding, at=now
                )
                await work.chats.keep(chat, added)
        return await shown(self.views.members(actor.profile_id, chat.id))

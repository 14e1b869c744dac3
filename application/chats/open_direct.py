from attrs import frozen

from application.actor import Actor
from application.chats.membership import Adding, shown
from application.keys import claimed, digest, owned_by
from application.limits import Action
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.keys import KeyUse, Operation
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import ChatView
from domain.chat import Chat
from domain.chat_errors import MembersNotFound
from domain.ids import ProfileId
from domain.message import Nonce
from domain.scope import Scope


@frozen(kw_only=True)
class OpenDirect:
    profile_id: ProfileId
    """The other person."""
    key: Nonce | None = None
    """The idempotency key. Opening again finds the same chat even without it; a key is refused for another person."""


@frozen(kw_only=True)
class OpenDirectHandler:
    """Open the direct chat of two people, or find it. There is only one, even if both open it at once."""

    begin: Begin
    views: Views
    clock: Clock
    ids: Ids
    adding: Adding

    async def __call__(self, actor: Actor, command: OpenDirect) -> ChatView:
        """
        Raises:
            NotToOneself: The other person is the actor.
            MembersNotFound: The other person does not exist.
            TooManyChats: One of the two is in as many chats as they may be.
            TooManyRequests: The actor has opened too many new chats.
            KeyReused: The key was used for another request.
        """
        actor.require(Scope.CHATS)
        self.adding.limits.report(Action.CREATE_CHAT, actor)
        chat, opened = Chat.open_direct(
            id=self.ids.chat(),
            opener_id=actor.profile_id,
            other_id=command.profile_id,
            at=self.clock.now(),
        )
        use = KeyUse(
            operation=Operation.OPEN_DIRECT,
            digest=digest(str(command.profile_id)),
            subject_id=command.profile_id,
            used_at=chat.created_at,
        )
        async with self.begin() as work:
            await claimed(work.keys, owned_by(actor.account_id), command.key, use)
            if missing := await work.profiles.missing([command.profile_id]):
                raise MembersNotFound(missing)
            chat_id = await work.chats.claim_direct(actor.profile_id, command.profile_id, chat.id)
            if chat_id == chat.id:
                await self.adding.check_room(work, [actor.profile_id, command.profile_id])
                self.adding.limits.use(Action.CREATE_CHAT, actor)
                await work.chats.add(chat, opened)
        return (await shown(self.views.get_chat(actor.profile_id, chat_id))).chat

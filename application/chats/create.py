from attrs import frozen

from application.actor import Actor
from application.chats.membership import Adding
from application.keys import claimed, digest, owned_by
from application.limits import Action
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.keys import KeyUse, Operation
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import ChatView
from domain.chat import About, Chat
from domain.chat_errors import MembersNotFound
from domain.ids import ChatId, ProfileId, Seq
from domain.message import Nonce
from domain.role import Role
from domain.scope import Scope


@frozen(kw_only=True)
class CreateChat:
    about: About
    member_ids: tuple[ProfileId, ...] = ()
    """The members. The owner need not be among them."""
    key: Nonce | None = None
    """The idempotency key: a repeat of the same request under it is answered with the first chat."""


@frozen(kw_only=True)
class CreateChatHandler:
    """Open a group. Its members are added without being asked."""

    begin: Begin
    views: Views
    clock: Clock
    ids: Ids
    adding: Adding

    async def __call__(self, actor: Actor, command: CreateChat) -> ChatView:
        """
        Raises:
            MembersNotFound: Some members do not exist; no chat was made.
            KeyReused: The key was used for another request.
            ChatNotFound: The chat that was made under this key is deleted.
            NotAMember: The actor has left the chat that was made under this key.
            TooManyMembers, NotAcquainted, TooManyChats, TooManyRequests: See `GroupRules` and `Adding`; no chat was made.
        """
        actor.require(Scope.CHATS)
        self.adding.limits.report(Action.CREATE_CHAT, actor)
        others = [id for id in command.member_ids if id != actor.profile_id]
        chat, opened = Chat.open(
            id=self.ids.chat(),
            about=command.about,
            owner_id=actor.profile_id,
            others=others,
            at=self.clock.now(),
            rules=self.adding.rules,
        )
        use = KeyUse(
            operation=Operation.CREATE_CHAT,
            digest=digest(command.about.name, command.about.description, *sorted(map(str, set(others)))),
            subject_id=chat.id,
            used_at=chat.created_at,
        )
        async with self.begin() as work:
            first = await claimed(work.keys, owned_by(actor.account_id), command.key, use)
            if first is None:
                if missing := await work.profiles.missing(others):
                    raise MembersNotFound(missing)
                newcomers = list(dict.fromkeys(others))
                self.adding.limits.use_together(
                    actor, {Action.ADD_MEMBERS: len(newcomers), Action.CREATE_CHAT: 1}
                )
                await self.adding.check_room(work, [actor.profile_id])
                await self.adding.check(work, actor, newcomers)
                await work.chats.add(chat, opened)
        if first:
            return (await self.views.get_chat(actor.profile_id, ChatId(first.subject_id))).chat
        return ChatView(
            id=chat.id,
            kind=chat.kind,
            name=chat.about.name,
            description=chat.about.description,
            owner=actor.profile,
            role=Role.OWNER,
            member_count=chat.member_count,
            created_at=chat.created_at,
            updated_at=chat.updated_at,
            last_message=None,
            last_seq=chat.last_seq,
            last_position=chat.last_position,
            read_up_to=Seq(0),
            unread_count=0,
        )

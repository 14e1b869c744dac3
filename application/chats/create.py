from uuid import uuid5

from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.storage import Begin
from application.ports.views import Views
from application.views import ChatView
from domain.chat import About, Chat, MembersNotFound
from domain.errors import Conflict
from domain.ids import ChatId, ProfileId, Seq
from domain.message import Nonce
from domain.role import Role


class KeyReused(Conflict):
    """Under this key the actor has made another chat: ``first`` is its id."""

    code = "key_reused"

    def __init__(self, first: ChatId) -> None:
        super().__init__(first)
        self.first = first


@frozen(kw_only=True)
class CreateChat:
    about: About
    member_ids: tuple[ProfileId, ...] = ()
    """Who is in it beside the owner, who may be among them."""
    key: Nonce | None = None
    """The owner's own name for this wish: it comes true once, and repeating it gives back the first chat."""


@frozen(kw_only=True)
class CreateChatHandler:
    """Open a group. Nobody is asked whether they want to be in it."""

    begin: Begin
    views: Views
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, command: CreateChat) -> ChatView:
        """
        Raises:
            MembersNotFound: Some members do not exist; nothing was made.
            KeyReused: The key was used for a chat of another name.
            ChatNotFound: The chat that was made under this key is no more, or no longer the actor's.
        """
        others = [id for id in command.member_ids if id != actor.profile_id]
        async with self.begin() as work:
            if missing := await work.profiles.missing(others):
                raise MembersNotFound(missing)
            chat, opened = Chat.open(
                id=self._id(actor, command.key),
                about=command.about,
                owner_id=actor.profile_id,
                others=others,
                at=self.clock.now(),
            )
            is_new = await work.chats.add(chat, opened)
        if not is_new:
            return await self._first(actor, chat)
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

    def _id(self, actor: Actor, key: Nonce | None) -> ChatId:
        # made of both, so that what is unique anyway finds the repeat, and nobody meets another one's keys
        return self.ids.chat() if key is None else ChatId(uuid5(actor.profile_id, key.value))

    async def _first(self, actor: Actor, again: Chat) -> ChatView:
        first = (await self.views.get_chat(actor.profile_id, again.id)).chat
        is_as_made = first.updated_at == first.created_at
        if is_as_made and (first.name, first.description) != (again.about.name, again.about.description):
            raise KeyReused(first.id)
        return first

from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.storage import Begin
from application.ports.updates import Updates
from application.views import ChatView
from domain.chat import About, Chat, MembersNotFound
from domain.ids import ProfileId, Seq
from domain.role import Role


@frozen(kw_only=True)
class CreateChat:
    about: About
    member_ids: tuple[ProfileId, ...] = ()
    """Who is in it beside the owner, who may be among them."""


@frozen(kw_only=True)
class CreateChatHandler:
    """Open a group. Nobody is asked whether they want to be in it."""

    begin: Begin
    clock: Clock
    ids: Ids
    updates: Updates

    async def __call__(self, actor: Actor, command: CreateChat) -> ChatView:
        """
        Raises:
            MembersNotFound: Some members do not exist; nothing was made.
        """
        others = [id for id in command.member_ids if id != actor.profile_id]
        async with self.begin() as work:
            if missing := await work.profiles.missing(others):
                raise MembersNotFound(missing)
            chat, members, added = Chat.open(
                id=self.ids.chat(),
                about=command.about,
                owner_id=actor.profile_id,
                others=others,
                at=self.clock.now(),
            )
            await work.chats.add(chat, members)
            await work.personal.add(added)
        self.updates.publish(added)
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

"""Chats, and people who talk in them, on whatever storage."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from attrs import Factory, define, field

from application.actor import Actor
from application.messages.send import Answer, Postponed, SendMessage, SendMessages, Sent
from application.ports.marking import BeginMarking
from application.ports.posting import BeginPosting
from application.ports.storage import Begin
from application.ports.updates import Update
from application.receipts.mark_read import Marked, MarkRead, MarkReadBatch
from application.views import ProfileView
from domain.chat import About, Chat
from domain.events import MessageSent, MessagesRead
from domain.ids import AccountId, ChatId, MessageId, ProfileId, Seq, SessionId
from domain.message import Body, Nonce
from domain.profile import Name, Profile
from infrastructure.announcing import Announcing
from infrastructure.gather import BatchLimits, Gatherer
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.system.ids import SystemIds
from tests.storages import SharedStorage
from tests.strategies import START
from tests.world import TickingClock

Asked = tuple[Actor, SendMessage]


def actor(name: str | None = None) -> Actor:
    """Somebody whom no storage knows of; senders need not be looked up."""
    view = ProfileView(id=ProfileId(uuid4()), first_name=name)
    return Actor(
        account_id=AccountId(uuid4()), session_id=SessionId(uuid4()), email="one@example.com", profile=view
    )


async def known(begin: Begin, *names: str) -> list[Actor]:
    """People with profiles."""
    people = [actor(name) for name in names]
    async with begin() as work:
        for person in people:
            await work.profiles.add(
                Profile(
                    id=person.profile_id,
                    account_id=person.account_id,
                    first_name=Name(person.profile.first_name or ""),
                )
            )
    return people


async def open_chat(
    begin: Begin, owner: Actor, *others: Actor, name: str = "A chat", at: datetime = START
) -> Chat:
    chat, opened = Chat.open(
        id=ChatId(uuid4()),
        about=About(name),
        owner_id=owner.profile_id,
        others=[other.profile_id for other in others],
        at=at,
    )
    async with begin() as work:
        await work.chats.add(chat, opened)
    return chat


@define(eq=False)
class Talk:
    """Sends and marks as the application does, and hears what is announced."""

    storage: SharedStorage
    clock: TickingClock = Factory(TickingClock)
    ids: SystemIds = Factory(SystemIds)
    updates: MemoryUpdates = Factory(MemoryUpdates)
    published: list[Update] = Factory(list)
    interval: timedelta = timedelta(0)
    begin: Begin = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.updates.subscribe(self.published.extend)
        self.begin = Announcing(self.storage.begin, self.updates)

    def sending(self, begin: BeginPosting) -> SendMessages:
        return SendMessages(
            begin=Announcing(begin, self.updates), clock=self.clock, ids=self.ids, interval=self.interval
        )

    async def send(self, *asked: Asked) -> Sequence[Answer]:
        """Carries out all of them as one batch."""
        return await self.sending(self.storage.begin_posting)(asked)

    async def say(
        self, who: Actor, chat_id: ChatId, text: str = "Hello", nonce: str | None = None
    ) -> MessageSent:
        (answer,) = await self.send(saying(who, chat_id, text, nonce))
        assert isinstance(answer, Sent)
        return answer.event

    def marking(self, begin: BeginMarking) -> MarkReadBatch:
        return MarkReadBatch(begin=Announcing(begin, self.updates), clock=self.clock)

    async def mark(self, *asked: tuple[Actor, MarkRead]) -> Sequence[Marked]:
        """Carries out all of them as one batch."""
        return await self.marking(self.storage.begin_marking)(asked)

    async def read(
        self, who: Actor, chat_id: ChatId, up_to: MessageId | Seq, marking: MarkReadBatch | None = None
    ) -> MessagesRead | None:
        marking = marking or self.marking(self.storage.begin_marking)
        (marked,) = await marking([(who, MarkRead(chat_id=chat_id, up_to=up_to))])
        return marked.read

    def gathering_elsewhere(self) -> AbstractAsyncContextManager[Gatherer[Asked, Sent]]:
        """In another process: on lanes of its own."""
        return self.gathering(self.storage.neighbour(), patient=self.storage.patient_neighbour())

    @asynccontextmanager
    async def gathering(
        self,
        begin: BeginPosting | None = None,
        limits: BatchLimits | None = None,
        patient: BeginPosting | None = None,
    ) -> AsyncIterator[Gatherer[Asked, Sent]]:
        gatherer: Gatherer[Asked, Sent] = Gatherer(
            use=self.sending(begin or self.storage.begin_posting),
            patient_use=self.sending(patient or self.storage.begin_patient_posting),
            postponed=Postponed,
            key=lambda asked: asked[1].chat_id,
            weigh=lambda _: 1,
            limits=limits or BatchLimits(),
        )
        running = asyncio.create_task(gatherer.run())
        try:
            yield gatherer
        finally:
            await gatherer.close()
            await running


def saying(who: Actor, chat_id: ChatId, text: str = "Hello", nonce: str | None = None) -> Asked:
    named = None if nonce is None else Nonce(nonce)
    return who, SendMessage(chat_id=chat_id, body=Body(text), nonce=named)

"""
Sending messages, in batches.

The caller decides which commands share a batch. The domain decides about each command, and the batch is stored in one
transaction. A single message is a batch of one.
"""

from collections.abc import Sequence
from datetime import timedelta

from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.ids import MessageIds
from application.ports.posting import BeginPosting, Conversations, Draft, Outdated, Slots
from domain.chat_errors import ChatNotFound
from domain.errors import Conflict, DomainError
from domain.events import MessageSent
from domain.ids import ChatId
from domain.message import Body, Nonce


class NonceReused(Conflict):
    """The author used this nonce for another text before; ``first`` is that message."""

    code = "nonce_reused"

    def __init__(self, first: MessageSent) -> None:
        super().__init__(first)
        self.first = first


@frozen(kw_only=True)
class SendMessage:
    chat_id: ChatId
    body: Body
    nonce: Nonce | None = None


@frozen
class Sent:
    """The message is stored. If ``duplicate``, it was stored before, and ``event`` is the first one's."""

    event: MessageSent
    duplicate: bool = False


@frozen
class Postponed:
    """Another transaction holds the chat. Nothing was decided, and the command has to go into a later batch."""


Answer = Sent | Postponed | DomainError


@frozen(kw_only=True)
class SendMessages:
    """
    Stores a batch of messages and answers each command. Commands for one chat are decided in the given order.

    A command whose nonce was used before, perhaps earlier in the same batch, is answered with the first message.

    Raises:
        Unavailable: Nothing of the batch is stored (`application.ports.posting` has finer kinds).
        OutcomeUnknown: The whole batch is stored, or nothing of it.
    """

    begin: BeginPosting
    clock: Clock
    ids: MessageIds
    interval: timedelta = timedelta(0)
    """How long an author may not repeat a text without a nonce; zero allows it at once."""

    async def __call__(self, asked: Sequence[tuple[Actor, SendMessage]]) -> Sequence[Answer]:
        drafts = [
            Draft(
                chat_id=command.chat_id,
                author_id=actor.profile.id,
                id=self.ids.message(),
                body=command.body,
                nonce=command.nonce,
                at=self.clock.now(),
            )
            for actor, command in asked
        ]
        try:
            return await self._store(drafts)
        except Outdated:
            return await self._store(drafts)

    async def _store(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        async with self.begin() as posting:
            opened = await posting.open(drafts, self._slots)
            answers = [self._answer(opened, draft) for draft in drafts]
            sent = [answer for answer in answers if isinstance(answer, Sent)]
            posted = [each.event for each in sent if not each.duplicate]
            if posted:
                touched = dict.fromkeys(event.chat_id for event in posted)
                await posting.keep([opened.chats[chat_id] for chat_id in touched], posted)
            posting.remind([each.event for each in sent if each.duplicate])
        return answers

    def _answer(self, opened: Conversations, draft: Draft) -> Answer:
        if draft.chat_id in opened.busy:
            return Postponed()
        try:
            return self._post(opened, draft)
        except DomainError as refusal:
            return refusal

    def _post(self, opened: Conversations, draft: Draft) -> Sent:
        key = draft.nonce and (draft.chat_id, draft.author_id, draft.nonce)
        if key and (first := opened.said.get(key)):
            if first.message.body != draft.body:
                raise NonceReused(first)
            return Sent(first, duplicate=True)
        if (chat := opened.chats.get(draft.chat_id)) is None:
            raise ChatNotFound
        event = chat.post(
            opened.authors.get((draft.chat_id, draft.author_id)),
            draft.body,
            id=draft.id,
            nonce=draft.nonce,
            at=draft.at,
            just_said=None if key else opened.just_said.get((draft.chat_id, draft.author_id, draft.body)),
            interval=self.interval,
        )
        if key:
            opened.said[key] = event
        elif slots := self._slots:
            said_at = slots.said_at(slots.of(draft.at), event.message.sent_at)
            opened.just_said[draft.chat_id, draft.author_id, draft.body] = said_at
        return Sent(event)

    @property
    def _slots(self) -> Slots | None:
        return Slots(self.interval) if self.interval else None

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from attrs import frozen

from application.actor import Actor
from application.examples.script import Conversation, Person, Said, Script
from application.messages.send import SendMessage, SendMessages
from application.ports.marking import BeginMarking
from application.ports.passwords import Passwords
from application.ports.posting import BeginPosting
from application.ports.storage import Begin, UnitOfWork
from application.receipts.mark_read import MarkRead, MarkReadBatch
from application.views import ProfileView
from domain.account import Account, Email, PasswordHash
from domain.chat import About, Chat
from domain.chat_errors import ChatNotFound
from domain.ids import MessageId, ProfileId, SessionId
from domain.message import Body, Nonce
from domain.profile import Name, Phone, Username, UsernameTaken

NO_SESSION: Final = SessionId(UUID(int=0))
"""Example people send messages without having signed in."""

Known = Mapping[Person, ProfileId]


@frozen(kw_only=True)
class FillExamplesHandler:
    """
    Adds example people, chats and messages for trying the messenger out. Running it again changes nothing, and completes
    a run that was interrupted.

    An account that already has the address of an example person takes part as it is.
    """

    script: Script
    begin: Begin
    begin_posting: BeginPosting
    """Must wait for chats that others hold, because a postponed command would be lost."""
    begin_marking: BeginMarking
    passwords: Passwords

    async def __call__(self) -> None:
        people, joined_at = self.script.people, _before(self.script.conversations)
        async with self.begin() as work:
            known = await _known(work, people)
        # All share one hash: hashing is slow, and the password is public anyway.
        password_hash = await self.passwords.hash(self.script.password) if len(known) < len(people) else None
        async with self.begin() as work:
            if password_hash:
                for person in people:
                    if person not in known:
                        await _join(work, person, password_hash, joined_at)
                known = await _known(work, people)
            await _open_chats(work, self.script.conversations, known)
        await self._say(known)
        await self._read(known)

    async def _say(self, known: Known) -> None:
        # In one batch, everything is stored or nothing is. If it was stored before, every command is a repeat.
        said = [(each.chat_id, message) for each in self.script.conversations for message in each.messages()]
        given = _Given([message for _, message in said])
        send = SendMessages(begin=self.begin_posting, clock=given, ids=given)
        await send(
            [
                (
                    _actor(message.author, known),
                    SendMessage(chat_id=chat_id, body=Body(message.text), nonce=Nonce(message.nonce)),
                )
                for chat_id, message in said
            ]
        )

    async def _read(self, known: Known) -> None:
        for conversation in self.script.conversations:
            messages = list(conversation.messages())
            for reader, count in conversation.read.items():
                last = messages[count - 1]
                moment = _Moment(last.at + timedelta(minutes=1))
                mark = MarkReadBatch(begin=self.begin_marking, clock=moment)
                command = MarkRead(chat_id=conversation.chat_id, up_to=last.id)
                await mark([(_actor(reader, known), command)])


def _before(conversations: Sequence[Conversation]) -> datetime:
    """The moment at which everybody has joined: a week before the first conversation."""
    return min(conversation.opened_at for conversation in conversations) - timedelta(days=7)


async def _known(work: UnitOfWork, people: Sequence[Person]) -> Known:
    """The profiles of the example people who have an account."""
    known = {}
    for person in people:
        account = await work.accounts.find_by_email(Email(person.email))
        if account and (profile_id := await work.profiles.find_by_account(account.id)):
            known[person] = profile_id
    return known


async def _join(work: UnitOfWork, person: Person, password_hash: PasswordHash, at: datetime) -> None:
    account, profile = Account.register(
        id=person.account_id, profile_id=person.profile_id, email=Email(person.email), at=at
    )
    account.vouch(password_hash, at=at)
    await work.accounts.add(account)
    await work.profiles.add(profile)

    profile = await work.profiles.lock(profile.id)
    profile.edit(
        first_name=Name(person.first_name),
        last_name=Name(person.last_name),
        middle_name=Name(person.middle_name) if person.middle_name else None,
        username=Username(person.username),
        phone=Phone(person.phone),
    )
    try:
        await work.profiles.save(profile)
    except UsernameTaken:  # somebody else has it: the example person does without
        profile.edit(username=None)
        await work.profiles.save(profile)


async def _open_chats(work: UnitOfWork, conversations: Sequence[Conversation], known: Known) -> None:
    for conversation in sorted(conversations, key=lambda each: each.chat_id):
        try:
            await work.chats.lock(conversation.chat_id)
        except ChatNotFound:
            chat, opened = Chat.open(
                id=conversation.chat_id,
                about=About(conversation.name, conversation.description),
                owner_id=known[conversation.owner],
                others=[known[other] for other in conversation.others],
                at=conversation.opened_at,
            )
            await work.chats.add(chat, opened)


def _actor(person: Person, known: Known) -> Actor:
    return Actor(
        account_id=person.account_id,
        session_id=NO_SESSION,
        email=person.email,
        profile=ProfileView(id=known[person]),
    )


@frozen
class _Moment:
    at: datetime

    def now(self) -> datetime:
        return self.at


class _Given:
    """Gives messages the ids and times of the example conversations, in order."""

    def __init__(self, said: Sequence[Said]) -> None:
        self._ids = iter([message.id for message in said])
        self._times = iter([message.at for message in said])

    def message(self) -> MessageId:
        return next(self._ids)

    def now(self) -> datetime:
        return next(self._times)

"""
Two messengers, one in memory and one on PostgreSQL, are told the same things and must say the same things.

After each command every row on PostgreSQL that has ``tx`` must carry the number of the transaction that wrote it last,
or a cursor would miss it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from attrs import Factory, define, evolve
from dependency_injector.providers import Object
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.engine import make_url

from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.create import CreateChat
from application.chats.delete import DeleteChat
from application.chats.open_direct import OpenDirect
from application.chats.remove_member import RemoveMember
from application.errors import ApplicationError
from application.messages.send import NonceReused, SendMessage
from application.messenger import Messenger
from application.paging import Paging
from application.ports.changes import News, ReadRange
from application.ports.views import Newest, Where
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.views import ChatView, HistoryPage, Snapshot
from config.container import MemoryAdapters, PostgresAdapters, close_connections
from domain.account import Account, Email
from domain.chat import DESCRIPTION_LIMIT, NAME_LIMIT, About
from domain.errors import DomainError
from domain.ids import (
    AccountId,
    ChatId,
    ConfirmationId,
    LetterId,
    MessageId,
    Position,
    ProfileId,
    Seq,
    SessionId,
)
from domain.message import Body, Nonce
from domain.profile import Name, Profile
from domain.role import Role
from domain.unchanged import UNCHANGED, Unchanged
from infrastructure.postgres.schema.base import metadata
from tests.contracts.talk import actor
from tests.postgres import BASE
from tests.strategies import START, lines, places
from tests.world import SETTINGS, MessengerWorld, TickingClock, world

STAMPED = [table.name for table in metadata.sorted_tables if "tx" in table.c]

WRONG_STAMPS = " UNION ALL ".join(
    f"SELECT '{name}', xmin::text, tx FROM {name} WHERE xmin::text::bigint <> (tx - {BASE}) & 4294967295"
    for name in STAMPED
)

mostly = st.sampled_from([True, True, True, False])

SURVEY = """
SELECT h.chat_id FROM chat_head h WHERE
   h.last_seq <> (SELECT count(*) FROM message m WHERE m.chat_id = h.chat_id)
OR h.last_position <> (SELECT count(*) FROM chat_log l WHERE l.chat_id = h.chat_id)
OR h.last_seq <> (SELECT count(*) FROM chat_log l WHERE l.chat_id = h.chat_id AND l.seq IS NOT NULL)
OR h.member_count <> (SELECT count(*) FROM member m WHERE m.chat_id = h.chat_id AND m.left_at IS NULL)
"""
"""Heads that disagree with what they count."""


INTERVAL = SETTINGS.chat.min_message_interval


@define(eq=False)
class SteppingClock:
    """Stands until it is stepped on: both worlds ask for the time as often as they like and get the same."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


@define(eq=False)
class CountedIds:
    """The same ones for both."""

    numbers: Iterator[int] = Factory(lambda: count(uuid4().int >> 1))

    def next(self) -> UUID:
        return UUID(int=next(self.numbers))

    def account(self) -> AccountId:
        return AccountId(self.next())

    def profile(self) -> ProfileId:
        return ProfileId(self.next())

    def session(self) -> SessionId:
        return SessionId(self.next())

    def confirmation(self) -> ConfirmationId:
        return ConfirmationId(self.next())

    def letter(self) -> LetterId:
        return LetterId(self.next())

    def chat(self) -> ChatId:
        return ChatId(self.next())

    def message(self) -> MessageId:
        return MessageId(self.next())

    def token_id(self) -> str:
        return f"{self.next()}"


@define(eq=False)
class Pair:
    """PostgreSQL stays, with what earlier examples left in it; the memory of an example is its own."""

    runner: asyncio.Runner
    postgres: PostgresAdapters
    beside: psycopg.Connection[tuple[Any, ...]]
    """A connection of the test's own."""


@pytest.fixture
def pair(messenger_database: str) -> Iterator[Pair]:
    conninfo = make_url(messenger_database).set(drivername="postgresql").render_as_string(hide_password=False)
    adapters = PostgresAdapters(settings=SETTINGS, url=messenger_database)
    with asyncio.Runner() as runner, psycopg.connect(conninfo, autocommit=True) as beside:
        yield Pair(runner, adapters, beside)
        runner.run(close_connections(adapters))


class MessengerMachine(RuleBasedStateMachine):
    people = Bundle("people")
    chats = Bundle("chats")
    messages = Bundle("messages")

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.runner = pair.runner
        start = uuid4().int >> 1
        self.stack = AsyncExitStack()
        memory, postgres = MemoryAdapters(settings=SETTINGS), pair.postgres
        self.clock = SteppingClock()
        for adapters in (memory, postgres):
            adapters.clock.override(Object(self.clock))
            adapters.ids.override(Object(CountedIds(count(start))))
        self.worlds = [self._enter(memory), self._enter(postgres)]
        self.cursors = [self.runner.run(each.messenger.feed.changes.now()) for each in self.worlds]
        self.owners: dict[ChatId, Actor] = {}
        self.people_known: list[Actor] = []

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        for name in ("clock", "ids"):
            getattr(self.pair.postgres, name).reset_override()

    def _enter(self, adapters: MemoryAdapters | PostgresAdapters) -> MessengerWorld:
        return self.runner.run(self.stack.enter_async_context(world(adapters)))

    def both(self, use: Callable[[Messenger], Awaitable[Any]]) -> Any:
        """What both answered, or the code of what both refused with; and nothing is out of step afterwards."""
        self.clock.at += timedelta(microseconds=1)
        memory, postgres = (self.runner.run(outcome(use, each.messenger)) for each in self.worlds)
        assert postgres == memory
        assert self.worlds[1].published == self.worlds[0].published, "what is told"
        assert self.pair.beside.execute(WRONG_STAMPS).fetchall() == []
        assert self.pair.beside.execute(SURVEY).fetchall() == []
        return memory

    @initialize(target=people)
    def people_sign_up(self) -> MultipleResults[Actor]:
        return multiple(*(self._sign_up(name) for name in ("Ann", "Bob", "Яна")))

    @precondition(lambda self: len(self.people_known) < 6)
    @rule(target=people, known=mostly)
    def somebody_comes(self, known: bool) -> Actor:
        return self._sign_up("Bob") if known else actor()

    def _sign_up(self, name: str) -> Actor:
        new = evolve(actor(name), email=f"{uuid4()}@example.com")
        self.people_known.append(new)
        for each in self.worlds:
            self.runner.run(sign_up(each, new))
        return new

    @rule(
        target=chats,
        owner=people,
        others=st.lists(people, max_size=3),
        name=st.sampled_from(["A chat", " trimmed ", "", "x" * (NAME_LIMIT + 1)]),
        description=st.sampled_from([None, "", "why"]),
    )
    def create(self, owner: Actor, others: list[Actor], name: str, description: str | None) -> ChatId:
        member_ids = tuple(other.profile_id for other in others)
        created = self.both(
            lambda m: result(
                lambda: m.chats.create(
                    owner, CreateChat(about=About(name, description), member_ids=member_ids)
                )
            )
        )
        if not isinstance(created, ChatView):
            return ChatId(uuid4())
        self.owners[created.id] = owner
        return created.id

    @rule(
        who=people,
        by_owner=mostly,
        chat_id=chats,
        others=st.lists(people, max_size=3),
        name=st.sampled_from([UNCHANGED, UNCHANGED, "A chat", "Another", " "]),
        description=st.sampled_from([UNCHANGED, UNCHANGED, None, "why", "x" * (DESCRIPTION_LIMIT + 1)]),
    )
    def change(
        self,
        who: Actor,
        by_owner: bool,
        chat_id: ChatId,
        others: list[Actor],
        name: str | Unchanged,
        description: str | Unchanged | None,
    ) -> None:
        who = self.owners.get(chat_id, who) if by_owner else who
        member_ids = tuple(other.profile_id for other in others)
        command = ChangeChat(chat_id=chat_id, name=name, description=description, member_ids=member_ids)
        self.both(lambda m: m.chats.change(who, command))

    @precondition(lambda self: len(self.owners) > 1)
    @rule(who=people, by_owner=mostly, chat_id=chats)
    def delete(self, who: Actor, by_owner: bool, chat_id: ChatId) -> None:
        """The chat stays in the list, so that later requests for it are refused by both."""
        who = self.owners.get(chat_id, who) if by_owner else who
        self.both(lambda m: m.chats.delete(who, DeleteChat(chat_id=chat_id)))

    @rule(
        step=st.sampled_from(
            [
                INTERVAL / 3,
                INTERVAL / 2,
                INTERVAL - timedelta(microseconds=1),
                INTERVAL,
                -INTERVAL / 3,
                -3 * INTERVAL,
            ]
        )
    )
    def time_passes(self, step: timedelta) -> None:
        self.clock.at += step

    @rule(target=chats, who=people, other=people)
    def open_direct(self, who: Actor, other: Actor) -> ChatId:
        opened = self.both(lambda m: m.chats.open_direct(who, OpenDirect(profile_id=other.profile_id)))
        return opened.id if isinstance(opened, ChatView) else ChatId(uuid4())

    @rule(who=people, by_owner=mostly, chat_id=chats, others=st.lists(people, min_size=1, max_size=3))
    def add_members(self, who: Actor, by_owner: bool, chat_id: ChatId, others: list[Actor]) -> None:
        who = self.owners.get(chat_id, who) if by_owner else who
        ids = tuple(other.profile_id for other in others)
        self.both(lambda m: m.chats.add_members(who, AddMembers(chat_id=chat_id, profile_ids=ids)))

    @rule(who=people, by_owner=mostly, chat_id=chats, other=people)
    def remove_member(self, who: Actor, by_owner: bool, chat_id: ChatId, other: Actor) -> None:
        who = self.owners.get(chat_id, who) if by_owner else who
        command = RemoveMember(chat_id=chat_id, profile_id=other.profile_id)
        self.both(lambda m: m.chats.remove_member(who, command))

    @rule(who=people, chat_id=chats)
    def leave(self, who: Actor, chat_id: ChatId) -> None:
        command = RemoveMember(chat_id=chat_id, profile_id=who.profile_id)
        self.both(lambda m: m.chats.remove_member(who, command))

    @rule(who=people, by_owner=mostly, chat_id=chats, other=people, role=st.sampled_from(Role))
    def change_role(self, who: Actor, by_owner: bool, chat_id: ChatId, other: Actor, role: Role) -> None:
        """To the owner's role the chat is handed over."""
        who = self.owners.get(chat_id, who) if by_owner else who
        command = ChangeRole(chat_id=chat_id, profile_id=other.profile_id, role=role)
        if (
            not isinstance(self.both(lambda m: m.chats.change_role(who, command)), tuple)
            and role is Role.OWNER
        ):
            self.owners[chat_id] = other

    @rule(
        who=people,
        chat_id=chats,
        body=st.sampled_from([Body("dup"), Body("DUP")]),
        steps=st.lists(st.integers(0, 1_200_000), min_size=1, max_size=4),
        named=st.booleans(),
    )
    def say_it_again(self, who: Actor, chat_id: ChatId, body: Body, steps: list[int], named: bool) -> None:
        for step in steps:
            self.clock.at += timedelta(microseconds=step)
            nonce = Nonce(str(uuid4())) if named else None
            command = SendMessage(chat_id=chat_id, body=body, nonce=nonce)
            self._send(who, command)

    def _send(self, who: Actor, command: SendMessage) -> None:
        self.both(lambda m: m.messages.send(who, command))

    @rule(
        target=messages,
        who=people,
        chat_id=chats,
        body=lines,
        nonce=st.none() | st.sampled_from("ab").map(Nonce),
    )
    def send(self, who: Actor, chat_id: ChatId, body: Body, nonce: Nonce | None) -> MessageId:
        """Two nonces among few people: repeats, and other texts under the same one, come by themselves."""
        sent = self.both(lambda m: m.messages.send(who, SendMessage(chat_id=chat_id, body=body, nonce=nonce)))
        return MessageId(uuid4()) if isinstance(sent, tuple) else sent.event.message.id

    @rule(who=people, chat_id=chats, nonce=st.sampled_from("ab").map(Nonce))
    def repeat(self, who: Actor, chat_id: ChatId, nonce: Nonce) -> None:
        command = SendMessage(chat_id=chat_id, body=Body("again"), nonce=nonce)
        for _ in range(2):
            self.both(lambda m: m.messages.send(who, command))

    @rule(who=people, chat_id=chats, bodies=st.lists(lines, min_size=2, max_size=6), nonce=st.booleans())
    def burst(self, who: Actor, chat_id: ChatId, bodies: list[Body], nonce: bool) -> None:
        commands = [
            SendMessage(chat_id=chat_id, body=body, nonce=Nonce("burst") if nonce else None)
            for body in bodies
        ]

        async def send(messenger: Messenger) -> Any:
            answers = [messenger.messages.send(who, command) for command in commands]
            found = await asyncio.gather(*answers, return_exceptions=True)
            return [refusal(each) if isinstance(each, BaseException) else each for each in found]

        self.both(send)

    @rule(who=people, chat_id=chats, up_to=messages)
    def mark_read(self, who: Actor, chat_id: ChatId, up_to: MessageId) -> None:
        self.both(lambda m: m.messages.mark_read(who, MarkRead(chat_id=chat_id, up_to=up_to)))

    @rule(who=people, chat_id=chats, up_to=st.integers(-1, 12).map(Seq))
    def mark_read_by_number(self, who: Actor, chat_id: ChatId, up_to: Seq) -> None:
        self.both(lambda m: m.messages.mark_read(who, MarkRead(chat_id=chat_id, up_to=up_to)))

    @rule(readers=st.lists(people, min_size=2, max_size=4), chat_id=chats, up_to=st.integers(0, 8).map(Seq))
    def mark_together(self, readers: list[Actor], chat_id: ChatId, up_to: Seq) -> None:
        async def mark(messenger: Messenger) -> Any:
            return await asyncio.gather(
                *(
                    messenger.messages.mark_read(who, MarkRead(chat_id=chat_id, up_to=Seq(up_to + n)))
                    for n, who in enumerate(readers)
                )
            )

        self.both(mark)

    @rule(who=people, chat_id=chats, message_id=messages)
    def mark_single(self, who: Actor, chat_id: ChatId, message_id: MessageId) -> None:
        command = MarkSingle(chat_id=chat_id, message_id=message_id)
        self.both(lambda m: m.messages.mark_single(who, command))

    @rule(who=people, chat_id=chats, index=st.integers(0, 9))
    def mark_one_of_the_last(self, who: Actor, chat_id: ChatId, index: int) -> None:
        """A message of the chat, which of all messages few are."""
        page = self.both(lambda m: m.messages.history(who.profile_id, chat_id, Newest(), 10))
        if isinstance(page, HistoryPage) and page.messages:
            message_id = page.messages[index % len(page.messages)].message.id
            self.mark_single(who, chat_id, message_id)
            self.both(lambda m: m.messages.readers(who.profile_id, chat_id, message_id, Paging()))
            self.both(lambda m: m.chats.list(who.profile_id, Paging()))

    @rule(who=people, chat_id=chats, message_id=messages)
    def readers(self, who: Actor, chat_id: ChatId, message_id: MessageId) -> None:
        self.both(lambda m: m.messages.readers(who.profile_id, chat_id, message_id, Paging()))

    @rule(who=people, chat_id=chats)
    def look(self, who: Actor, chat_id: ChatId) -> None:
        self.both(lambda m: m.chats.list(who.profile_id, Paging()))
        self.both(lambda m: m.chats.get(who.profile_id, chat_id))
        self.both(lambda m: m.chats.members(who.profile_id, chat_id, Paging()))
        self.both(lambda m: m.messages.unread_count(who.profile_id, chat_id))
        self.both(lambda m: m.feed.snapshot(who.profile_id, chat_id, 3))
        self.both(lambda m: m.feed.snapshot(who.profile_id, chat_id, 0))

    @rule(who=people, chat_id=chats, where=places, limit=st.integers(1, 5))
    def history(self, who: Actor, chat_id: ChatId, where: Where, limit: int) -> None:
        self.both(lambda m: m.messages.history(who.profile_id, chat_id, where, limit))

    @rule(chat_id=chats, after=st.integers(0, 6).map(Position), limit=st.integers(1, 5))
    def log(self, chat_id: ChatId, after: Position, limit: int) -> None:
        self.both(lambda m: m.feed.log(chat_id, after, limit))

    @rule()
    def what_is_new(self) -> None:
        news = [
            self.runner.run(each.messenger.feed.changes.since(cursor))
            for each, cursor in zip(self.worlds, self.cursors, strict=True)
        ]
        self.cursors = [each.cursor for each in news]
        memory, postgres = (ordered(each) for each in news)
        assert postgres == memory
        for read in memory[2]:
            self._recall(read)

    def _recall(self, read: ReadRange) -> None:
        self.both(lambda m: m.feed.changes.recall(read))


async def sign_up(world: MessengerWorld, new: Actor) -> None:
    async with world.begin() as work:
        await work.accounts.add(
            Account(id=new.account_id, email=Email(new.email), created_at=TickingClock().now())
        )
        await work.profiles.add(
            Profile(
                id=new.profile_id, account_id=new.account_id, first_name=Name(new.profile.first_name or "")
            )
        )


async def result(call: Callable[[], Awaitable[Any]]) -> Any:
    """Also what is raised before anything is awaited."""
    return await call()


async def outcome(use: Callable[[Messenger], Awaitable[Any]], messenger: Messenger) -> Any:
    try:
        found = await use(messenger)
    except (DomainError, ApplicationError) as error:
        return refusal(error)
    return evolve(found, epoch="") if isinstance(found, Snapshot) else found


def refusal(error: BaseException) -> tuple[Any, ...]:
    assert isinstance(error, DomainError | ApplicationError), error
    return type(error).__name__, error.code, error.first if isinstance(error, NonceReused) else error.args


def ordered(news: News) -> tuple[Any, ...]:
    """Personal events are in order for each person, receipts for each chat; between them nothing is promised."""
    return (
        dict(news.moved),
        sorted(news.personal, key=lambda event: event.profile_id),
        sorted(news.read, key=lambda read: (read.chat_id, read.to_seq, read.reader_id)),
    )


@pytest.mark.explored
def test_both_say_the_same(pair: Pair) -> None:
    class Machine(MessengerMachine):
        def __init__(self) -> None:
            super().__init__(pair)

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=15, stateful_step_count=45),
    )


def test_a_wrong_stamp_is_found(pair: Pair) -> None:
    with pair.beside.transaction():
        pair.beside.execute("INSERT INTO receipt VALUES (%s, %s, 1, 2, now(), 3)", (uuid4(), uuid4()))
    assert [name for name, *_ in pair.beside.execute(WRONG_STAMPS).fetchall()] == ["receipt"]

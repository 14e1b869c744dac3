"""Messages that are stored by what a process remembers of their chats, and what others change meanwhile."""

import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import tuple_row
from sqlalchemy.engine import make_url

from application.actor import Actor
from application.errors import OutcomeUnknown, Unavailable
from application.messages.send import Postponed, Sent
from application.ports.posting import Indigestible, Interrupted, Outdated
from application.ports.updates import Moved, NewMessage
from domain.chat import About, Chat
from domain.chat_errors import ChatNotFound, NotAMember, TooFrequent
from domain.ids import ChatId
from domain.member import Member
from domain.message import Body
from domain.profile import Name
from domain.role import Role
from infrastructure.postgres.driver.arrays import Bigint
from infrastructure.postgres.driver.connection import Connector
from infrastructure.postgres.driver.pipeline import COMMIT, Refused, Statement, carry_out
from infrastructure.postgres.posting import PostgresPostings
from infrastructure.postgres.remembered import PROOFS, Author, Memory, Remembered
from tests.contracts.talk import Talk, actor, known, open_chat, saying
from tests.infrastructure.postgres.cutter import Cut, Cutter
from tests.infrastructure.postgres.test_posting import ServerLog, draft_of, lanes, poison, texts
from tests.postgres import PostgresServer
from tests.storages import SharedStorage, make_lane, postgres_storage
from tests.strategies import START

SLOW = PROOFS + 1
"""Batches of a chat after which it is posted to by memory."""


@pytest.fixture
async def storage(messenger_database: str) -> AsyncIterator[SharedStorage]:
    async with postgres_storage(messenger_database) as storage:
        yield storage


@pytest.fixture
def logged(
    postgres_server: PostgresServer, messenger_database: str, beside: psycopg.Connection[Any]
) -> ServerLog:
    name = make_url(messenger_database).database
    beside.execute(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")
    return ServerLog(postgres_server.embedded.log_file)


def do_at_commit(beside: psycopg.Connection[Any], what: LiteralString) -> None:
    """Makes a table, and lets the server do this when it commits a row of it."""
    beside.execute("CREATE TABLE late (n bigint)")
    beside.execute(
        sql.SQL("CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS {}").format(
            sql.Literal(f"BEGIN {what}; RETURN NULL; END")
        )
    )
    beside.execute(
        """
        CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION at_commit()
        """
    )


async def settled(talk: Talk, who: Actor, *chats: Chat) -> None:
    """Says so much that the chats are remembered."""
    for number in range(SLOW):
        await talk.send(*[saying(who, chat.id, str(number)) for chat in chats])


async def test_a_batch_of_remembered_chats_takes_one_statement(
    logged: ServerLog, messenger_database: str
) -> None:
    async with postgres_storage(messenger_database) as storage:
        ann = actor()
        chats = [await open_chat(storage.begin, ann) for _ in range(3)]
        talk = Talk(storage)
        await settled(talk, ann, *chats)
        counts = []
        for number in (1, 60):
            logged.forget()
            await talk.send(*[saying(ann, chats[n % 3].id, f"more {n}") for n in range(number)])
            counts.append(len(logged.statements()))
        assert counts == [1, 1]
        assert len(await texts(storage, ann, chats[0])) == SLOW + 21


class TestChanges:
    """Each would be overlooked if what is remembered were believed."""

    async def test_a_removed_member_is_refused(self, storage: SharedStorage) -> None:
        ann, bob = actor(), actor()
        chat, talk = await open_chat(storage.begin, ann, bob), Talk(storage)
        await settled(talk, bob, chat)
        async with storage.begin() as work:
            now = await work.chats.lock(chat.id)
            by, member = [await work.chats.find_member(chat.id, who.profile_id) for who in (ann, bob)]
            await work.chats.keep(now, now.remove(by, member, at=START))
        (answer,) = await talk.send(saying(bob, chat.id, "still here?"))
        assert isinstance(answer, NotAMember)
        assert len(await texts(storage, ann, chat)) == SLOW

    async def test_a_membership_that_ended_beside_the_head_is_noticed(
        self, storage: SharedStorage, beside: psycopg.Connection[Any]
    ) -> None:
        ann, bob = actor(), actor()
        chat, talk = await open_chat(storage.begin, ann, bob), Talk(storage)
        await settled(talk, bob, chat)
        beside.execute("UPDATE member SET left_at = now() WHERE profile_id = %s", [bob.profile_id])
        (answer,) = await talk.send(saying(bob, chat.id, "still here?"))
        assert isinstance(answer, NotAMember)

    async def test_a_deleted_chat_is_not_posted_to(self, storage: SharedStorage) -> None:
        ann = actor()
        chat, talk = await open_chat(storage.begin, ann), Talk(storage)
        await settled(talk, ann, chat)
        async with storage.begin() as work:
            now, members = await work.chats.lock(chat.id), await work.chats.members(chat.id)
            await work.chats.keep(now, now.delete(members[0], members, at=START))
        (answer,) = await talk.send(saying(ann, chat.id, "late"))
        assert isinstance(answer, ChatNotFound)

    async def test_a_new_name_is_announced(self, storage: SharedStorage) -> None:
        (ann,) = await known(storage.begin, "Ann")
        chat, talk = await open_chat(storage.begin, ann), Talk(storage)
        await settled(talk, ann, chat)
        async with storage.begin() as work:
            profile = await work.profiles.lock(ann.profile_id)
            profile.edit(first_name=Name("Anna"))
            await work.profiles.save(profile)
        await talk.say(ann, chat.id, "who am I")
        told = [update.view.sender.first_name for update in talk.published if isinstance(update, NewMessage)]
        assert told == ["Ann"] * SLOW + ["Anna"]

    async def test_a_repeat_is_answered_with_the_first(self, storage: SharedStorage) -> None:
        ann = actor()
        chat, talk = await open_chat(storage.begin, ann), Talk(storage)
        first = await talk.say(ann, chat.id, "once", nonce="n")
        await settled(talk, ann, chat)
        answers = await talk.send(
            saying(ann, chat.id, "once", nonce="n"),
            saying(ann, chat.id, "new", nonce="m"),
            saying(ann, chat.id, "new", nonce="m"),
        )
        assert [isinstance(answer, Sent) and answer.duplicate for answer in answers] == [True, False, True]
        assert isinstance(answers[0], Sent)
        assert answers[0].event.message.id == first.message.id
        assert len(await texts(storage, ann, chat)) == SLOW + 2

    async def test_another_process_takes_numbers_between(self, storage: SharedStorage) -> None:
        ann = actor()
        chats, talk = [await open_chat(storage.begin, ann) for _ in range(2)], Talk(storage)
        elsewhere = talk.sending(storage.neighbour())
        await settled(talk, ann, *chats)
        for number in range(2 * SLOW):
            if number % SLOW == 0:
                await elsewhere([saying(ann, chats[0].id, f"elsewhere {number}")])
            answers = await talk.send(*[saying(ann, chat.id, f"here {number}") for chat in chats])
            assert all(isinstance(answer, Sent) for answer in answers)
        assert len(await texts(storage, ann, chats[0])) == SLOW + 2 + 2 * SLOW
        assert len(await texts(storage, ann, chats[1])) == SLOW + 2 * SLOW

    async def test_a_held_chat_is_postponed(self, storage: SharedStorage) -> None:
        ann = actor()
        held, free = [await open_chat(storage.begin, ann) for _ in range(2)]
        talk = Talk(storage)
        await settled(talk, ann, held, free)
        async with storage.begin() as work:
            await work.chats.lock(held.id)
            answers = await talk.send(saying(ann, held.id, "a"), saying(ann, free.id, "b"))
        assert [type(answer) for answer in answers] == [Postponed, Sent]

    async def test_a_renamed_chat_is_posted_to(self, storage: SharedStorage) -> None:
        ann = actor()
        chat, talk = await open_chat(storage.begin, ann), Talk(storage)
        await settled(talk, ann, chat)
        async with storage.begin() as work:
            now = await work.chats.lock(chat.id)
            by = await work.chats.find_member(chat.id, ann.profile_id)
            await work.chats.keep(now, now.change(by, About("Another name"), at=START))
        event = await talk.say(ann, chat.id, "after")
        assert event.position == event.message.seq + 1

    async def test_texts_without_a_nonce_are_still_told_from_repeats(self, storage: SharedStorage) -> None:
        ann = actor()
        chat, talk = await open_chat(storage.begin, ann), Talk(storage, interval=timedelta(hours=1))
        for number in range(SLOW):
            await talk.say(ann, chat.id, str(number))
        talk.clock.at = START + timedelta(
            minutes=59, seconds=59
        )  # the next slot, in which the text has another key
        (answer,) = await talk.send(saying(ann, chat.id, "0"))
        assert isinstance(answer, TooFrequent)

    async def test_nothing_is_remembered_over_another_connection(
        self, storage: SharedStorage, messenger_database: str, logged: ServerLog
    ) -> None:
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        async with lanes(storage, messenger_database) as here:
            for number in range(SLOW):
                await here.outcomes(saying(ann, chat.id, str(number)))
            assert here.lane._driver is not None
            await here.lane._driver.close()
            await here.backend()  # connected again
            logged.forget()
            await here.outcomes(saying(ann, chat.id, "after"))
            assert len(logged.statements()) == 5


async def test_an_empty_batch_is_nothing(storage: SharedStorage) -> None:
    ann = actor()
    chat, talk = await open_chat(storage.begin, ann), Talk(storage)
    await settled(talk, ann, chat)
    assert not await talk.send()


async def test_a_decision_that_keeps_nothing_in_a_remembered_chat_is_made_again(
    storage: SharedStorage,
) -> None:
    """A message that is stored in one chat does not prove that the memory of another chat is current."""
    ann = actor()
    kept, refused = [await open_chat(storage.begin, ann) for _ in range(2)]
    await settled(Talk(storage), ann, kept, refused)
    drafts = [draft_of(saying(ann, chat.id, "x")) for chat in (kept, refused)]

    async def keep_one() -> None:
        async with storage.begin_posting() as posting:
            chats = (await posting.open(drafts, None)).chats
            member = Member(chat_id=kept.id, profile_id=ann.profile_id, role=Role.OWNER, joined_at=START)
            event = chats[kept.id].post(member, Body("x"), id=drafts[0].id, nonce=None, at=START)
            await posting.keep([chats[kept.id]], [event])

    async def keep_none() -> None:
        async with storage.begin_posting() as posting:
            await posting.open(drafts[:1], None)

    with pytest.raises(Outdated):
        await keep_one()
    await settled(Talk(storage), ann, kept)
    with pytest.raises(Outdated):
        await keep_none()
    assert len(await texts(storage, ann, kept)) == 2 * SLOW


class TestTrouble:
    async def test_only_the_poison_is_refused(self, storage: SharedStorage, messenger_database: str) -> None:
        ann, bob = actor(), actor()
        chat, other = await open_chat(storage.begin, ann), await open_chat(storage.begin, bob)
        async with lanes(storage, messenger_database) as here:
            for number in range(SLOW):
                await here.outcomes(saying(ann, chat.id, str(number)), saying(bob, other.id, str(number)))
            found = await here.outcomes(
                saying(ann, chat.id, "a"),
                poison(ann, chat),
                saying(ann, chat.id, "b"),
                saying(bob, other.id, "c"),
            )
        assert [found.index(each) for each in found if each is Indigestible] == [1]
        assert (await texts(storage, ann, chat))[SLOW:] == ["a", "b"]
        assert (await texts(storage, bob, other))[SLOW:] == ["c"]

    @pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT, Cut.SILENCE])
    async def test_an_answer_that_was_not_heard_leaves_it_open_and_a_repeat_stores_once(
        self, storage: SharedStorage, messenger_database: str, postgres_server: PostgresServer, cut: Cut
    ) -> None:
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        embedded, url = postgres_server.embedded, make_url(messenger_database)
        proxy = Cutter(embedded.socket_dir / f".s.PGSQL.{embedded.port}", sign=b"by memory")
        with tempfile.TemporaryDirectory(prefix="cut-") as folder:
            through = url.set(query={**url.query, "host": folder, "port": "5432"})
            async with (
                proxy.listening(Path(folder)),
                lanes(storage, through.render_as_string(hide_password=False), deadline=1.0) as here,
            ):
                for number in range(SLOW):
                    await here.outcomes(saying(ann, chat.id, str(number)))
                here.talk.published.clear()
                proxy.cut = cut
                named = saying(ann, chat.id, "by memory", nonce="n")
                assert await here.outcomes(named) == [OutcomeUnknown]
                assert here.talk.published == [Moved(chat_id=chat.id)], "listeners look for themselves"
                proxy.cut = Cut.NOWHERE
                (again,) = await here.outcomes(named)
        assert again.duplicate == (cut is not Cut.BEFORE_COMMIT)
        assert (await texts(storage, ann, chat)).count("by memory") == 1

    async def test_what_the_server_refuses_when_it_commits_is_refused(
        self, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        """Such a refusal comes after the answer to the statement."""
        do_at_commit(beside, "RAISE EXCEPTION USING ERRCODE = 'P0001'")
        connection = await Connector(target=messenger_database, deadline=10.0).connect(tuple_row)
        with pytest.raises(Refused) as refused:
            await carry_out(
                connection, Statement("INSERT INTO late VALUES (%s) RETURNING n", (Bigint.of(1),))
            )
        assert refused.value.statement is COMMIT
        assert refused.value.error.sqlstate == "P0001"
        assert await carry_out(connection, Statement("SELECT count(*) FROM late")) == [(0,)]
        await connection.close()

    async def test_a_server_that_ends_the_connection_as_it_commits_leaves_it_open(
        self, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        """The error that says so comes after the answer to the statement."""
        do_at_commit(beside, "PERFORM pg_terminate_backend(pg_backend_pid())")
        lane = make_lane(messenger_database)

        async def insert() -> None:
            async with lane.begin() as batch:
                batch.finish(Statement("INSERT INTO late VALUES (%s) RETURNING n", (Bigint.of(1),)))

        with pytest.raises(OutcomeUnknown):
            await insert()
        async with lane.begin() as batch:
            batch.finish(Statement("SELECT count(*) FROM late"))
        assert batch.told == [(0,)]
        await lane.close()

    async def test_a_server_that_ends_the_connection_before_it_answers_has_stored_nothing(
        self, messenger_database: str
    ) -> None:
        lane = make_lane(messenger_database)

        async def end_it() -> None:
            async with lane.begin() as batch:
                batch.finish(Statement("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(Interrupted):
            await end_it()
        async with lane.begin() as batch:
            batch.finish(Statement("SELECT 1"))
        assert batch.told == [(1,)]
        await lane.close()

    async def test_a_statement_that_a_change_of_the_tables_has_made_useless_is_prepared_again(
        self, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        beside.execute("CREATE TABLE changing (n bigint)")
        lane, asked = (
            make_lane(messenger_database),
            Statement("SELECT * FROM changing WHERE n = %s", (Bigint.of(1),)),
        )

        async def ask() -> None:
            async with lane.begin() as batch:
                batch.finish(asked)

        await ask()
        beside.execute("ALTER TABLE changing ADD COLUMN m bigint")
        with pytest.raises(Unavailable):
            await ask()
        await ask()
        await lane.close()


class TestMemory:
    def test_only_what_was_proved_of_known_authors_is_taken(self) -> None:
        memory, ann, bob = Memory(), actor(), actor()
        proved, new = remembered(ann, proofs=PROOFS), remembered(ann, proofs=PROOFS - 1)
        memory.put(proved)
        memory.put(new)
        of = {who: draft_of(saying(who, proved.chat.id)) for who in (ann, bob)}
        assert not memory.take([of[ann], of[bob]])
        assert not memory.take([of[ann], draft_of(saying(ann, new.chat.id))])
        assert memory.take([of[ann], of[ann]]) == {proved.chat.id: proved}
        assert not memory.take([of[ann]]), "it is taken out"

    def test_the_chats_that_were_posted_to_longest_ago_are_forgotten(self) -> None:
        memory, ann = Memory(most=5), actor()
        chats = [remembered(ann, proofs=PROOFS) for _ in range(3)]  # two each, with the author
        for each in chats:
            memory.put(each)
        assert [memory.pop(each.chat.id) for each in chats] == [None, *chats[1:]]
        chats[0].authors |= {
            who.profile_id: chats[0].authors[ann.profile_id] for who in [actor() for _ in range(5)]
        }
        memory.put(chats[0])
        assert memory.pop(chats[0].chat.id) is None, "it is too large"
        memory.put(chats[1])
        memory.put(chats[2])
        assert memory.pop(chats[1].chat.id) is chats[1]

    async def test_it_can_be_switched_off(
        self, storage: SharedStorage, messenger_database: str, logged: ServerLog
    ) -> None:
        lane, talk, ann = make_lane(messenger_database), Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        send = talk.sending(PostgresPostings(lane, memory=Memory(0)).begin)
        for _ in range(SLOW):
            await send([saying(ann, chat.id)])
        logged.forget()
        await send([saying(ann, chat.id)])
        assert len(logged.statements()) == 5
        await lane.close()


def remembered(who: Actor, *, proofs: int) -> Remembered:
    chat, _ = Chat.open(id=ChatId(uuid4()), about=About("x"), owner_id=who.profile_id, others=[], at=START)
    member = Member(chat_id=chat.id, profile_id=who.profile_id, role=Role.OWNER, joined_at=START)
    return Remembered(chat, tx=1, proofs=proofs, authors={who.profile_id: Author(member, None, None)})

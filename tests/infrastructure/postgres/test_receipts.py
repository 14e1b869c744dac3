"""Pages need few of the receipts, however many people read."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve

from application.actor import Actor
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle, MarkSingleHandler
from domain.chat import Chat
from domain.events import MessagesRead
from domain.ids import ChatId, ProfileId, Seq
from infrastructure.postgres.receipts import ENOUGH, read_before_in_batch
from tests.contracts.talk import Talk, actor, open_chat
from tests.storages import SharedStorage, conninfo, postgres_storage
from tests.strategies import START
from tests.unlimited import UNLIMITED

MESSAGES = 6


@pytest.fixture
def beside(messenger_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(conninfo(messenger_database), autocommit=True) as connection:
        yield connection


async def crowd(storage: SharedStorage) -> tuple[Talk, Chat, Sequence[Actor]]:
    """Makes a chat of thirty people, in which the first has written some messages."""
    talk, people = Talk(storage), [actor() for _ in range(30)]
    chat = await open_chat(storage.begin, *people)
    for _ in range(MESSAGES):
        await talk.say(people[0], chat.id)
    return talk, chat, people


def early(beside: psycopg.Connection[Any], chat: Chat) -> list[tuple[int, int, int]]:
    """Returns the number of early receipts, and of all, by the message at which they end."""
    return beside.execute(
        "SELECT to_seq, count(*) FILTER (WHERE early), count(*) FROM receipt WHERE chat_id = %s GROUP BY to_seq ORDER BY to_seq",
        (chat.id,),
    ).fetchall()


@pytest.mark.parametrize("at_once", [1, 7, 29])
async def test_the_first_two_who_mark_a_message_are_early(
    messenger_database: str, beside: psycopg.Connection[Any], at_once: int
) -> None:
    async with postgres_storage(messenger_database) as storage:
        talk, chat, (_, *readers) = await crowd(storage)
        for seq in range(1, MESSAGES + 1):
            for start in range(0, len(readers), at_once):
                marks = [MarkRead(chat_id=chat.id, up_to=Seq(seq)) for _ in readers[start : start + at_once]]
                await talk.mark(*zip(readers[start : start + at_once], marks, strict=True))
    assert early(beside, chat) == [(seq, ENOUGH, len(readers)) for seq in range(1, MESSAGES + 1)]


async def test_one_who_reads_a_message_singly_is_early(
    messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    async with postgres_storage(messenger_database) as storage:
        talk, chat, (author, *readers) = await crowd(storage)
        use = MarkSingleHandler(limits=UNLIMITED, begin=talk.begin, clock=talk.clock)
        last = await talk.say(author, chat.id)
        for reader in readers:
            await use(reader, MarkSingle(chat_id=chat.id, message_id=last.message.id))
    assert early(beside, chat) == [(MESSAGES + 1, 1, len(readers))]


CHAT = ChatId(uuid4())
READERS = [ProfileId(uuid4()) for _ in range(12)]


def read(reader: int, from_seq: int, to_seq: int, second: int) -> MessagesRead:
    return MessagesRead(
        chat_id=CHAT,
        reader_id=READERS[reader],
        from_seq=Seq(from_seq),
        to_seq=Seq(to_seq),
        at=START + timedelta(seconds=second),
        message_ids=(),
        count=1,
        by_author={},
    )


def test_of_a_batch_those_count_that_went_as_far_before() -> None:
    reads = [read(0, 1, 5, 0), read(1, 1, 4, 0), read(2, 3, 5, 1), read(3, 5, 6, 1), read(4, 1, 5, 0)]
    assert read_before_in_batch(reads, {}) == [0, 1, 1, 0, 1]
    assert read_before_in_batch(reads[::-1], {}) == [0, 0, 2, 1, 1]


def test_who_had_read_all_of_it_before_the_batch_is_counted_by_the_statement_alone() -> None:
    assert read_before_in_batch([read(0, 6, 9, 0), read(1, 1, 5, 0)], {}) == [0, 0]


def test_who_has_read_something_later_is_not_counted() -> None:
    reads = [read(0, 1, 5, 0), read(1, 1, 5, 3)]
    assert read_before_in_batch(reads, {(CHAT, READERS[0]): START + timedelta(seconds=3)}) == [0, 1]
    assert read_before_in_batch(reads, {(CHAT, READERS[0]): START + timedelta(seconds=4)}) == [0, 0]


def test_of_many_in_a_batch_enough_are_counted() -> None:
    assert min(read_before_in_batch([read(n, 1, 5, 0) for n in range(12)], {})[ENOUGH:]) >= ENOUGH
    descending = read_before_in_batch([read(n, 1, 20 - n, 0) for n in range(12)], {})
    assert min(descending[ENOUGH:]) >= ENOUGH


def test_chats_count_for_themselves() -> None:
    elsewhere = evolve(read(1, 1, 5, 0), chat_id=ChatId(uuid4()))
    assert read_before_in_batch([read(0, 1, 5, 0), elsewhere], {}) == [0, 0]

"""What every storage promises to a client that comes back after a while, over all of its chats."""

import asyncio

import pytest

from application.actor import Actor
from application.ports.changes import Cursor
from application.ports.own_changes import Lost, Missed, Standing
from application.ports.updates import NewMessage
from application.ports.views import LogSpan
from domain.events import ChatAdded, ChatRemoved, Removal
from domain.ids import ChatId, Position
from tests.contracts.talk import Talk, actor, open_chat, saying
from tests.storages import SharedStorage
from tests.strategies import START


async def missed_by(storage: SharedStorage, who: Actor, cursor: Cursor) -> Missed:
    missed = await storage.own_changes.since(who.profile_id, cursor)
    assert isinstance(missed, Missed), missed
    return missed


async def standing_of(storage: SharedStorage, who: Actor, chat_id: ChatId, cursor: Cursor) -> Standing:
    (standing,) = [
        each for each in (await missed_by(storage, who, cursor)).standings if each.chat_id == chat_id
    ]
    return standing


async def test_every_chat_tells_from_where_it_moved(storage: SharedStorage) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    moved, still = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann, bob)
    for chat in (moved, still):
        for number in range(5):
            await talk.say(ann, chat.id, f"{number}")
    cursor = await storage.own_changes.here()
    for number in range(3):
        await talk.say(ann, moved.id, f"more {number}")
    missed = await missed_by(storage, bob, cursor)
    assert {
        each.chat_id: (each.first_missed, each.last_position, each.unread_count) for each in missed.standings
    } == {
        moved.id: (6, 8, 8),
        still.id: (None, 5, 5),
    }
    assert list(missed.personal) == []
    assert (await standing_of(storage, bob, moved.id, missed.cursor)).first_missed is None
    assert set(await storage.own_changes.chats_of(bob.profile_id)) == {moved.id, still.id}


@pytest.mark.parametrize("before", range(9))
async def test_the_first_missed_position_is_exact(storage: SharedStorage, before: int) -> None:
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    cursor = await storage.own_changes.here()
    for number in range(8):
        if number == before:
            cursor = await storage.own_changes.here()
        await talk.say(ann, chat.id, f"{number}")
    if before == 8:
        cursor = await storage.own_changes.here()
    standing = await standing_of(storage, ann, chat.id, cursor)
    assert standing.first_missed == (before + 1 if before < 8 else None)
    assert standing.last_position == 8


async def test_the_first_missed_position_is_exact_however_many_were_missed(storage: SharedStorage) -> None:
    """Clients with all of these cursors ask at the same moment."""
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    cursors = []
    for number in range(40):
        cursors.append(await storage.own_changes.here())
        await talk.say(ann, chat.id, f"{number}")
    cursors.append(await storage.own_changes.here())
    standings = await asyncio.gather(*(standing_of(storage, ann, chat.id, cursor) for cursor in cursors))
    assert [each.first_missed for each in standings] == [*range(1, 41), None]


async def test_each_of_several_people_misses_what_lies_after_their_own_cursor(storage: SharedStorage) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    early = await storage.own_changes.here()
    added = await open_chat(storage.begin, ann, bob)
    await talk.say(ann, chat.id)
    late = await storage.own_changes.here()
    of_ann, of_bob = await asyncio.gather(missed_by(storage, ann, late), missed_by(storage, bob, early))
    assert list(of_ann.personal) == []
    assert [event.chat_id for event in of_bob.personal if isinstance(event, ChatAdded)] == [added.id]
    assert {each.chat_id: each.first_missed for each in of_ann.standings} == {chat.id: None, added.id: None}
    assert {each.chat_id: each.first_missed for each in of_bob.standings} == {chat.id: 1, added.id: None}


async def test_read_marks_of_oneself_and_of_others(storage: SharedStorage) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    said = await talk.say(ann, chat.id)
    before = await storage.own_changes.here()
    assert not (await standing_of(storage, bob, chat.id, before)).is_read
    await talk.read(bob, chat.id, said.message.id)
    own, others = [await standing_of(storage, who, chat.id, before) for who in (bob, ann)]
    assert (own.is_read, own.read_up_to, own.unread_count) == (True, 1, 0)
    assert (others.is_read, others.read_up_to, others.others_read_up_to) == (True, 0, 1)
    assert not (await standing_of(storage, bob, chat.id, await storage.own_changes.here())).is_read


async def test_a_mark_that_passes_only_own_messages(storage: SharedStorage) -> None:
    """No node announces it, so a returning client must learn of it here."""
    talk, ann, bob = Talk(storage), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    said = await talk.say(ann, chat.id)
    before = await storage.own_changes.here()
    await talk.read(ann, chat.id, said.message.id)
    own = await standing_of(storage, ann, chat.id, before)
    assert (own.is_read, own.read_up_to, own.unread_count) == (True, 1, 0)


async def test_the_own_log_tells_of_chats_joined_and_left(storage: SharedStorage) -> None:
    ann, bob = actor(), actor()
    old = await open_chat(storage.begin, ann, bob)
    cursor = await storage.own_changes.here()
    new = await open_chat(storage.begin, ann, bob)
    async with storage.begin() as work:
        chat = await work.chats.lock(old.id)
        by = await work.chats.find_member(old.id, ann.profile_id)
        gone = await work.chats.find_member(old.id, bob.profile_id)
        assert by
        assert gone
        await work.chats.keep(chat, chat.remove(by, gone, at=START))
    missed = await missed_by(storage, bob, cursor)
    assert [
        (type(event), event.chat_id) for event in missed.personal if not hasattr(event, "session_id")
    ] == [
        (ChatAdded, new.id),
        (ChatRemoved, old.id),
    ]
    assert [event.reason for event in missed.personal if isinstance(event, ChatRemoved)] == [Removal.REMOVED]
    assert [each.chat_id for each in missed.standings] == [new.id]
    assert list(await storage.own_changes.chats_of(bob.profile_id)) == [new.id]
    assert list((await missed_by(storage, bob, missed.cursor)).personal) == []


async def test_who_has_no_chats(storage: SharedStorage) -> None:
    nobody = actor()
    missed = await missed_by(storage, nobody, await storage.own_changes.here())
    assert (missed.standings, missed.personal) == ([], [])
    assert list(await storage.own_changes.chats_of(nobody.profile_id)) == []


async def test_a_cursor_that_is_not_of_this_history(storage: SharedStorage) -> None:
    who, here = actor(), await storage.own_changes.here()
    elsewhere = Cursor(epoch="elsewhere", place=here.place)
    assert await storage.own_changes.since(who.profile_id, elsewhere) is Lost.EPOCH
    nonsense = Cursor(epoch=here.epoch, place="nonsense")
    assert await storage.own_changes.since(who.profile_id, nonsense) is Lost.MALFORMED


async def test_cursors_are_those_of_a_node(storage: SharedStorage) -> None:
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    assert await storage.changes.now() == await storage.own_changes.here()
    cursor = (await storage.changes.since(await storage.changes.now())).cursor
    await talk.say(ann, chat.id)
    assert (await standing_of(storage, ann, chat.id, cursor)).first_missed == 1


async def test_parts_of_several_logs(storage: SharedStorage) -> None:
    talk, ann = Talk(storage), actor()
    chats = [await open_chat(storage.begin, ann) for _ in range(3)]
    for chat in chats:
        await talk.send(*[saying(ann, chat.id) for _ in range(5)])
    spans = [
        LogSpan(chat.id, Position(after), Position(last))
        for chat, (after, last) in zip(chats, ((0, 2), (4, 5), (3, 9)), strict=True)
    ]
    updates = await storage.views.logs(spans)
    assert [(update.chat_id, update.position) for update in updates] == [
        (chats[0].id, 1),
        (chats[0].id, 2),
        (chats[1].id, 5),
        (chats[2].id, 4),
        (chats[2].id, 5),
    ]
    one = await storage.views.log(chats[1].id, Position(4), 10)
    assert isinstance(updates[2], NewMessage)
    assert [updates[2]] == list(one)


async def test_some_chats_of_a_reader(storage: SharedStorage) -> None:
    ann, bob = actor(), actor()
    own, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, bob)
    page = await storage.views.list_chats(ann.profile_id)
    assert list(await storage.views.some_chats(ann.profile_id, [own.id, other.id])) == list(page)
    assert list(await storage.views.some_chats(ann.profile_id, [])) == []

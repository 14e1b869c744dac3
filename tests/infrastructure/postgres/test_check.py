"""Every kind of damage is found, what can be set right is, and nothing is wrong where nothing was damaged."""

from collections.abc import AsyncIterator, Sequence

import psycopg
import pytest
from attrs import frozen
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from application.actor import Actor
from application.chats.add_members import AddMembers, AddMembersHandler
from application.chats.change import ChangeChat, ChangeChatHandler
from application.chats.delete import DeleteChat, DeleteChatHandler
from application.chats.remove_member import RemoveMember, RemoveMemberHandler
from application.checkup import Examined, Finding
from domain.chat import Chat
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.schema.check import OF_CHATS, OF_PROFILES, Checkup
from tests.contracts.talk import Talk, known, open_chat
from tests.contracts.test_purging import purge_all
from tests.postgres import BASE
from tests.storages import SharedStorage, postgres_storage
from tests.unlimited import ADDING


@frozen
class Scene:
    url: str
    engine: AsyncEngine
    storage: SharedStorage
    ann: Actor
    ben: Actor
    chat: Chat

    def damage(self, statement: str) -> int:
        with psycopg.connect(
            make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False),
            autocommit=True,
        ) as connection:
            return connection.execute(
                statement, {"chat": self.chat.id, "ann": self.ann.profile_id, "ben": self.ben.profile_id}
            ).rowcount

    async def check(self, *, repair: bool = False) -> Examined:
        return await Checkup(self.engine, repair=repair)()


@pytest.fixture
async def scene(emptied_database: str) -> AsyncIterator[Scene]:
    """Two people, a chat with eight messages, a change and marks, and another chat that nobody damages."""
    engine = make_engine(emptied_database, size=4)
    async with postgres_storage(emptied_database) as storage:
        ann, ben, cid = await known(storage.begin, "Ann", "Ben", "Cid")
        chat = await open_chat(storage.begin, ann, ben)
        other = await open_chat(storage.begin, ben, ann, cid)
        talk = Talk(storage)
        last = await talk.say(ann, chat.id, "first")
        for number in range(3):
            last = await talk.say(ann, chat.id, f"ann {number}")
            await talk.say(ben, chat.id, f"ben {number}")
            await talk.say(ben, other.id, f"other {number}")
        await talk.read(ben, chat.id, last.message.id)
        change = ChangeChatHandler(adding=ADDING, begin=storage.begin, views=storage.views, clock=talk.clock)
        await change(ann, ChangeChat(chat_id=chat.id, name="Another", member_ids=(cid.profile_id,)))
        await talk.say(ben, chat.id, "last")
        yield Scene(emptied_database, engine, storage, ann, ben, chat)
    await engine.dispose()


def kinds(findings: Sequence[Finding]) -> set[str]:
    return {finding.what for finding in findings}


async def test_nothing_is_wrong_when_somebody_comes_again(scene: Scene) -> None:
    """What other tables repeat of a membership follows it."""
    talk = Talk(scene.storage)
    leave = RemoveMemberHandler(begin=talk.begin, clock=talk.clock)
    await leave(scene.ben, RemoveMember(chat_id=scene.chat.id, profile_id=scene.ben.profile_id))
    add = AddMembersHandler(adding=ADDING, begin=talk.begin, views=scene.storage.views, clock=talk.clock)
    await add(scene.ann, AddMembers(chat_id=scene.chat.id, profile_ids=(scene.ben.profile_id,)))
    assert list((await scene.check()).remaining) == []


async def test_nothing_is_wrong_at_first(scene: Scene) -> None:
    examined = await scene.check(repair=True)
    assert (list(examined.repaired), list(examined.remaining)) == ([], [])
    assert (examined.chats, examined.profiles) == (2, 3)


REPAIRABLE = {
    "UPDATE chat_head SET last_seq = 3 WHERE chat_id = %(chat)s": {"a chat's head is behind its messages"},
    "UPDATE chat_head SET last_position = 2 WHERE chat_id = %(chat)s": {"a chat's head is behind its log"},
    "UPDATE chat_head SET first_position = 3 WHERE chat_id = %(chat)s": {
        "the first position of a chat's head is after the start of its log"
    },
    "UPDATE chat_head SET member_count = 1 WHERE chat_id = %(chat)s": {"a chat counts its members wrong"},
    "DELETE FROM chat_log WHERE chat_id = %(chat)s AND position = 4": {"a message is not in its chat's log"},
    "DELETE FROM reading WHERE chat_id = %(chat)s AND profile_id = %(ann)s": {"a member has no reading"},
    "UPDATE reading SET mark = 100 WHERE chat_id = %(chat)s AND profile_id = %(ann)s": {
        "a mark lies beyond the last message"
    },
    "UPDATE reading SET less = less + 1 WHERE chat_id = %(chat)s AND profile_id = %(ben)s": {
        "unread messages are counted wrong"
    },
    "UPDATE reading SET less = -3 WHERE chat_id = %(chat)s": {"unread messages are counted wrong"},
    "DELETE FROM profile_chat WHERE chat_id = %(chat)s AND profile_id = %(ann)s": {
        "a member's own list of chats disagrees"
    },
    "UPDATE profile_chat SET left_at = joined_at WHERE chat_id = %(chat)s AND profile_id = %(ann)s": {
        "a member's own list of chats disagrees"
    },
    "UPDATE profile_chat SET chat_id = gen_random_uuid() WHERE chat_id = %(chat)s AND profile_id = %(ben)s": {
        "a member's own list of chats disagrees",
        "a person's list has a chat that they were never in",
    },
    "UPDATE profile_head SET last_position = 0 WHERE profile_id = %(ann)s": {
        "a profile's head is behind its log"
    },
    "DELETE FROM profile_head WHERE profile_id = %(ann)s": {"a profile's head is behind its log"},
}


@pytest.mark.parametrize("damage", REPAIRABLE)
async def test_what_is_behind_its_rows_is_set_right(scene: Scene, damage: str) -> None:
    assert scene.damage(damage)
    found = await scene.check()
    assert kinds(found.remaining) == REPAIRABLE[damage]
    assert list(found.repaired) == []
    assert all(finding.can_be_repaired for finding in found.remaining)
    repaired = await scene.check(repair=True)
    assert (kinds(repaired.repaired), list(repaired.remaining)) == (REPAIRABLE[damage], [])
    again = await scene.check()
    assert list(again.remaining) == []


HOPELESS = {
    "DELETE FROM message WHERE chat_id = %(chat)s AND seq = 3": {
        "messages are missing",
        "entries of a chat's log are missing",
    },
    "UPDATE chat_head SET last_seq = 20 WHERE chat_id = %(chat)s": {"messages are missing"},
    "UPDATE chat_head SET last_position = 20 WHERE chat_id = %(chat)s": {
        "entries of a chat's log are missing"
    },
    "DELETE FROM chat_log WHERE chat_id = %(chat)s AND kind <> 1": {"entries of a chat's log are missing"},
    "DELETE FROM profile_log WHERE profile_id = %(ann)s": {"entries of a profile's log are missing"},
}


@pytest.mark.parametrize("damage", HOPELESS)
async def test_what_is_missing_is_told_and_no_number_is_handed_out_again(scene: Scene, damage: str) -> None:
    assert scene.damage(damage)
    examined = await scene.check(repair=True)
    assert HOPELESS[damage] <= kinds(examined.remaining)
    assert not any(finding.can_be_repaired for finding in examined.remaining)
    last = await Talk(scene.storage).say(scene.ben, scene.chat.id, "after all")
    assert last.message.seq >= 9
    assert last.position >= 11


async def test_every_kind_is_tried_here() -> None:
    assert {rule.what for rule in (*OF_CHATS, *OF_PROFILES)} == set().union(
        *REPAIRABLE.values(), *HOPELESS.values()
    )


async def test_what_is_set_right_is_stamped_as_new(scene: Scene) -> None:
    scene.damage("UPDATE reading SET less = -3, tx = 0 WHERE chat_id = %(chat)s")
    await scene.check(repair=True)
    wrong = "UPDATE reading SET mark = mark WHERE chat_id = %(chat)s AND tx < " + str(BASE)
    assert scene.damage(wrong) == 0


async def test_several_things_at_once(scene: Scene) -> None:
    for damage in (
        "UPDATE chat_head SET last_seq = 3, last_position = 2, member_count = 7 WHERE chat_id = %(chat)s",
        "UPDATE reading SET less = 50, mark = 0 WHERE chat_id = %(chat)s",
        "DELETE FROM profile_chat WHERE chat_id = %(chat)s",
        "DELETE FROM chat_log WHERE chat_id = %(chat)s AND position IN (2, 3)",
    ):
        scene.damage(damage)
    assert list((await scene.check(repair=True)).remaining) == []
    views = scene.storage.views
    assert await views.unread_count(scene.ben.profile_id, scene.chat.id) == 0
    assert await views.unread_count(scene.ann.profile_id, scene.chat.id) == 4


async def test_a_chat_that_is_deleted_or_half_purged_is_as_it_should_be(scene: Scene) -> None:
    talk = Talk(scene.storage)
    delete = DeleteChatHandler(begin=scene.storage.begin, clock=talk.clock)
    await delete(scene.ann, DeleteChat(chat_id=scene.chat.id))
    assert list((await scene.check()).remaining) == []
    for rows in (4, 9, 100):
        await purge_all(scene.storage, rows)
        assert list((await scene.check()).remaining) == []


async def test_progress_is_told(scene: Scene) -> None:
    told: list[tuple[int, int]] = []
    await Checkup(scene.engine, progress=lambda done, total: told.append((done, total)))()
    assert told[-1] == (5, 5)

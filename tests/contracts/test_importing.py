"""From a database of the original messenger into every storage."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from uuid import UUID, uuid4

import pytest
from attrs import evolve

from application.importing.import_original import UNNAMED, ImportOriginalHandler
from application.importing.imported import Imported
from application.ports.views import Newest
from application.views import NOBODY
from config.importing import source_conninfo
from domain.account import Account, AccountNotFound, Email
from domain.ids import AccountId, ChatId, ProfileId
from domain.profile import Profile
from infrastructure.original.database import NotAnOriginal, original_database
from tests.contracts.talk import actor
from tests.contracts.test_membership import Circle
from tests.original import BEGAN, HASH, OriginalPlace
from tests.postgres import TEMPLATE, PostgresServer
from tests.storages import SharedStorage, conninfo


@pytest.fixture
def name(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.fresh_database()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def old(postgres_server: PostgresServer, name: str) -> Iterator[OriginalPlace]:
    with postgres_server.connect(name) as connection:
        yield OriginalPlace(connection)


@pytest.fixture
def source(postgres_server: PostgresServer, name: str) -> str:
    return source_conninfo(postgres_server.url(name), None)


def importing(storage: SharedStorage) -> ImportOriginalHandler:
    return ImportOriginalHandler(
        begin=storage.begin,
        begin_posting=storage.begin_patient_posting,
        begin_marking=storage.begin_marking,
    )


async def imported(storage: SharedStorage, source: str) -> Imported:
    told: list[tuple[int, int]] = []
    async with original_database(source) as original:
        done = await importing(storage)(original, lambda *far: told.append(far))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    return done


async def texts(storage: SharedStorage, reader: UUID, chat_id: UUID) -> list[str]:
    page = await storage.views.history(ProfileId(reader), ChatId(chat_id), Newest(), 100)
    return [view.message.body.text for view in page.messages]


async def unread(storage: SharedStorage, reader: UUID, chat_id: UUID) -> int:
    return await storage.views.unread_count(ProfileId(reader), ChatId(chat_id))


def counts(done: Imported) -> tuple[int, int, int, int]:
    return done.people, done.chats, done.messages, done.marks


async def test_everything_comes_along_and_twice_it_is_the_same(
    storage: SharedStorage, old: OriginalPlace, source: str
) -> None:
    ann, bob = old.person("Ann", last_name="K", phone="+79990001122"), old.person("Bob")
    eve = old.person("Eve", confirmed=False)
    talk = old.chat("Talk", "Ann", "Ann", "Bob", "Bob", "Eve")
    said = [old.say(talk, who, f"{who} {n}") for n, who in enumerate(["Ann", "Bob", "Ann", "Ann", "Bob"])]
    first_at = old.read("Bob", said[0], said[2])
    single_at = old.read("Eve", said[3])
    unnameable = [old.chat(name, "Bob") for name in ("", "\u200b", "a\u202eb")]
    done = await imported(storage, source)
    assert (*counts(done), len(done.notes)) == (3, 4, 5, 2, len(unnameable))
    for _ in range(2):
        assert await texts(storage, bob, talk) == ["Ann 0", "Bob 1", "Ann 2", "Ann 3", "Bob 4"]
        assert [await unread(storage, who, talk) for who in (ann, bob, eve)] == [2, 1, 4]
        (listed,) = await storage.views.list_chats(ProfileId(ann))
        assert (listed.id, listed.name, listed.owner.id, listed.member_count) == (talk, "Talk", ann, 3)
        page = await storage.views.history(ProfileId(ann), ChatId(talk), Newest(), 10)
        assert [view.message.id for view in page.messages] == said
        assert page.messages[0].message.sent_at > BEGAN.replace(tzinfo=UTC)
        times = [view.read_at and view.read_at.replace(tzinfo=None) for view in page.messages]
        assert times == [first_at, None, first_at, single_at, None]
        members = await storage.views.members(ProfileId(ann), ChatId(talk))
        assert members[0].profile.id == ann
        assert {member.profile.id for member in members} == {ann, bob, eve}
        unnamed = [view for view in await storage.views.list_chats(ProfileId(bob)) if view.id != talk]
        assert {(view.id, view.name) for view in unnamed} == {(id, UNNAMED) for id in unnameable}
        async with storage.begin() as work:
            account = await work.accounts.find_by_email(Email("ANN@example.com"))
            assert account is not None
            assert (account.id, account.is_confirmed) == (old.accounts["Ann"], True)
            assert account.password_hash is not None
            assert account.password_hash.text == HASH
            unconfirmed = await work.accounts.lock(AccountId(old.accounts["Eve"]))
            assert (unconfirmed.is_confirmed, unconfirmed.password_hash) == (False, None)
            profile = await work.profiles.find(ProfileId(ann))
        assert profile is not None
        assert profile.phone is not None
        assert (profile.phone.text, profile.username and profile.username.text) == ("+79990001122", "ann")
        again = await imported(storage, source)
        assert (*counts(again), again.notes) == (0, 0, 0, 0, [])


async def test_what_is_new_there_is_added_later(
    storage: SharedStorage, old: OriginalPlace, source: str
) -> None:
    ann, bob = old.person("Ann"), old.person("Bob")
    talk = old.chat("Talk", "Ann", "Ann")
    said = [old.say(talk, "Ann", str(number)) for number in range(3)]
    await imported(storage, source)
    old.join(talk, "Bob")
    said += [old.say(talk, "Bob", str(number)) for number in range(3, 5)]
    old.read("Bob", *said[:2])
    assert counts(await imported(storage, source)) == (0, 0, 2, 1)
    assert await texts(storage, ann, talk) == list("01234")
    assert [await unread(storage, who, talk) for who in (ann, bob)] == [2, 1]
    old.read("Bob", said[2])
    assert counts(await imported(storage, source)) == (0, 0, 0, 1)
    assert await unread(storage, bob, talk) == 0


async def test_one_that_was_interrupted_goes_on(
    storage: SharedStorage, old: OriginalPlace, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = old.person("Ann"), old.person("Bob")
    talk = old.chat("Talk", "Ann", "Ann", "Bob")
    said = [old.say(talk, "Ann", str(number)) for number in range(9)]
    old.read("Bob", *said[:4])
    monkeypatch.setattr("application.importing.import_original.AT_ONCE", 2)
    for patience in range(2, 18, 3):

        def lose_patience(done: int, _: int, end: int = patience) -> None:
            if done >= end:
                raise ConnectionError

        async with original_database(source) as original:
            try:
                await importing(storage)(original, lose_patience)
            except ConnectionError:
                continue
    await imported(storage, source)
    assert await texts(storage, bob, talk) == list("012345678")
    assert [await unread(storage, who, talk) for who in (ann, bob)] == [0, 5]


async def test_what_our_rules_refuse_is_told_and_loses_nobody(
    storage: SharedStorage, old: OriginalPlace, source: str
) -> None:
    async with storage.begin() as work:
        taken = Account(
            id=AccountId(uuid4()), email=Email("taken@example.com"), created_at=BEGAN.replace(tzinfo=UTC)
        )
        await work.accounts.add(taken)
        await work.profiles.add(Profile(id=ProfileId(uuid4()), account_id=taken.id))
    ann = old.person("Ann", first_name="\u200b", username="a b", phone="123")
    twin = old.person("Twin", email="ANN@example.com", username="Ann2")
    late = old.person("Late", email="taken@example.com", username="ANN2")
    broken = old.person("Broken", email="nobody")
    talk = old.chat("Talk", "Ann", "Ann", "Twin", "Late", "Broken")
    old.say(talk, "Ann", "x" * 9000)
    old.say(talk, None, "from nobody")
    old.say(talk, "Broken", "\u200b")
    old.say(None, "Ann", "nowhere")
    done = await imported(storage, source)
    assert counts(done) == (4, 1, 4, 0)
    for told in (
        "'a b'",
        "'123'",
        "'\\u200b'",
        "ANN@example.com",
        "taken@example.com",
        "'nobody'",
        "'ANN2'",
        "became 3",
        "shows nothing",
    ):
        assert any(told in note for note in done.notes), (told, done.notes)
    assert [len(text) for text in await texts(storage, twin, talk)] == [4000, 4000, 1000, 11]
    page = await storage.views.history(ProfileId(ann), ChatId(talk), Newest(), 1)
    assert page.messages[0].sender == NOBODY
    members = {m.profile.id for m in await storage.views.members(ProfileId(late), ChatId(talk))}
    assert members == {ann, twin, late, broken}
    async with storage.begin() as work:
        with pytest.raises(AccountNotFound):
            await work.accounts.lock(AccountId(old.accounts["Twin"]))
    assert counts(await imported(storage, source)) == (0, 0, 0, 0)


async def test_what_was_left_or_deleted_here_does_not_come_back(
    storage: SharedStorage, old: OriginalPlace, source: str
) -> None:
    ann, bob = old.person("Ann"), old.person("Bob")
    kept, gone = old.chat("Kept", "Ann", "Ann", "Bob"), old.chat("Gone", "Ann", "Ann", "Bob")
    await imported(storage, source)
    circle, by = Circle(storage), evolve(actor(), profile=evolve(actor().profile, id=ProfileId(ann)))
    await circle.remove(by, ChatId(kept), ProfileId(bob))
    await circle.delete(by, ChatId(gone))
    async with storage.begin() as work:
        account = await work.accounts.lock(AccountId(old.accounts["Bob"]))
        await work.accounts.release_email(account)
        await work.accounts.remove(account.id)
    old.say(gone, "Ann", "later")
    assert counts(await imported(storage, source)) == (0, 0, 0, 0)
    assert await storage.views.list_chats(ProfileId(bob)) == []
    async with storage.begin() as work:
        with pytest.raises(AccountNotFound):
            await work.accounts.lock(AccountId(old.accounts["Bob"]))


async def test_another_database_is_refused(postgres_server: PostgresServer, name: str, source: str) -> None:
    for url in (source, conninfo(postgres_server.url(TEMPLATE))):
        with pytest.raises(NotAnOriginal, match="20250527182423"):
            async with original_database(url):
                pass


@pytest.mark.parametrize("variable", [None, "PGTZ", "PGOPTIONS"])
async def test_times_of_a_server_elsewhere(
    storage: SharedStorage,
    old: OriginalPlace,
    name: str,
    source: str,
    variable: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    ``created_at`` is in the time zone of the original's server, ``sent_at`` in UTC. The zone of the operator's terminal
    does not matter.
    """
    if variable:
        monkeypatch.setenv(
            variable, "-c timezone=America/Lima" if variable == "PGOPTIONS" else "America/Lima"
        )
    ann = old.person("Ann")
    talk = old.chat("Talk", "Ann", "Ann")
    old.say(talk, "Ann", "Hello")
    old.connection.execute(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'")
    await imported(storage, source)
    page = await storage.views.history(ProfileId(ann), ChatId(talk), Newest(), 10)
    assert page.messages[0].message.sent_at == (BEGAN + timedelta(minutes=3)).replace(tzinfo=UTC)
    details = await storage.views.get_chat(ProfileId(ann), ChatId(talk))
    assert details.chat.created_at == (BEGAN + timedelta(minutes=2) - timedelta(hours=9)).replace(tzinfo=UTC)

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import psycopg
import pytest
from attrs import define, frozen
from psycopg import sql
from sqlalchemy.engine import make_url

from application.errors import Unavailable
from application.examples.fill import FillExamplesHandler
from application.ports.marking import BeginMarking
from application.ports.passwords import UNKNOWN_REQUESTER, Requester
from application.ports.posting import BeginPosting
from application.ports.storage import Begin
from application.ports.views import Newest, Views
from config.data.conversations import CONVERSATIONS, EXAMPLES
from config.data.people import ANNA, PEOPLE, THEO, VERA
from domain.account import Account, Email, PasswordHash
from domain.ids import AccountId, ProfileId
from domain.profile import Username
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.views import MemoryViews
from infrastructure.system.ids import SystemIds
from tests.accounts_world import START, quick_passwords
from tests.postgres import TEMPLATE, PostgresServer
from tests.storages import postgres_storage

T = TypeVar("T")


@frozen(kw_only=True)
class FilledStorage:
    begin: Begin
    begin_posting: BeginPosting
    begin_marking: BeginMarking
    views: Views
    everything: Callable[[], str]
    """All that is kept, hashes and numbers of transactions included where there are any."""


@define
class CountedPasswords:
    inner: PooledPasswords
    hashed: int = 0

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        self.hashed += 1
        return await self.inner.hash(password, requester)

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        return await self.inner.verify(password, against, requester)

    def expect(self, former: PasswordHash | None) -> None:
        self.inner.expect(former)

    def is_current(self, password_hash: PasswordHash) -> bool:
        return self.inner.is_current(password_hash)


@pytest.fixture
def passwords() -> Iterator[CountedPasswords]:
    inner = quick_passwords()
    yield CountedPasswords(inner)
    inner.close()


@asynccontextmanager
async def memory() -> AsyncIterator[FilledStorage]:
    storage = MemoryStorage()
    yield FilledStorage(
        begin=storage.begin,
        begin_posting=storage.begin_patient_posting,
        begin_marking=storage.begin_marking,
        views=MemoryViews(storage),
        everything=lambda: repr((storage.accounts, storage.chats, storage.journal)),
    )


@asynccontextmanager
async def postgres(url: str) -> AsyncIterator[FilledStorage]:
    def everything() -> str:
        conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(conninfo) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
            ).fetchall()
            whole = sql.SQL("SELECT to_jsonb(t)::text, xmin::text FROM {} t ORDER BY 1")
            return repr(
                [
                    (name, connection.execute(whole.format(sql.Identifier(name))).fetchall())
                    for (name,) in tables
                ]
            )

    async with postgres_storage(url) as storage:
        yield FilledStorage(
            begin=storage.begin,
            begin_posting=storage.begin_patient_posting,
            begin_marking=storage.begin_marking,
            views=storage.views,
            everything=everything,
        )


NewWorld = Callable[[], AbstractAsyncContextManager[FilledStorage]]


@pytest.fixture(params=["memory", "postgres"])
def new_world(request: pytest.FixtureRequest) -> Iterator[NewWorld]:
    """Makes an empty one, each time another."""
    if request.param == "memory":
        yield memory
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    made: list[str] = []

    def make() -> AbstractAsyncContextManager[FilledStorage]:
        made.append(server.fresh_database(TEMPLATE))
        return postgres(server.url(made[-1]))

    yield make
    for name in made:
        server.drop_database(name)


@pytest.fixture
async def world(new_world: NewWorld) -> AsyncIterator[FilledStorage]:
    async with new_world() as made:
        yield made


def filling(world: FilledStorage, passwords: CountedPasswords) -> FillExamplesHandler:
    return FillExamplesHandler(
        script=EXAMPLES,
        begin=world.begin,
        begin_posting=world.begin_posting,
        begin_marking=world.begin_marking,
        passwords=passwords,
    )


def without_chance(everything: str) -> str:
    """Salt of hashes, numbers of transactions, the name of a history: what may differ between two databases."""
    everything = re.sub(r"'\d+'\)", "')", everything)
    return re.sub(r'"(tx|generation|password_hash)": ("[^"]*"|\d+)', "", everything)


async def test_five_people_with_names_can_sign_in(world: FilledStorage, passwords: CountedPasswords) -> None:
    await filling(world, passwords)()
    async with world.begin() as work:
        accounts = [await work.accounts.find_by_email(Email(person.email)) for person in PEOPLE]
        profiles = [await work.profiles.find(person.profile_id) for person in PEOPLE]
    assert [person.email for person in PEOPLE] == [
        "admin@admin.ru",
        "api-test@example.com",
        "user1@example.com",
        "user2@example.com",
        "user3@example.com",
    ]
    for person, account, profile in zip(PEOPLE, accounts, profiles, strict=True):
        assert account
        assert account.is_confirmed
        assert account.id == person.account_id
        assert await passwords.verify("admin", account.password_hash)
        assert profile
        assert profile.username
        assert profile.phone
        assert (profile.account_id, profile.username.text) == (account.id, person.username)
    assert passwords.hashed == 1


async def test_they_have_said_about_a_hundred_things_in_two_languages(
    world: FilledStorage, passwords: CountedPasswords
) -> None:
    await filling(world, passwords)()
    heard = []
    unread = set()
    for person in PEOPLE:
        for chat in await world.views.list_chats(person.profile_id):
            page = await world.views.history(person.profile_id, chat.id, Newest(), 200)
            heard += [view for view in page.messages if view.sender.id == person.profile_id]
            unread.add(chat.unread_count)
    assert len(heard) == sum(len(conversation.lines) for conversation in CONVERSATIONS)
    assert 90 <= len(heard) <= 120
    texts = [view.message.body.text for view in heard]
    assert sum(bool(re.search("[а-я]", text)) for text in texts) > 30
    assert sum(bool(re.search("[a-z]", text)) for text in texts) > 30
    assert {0, 1} < unread
    said = {message.id: message for conversation in CONVERSATIONS for message in conversation.messages()}
    assert all(said[view.message.id].at == view.message.sent_at for view in heard)


async def test_filling_again_changes_nothing(world: FilledStorage, passwords: CountedPasswords) -> None:
    await filling(world, passwords)()
    kept = world.everything()
    await filling(world, passwords)()
    assert world.everything() == kept
    assert passwords.hashed == 1


async def test_it_is_the_same_everywhere(new_world: NewWorld, passwords: CountedPasswords) -> None:
    kept = set()
    for _ in range(2):
        async with new_world() as world:
            await filling(world, passwords)()
            kept.add(without_chance(world.everything()))
    assert len(kept) == 1


async def test_memory_and_postgresql_tell_the_same(
    messenger_database: str, passwords: CountedPasswords
) -> None:
    told = []
    for storage in (memory(), postgres(messenger_database)):
        async with storage as world:
            await filling(world, passwords)()
            lists = [await world.views.list_chats(person.profile_id) for person in PEOPLE]
            told.append((lists, [await world.views.history(VERA.profile_id, lists[0][0].id, Newest(), 50)]))
    assert told[0] == told[1]


@define
class Interrupted:
    """Lets ``left`` units of work pass; the next one fails, before or after what it did."""

    left: int
    at_the_end: bool

    def around(
        self, begin: Callable[[], AbstractAsyncContextManager[T]]
    ) -> Callable[[], AbstractAsyncContextManager[T]]:
        @asynccontextmanager
        async def interrupted() -> AsyncIterator[T]:
            self.left -= 1
            if self.left == -1 and not self.at_the_end:
                raise Unavailable
            async with begin() as work:
                yield work
                if self.left == -1:
                    raise Unavailable

        return interrupted

    async def fill(self, world: FilledStorage, passwords: CountedPasswords) -> None:
        await FillExamplesHandler(
            script=EXAMPLES,
            begin=self.around(world.begin),
            begin_posting=self.around(world.begin_posting),
            begin_marking=self.around(world.begin_marking),
            passwords=passwords,
        )()


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_an_interrupted_filling_is_completed_by_the_next(
    new_world: NewWorld, passwords: CountedPasswords, at_the_end: bool
) -> None:
    async with new_world() as world:
        await filling(world, passwords)()
        whole = without_chance(world.everything())
    # a look, everybody and the chats, all messages, and then a unit for each mark
    for units in range(6):
        async with new_world() as world:
            with pytest.raises(Unavailable):
                await Interrupted(units, at_the_end).fill(world, passwords)
            await filling(world, passwords)()
            assert without_chance(world.everything()) == whole


async def sign_up(
    world: FilledStorage, address: str, username: str | None = None
) -> tuple[AccountId, ProfileId]:
    ids = SystemIds()
    account, profile = Account.register(
        id=ids.account(), profile_id=ids.profile(), email=Email(address), at=START
    )
    async with world.begin() as work:
        await work.accounts.add(account)
        await work.profiles.add(profile)
        if username:
            profile = await work.profiles.lock(profile.id)
            profile.edit(username=Username(username))
            await work.profiles.save(profile)
    return account.id, profile.id


async def test_whoever_was_there_before_keeps_address_and_name(
    world: FilledStorage, passwords: CountedPasswords
) -> None:
    account_id, profile_id = await sign_up(world, ANNA.email.upper())
    _, namesake = await sign_up(world, "somebody@example.com", THEO.username)
    for _ in range(2):
        await filling(world, passwords)()
        async with world.begin() as work:
            anna = await work.accounts.find_by_email(Email(ANNA.email))
            theo = await work.profiles.find(THEO.profile_id)
            assert (await work.profiles.search(THEO.username, 20)).items[0].id == namesake
        assert anna
        assert anna.id == account_id
        assert anna.password_hash is None
        assert theo
        assert theo.username is None
        assert theo.first_name
    mine = await world.views.list_chats(profile_id)
    assert len(mine) == sum(ANNA in (each.owner, *each.others) for each in CONVERSATIONS)

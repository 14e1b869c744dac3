"""A page of history is read in the same exchange as the session of its reader, and is shown only if that session is live."""

from collections.abc import Collection
from uuid import uuid4

import pytest
from attrs import evolve, field, frozen
from typing_extensions import override

from application.accounts.access_tokens import MakeAccessToken, NoteUse
from application.accounts.authenticate import Authenticate, AuthenticateHandler
from application.accounts.authenticate_for_page import AuthenticateForPageHandler, Readers
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated
from application.ports.views import Newest, PageAsked, Where
from application.views import HistoryPage
from domain.chat_errors import NotAMember
from domain.ids import ChatId, ProfileId
from domain.scope import TokenName
from domain.session import Lifetimes
from infrastructure.memory.views import MemoryViews
from tests.accounts_world import PASSWORD, AccountsWorld

CHAT = ChatId(uuid4())
ASKED = PageAsked(chat_id=CHAT, where=Newest(), limit=50)
PAGE = HistoryPage.of(CHAT, range(1, 1), 0)


@frozen
class PagesOf(MemoryViews):
    """Shows one page to everybody but those who are no members, and notes for whom it was read."""

    read_for: list[ProfileId] = field(factory=list)
    strangers: set[ProfileId] = field(factory=set)

    @override
    async def history_unless_known(
        self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int, known: Collection[str]
    ) -> HistoryPage:
        assert PageAsked(chat_id=chat_id, where=where, limit=limit, known=known) == ASKED
        self.read_for.append(reader)
        if reader in self.strangers:
            raise NotAMember
        return PAGE


@frozen
class House:
    people: AccountsWorld
    views: PagesOf
    handler: AuthenticateForPageHandler
    readers: Readers

    async def ask(
        self, who: SignedIn | str, *, has_room: bool = True
    ) -> tuple[ProfileId, HistoryPage | None]:
        token = who if isinstance(who, str) else who.access_token
        actor, page = await self.handler(Authenticate(token=token), ASKED, lambda _: has_room)
        return actor.profile_id, page

    async def profile_of(self, who: SignedIn) -> ProfileId:
        return (await self.people.actor(who)).profile_id


@pytest.fixture
def house(people: AccountsWorld) -> House:
    memory, readers = people.ports.storage.views, Readers(most=2)
    assert isinstance(memory, MemoryViews)
    views = PagesOf(memory.storage)
    authenticate = AuthenticateHandler(
        views=views,
        clock=people.clock,
        tokens=people.tokens,
        access_tokens=people.ports.access_tokens,
        note_use=NoteUse(begin=people.begin),
        lifetimes=Lifetimes(),
    )
    handler = AuthenticateForPageHandler(authenticate=authenticate, views=views, readers=readers)
    return House(people, views, handler, readers)


async def test_a_page_comes_with_a_session_that_was_seen_before(house: House) -> None:
    ann = await house.people.join("ann@example.com")
    profile_id = await house.profile_of(ann)
    assert await house.ask(ann) == (profile_id, None)
    assert await house.ask(ann) == (profile_id, PAGE)
    assert house.views.read_for == [profile_id]


async def test_a_session_that_has_ended_gets_no_page(house: House) -> None:
    ann = await house.people.join("ann@example.com")
    other = await house.people.sign_in_as("ann@example.com", device="second")
    await house.ask(ann)
    assert (await house.ask(ann))[1] is PAGE
    await house.people.revoke_others(other)
    for _ in range(2):
        with pytest.raises(NotAuthenticated) as refused:
            await house.ask(ann)
        assert refused.value.reason == "token_invalid"
    assert len(house.views.read_for) == 2, "nothing is read for a session that is known to have ended"


async def test_a_page_that_was_read_for_somebody_else_is_dropped(house: House) -> None:
    ann, bob = [await house.people.join(f"{name}@example.com") for name in ("ann", "bob")]
    ann_here, bob_here = [await house.people.actor(who) for who in (ann, bob)]
    house.readers.note(evolve(bob_here, session_id=ann_here.session_id))
    assert await house.ask(ann) == (ann_here.profile_id, None)
    assert house.views.read_for == [bob_here.profile_id]


async def test_nothing_is_read_ahead_for_an_account_that_asks_too_much(house: House) -> None:
    ann = await house.people.join("ann@example.com")
    for _ in range(2):
        assert (await house.ask(ann, has_room=False))[1] is None
    assert house.views.read_for == []


async def test_who_may_not_see_a_chat_is_authenticated_all_the_same(house: House) -> None:
    ann = await house.people.join("ann@example.com")
    profile_id = await house.profile_of(ann)
    await house.ask(ann)
    house.views.strangers.add(profile_id)
    assert await house.ask(ann) == (profile_id, None)


async def test_a_program_is_authenticated_by_itself(house: House) -> None:
    ann = await house.people.join("ann@example.com")
    command = MakeAccessToken(name=TokenName("Bot"), scopes=frozenset(), password=PASSWORD)
    made = await house.people.access_tokens.make(await house.people.actor(ann), command)
    for _ in range(2):
        assert await house.ask(made.text) == (await house.profile_of(ann), None)
    assert house.views.read_for == []


async def test_only_so_many_sessions_are_remembered(house: House) -> None:
    everybody = [await house.people.join(f"{number}@example.com") for number in range(3)]
    for who in everybody:
        await house.ask(who)
    assert [(await house.ask(who))[1] for who in everybody[1:]] == [PAGE, PAGE]
    assert (await house.ask(everybody[0]))[1] is None

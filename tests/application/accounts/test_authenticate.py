import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from attrs import evolve
from typing_extensions import override

from application.accounts.access_tokens import MakeAccessToken, NoteUse
from application.accounts.authenticate import Authenticate, AuthenticateHandler
from application.errors import NotAuthenticated, OutcomeUnknown, Overloaded, Unavailable
from application.ports.storage import UnitOfWork
from application.views import LiveSession
from domain.ids import AccountId, SessionId
from domain.scope import TokenName
from domain.session import Lifetimes, SessionNotFound
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.views import MemoryViews
from tests.accounts_world import PASSWORD, AccountsWorld


async def test_an_access_token_lasts_half_an_hour(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    people.clock.pass_by(minutes=29)
    await people.actor(signed_in)
    people.clock.pass_by(minutes=1)
    with pytest.raises(NotAuthenticated) as refused:
        await people.actor(signed_in)
    assert refused.value.reason == "token_expired"


@pytest.mark.parametrize(("token", "reason"), [("", "token_invalid"), ("a.b.c", "token_invalid")])
async def test_what_is_no_token(people: AccountsWorld, token: str, reason: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await people.accounts.authenticate(Authenticate(token=token))
    assert refused.value.reason == reason


async def test_a_refresh_token_lets_nobody_in(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    with pytest.raises(NotAuthenticated) as refused:
        await people.accounts.authenticate(Authenticate(token=signed_in.refresh_token))
    assert refused.value.reason == "token_type"


async def test_storage_that_is_down_says_nothing_about_the_token(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")

    class Down(MemoryViews):
        @override
        async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
            raise Unavailable

    handler = AuthenticateHandler(
        views=Down(MemoryStorage()),
        clock=people.clock,
        tokens=people.tokens,
        access_tokens=people.ports.access_tokens,
        note_use=NoteUse(begin=people.begin),
        lifetimes=Lifetimes(),
    )
    with pytest.raises(Unavailable):
        await handler(Authenticate(token=signed_in.access_token))


async def program(people: AccountsWorld) -> Authenticate:
    """A token whose last use is due to be noted."""
    ann = await people.actor(await people.join("one@example.com"))
    command = MakeAccessToken(name=TokenName("Bot"), scopes=frozenset(), password=PASSWORD)
    made = await people.access_tokens.make(ann, command)
    people.clock.pass_by(minutes=2)
    return Authenticate(token=made.text)


async def test_a_program_is_there_until_its_token_expires(people: AccountsWorld) -> None:
    command = await program(people)
    actor = await people.accounts.authenticate(command)
    assert actor.ends_at is not None
    people.clock.at = actor.ends_at - timedelta(microseconds=1)
    await people.accounts.authenticate(command)
    people.clock.at = actor.ends_at
    with pytest.raises(NotAuthenticated):
        await people.accounts.authenticate(command)


async def test_a_device_may_stay_for_ever_unless_sessions_have_a_last_day(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    opened_at = people.clock.at
    assert (await people.actor(signed_in)).ends_at is None
    people.rules = evolve(people.rules, sessions=Lifetimes(longest=timedelta(days=90)))
    accounts = people.accounts_over(people.ports)
    actor = await accounts.authenticate(Authenticate(token=signed_in.access_token))
    assert actor.ends_at == opened_at.replace(microsecond=0) + timedelta(days=90)


async def test_a_session_that_became_too_old_by_a_new_setting_lets_nobody_in(people: AccountsWorld) -> None:
    """Its access token was made when sessions lasted longer, and has not expired."""
    token = (await people.join("one@example.com")).access_token
    opened_at = people.clock.at.replace(microsecond=0)
    people.rules = evolve(people.rules, sessions=Lifetimes(longest=timedelta(minutes=10)))
    accounts = people.accounts_over(people.ports)
    people.clock.at = opened_at + timedelta(minutes=10, microseconds=-1)
    await accounts.authenticate(Authenticate(token=token))
    people.clock.at = opened_at + timedelta(minutes=10)
    for enter in (accounts.authenticate, accounts.recognise):
        with pytest.raises(NotAuthenticated) as refused:
            await enter(Authenticate(token=token))
        assert refused.value.reason == "token_expired"


@pytest.mark.parametrize("error", [Unavailable(), Overloaded(), OutcomeUnknown(), SessionNotFound()])
async def test_a_use_that_cannot_be_noted_refuses_nothing(people: AccountsWorld, error: Exception) -> None:
    command = await program(people)
    begun: list[None] = []

    @asynccontextmanager
    async def begin() -> AsyncIterator[UnitOfWork]:
        begun.append(None)
        async with people.storage.begin() as work:
            yield work
            raise error

    accounts = people.accounts_over(evolve(people.ports, storage=evolve(people.storage, begin=begin)))
    for _ in range(3):
        await accounts.authenticate(command)
    assert len(begun) == 1, "it is not tried again for each request"
    people.clock.pass_by(minutes=1)
    await accounts.authenticate(command)
    assert len(begun) == 2


async def test_requests_at_once_do_not_wait_to_note_the_same_use(people: AccountsWorld) -> None:
    command = await program(people)
    begun: list[None] = []
    has_begun, is_over = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def begin() -> AsyncIterator[UnitOfWork]:
        begun.append(None)
        has_begun.set()
        await is_over.wait()
        async with people.storage.begin() as work:
            yield work

    accounts = people.accounts_over(evolve(people.ports, storage=evolve(people.storage, begin=begin)))
    first = asyncio.ensure_future(accounts.authenticate(command))
    await has_begun.wait()
    others = [asyncio.ensure_future(accounts.authenticate(command)) for _ in range(5)]
    answered, _ = await asyncio.wait(others, timeout=30)
    is_over.set()
    actor = await first
    assert [each.result() for each in answered] == [actor] * 5
    assert len(begun) == 1


async def test_commands_do_not_show_tokens() -> None:
    assert "secret" not in repr(Authenticate(token="secret"))

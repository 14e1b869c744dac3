"""Access tokens that people make for programs: what they open, what they permit, and how they end, on every storage."""

from base64 import b32decode
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from application.accounts.access_tokens import EndAccessToken, MadeAccessToken, MakeAccessToken
from application.accounts.authenticate import Authenticate
from application.accounts.factors import ConfirmFactor, ProveBoth, SetUpFactor
from application.accounts.sessions import RevokeOthers, RevokeSession
from application.accounts.set_password import SetPassword
from application.accounts.sign_out import SignOut
from application.actor import Actor
from application.errors import NotAuthenticated
from application.paging import Paging
from config.features.accounts import access_token_use_cases
from domain.account import Password, PasswordWrong
from domain.events import SessionEnd, SessionEnded
from domain.factor import CodeWrong, step_at
from domain.scope import (
    AccessTokenNotFound,
    AccessTokensUnavailable,
    Scope,
    ScopeMissing,
    TokenName,
    TooManyAccessTokens,
)
from domain.security import SecurityAct
from infrastructure.crypto.codes import totp
from tests.accounts_world import PASSWORD, AccountsWorld, accounts_world
from tests.storages import SharedStorage

ONE, TWO = "one@example.com", "two@example.com"
BOT = TokenName("Weather bot")


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield world


def wanted(*scopes: Scope, days: int | None = None, **more: str) -> MakeAccessToken:
    return MakeAccessToken(
        name=BOT,
        scopes=frozenset(scopes),
        password=more.get("password", PASSWORD),
        code=more.get("code"),
        lifetime=timedelta(days=days) if days else None,
    )


async def owner(people: AccountsWorld, email: str = ONE) -> Actor:
    return await people.actor(await people.join(email))


async def program(people: AccountsWorld, made: MadeAccessToken) -> Actor:
    actor = await people.accounts.authenticate(Authenticate(token=made.text))
    assert actor == await people.accounts.recognise(Authenticate(token=made.text))
    return actor


async def is_refused(people: AccountsWorld, made: MadeAccessToken) -> str:
    """Returns the reason for which both ways in refuse the token."""
    reasons = []
    for enter in (people.accounts.authenticate, people.accounts.recognise):
        with pytest.raises(NotAuthenticated) as refused:
            await enter(Authenticate(token=made.text))
        reasons.append(refused.value.reason)
    first, second = reasons
    assert first == second
    return first


class TestMaking:
    async def test_the_program_acts_as_its_owner_with_its_scopes(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made = await people.access_tokens.make(ann, wanted(Scope.MESSAGES))
        bot = await program(people, made)
        assert (bot.account_id, bot.profile_id, bot.email) == (ann.account_id, ann.profile_id, ONE)
        assert bot.session_id == made.session.id != ann.session_id
        assert bot.scopes == frozenset({Scope.MESSAGES})
        assert ann.scopes is None

    async def test_it_takes_the_password(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        with pytest.raises(PasswordWrong):
            await people.access_tokens.make(ann, wanted(password="Wrong-Horse"))
        assert await people.access_tokens.list(ann) == []

    async def test_with_a_second_factor_it_takes_a_code_too(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made = await people.factors.set_up(ann, SetUpFactor(password=PASSWORD))
        code = totp(b32decode(made.shown), step_at(people.clock.now()))
        recovery = await people.factors.confirm(ann, ConfirmFactor(code=code))
        with pytest.raises(CodeWrong):
            await people.access_tokens.make(ann, wanted())
        assert await program(people, await people.access_tokens.make(ann, wanted(code=recovery[0]))) != ann

    async def test_there_is_a_limit_to_how_many(self, people: AccountsWorld) -> None:
        ann, bob = await owner(people), await owner(people, TWO)
        made = [await people.access_tokens.make(ann, wanted()) for _ in range(3)]
        with pytest.raises(TooManyAccessTokens):
            await people.access_tokens.make(ann, wanted())
        await people.access_tokens.make(bob, wanted())
        await people.access_tokens.end(ann, EndAccessToken(token_id=made[0].session.id))
        await people.access_tokens.make(ann, wanted())

    async def test_expired_ones_do_not_count(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        for _ in range(3):
            await people.access_tokens.make(ann, wanted(days=1))
        people.clock.pass_by(days=1)
        assert await people.access_tokens.list(ann) == []
        await people.access_tokens.make(ann, wanted())

    async def test_they_may_be_switched_off(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made = await people.access_tokens.make(ann, wanted())
        off = access_token_use_cases(people.ports, evolve(people.rules, access_tokens=0))
        with pytest.raises(AccessTokensUnavailable):
            await off.make(ann, wanted())
        assert [each.id for each in await off.list(ann)] == [made.session.id]

    async def test_no_token_is_stored(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made = await people.access_tokens.make(ann, wanted())
        async with people.begin() as work:
            kept = await work.sessions.lock(ann.account_id, made.session.id)
        assert made.text not in repr(kept)
        assert kept.pair.access_id not in made.text
        assert made.text not in repr(made)


class TestPermitting:
    async def test_a_program_changes_nothing_of_the_account(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        bot = await program(people, await people.access_tokens.make(ann, wanted(*Scope)))
        both = ProveBoth(password=PASSWORD, code="123456")
        attempts = [
            people.accounts.set_password(bot, SetPassword(password=Password("Battery-Staple"))),
            people.factors.read(bot),
            people.factors.set_up(bot, SetUpFactor(password=PASSWORD)),
            people.factors.confirm(bot, ConfirmFactor(code="123456")),
            people.factors.renew_recovery_codes(bot, both),
            people.factors.turn_off(bot, both),
            people.access_tokens.list(bot),
            people.access_tokens.make(bot, wanted()),
            people.access_tokens.end(bot, EndAccessToken(token_id=bot.session_id)),
            people.sessions.list(bot, Paging()),
            people.sessions.revoke(bot, RevokeSession(session_id=bot.session_id)),
            people.sessions.revoke_others(bot, RevokeOthers(password=PASSWORD)),
        ]
        for attempt in attempts:
            with pytest.raises(ScopeMissing):
                await attempt
        await people.actor(await people.sign_in_as(ONE, device="second"))

    async def test_it_is_no_refresh_token(self, people: AccountsWorld) -> None:
        made = await people.access_tokens.make(await owner(people), wanted())
        with pytest.raises(NotAuthenticated):
            await people.refresh_with(made.text)
        await people.accounts.sign_out(SignOut(refresh_token=made.text))
        await program(people, made)


class TestEnding:
    async def test_its_owner_ends_it(self, people: AccountsWorld) -> None:
        ann, bob = await owner(people), await owner(people, TWO)
        made = await people.access_tokens.make(ann, wanted())
        command = EndAccessToken(token_id=made.session.id)
        with pytest.raises(AccessTokenNotFound):
            await people.access_tokens.end(bob, command)
        with pytest.raises(AccessTokenNotFound):  # a device is none
            await people.access_tokens.end(ann, EndAccessToken(token_id=ann.session_id))
        await people.access_tokens.end(ann, command)
        assert await is_refused(people, made) == "token_invalid"
        with pytest.raises(AccessTokenNotFound):
            await people.access_tokens.end(ann, command)
        # sockets are closed by this event
        ended = [each for each in people.published if isinstance(each, SessionEnded)]
        assert [(each.session_id, each.reason) for each in ended] == [(made.session.id, SessionEnd.REVOKED)]

    async def test_the_program_signs_out_with_it(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made, other = [await people.access_tokens.make(ann, wanted()) for _ in range(2)]
        forged = people.ports.access_tokens.new(ann.account_id, made.session.id).text
        await people.accounts.sign_out(SignOut(access_token=forged))
        await program(people, made)
        for _ in range(2):  # again, it does nothing
            await people.accounts.sign_out(SignOut(access_token=made.text))
        assert await is_refused(people, made) == "token_invalid"
        await program(people, other)
        ended = [each for each in people.published if isinstance(each, SessionEnded)]
        assert [each.session_id for each in ended] == [made.session.id]
        acts = (await people.sessions.events(ann, Paging(limit=1))).items
        assert [(each.act, each.session_id) for each in acts] == [
            (SecurityAct.ACCESS_TOKEN_ENDED, made.session.id)
        ]

    async def test_it_expires(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made = await people.access_tokens.make(ann, wanted(days=1))
        people.clock.pass_by(days=1, microseconds=-1)
        await program(people, made)
        people.clock.pass_by(microseconds=1)
        assert await is_refused(people, made) == "token_expired"
        await people.workers.tidying.once()
        assert await is_refused(people, made) == "token_invalid"

    async def test_it_is_good_for_no_longer_than_is_permitted(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        for days in (None, 3650):
            made = await people.access_tokens.make(ann, wanted(days=days))
            assert made.session.pair.access_expires_at == people.clock.now() + timedelta(days=365)

    async def test_another_password_ends_it(self, people: AccountsWorld) -> None:
        signed_in = await people.join(ONE)
        made = await people.access_tokens.make(await people.actor(signed_in), wanted())
        await people.choose(signed_in, "Battery-Staple")
        assert await is_refused(people, made) == "token_invalid"

    async def test_a_device_of_the_same_account_does_not_replace_it(self, people: AccountsWorld) -> None:
        made = await people.access_tokens.make(await owner(people), wanted())
        await people.sign_in_as(ONE)
        await people.sign_in_as(ONE, device="second")
        await program(people, made)


class TestListing:
    async def test_devices_and_programs_are_listed_apart(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        first = await people.access_tokens.make(ann, wanted())
        people.clock.pass_by(seconds=1)
        second = await people.access_tokens.make(ann, wanted(Scope.CHATS))
        found = await people.access_tokens.list(ann)
        assert [each.id for each in found] == [second.session.id, first.session.id]
        assert [each.grant for each in found] == [second.session.grant, first.session.grant]
        devices = await people.sessions.list(ann, Paging())
        assert [each.id for each in devices.items] == [ann.session_id]

    async def test_the_last_use_is_told_to_the_minute(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        made = await people.access_tokens.make(ann, wanted())

        async def last_use() -> timedelta:
            (found,) = await people.access_tokens.list(ann)
            return found.last_used_at - made.session.created_at

        people.clock.pass_by(seconds=59)
        await program(people, made)
        assert await last_use() == timedelta(0)
        people.clock.pass_by(seconds=1)
        await program(people, made)
        assert await last_use() == timedelta(seconds=60)


class TestGuessing:
    async def test_another_secret_another_account_and_a_device_are_refused(
        self, people: AccountsWorld
    ) -> None:
        ann, bob = await owner(people), await owner(people, TWO)
        made = await people.access_tokens.make(ann, wanted())
        tokens = people.ports.access_tokens
        for account_id, session_id in (
            (ann.account_id, made.session.id),
            (bob.account_id, made.session.id),
            (ann.account_id, ann.session_id),
        ):
            forged = tokens.new(account_id, session_id)
            with pytest.raises(NotAuthenticated, match="token_invalid"):
                await people.accounts.authenticate(Authenticate(token=forged.text))
        await program(people, made)

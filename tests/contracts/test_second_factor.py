"""A second factor from its set-up to its loss, told as histories, on every storage."""

import asyncio
from base64 import b32decode
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from attrs import define, evolve, frozen

from application.accounts.close import CloseAccount
from application.accounts.factors import ConfirmFactor, ProveBoth, SetUpFactor
from application.accounts.finish_sign_in import FinishSignIn
from application.accounts.forget_factor import ForgetFactor, ForgetFactorHandler
from application.accounts.signed_in import SignedIn
from application.accounts.telling import TellOwner
from application.actor import Actor
from application.errors import NotAuthenticated, SecondFactorNeeded
from application.paging import Paging
from application.ports.limiter import Left, TooManyRequests
from application.recording import RecordEvent
from domain.account import Email, PasswordWrong
from domain.factor import CodeWrong, FactorAlreadyOn, FactorNotOn, FactorsUnavailable, step_at
from domain.security import SecurityAct
from domain.session import Origin
from infrastructure.crypto.codes import SealedCodes, totp
from infrastructure.reporting_limiter import ReportingLimiter
from infrastructure.system.chance import unguessable
from tests.accounts_world import PASSWORD, AccountsWorld, accounts_world, letters_in
from tests.storages import SharedStorage

ONE, TWO = "one@example.com", "two@example.com"
OTHER_PASSWORD = "Battery-Staple"


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield world


@frozen
class Owner:
    """Somebody whose account has a second factor."""

    people: AccountsWorld
    actor: Actor
    signed_in: SignedIn
    secret: bytes
    recovery: Sequence[str]

    def code(self, off: int = 0) -> str:
        return totp(self.secret, step_at(self.people.clock.now()) + off)

    def next_code(self) -> str:
        """A code that was not used yet, because its step has just begun."""
        self.people.clock.pass_by(seconds=30)
        return self.code()

    async def pending(self, device: str = "first", **origin: str) -> str:
        """Begins to sign in, and returns the token to finish with."""
        with pytest.raises(SecondFactorNeeded) as needed:
            await self.people.sign_in_as(self.actor.email, PASSWORD, device, **origin)
        assert needed.value.expires_in in {299, 300}
        return needed.value.pending_token

    async def finish(self, pending_token: str, code: str, **origin: str) -> SignedIn:
        command = FinishSignIn(pending_token=pending_token, code=code, origin=Origin(**origin))
        return await self.people.accounts.finish_sign_in(command)


async def owner(people: AccountsWorld, email: str = ONE) -> Owner:
    signed_in = await people.join(email)
    actor = await people.actor(signed_in)
    made = await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
    secret = b32decode(made.shown)
    code = totp(secret, step_at(people.clock.now()))
    recovery = await people.factors.confirm(actor, ConfirmFactor(code=code))
    return Owner(people, actor, signed_in, secret, recovery)


def both(code: str, password: str = PASSWORD) -> ProveBoth:
    return ProveBoth(password=password, code=code)


class TestSettingUp:
    async def test_nothing_changes_until_a_code_confirms_it(self, people: AccountsWorld) -> None:
        actor = await people.actor(await people.join(ONE))
        made = await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        await people.sign_in_as(ONE)
        state = await people.factors.read(await people.actor(await people.sign_in_as(ONE)))
        assert (state.is_available, state.is_on, state.recovery_codes_left) == (True, False, 0)
        assert f"secret={made.shown}" in made.uri

    async def test_a_wrong_code_does_not_confirm(self, people: AccountsWorld) -> None:
        actor = await people.actor(await people.join(ONE))
        with pytest.raises(FactorNotOn):
            await people.factors.confirm(actor, ConfirmFactor(code="123456"))
        made = await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        stale = totp(b32decode(made.shown), step_at(people.clock.now()) - 2)
        with pytest.raises(CodeWrong):
            await people.factors.confirm(actor, ConfirmFactor(code=stale))
        assert not (await people.factors.read(actor)).is_on

    async def test_beginning_again_makes_another_secret(self, people: AccountsWorld) -> None:
        actor = await people.actor(await people.join(ONE))
        first = await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        second = await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        step = step_at(people.clock.now())
        with pytest.raises(CodeWrong):
            await people.factors.confirm(actor, ConfirmFactor(code=totp(b32decode(first.shown), step)))
        assert await people.factors.confirm(actor, ConfirmFactor(code=totp(b32decode(second.shown), step)))

    async def test_it_takes_the_password(self, people: AccountsWorld) -> None:
        actor = await people.actor(await people.join(ONE))
        with pytest.raises(PasswordWrong):
            await people.factors.set_up(actor, SetUpFactor(password="Wrong-Horse"))
        with pytest.raises(FactorNotOn):
            await people.factors.confirm(actor, ConfirmFactor(code="123456"))

    async def test_one_that_is_on_is_not_replaced(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        with pytest.raises(FactorAlreadyOn):
            await people.factors.set_up(ann.actor, SetUpFactor(password=PASSWORD))
        with pytest.raises(FactorAlreadyOn):
            await people.factors.confirm(ann.actor, ConfirmFactor(code=ann.next_code()))
        await ann.finish(await ann.pending(), ann.next_code())

    async def test_without_a_key_nobody_has_one(self, storage: SharedStorage, tmp_path: Path) -> None:
        people = AccountsWorld(storage, tmp_path / "mail", codes=SealedCodes("", unguessable))
        try:
            actor = await people.actor(await people.join(ONE))
            assert not (await people.factors.read(actor)).is_available
            with pytest.raises(FactorsUnavailable):
                await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        finally:
            people.passwords.close()


class TestSigningIn:
    async def test_password_and_code_open_a_session_of_the_device_that_began(
        self, people: AccountsWorld
    ) -> None:
        ann = await owner(people)
        pending = await ann.pending("tablet")
        signed_in = await ann.finish(pending, ann.next_code())
        assert (await people.actor(signed_in)).account_id == ann.actor.account_id
        again = await people.refresh_with(signed_in.refresh_token, "tablet")
        await people.actor(again)

    async def test_others_notice_nothing(self, people: AccountsWorld) -> None:
        await owner(people)
        await people.join(TWO)
        await people.actor(await people.sign_in_as(TWO))

    async def test_the_pending_token_opens_nothing_by_itself(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending()
        for call in (people.refresh_with, people.redeem, people.confirm):
            with pytest.raises(NotAuthenticated):
                await call(pending)
        with pytest.raises(NotAuthenticated):
            await people.accounts.finish_sign_in(
                FinishSignIn(pending_token=ann.signed_in.access_token, code=ann.next_code())
            )

    async def test_a_code_is_good_once(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        code = ann.next_code()
        await ann.finish(await ann.pending(), code)
        with pytest.raises(CodeWrong):
            await ann.finish(await ann.pending(), code)
        people.clock.pass_by(seconds=30)  # the code would still be accepted, if it had not been used
        with pytest.raises(CodeWrong):
            await ann.finish(await ann.pending(), code)

    async def test_of_two_at_once_with_one_code_one_gets_in(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending, code = await ann.pending(), ann.next_code()
        outcomes = await asyncio.gather(
            *(ann.finish(pending, code) for _ in range(4)), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in outcomes) == [*["CodeWrong"] * 3, "SignedIn"]

    async def test_a_wrong_code_uses_nothing_up(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending()
        right = ann.next_code()
        wrong = f"{(int(right) + 1) % 1_000_000:06}"
        if wrong not in {ann.code(-1), ann.code(1)}:
            with pytest.raises(CodeWrong):
                await ann.finish(pending, wrong)
        await ann.finish(pending, f"{right[:3]} {right[3:]}")

    async def test_codes_may_be_typed_in_groups(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        for separator in (" ", "-", " - ", "\t"):
            code = ann.next_code()
            await ann.finish(await ann.pending(), separator.join((code[:3], code[3:])))
        await ann.finish(await ann.pending(), ann.recovery[0].replace("-", " - ").upper())

    async def test_a_wrong_code_is_an_event_for_the_owner(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending("stranger")
        people.clock.pass_by(seconds=1)
        with pytest.raises(CodeWrong):
            await ann.finish(pending, ann.code(-100))
        newest, *before = (await people.sessions.events(ann.actor, Paging())).items
        assert (newest.act, newest.session_id) == (SecurityAct.SIGN_IN_FAILED, None)
        assert SecurityAct.SIGN_IN_FAILED not in {each.act for each in before}

    async def test_a_pending_sign_in_expires(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending()
        people.clock.pass_by(minutes=5)
        with pytest.raises(NotAuthenticated, match="token_expired"):
            await ann.finish(pending, ann.next_code())

    async def test_another_password_voids_it(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending()
        await people.choose(ann.signed_in, OTHER_PASSWORD)
        with pytest.raises(NotAuthenticated):
            await ann.finish(pending, ann.next_code())

    async def test_it_ends_with_the_factor(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending()
        await people.factors.turn_off(ann.actor, both(ann.next_code()))
        with pytest.raises(NotAuthenticated):
            await ann.finish(pending, ann.next_code())
        await people.sign_in_as(ONE)

    async def test_a_closed_account_opens_no_more(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending()
        await people.accounts.close(ann.actor, CloseAccount(password=PASSWORD, code=ann.next_code()))
        with pytest.raises(NotAuthenticated):
            await ann.finish(pending, ann.next_code())

    async def test_the_wrong_password_asks_for_no_code(self, people: AccountsWorld) -> None:
        await owner(people)
        with pytest.raises(NotAuthenticated, match="credentials_invalid"):
            await people.sign_in_as(ONE, "Wrong-Horse")

    async def test_the_owner_is_told_of_a_new_device_once_it_is_in(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        while await people.workers.letters.once():  # one tells of the second factor
            pass
        sent = len(letters_in(people.mail))
        pending = await ann.pending("tablet", user_agent="Tablet/1")
        assert not await people.workers.letters.once()
        assert len(letters_in(people.mail)) == sent
        await ann.finish(pending, ann.next_code(), user_agent="Tablet/1")
        while await people.workers.letters.once():
            pass
        (letter,) = letters_in(people.mail)[sent:]
        assert letter["Subject"].startswith("Вход")


class TestGuessing:
    async def wrong(self, ann: Owner, pending: str, times: int) -> None:
        for _ in range(times):
            with pytest.raises(CodeWrong):
                await ann.finish(pending, ann.code(-100))

    async def test_wrong_codes_are_limited(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending = await ann.pending("stranger")
        await self.wrong(ann, pending, 10)
        with pytest.raises(TooManyRequests):
            await ann.finish(pending, ann.next_code())
        with pytest.raises(TooManyRequests):
            await ann.finish(await ann.pending("another stranger"), ann.next_code())

    async def test_a_known_device_is_not_locked_out_by_strangers(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        await self.wrong(ann, await ann.pending("stranger"), 10)
        await ann.finish(await ann.pending("first"), ann.next_code())

    async def test_nobody_is_told_what_is_left_to_others(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        told: list[Left] = []
        limiter = ReportingLimiter(people.limiter, lambda: told.append)
        people.accounts = people.accounts_over(evolve(people.ports, limiter=limiter))

        async def rest(device: str, address: str) -> list[tuple[str, int]]:
            pending = await ann.pending(device)
            told.clear()
            with pytest.raises(CodeWrong):
                await ann.finish(pending, ann.code(-100), address=address)
            return [(left.allowance.name, left.uses) for left in told]

        whole, less, least = ("wrong codes", 10), ("wrong codes", 9), ("wrong codes", 8)
        assert await rest("stranger", "192.0.2.1") == [whole, less]
        assert await rest("another", "192.0.2.2") == [whole, less], "nothing of what others do"
        assert await rest("first", "192.0.2.1") == [whole, less]
        assert await rest("first", "192.0.2.1") == [less, least]
        for number in range(8):
            await rest("stranger", f"198.51.100.{number}")
        with pytest.raises(TooManyRequests) as refused:
            await ann.finish(await ann.pending("stranger"), ann.next_code(), address="203.0.113.9")
        assert refused.value.allowance.is_shared

    async def test_many_at_once_are_counted_one_after_the_other(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        pending, wrong = await ann.pending("stranger"), ann.code(-100)
        outcomes = await asyncio.gather(
            *(ann.finish(pending, wrong) for _ in range(15)), return_exceptions=True
        )
        kinds = [type(each) for each in outcomes]
        assert (kinds.count(CodeWrong), kinds.count(TooManyRequests)) == (10, 5)


class TestRecoveryCodes:
    async def test_each_is_good_once_in_place_of_a_code(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        assert len(ann.recovery) == 10
        first, second, *_ = ann.recovery
        await ann.finish(await ann.pending(), first.upper())
        with pytest.raises(CodeWrong):
            await ann.finish(await ann.pending(), first)
        signed_in = await ann.finish(await ann.pending(), second.replace("-", ""))
        state = await people.factors.read(await people.actor(signed_in))
        assert (state.is_on, state.recovery_codes_left) == (True, 8)

    async def test_new_ones_void_the_others(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        renewed = await people.factors.renew_recovery_codes(ann.actor, both(ann.recovery[0]))
        assert len({*renewed, *ann.recovery}) == 20
        with pytest.raises(CodeWrong):
            await ann.finish(await ann.pending(), ann.recovery[1])
        await ann.finish(await ann.pending(), renewed[1])

    async def test_they_are_not_shown_without_a_factor(self, people: AccountsWorld) -> None:
        actor = await people.actor(await people.join(ONE))
        with pytest.raises(FactorNotOn):
            await people.factors.renew_recovery_codes(actor, both("123456"))
        await people.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        with pytest.raises(FactorNotOn):
            await people.factors.renew_recovery_codes(actor, both("123456"))


class TestStepUp:
    """What a stolen session must not do takes the password and a code again."""

    async def test_turning_it_off_takes_both(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        with pytest.raises(PasswordWrong):
            await people.factors.turn_off(ann.actor, both(ann.next_code(), "Wrong-Horse"))
        with pytest.raises(CodeWrong):
            await people.factors.turn_off(ann.actor, both(ann.code(-100)))
        with pytest.raises(CodeWrong):
            await people.factors.turn_off(ann.actor, both(""))
        assert (await people.factors.read(ann.actor)).is_on
        await people.factors.turn_off(ann.actor, both(ann.code()))
        assert not (await people.factors.read(ann.actor)).is_on
        await people.sign_in_as(ONE, device="second")
        with pytest.raises(FactorNotOn):
            await people.factors.turn_off(ann.actor, both(ann.next_code()))

    async def test_new_recovery_codes_take_both(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        with pytest.raises(PasswordWrong):
            await people.factors.renew_recovery_codes(ann.actor, both(ann.next_code(), "Wrong-Horse"))
        with pytest.raises(CodeWrong):
            await people.factors.renew_recovery_codes(ann.actor, both(ann.code(-100)))

    async def test_closing_the_account_takes_both(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        for code in (None, "", ann.code(-100)):
            with pytest.raises(CodeWrong):
                await people.accounts.close(ann.actor, CloseAccount(password=PASSWORD, code=code))
        await people.actor(ann.signed_in)
        await people.accounts.close(ann.actor, CloseAccount(password=PASSWORD, code=ann.next_code()))
        with pytest.raises(NotAuthenticated):
            await people.actor(ann.signed_in)

    async def test_without_a_factor_a_code_does_not_matter(self, people: AccountsWorld) -> None:
        actor = await people.actor(await people.join(ONE))
        await people.accounts.close(actor, CloseAccount(password=PASSWORD, code="123456"))

    async def test_guesses_by_a_session_are_limited(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        for _ in range(10):
            with pytest.raises(CodeWrong):
                await people.factors.turn_off(ann.actor, both(ann.code(-100)))
        with pytest.raises(TooManyRequests):
            await people.factors.turn_off(ann.actor, both(ann.next_code()))


class TestAForgottenPassword:
    async def test_the_letter_alone_does_not_sign_in(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        token = await people.forget_password(ONE)
        with pytest.raises(SecondFactorNeeded) as needed:
            await people.redeem(token, "new device")
        with pytest.raises(NotAuthenticated):
            await people.redeem(token, "new device")
        with pytest.raises(NotAuthenticated):
            await people.actor(ann.signed_in)  # sessions that the forgotten password opened have ended
        signed_in = await ann.finish(needed.value.pending_token, ann.next_code())
        await people.choose(signed_in, OTHER_PASSWORD)


class TestLosingThePhone:
    async def test_the_operator_removes_it(self, people: AccountsWorld) -> None:
        ann = await owner(people)
        record = RecordEvent(ids=people.ids, where=Origin)
        forget = ForgetFactorHandler(
            begin=people.begin,
            clock=people.clock,
            tell=TellOwner(record=record, ids=people.ids, limits=None),
        )
        people.clock.pass_by(seconds=1)
        await forget(ForgetFactor(email=Email("ONE@example.com")))
        (newest,) = (await people.sessions.events(ann.actor, Paging(limit=1))).items
        assert (newest.act, newest.session_id) == (SecurityAct.FACTOR_OFF, None)
        await people.sign_in_as(ONE)
        with pytest.raises(FactorNotOn):
            await forget(ForgetFactor(email=Email(ONE)))


@define
class Rows:
    """What storage keeps, through the port."""

    people: AccountsWorld

    async def has(self, actor: Actor) -> bool:
        async with self.people.begin() as work:
            return await work.factors.find(actor.account_id) is not None


async def test_closing_removes_it_at_once(people: AccountsWorld) -> None:
    ann, bob = await owner(people), await owner(people, TWO)
    await people.accounts.close(ann.actor, CloseAccount(password=PASSWORD, code=ann.next_code()))
    rows = Rows(people)
    assert not await rows.has(ann.actor)
    assert await rows.has(bob.actor)


async def test_removing_an_account_removes_what_is_left(people: AccountsWorld) -> None:
    ann, bob = await owner(people), await owner(people, TWO)
    async with people.begin() as work:
        await work.accounts.lock(ann.actor.account_id)
        await work.accounts.remove(ann.actor.account_id)
    rows = Rows(people)
    assert not await rows.has(ann.actor)
    assert await rows.has(bob.actor)

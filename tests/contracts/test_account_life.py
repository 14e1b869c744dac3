"""What becomes of an account after sign-up, told as histories, on every storage."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import define, evolve

from application.accounts.close import CloseAccount
from application.accounts.email_status import EmailStatus
from application.accounts.reset_password import ResetPassword
from application.accounts.set_password import SetPassword
from application.accounts.sign_up import SignUp
from application.accounts.signed_in import SignedIn
from application.actor import Actor
from application.chats.create import CreateChat, CreateChatHandler
from application.chats.open_direct import OpenDirect, OpenDirectHandler
from application.errors import NotAuthenticated, Unavailable
from application.keys import KeyReused, digest, owned_by_address
from application.paging import Paging
from application.ports.keys import KeyUse, Operation
from application.ports.limiter import TooManyRequests
from application.ports.passwords import UNKNOWN_REQUESTER, Passwords, Requester
from application.ports.posting import Draft
from application.ports.views import Newest
from application.profiles.edit import EditProfile
from application.views import NOBODY
from config.features.accounts import session_use_cases
from config.features.workers import make_workers
from config.settings.groups import Settings
from domain.account import Email, Password, PasswordCommon, PasswordHash, PasswordUnfit, PasswordWrong
from domain.chat import About
from domain.chat_errors import ChatNotFound
from domain.events import ChatRemoved, MemberRemoved, RoleChanged, SessionEnd, SessionEnded
from domain.ids import ChatId, LetterId
from domain.message import Body, Nonce
from domain.notification import Outcome, Template
from domain.profile import Username
from domain.role import Role
from domain.session import SessionNotFound
from tests.accounts_world import PASSWORD, AccountsWorld, accounts_world, letters_in
from tests.storages import SharedStorage
from tests.unlimited import ADDING

ONE = "one@example.com"
OTHER_PASSWORD = "Battery-Staple"


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield world


async def nothing() -> None: ...


@define(eq=False)
class CountedPasswords:
    """Counts what is hashed and verified. ``meanwhile`` happens after each hash."""

    passwords: Passwords
    meanwhile: Callable[[], Awaitable[None]] = nothing
    hashed: int = 0
    verified: int = 0

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        self.hashed += 1
        made = await self.passwords.hash(password, requester)
        await self.meanwhile()
        return made

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        self.verified += 1
        return await self.passwords.verify(password, against, requester)

    def expect(self, former: PasswordHash | None) -> None:
        self.passwords.expect(former)

    def is_current(self, password_hash: PasswordHash) -> bool:
        return self.passwords.is_current(password_hash)


async def is_in(people: AccountsWorld, signed_in: SignedIn) -> bool:
    try:
        await people.actor(signed_in)
    except NotAuthenticated:
        return False
    return True


def reasons(people: AccountsWorld) -> list[SessionEnd]:
    return [event.reason for event in people.published if isinstance(event, SessionEnded)]


class TestAForgottenPassword:
    async def test_the_letter_signs_in_and_another_password_is_chosen(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        token = await people.forget_password("ONE@example.com")
        assert "/setup-new-password?token=" in people.links[-1]
        signed_in = await people.redeem(token, "new device")
        await people.sign_in_as(ONE)  # the old one still works
        await people.choose(signed_in, OTHER_PASSWORD)
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(ONE)
        await people.sign_in_as(ONE, OTHER_PASSWORD)

    async def test_a_token_works_once(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        token = await people.forget_password(ONE)
        await people.redeem(token)
        with pytest.raises(NotAuthenticated) as refused:
            await people.redeem(token)
        assert refused.value.reason == "token_invalid"

    async def test_of_twenty_that_redeem_it_at_once_one_gets_in(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        token = await people.forget_password(ONE)
        answers = await asyncio.gather(
            *(people.redeem(token, f"device {n}") for n in range(20)), return_exceptions=True
        )
        assert sum(isinstance(answer, SignedIn) for answer in answers) == 1
        assert {type(answer) for answer in answers} == {SignedIn, NotAuthenticated}

    async def test_a_letter_works_once(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        token = await people.forget_password(ONE)
        await people.redeem(token)
        with pytest.raises(NotAuthenticated):
            await people.redeem(token)

    async def test_choosing_a_password_voids_letters_under_way(self, people: AccountsWorld) -> None:
        signed_in = await people.join(ONE)
        token = await people.forget_password(ONE)
        await people.choose(signed_in, OTHER_PASSWORD)
        with pytest.raises(NotAuthenticated):
            await people.redeem(token)

    async def test_the_link_is_good_for_an_hour(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        token = await people.forget_password(ONE)
        people.clock.pass_by(minutes=60)
        with pytest.raises(NotAuthenticated) as refused:
            await people.redeem(token)
        assert refused.value.reason == "token_expired"

    async def test_a_newer_letter_voids_the_older(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        older = await people.forget_password(ONE)
        newer = await people.forget_password(ONE)
        with pytest.raises(NotAuthenticated) as refused:
            await people.redeem(older)
        assert refused.value.reason == "token_invalid"
        assert await is_in(people, await people.redeem(newer))

    async def test_it_does_not_void_the_letters_of_a_sign_up(self, people: AccountsWorld) -> None:
        await people.sign_up_as(ONE)
        confirming = await people.mailed_token()
        await people.forget_password(ONE)
        await people.confirm(confirming)
        assert await is_in(people, await people.sign_in_as(ONE))

    async def test_it_ends_every_older_session_at_once(self, people: AccountsWorld) -> None:
        older = [await people.join(ONE)]
        older += [await people.sign_in_as(ONE, device=f"device {n}") for n in range(2)]
        token = await people.forget_password(ONE)
        people.published.clear()
        mine = await people.redeem(token, "first")
        assert [await is_in(people, each) for each in older] == [False] * 3
        assert await is_in(people, mine)
        ended = [each for each in people.published if isinstance(each, SessionEnded)]
        assert {each.session_id for each in ended} == {each.session_id for each in older}
        assert reasons(people) == [SessionEnd.REVOKED] * 3

    async def test_a_sign_up_letter_is_redeemed_as_well_and_confirms(self, people: AccountsWorld) -> None:
        await people.sign_up_as(ONE)
        assert await is_in(people, await people.redeem(await people.mailed_token()))
        assert await people.accounts.email_status(EmailStatus(email=Email(ONE)))
        await people.sign_in_as(ONE)

    async def test_an_unconfirmed_account_is_confirmed_without_anybodys_password(
        self, people: AccountsWorld
    ) -> None:
        """A stranger may have signed up with this address."""
        await people.sign_up_as(ONE, "Strangers1")
        signed_in = await people.redeem(await people.forget_password(ONE))
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(ONE, "Strangers1")
        await people.choose(signed_in, OTHER_PASSWORD)
        await people.sign_in_as(ONE, OTHER_PASSWORD)

    async def test_an_unknown_address_leaves_the_same_traces_and_gets_no_letter(
        self, people: AccountsWorld
    ) -> None:
        await people.accounts.reset_password(ResetPassword(email=Email("nobody@example.com")))
        assert len(people.woken) == 1
        await people.workers.letters.once()
        assert letters_in(people.mail) == []
        people.clock.pass_by(days=31)
        await people.workers.tidying.once()
        async with people.begin() as work:
            assert await work.letters.lock_due(people.clock.now(), 10) == []

    async def test_the_letter_goes_to_the_address_as_its_owner_wrote_it(self, people: AccountsWorld) -> None:
        await people.join("One@Example.com")
        await people.forget_password("one@example.COM")
        assert letters_in(people.mail)[-1]["To"] == "One@Example.com"


class TestIdempotencyKeys:
    """`Idempotency-Key`: a client that got no answer asks again, and it stays one letter."""

    async def test_sign_ups_at_once_are_one_letter(self, people: AccountsWorld) -> None:
        asked = SignUp(email=Email(ONE), password=Password(PASSWORD), key=Nonce("wish"))
        signed_up = await asyncio.gather(*(people.accounts.sign_up(asked) for _ in range(3)))
        signed_up.append(await people.accounts.sign_up(asked))
        assert len({each.account_id for each in signed_up}) == 1
        await people.workers.letters.once()
        assert len(letters_in(people.mail)) == 1

    async def test_another_key_is_another_letter(self, people: AccountsWorld) -> None:
        for password, key in ((PASSWORD, "wish"), (OTHER_PASSWORD, "another"), (PASSWORD, None)):
            await people.accounts.sign_up(
                SignUp(email=Email(ONE), password=Password(password), key=Nonce(key) if key else None)
            )
        await people.workers.letters.once()
        assert len(letters_in(people.mail)) == 3

    async def test_another_password_under_the_key_of_one_is_refused(self, people: AccountsWorld) -> None:
        asked = SignUp(email=Email(ONE), password=Password(PASSWORD), key=Nonce("wish"))
        await people.accounts.sign_up(asked)
        with pytest.raises(KeyReused) as reused:
            await people.accounts.sign_up(evolve(asked, password=Password(OTHER_PASSWORD)))
        assert reused.value.first.operation is Operation.SIGN_UP
        await people.confirm(await people.mailed_token())
        assert await is_in(people, await people.sign_in_as(ONE, password=PASSWORD))

    async def test_a_key_is_free_again_when_its_letter_has_expired(self, people: AccountsWorld) -> None:
        asked = SignUp(email=Email(ONE), password=Password(PASSWORD), key=Nonce("wish"))
        await people.accounts.sign_up(asked)
        await people.workers.letters.once()
        people.clock.pass_by(days=3)
        await people.accounts.sign_up(evolve(asked, password=Password(OTHER_PASSWORD)))
        await people.workers.letters.once()
        assert len(letters_in(people.mail)) == 2

    async def test_whoever_closed_an_account_left_no_key_behind(self, people: AccountsWorld) -> None:
        asked = SignUp(email=Email(ONE), password=Password(PASSWORD), key=Nonce("wish"))
        await people.accounts.sign_up(asked)
        signed_in = await people.confirm(await people.mailed_token())
        await people.accounts.close(await people.actor(signed_in), CloseAccount(password=PASSWORD))
        await people.accounts.sign_up(evolve(asked, password=Password(OTHER_PASSWORD)))
        await people.confirm(await people.mailed_token())
        assert await is_in(people, await people.sign_in_as(ONE, password=OTHER_PASSWORD))

    async def test_a_used_link_stays_used_when_its_reset_is_asked_for_again(
        self, people: AccountsWorld
    ) -> None:
        """A confirmation has an identity of its own: asking again under its key leads to no former one."""
        await people.join(ONE)
        asked = ResetPassword(email=Email(ONE), key=Nonce("wish"))
        await people.accounts.reset_password(asked)
        used = await people.mailed_token()
        await people.redeem(used)
        for days in (0, 1, 2, 30):
            people.clock.pass_by(days=days)
            await people.accounts.reset_password(asked)
            with pytest.raises(NotAuthenticated):
                await people.redeem(used)

    async def test_forgotten_again_under_one_name_it_is_one_letter(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        await people.workers.letters.once()
        before = len(letters_in(people.mail))
        for key in ("wish", "wish", "another"):
            await people.accounts.reset_password(ResetPassword(email=Email(ONE), key=Nonce(key)))
        await people.workers.letters.once()
        assert len(letters_in(people.mail)) - before == 2

    @pytest.mark.parametrize("is_used", [True, False], ids=["used", "void"])
    async def test_under_the_key_of_an_earlier_letter_that_letter_stays_void(
        self, people: AccountsWorld, is_used: bool
    ) -> None:
        signed_in = await people.join(ONE)
        wish = ResetPassword(email=Email(ONE), key=Nonce("wish"))
        await people.accounts.reset_password(wish)
        first = await people.mailed_token()
        if is_used:
            await people.redeem(first)
        else:
            await people.choose(signed_in, OTHER_PASSWORD)
        await people.accounts.reset_password(wish)
        with pytest.raises(NotAuthenticated):
            await people.redeem(first)

    async def test_a_key_of_a_reset_is_free_again_when_its_letter_has_expired(
        self, people: AccountsWorld
    ) -> None:
        await people.join(ONE)
        wish = ResetPassword(email=Email(ONE), key=Nonce("wish"))
        await people.accounts.reset_password(wish)
        first = await people.mailed_token()
        people.clock.pass_by(hours=1)
        await people.workers.tidying.once()
        await people.accounts.reset_password(wish)
        second = await people.mailed_token()
        people.clock.pass_by(minutes=-50)  # to a node whose clock is behind, the first letter has not expired
        with pytest.raises(NotAuthenticated) as refused:
            await people.redeem(first)
        assert refused.value.reason == "token_invalid"
        people.clock.pass_by(minutes=50)
        assert await is_in(people, await people.redeem(second))

    async def test_a_name_of_a_sign_up_is_free_for_a_reset(self, people: AccountsWorld) -> None:
        await people.accounts.sign_up(
            SignUp(email=Email(ONE), password=Password(PASSWORD), key=Nonce("wish"))
        )
        await people.accounts.reset_password(ResetPassword(email=Email(ONE), key=Nonce("wish")))
        await people.workers.letters.once()
        assert len(letters_in(people.mail)) == 2

    async def test_nobody_learns_by_it_who_is_here(self, people: AccountsWorld) -> None:
        """A repeat leaves no more traces for an unknown address than for a known one."""
        await people.join(ONE)
        for address in (ONE, "nobody@example.com"):
            asked = ResetPassword(email=Email(address), key=Nonce("wish"))
            for seconds in (1, 2):
                people.clock.pass_by(seconds=seconds)
                await people.accounts.reset_password(asked)
            owner_id = owned_by_address(Operation.RESET_PASSWORD, Email(address))
            async with people.begin() as work:
                use = KeyUse(
                    operation=Operation.RESET_PASSWORD,
                    digest=digest(),
                    subject_id=uuid4(),
                    used_at=people.clock.now(),
                )
                first = await work.keys.claim(owner_id, Nonce("wish"), use)
            assert first
            assert first.used_at == people.clock.now() - timedelta(seconds=2)


class TestChoosingAPassword:
    async def test_every_other_session_ends(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        others = [await people.sign_in_as(ONE, device=f"device {n}") for n in range(3)]
        people.published.clear()
        await people.choose(mine, OTHER_PASSWORD)
        assert await is_in(people, mine)
        assert [await is_in(people, other) for other in others] == [False] * 3
        assert reasons(people) == [SessionEnd.PASSWORD_CHANGED] * 3
        with pytest.raises(NotAuthenticated):
            await people.refresh_with(others[0].refresh_token, "device 0")
        await people.refresh_with(mine.refresh_token)

    async def test_its_owner_is_told(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        await people.choose(mine, OTHER_PASSWORD)
        await people.workers.letters.once()
        letter = letters_in(people.mail)[-1]
        assert "Your password was changed" in letter["Subject"]
        assert OTHER_PASSWORD not in letter.as_string()

    @pytest.mark.parametrize(
        ("text", "refusal"), [("password1", PasswordUnfit), ("Qwerty-Йцукен", PasswordCommon)]
    )
    async def test_what_may_not_be_chosen(
        self, people: AccountsWorld, text: str, refusal: type[PasswordUnfit]
    ) -> None:
        mine = await people.join(ONE)
        with pytest.raises(refusal):
            await people.choose(mine, text)
        with pytest.raises(refusal):
            await people.sign_up_as("new@example.com", text)
        await people.sign_in_as(ONE)

    async def test_an_old_password_that_is_given_must_be_right(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        other = await people.sign_in_as(ONE, device="other")
        with pytest.raises(PasswordWrong):
            await people.choose(mine, OTHER_PASSWORD, old="Wrong-Horse1")
        assert await is_in(people, other)
        await people.choose(mine, OTHER_PASSWORD, old=PASSWORD)
        assert not await is_in(people, other)
        await people.sign_in_as(ONE, password=OTHER_PASSWORD)

    async def test_an_old_password_cannot_be_guessed(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        for _ in range(people.rules.failures.most):
            with pytest.raises(PasswordWrong):
                await people.choose(mine, OTHER_PASSWORD, old="Wrong-Horse1")
        with pytest.raises(TooManyRequests):
            await people.choose(mine, OTHER_PASSWORD, old=PASSWORD)

    async def test_without_the_old_password_nothing_is_hashed(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        passwords = CountedPasswords(people.passwords)
        people.accounts = people.accounts_over(evolve(people.ports, passwords=passwords))
        for _ in range(people.rules.failures.most):
            with pytest.raises(PasswordWrong):
                await people.choose(mine, OTHER_PASSWORD, old="Wrong-Horse1")
        assert (passwords.verified, passwords.hashed) == (people.rules.failures.most, 0)
        with pytest.raises(TooManyRequests):
            await people.choose(mine, OTHER_PASSWORD, old=PASSWORD)
        assert (passwords.verified, passwords.hashed) == (people.rules.failures.most, 0)

    async def test_the_old_password_is_verified_once(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        passwords = CountedPasswords(people.passwords)
        people.accounts = people.accounts_over(evolve(people.ports, passwords=passwords))
        await people.choose(mine, OTHER_PASSWORD, old=PASSWORD)
        assert (passwords.verified, passwords.hashed) == (1, 1)

    async def test_an_old_password_that_changed_meanwhile_is_wrong(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        actor = await people.actor(mine)

        async def change() -> None:
            other = await people.passwords.hash("Somebody-Else1")
            async with people.begin() as work:
                account = await work.accounts.lock(actor.account_id)
                account.change_password(other)
                await work.accounts.save(account)

        passwords = CountedPasswords(people.passwords, meanwhile=change)
        people.accounts = people.accounts_over(evolve(people.ports, passwords=passwords))
        with pytest.raises(PasswordWrong):
            await people.choose(mine, OTHER_PASSWORD, old=PASSWORD)

    async def test_the_old_password_where_it_is_needed(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        people.rules = evolve(people.rules, old_password_needed=True)
        people.accounts = people.accounts_over(people.ports)
        with pytest.raises(PasswordWrong):
            await people.choose(mine, OTHER_PASSWORD)
        await people.choose(mine, OTHER_PASSWORD, old=PASSWORD)
        await people.sign_in_as(ONE, password=OTHER_PASSWORD)

    async def test_whose_session_ended_meanwhile_changes_nothing(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        theirs = await people.actor(await people.sign_in_as(ONE, device="thief"))
        await people.revoke(mine, theirs.session_id)
        with pytest.raises(NotAuthenticated):
            await people.accounts.set_password(theirs, SetPassword(password=Password("Thieves-Own1")))
        await people.sign_in_as(ONE)

    async def test_of_two_at_once_one_stays(self, people: AccountsWorld) -> None:
        first = await people.join(ONE)
        second = await people.sign_in_as(ONE, device="second")
        answers = await asyncio.gather(
            people.choose(first, "Firsts-Own1"), people.choose(second, "Seconds-Own1"), return_exceptions=True
        )
        assert sorted(map(str, map(type, answers))) == sorted(map(str, (type(None), NotAuthenticated)))
        assert [await is_in(people, first), await is_in(people, second)].count(True) == 1


class TestSessions:
    async def test_they_are_listed_with_the_newest_in_front(self, people: AccountsWorld) -> None:
        first = await people.join(ONE)
        people.clock.pass_by(minutes=1)
        second = await people.sign_in_as(ONE, device="phone", user_agent="Firefox/1", address="192.0.2.1")
        people.clock.pass_by(minutes=1)
        third = await people.sign_in_as(ONE, device="third")
        people.clock.pass_by(minutes=1)
        await people.refresh_with(first.refresh_token)
        await people.revoke(third, third.session_id)
        listed = (await people.sessions.list(await people.actor(second), Paging())).items
        assert [session.id for session in listed] == [second.session_id, first.session_id]
        assert (listed[0].fingerprint.text, listed[0].origin.user_agent) == ("phone", "Firefox/1")

    async def test_one_that_has_run_out_is_not_listed(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        people.clock.pass_by(days=60)
        later = await people.sign_in_as(ONE, device="later")
        listed = (await people.sessions.list(await people.actor(later), Paging())).items
        assert [session.id for session in listed] == [later.session_id]

    async def test_one_is_revoked(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        other = await people.sign_in_as(ONE, device="other")
        await people.revoke(mine, other.session_id)
        assert not await is_in(people, other)
        assert reasons(people) == [SessionEnd.REVOKED]
        with pytest.raises(SessionNotFound):
            await people.revoke(mine, other.session_id)
        await people.revoke(mine, mine.session_id)
        assert not await is_in(people, mine)

    async def test_nobody_elses(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        theirs = await people.join("two@example.com")
        with pytest.raises(SessionNotFound):
            await people.revoke(mine, theirs.session_id)
        assert await people.revoke_others(mine) == 0
        assert await is_in(people, theirs)

    async def test_a_session_alone_ends_no_other(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        other = await people.sign_in_as(ONE, device="other")
        for wrong in ("", "Wrong-Horse1"):
            with pytest.raises(PasswordWrong):
                await people.revoke_others(mine, wrong)
            with pytest.raises(PasswordWrong):
                await people.revoke(mine, other.session_id, wrong)
        assert [await is_in(people, one) for one in (mine, other)] == [True, True]
        await people.revoke(mine, other.session_id)
        await people.revoke(mine, mine.session_id, "")
        assert [await is_in(people, one) for one in (mine, other)] == [False, False]

    async def test_nobody_guesses_the_password_by_ending_sessions(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        for _ in range(people.rules.failures.most):
            with pytest.raises(PasswordWrong):
                await people.revoke_others(mine, "")  # nothing is tried by this
        for _ in range(people.rules.failures.most):
            with pytest.raises(PasswordWrong):
                await people.revoke_others(mine, "Wrong-Horse1")
        with pytest.raises(TooManyRequests):
            await people.revoke_others(mine)
        await people.revoke(mine, mine.session_id, "")
        assert not await is_in(people, mine)

    async def test_a_session_alone_is_enough_where_that_is_set(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        other, third = [await people.sign_in_as(ONE, device=f"device {n}") for n in range(2)]
        rules = evolve(people.rules, proof_to_end_sessions=False)
        people.sessions = session_use_cases(people.ports, rules)
        with pytest.raises(PasswordWrong):
            await people.revoke_others(mine, "Wrong-Horse1")
        await people.revoke(mine, other.session_id, "")
        assert await people.revoke_others(mine, "") == 1
        assert [await is_in(people, one) for one in (mine, other, third)] == [True, False, False]

    async def test_all_others_are_revoked(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        others = [await people.sign_in_as(ONE, device=f"device {n}") for n in range(3)]
        assert await people.revoke_others(mine) == 3
        assert [await is_in(people, one) for one in (mine, *others)] == [True, False, False, False]


class TestANewDevice:
    async def subjects(self, people: AccountsWorld) -> list[str]:
        while await people.workers.letters.once():
            pass
        return [letter["Subject"] for letter in letters_in(people.mail) if "new device" in letter["Subject"]]

    async def test_its_owner_is_told_once(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        assert await self.subjects(people) == []
        for _ in range(2):
            await people.sign_in_as(ONE, device="other", address="192.0.2.7")
            assert len(await self.subjects(people)) == 1
        assert "192.0.2.7" in letters_in(people.mail)[-1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
        await people.sign_in_as(ONE, device="first")
        assert len(await self.subjects(people)) == 1, "known since it was confirmed there"

    async def test_devices_without_a_name_are_known_by_their_program(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        await people.sign_in_as(ONE, device="", user_agent="Firefox/1")
        await people.sign_in_as(ONE, device="", user_agent="Firefox/1")
        assert len(await self.subjects(people)) == 1
        await people.sign_in_as(ONE, device="", user_agent="curl")
        await people.sign_in_as(ONE, device="")
        assert len(await self.subjects(people)) == 2, "without a user agent as at the first time"

    async def test_a_refused_one_is_no_news(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(ONE, "wrong", device="other")
        assert await self.subjects(people) == []


class TestLimits:
    async def test_guessing_has_an_end_for_known_and_unknown_alike(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        for address in (ONE, "nobody@example.com"):
            for _ in range(20):
                with pytest.raises(NotAuthenticated):
                    await people.sign_in_as(address, "wrong", "a stranger's", address="192.0.2.1")
            with pytest.raises(TooManyRequests):
                await people.sign_in_as(address, PASSWORD, "a stranger's", address="192.0.2.1")
        await people.sign_in_as(ONE, device="another", address="192.0.2.2")
        people.clock.pass_by(minutes=1)
        await people.sign_in_as(ONE, device="a third", address="192.0.2.1")

    async def test_signing_in_is_no_guess(self, people: AccountsWorld) -> None:
        await people.join(ONE)
        for _ in range(25):
            await people.sign_in_as(ONE)

    async def test_letters_to_one_recipient_have_an_end(self, people: AccountsWorld) -> None:
        for address in ("known@example.com", "nobody@example.com"):
            if address.startswith("known"):
                await people.sign_up_as(address)
            else:
                await people.accounts.reset_password(ResetPassword(email=Email(address)))
            for _ in range(19):
                await people.accounts.reset_password(ResetPassword(email=Email(address)))
            with pytest.raises(TooManyRequests):
                await people.accounts.reset_password(ResetPassword(email=Email(address.upper())))
            with pytest.raises(TooManyRequests):
                await people.sign_up_as(address)

    async def test_asking_who_is_here_has_an_end(self, people: AccountsWorld) -> None:
        for n in range(120):
            await people.accounts.email_status(EmailStatus(email=Email(f"n{n}@example.com")))
        with pytest.raises(TooManyRequests):
            await people.accounts.email_status(EmailStatus(email=Email(ONE)))


class TestClosing:
    async def actors(self, people: AccountsWorld, *names: str) -> list[tuple[SignedIn, Actor]]:
        """Returns people who confirmed their address by a letter. Closing an account must remove that confirmation too."""
        joined = [await people.join_by_letter(f"{name}@example.com") for name in names]
        return [(signed_in, await people.actor(signed_in)) for signed_in in joined]

    async def group(
        self, people: AccountsWorld, storage: SharedStorage, owner: Actor, *others: Actor
    ) -> ChatId:
        create = CreateChatHandler(
            adding=ADDING,
            begin=people.begin,
            views=storage.views,
            clock=people.clock,
            ids=people.ids,
        )
        ids = tuple(other.profile_id for other in others)
        return (await create(owner, CreateChat(about=About("A chat"), member_ids=ids))).id

    async def test_it_is_gone_and_what_was_its_is_free(self, people: AccountsWorld) -> None:
        ((mine, me),) = await self.actors(people, "one")
        elsewhere = await people.sign_in_as(ONE, device="elsewhere")
        await people.profiles.edit(me, EditProfile(username=Username("number_one")))
        reset = await people.forget_password(ONE)
        people.published.clear()
        await people.close(mine)
        assert reasons(people) == [SessionEnd.ACCOUNT_CLOSED] * 2
        assert not await is_in(people, mine)
        assert not await is_in(people, elsewhere)
        assert people.closed == [None]
        for refused in (
            people.sign_in_as(ONE),
            people.redeem(reset),
            people.refresh_with(mine.refresh_token),
        ):
            with pytest.raises(NotAuthenticated):
                await refused
        assert not await people.accounts.email_status(EmailStatus(email=Email(ONE)))
        again = await people.join(ONE)
        actor = await people.actor(again)
        assert actor.profile_id != me.profile_id
        await people.profiles.edit(actor, EditProfile(username=Username("Number_One")))

    async def test_a_wrong_password_changes_nothing(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        for _ in range(20):
            with pytest.raises(PasswordWrong):
                await people.close(mine, "wrong")
        with pytest.raises(TooManyRequests):
            await people.close(mine)
        assert await is_in(people, mine)
        assert people.closed == []

    async def test_ownership_passes_and_messages_stay(
        self, people: AccountsWorld, storage: SharedStorage
    ) -> None:
        (mine, me), (_, ann), (_, bob) = await self.actors(people, "one", "ann", "bob")
        chat_id = await self.group(people, storage, me, ann, bob)
        async with storage.begin_posting() as posting:
            draft = Draft(
                chat_id=chat_id,
                author_id=me.profile_id,
                id=people.ids.message(),
                body=Body("Here I was"),
                nonce=None,
                at=people.clock.now(),
            )
            opened = await posting.open([draft], None)
            chat = opened.chats[chat_id]
            author = opened.authors[chat_id, me.profile_id]
            await posting.keep([chat], [chat.post(author, draft.body, id=draft.id, nonce=None, at=draft.at)])
        people.published.clear()
        await people.close(mine)
        assert not await people.workers.closed_accounts.once()
        told = [type(each) for each in people.published if not isinstance(each, SessionEnded)]
        assert told == [MemberRemoved, RoleChanged, ChatRemoved]
        members = await storage.views.members(ann.profile_id, chat_id)
        heir = min(ann.profile_id, bob.profile_id)
        assert {(each.profile.id, each.role) for each in members} == {
            (heir, Role.OWNER),
            (max(ann.profile_id, bob.profile_id), Role.MEMBER),
        }
        (said,) = (await storage.views.history(ann.profile_id, chat_id, Newest(), 10)).messages
        assert (said.message.body.text, said.sender) == ("Here I was", NOBODY)
        (listed,) = await storage.views.list_chats(bob.profile_id)
        assert listed.owner.id == heir
        assert listed.last_message is not None
        assert listed.last_message.sender == NOBODY

    async def test_the_twenty_first_does_not_wait_for_those_before(
        self, people: AccountsWorld, storage: SharedStorage
    ) -> None:
        (mine, me), (_, ann) = await self.actors(people, "one", "ann")
        for number in range(25):  # closed just now, so that none of them can be removed yet
            await people.close(await people.join(f"another{number}@example.com"))
        people.clock.pass_by(seconds=1)
        chat_id = await self.group(people, storage, me, ann)
        await people.close(mine)
        assert not await people.workers.closed_accounts.once()
        assert [each.profile.id for each in await storage.views.members(ann.profile_id, chat_id)] == [
            ann.profile_id
        ]

    async def test_one_that_fails_keeps_nobody_waiting(
        self, people: AccountsWorld, storage: SharedStorage
    ) -> None:
        (first, one), (second, two), (_, ann) = await self.actors(people, "one", "two", "ann")
        stuck, free = [await self.group(people, storage, owner, ann) for owner in (one, two)]
        await people.close(first)
        people.clock.pass_by(seconds=1)
        await people.close(second)
        count = 0

        def begin_and_fail() -> object:
            nonlocal count
            count += 1
            if count == 3:  # the accounts, the chats of the first, and its first chat
                raise Unavailable
            return storage.begin()

        failing = evolve(storage, begin=begin_and_fail)  # type: ignore[arg-type]  # returns a unit of work
        workers = make_workers(evolve(people.ports, storage=failing), Settings())
        with pytest.raises(Unavailable):
            await workers.closed_accounts.once()
        assert len(await storage.views.members(ann.profile_id, stuck)) == 2
        assert len(await storage.views.members(ann.profile_id, free)) == 1

    async def test_direct_chats_stay_with_the_other_and_go_with_the_last(
        self, people: AccountsWorld, storage: SharedStorage
    ) -> None:
        (mine, me), (theirs, ann) = await self.actors(people, "one", "ann")
        open_direct = OpenDirectHandler(
            adding=ADDING,
            begin=people.begin,
            views=storage.views,
            clock=people.clock,
            ids=people.ids,
        )
        chat_id = (await open_direct(me, OpenDirect(profile_id=ann.profile_id))).id
        await people.close(mine)
        await people.workers.closed_accounts.once()
        (left,) = await storage.views.list_chats(ann.profile_id)
        assert (left.id, left.member_count) == (chat_id, 1)
        await people.close(theirs)
        await people.workers.closed_accounts.once()
        async with people.begin() as work:
            assert (await work.chats.lock(chat_id)).deleted_at is not None
        with pytest.raises(ChatNotFound):
            await storage.views.get_chat(me.profile_id, chat_id)
        async with people.begin() as work:
            another = people.ids.chat()
            claimed = await work.chats.claim_direct(me.profile_id, ann.profile_id, another)
        assert claimed == another, "nothing is left that says that these two have a chat"

    async def test_an_interrupted_one_is_completed(
        self, people: AccountsWorld, storage: SharedStorage
    ) -> None:
        (mine, me), (_, ann) = await self.actors(people, "one", "ann")
        chats = [await self.group(people, storage, ann, me) for _ in range(3)]
        await people.close(mine)

        class Killed(BaseException):
            pass

        count = 0

        def begin_and_die() -> object:
            nonlocal count
            count += 1
            if count == 4:  # the accounts, their chats, the first chat, and there it ends
                raise Killed
            return storage.begin()

        storage_that_dies = evolve(
            storage,
            begin=begin_and_die,  # type: ignore[arg-type]  # what it returns is a unit of work
        )
        dying = make_workers(evolve(people.ports, storage=storage_that_dies), Settings()).closed_accounts.once
        with pytest.raises(Killed):
            await dying()
        left = [chat for chat in chats if len(await storage.views.members(ann.profile_id, chat)) == 1]
        assert len(left) == 1
        await people.workers.closed_accounts.once()
        assert [len(await storage.views.members(ann.profile_id, chat)) for chat in chats] == [1, 1, 1]

    async def test_the_account_itself_goes_a_little_later(
        self, people: AccountsWorld, storage: SharedStorage
    ) -> None:
        ((mine, me),) = await self.actors(people, "one")
        await people.close(mine)
        await people.workers.closed_accounts.once()
        async with people.begin() as work:
            (closed,) = await work.accounts.closed(10)
        assert closed.id == me.account_id
        late = await self.group(people, storage, me)  # by a request that was let in just before
        people.clock.pass_by(minutes=5)
        await people.workers.closed_accounts.once()
        async with people.begin() as work:
            assert await work.accounts.closed(10) == []
            assert await work.profiles.find_by_account(me.account_id) is None
            assert (await work.chats.lock(late)).deleted_at is not None
            with pytest.raises(SessionNotFound):
                await work.sessions.lock(me.account_id, mine.session_id)

    async def test_a_password_that_changed_meanwhile_is_asked_again(self, people: AccountsWorld) -> None:
        mine = await people.join(ONE)
        actor = await people.actor(mine)
        other = await people.sign_in_as(ONE, device="other")
        await people.choose(other, OTHER_PASSWORD)
        with pytest.raises(NotAuthenticated):
            await people.accounts.close(actor, CloseAccount(password=PASSWORD))


class TestTidying:
    async def test_sessions_that_ran_out_end_and_are_told(self, people: AccountsWorld) -> None:
        signed_in = await people.join(ONE)
        people.clock.pass_by(days=60)
        await people.workers.tidying.once()
        assert reasons(people) == [SessionEnd.EXPIRED]
        await people.workers.tidying.once()
        assert len(reasons(people)) == 1
        account = (await people.actor(await people.sign_in_as(ONE))).account_id
        async with people.begin() as work:
            session = await work.sessions.lock(account, signed_in.session_id)
        assert session.ended_because is SessionEnd.EXPIRED
        people.clock.pass_by(days=181)
        await people.workers.tidying.once()
        async with people.begin() as work:
            with pytest.raises(SessionNotFound):
                await work.sessions.lock(account, signed_in.session_id)

    async def test_confirmations_that_ran_out_and_letters_that_ended_are_forgotten(
        self, people: AccountsWorld
    ) -> None:
        await people.join_by_letter(ONE)
        await people.sign_up_as("two@example.com")
        async with people.begin() as work:
            (waiting,) = await work.letters.lock_due(people.clock.now(), 10)
            assert waiting.link is not None
        people.clock.pass_by(days=2)
        await people.workers.tidying.once()
        async with people.begin() as work:
            assert await work.confirmations.find(waiting.account_id, waiting.link.confirmation_id) is None
            kept = await work.letters.lock(waiting.account_id, waiting.id)
            assert (kept.outcome, kept.template) == (Outcome.PREPARED, Template.CONFIRM_EMAIL)
        await people.workers.letters.once()  # gives it up
        people.clock.pass_by(days=31)
        await people.workers.tidying.once()
        assert await self.is_forgotten(people, waiting.id)

    async def is_forgotten(self, people: AccountsWorld, letter_id: LetterId) -> bool:
        async with people.begin() as work:
            due = await work.letters.lock_due(people.clock.now() + timedelta(days=365), 100)
        return letter_id not in {letter.id for letter in due}

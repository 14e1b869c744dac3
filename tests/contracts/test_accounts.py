"""What every storage of accounts promises: the same suite over memory and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from attrs import asdict, evolve

from application.accounts.sign_out import SignOut
from application.errors import NotAuthenticated
from application.ports.storage import Begin
from application.views import LiveSession, ProfileView
from domain.account import Account, AccountNotFound, Confirmation, Email, EmailTaken, PasswordHash
from domain.events import SessionEnd
from domain.ids import AccountId, ConfirmationId, LetterId, ProfileId, SessionId
from domain.notification import Letter, LetterNotFound
from domain.profile import Name, Phone, Profile, ProfileNotFound, Username, UsernameTaken
from domain.session import Fingerprint, Lifetimes, Origin, Session, SessionNotFound
from tests.accounts_world import START, AccountsWorld, accounts_world
from tests.storages import SharedStorage

NOW = START.replace(microsecond=0)


def account(text: str = "one@example.com") -> Account:
    return Account(id=AccountId(uuid4()), email=Email(text), created_at=START)


def confirmation(account_id: AccountId) -> Confirmation:
    return Confirmation(
        id=ConfirmationId(uuid4()),
        account_id=account_id,
        email=Email("one@example.com"),
        password_hash=PasswordHash("a hash"),
        issued_at=NOW,
        expires_at=NOW + timedelta(days=2),
    )


def session(account_id: AccountId, device: str = "first") -> Session:
    return Session.open(
        id=SessionId(uuid4()),
        account_id=account_id,
        profile_id=ProfileId(uuid4()),
        fingerprint=Fingerprint(device),
        origin=Origin(user_agent="Firefox", address="192.0.2.1"),
        pair=Lifetimes().pair(access_id="a0", refresh_id="r0", at=START),
        at=START,
    )


def profile(**known: str) -> Profile:
    kinds = {"first_name": Name, "last_name": Name, "middle_name": Name, "username": Username, "phone": Phone}
    values = {field: kinds[field](text) for field, text in known.items()}
    # the names of the fields are in `kinds`, with the type of each
    return Profile(id=ProfileId(uuid4()), account_id=AccountId(uuid4()), **values)  # type: ignore[arg-type]


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield world


class TestAccounts:
    async def test_an_account_is_found_by_its_address_in_any_case(self, begin: Begin) -> None:
        one = account("One@Example.com")
        async with begin() as work:
            await work.accounts.add(one)
        async with begin() as work:
            found = await work.accounts.find_by_email(Email("one@example.COM"))
            assert found is not None
            assert asdict(found) == asdict(one)
            assert await work.accounts.find_by_email(Email("other@example.com")) is None

    async def test_an_address_is_one_in_any_spelling(self, begin: Begin) -> None:
        one = account("иван@Пример.рф")
        async with begin() as work:
            await work.accounts.add(one)
        for spelling in ("иван@xn--e1afmkfd.xn--p1ai", "ИВАН@пример.РФ", "иван@ПРИМЕР.рф"):
            async with begin() as work:
                found = await work.accounts.find_by_email(Email(spelling))
                assert found is not None
                assert found.id == one.id
            with pytest.raises(EmailTaken):
                async with begin() as work:
                    await work.accounts.add(account(spelling))
        async with begin() as work:
            await work.accounts.release_email(one)
        async with begin() as work:
            await work.accounts.add(account("иван@xn--e1afmkfd.xn--p1ai"))

    async def test_an_address_is_taken_in_any_case(self, begin: Begin) -> None:
        async with begin() as work:
            await work.accounts.add(account("one@example.com"))
        with pytest.raises(EmailTaken):
            async with begin() as work:
                await work.accounts.add(account("ONE@example.com"))

    async def test_an_unknown_account(self, begin: Begin) -> None:
        with pytest.raises(AccountNotFound):
            async with begin() as work:
                await work.accounts.lock(AccountId(uuid4()))

    async def test_what_is_not_saved_is_not_kept(self, begin: Begin) -> None:
        one = account()
        async with begin() as work:
            await work.accounts.add(one)
        async with begin() as work:
            (await work.accounts.lock(one.id)).confirmed_at = START
            assert not (await work.accounts.lock(one.id)).is_confirmed
        async with begin() as work:
            locked = await work.accounts.lock(one.id)
            locked.confirm(confirmation(one.id), at=START)
            await work.accounts.save(locked)
            assert (await work.accounts.lock(one.id)).is_confirmed, "a unit reads its own writes"
        async with begin() as work:
            assert (await work.accounts.lock(one.id)).is_confirmed

    async def test_a_block_that_raises_leaves_no_trace(self, begin: Begin) -> None:
        one = account()
        someone = profile()

        async def fail() -> None:
            async with begin() as work:
                await work.accounts.add(one)
                await work.profiles.add(someone)
                await work.sessions.add(session(one.id))
                await work.confirmations.add(confirmation(one.id))
                await work.letters.add(
                    Letter.confirming(confirmation(one.id), id=LetterId(uuid4()), at=START)
                )
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        async with begin() as work:
            assert await work.accounts.find_by_email(one.email) is None
            assert await work.profiles.find(someone.id) is None
            assert await work.profiles.find_by_account(someone.account_id) is None
            assert await work.sessions.lock_live(one.id, Fingerprint("first")) is None
            assert await work.letters.lock_due(START, 10) == []
        async with begin() as work:
            await work.accounts.add(one)

    async def test_units_on_one_account_take_turns(self, begin: Begin) -> None:
        one = account()
        async with begin() as work:
            await work.accounts.add(one)

        async def append(character: str) -> None:
            async with begin() as work:
                locked = await work.accounts.lock(one.id)
                before = locked.password_hash.text if locked.password_hash else ""
                await asyncio.sleep(0)
                locked.rehash(PasswordHash(before + character))
                await work.accounts.save(locked)

        await asyncio.gather(*(append(character) for character in "abcde"))
        async with begin() as work:
            password_hash = (await work.accounts.lock(one.id)).password_hash
        assert password_hash is not None
        assert sorted(password_hash.text) == list("abcde")

    async def test_of_twenty_that_want_one_address_one_gets_it(self, begin: Begin) -> None:
        async def add() -> bool:
            try:
                async with begin() as work:
                    await work.accounts.add(account("one@example.com"))
                    await asyncio.sleep(0)
            except EmailTaken:
                return False
            return True

        assert sum(await asyncio.gather(*(add() for _ in range(20)))) == 1


class TestConfirmations:
    async def test_they_are_void_together(self, begin: Begin) -> None:
        one, other = AccountId(uuid4()), AccountId(uuid4())
        mine, mine_too, theirs = confirmation(one), confirmation(one), confirmation(other)
        async with begin() as work:
            for each in (mine, mine_too, theirs):
                await work.confirmations.add(each)
        async with begin() as work:
            assert await work.confirmations.find(one, mine.id) == mine
            assert await work.confirmations.find(other, mine.id) is None
            await work.confirmations.void_all(one)
            assert await work.confirmations.find(one, mine_too.id) is None
        async with begin() as work:
            assert await work.confirmations.find(one, mine.id) is None
            assert await work.confirmations.find(other, theirs.id) == theirs

    async def test_the_first_of_one_id_stays(self, begin: Begin) -> None:
        first = confirmation(AccountId(uuid4()))
        again = evolve(first, email=Email("another@example.com"))

        async def add(each: Confirmation) -> bool:
            async with begin() as work:
                return await work.confirmations.add(each)

        assert await add(first)
        assert not await add(again)
        async with begin() as work:
            assert not await work.confirmations.add(again)
            assert await work.confirmations.find(first.account_id, first.id) == first
        same = confirmation(AccountId(uuid4()))
        assert sum(await asyncio.gather(*(add(same) for _ in range(10)))) == 1


class TestSessions:
    async def test_a_live_one_is_found_with_what_letting_in_takes(self, storage: SharedStorage) -> None:
        one, whose = account(), profile(first_name="Anna", username="anna")
        first = evolve(session(one.id), profile_id=whose.id)
        async with storage.begin() as work:
            await work.accounts.add(one)
            await work.profiles.add(whose)
            await work.sessions.add(first)
        assert await storage.views.live_session(one.id, first.id) == LiveSession(
            profile=ProfileView.of(whose),
            email="one@example.com",
            access_id="a0",
            expires_at=first.pair.refresh_expires_at,
            created_at=first.created_at,
            last_used_at=first.last_used_at,
            scopes=None,
        )
        assert await storage.views.live_session(AccountId(uuid4()), first.id) is None
        assert await storage.views.live_session(one.id, SessionId(uuid4())) is None

    async def test_an_ended_one_is_locked_but_not_live(self, storage: SharedStorage) -> None:
        begin, live_session = storage.begin, storage.views.live_session
        one, whose = account(), profile()
        first, second = (evolve(session(one.id), profile_id=whose.id) for _ in range(2))
        async with begin() as work:
            await work.accounts.add(one)
            await work.profiles.add(whose)
            await work.sessions.add(first)
        assert await live_session(one.id, first.id) is not None
        async with begin() as work:
            locked = await work.sessions.lock_live(one.id, Fingerprint("first"))
            assert locked is not None
            locked.end(SessionEnd.REPLACED, at=START)
            await work.sessions.save(locked)
            await work.sessions.add(second)
        assert await live_session(one.id, first.id) is None
        assert await live_session(one.id, second.id) is not None
        async with begin() as work:
            kept = await work.sessions.lock(one.id, first.id)
            assert (kept.ended_because, kept.ended_at) == (SessionEnd.REPLACED, START)
            live = await work.sessions.lock_live(one.id, Fingerprint("first"))
            assert live is not None
            assert asdict(live) == asdict(second)
            assert await work.sessions.lock_live(one.id, Fingerprint("other")) is None

    @pytest.mark.parametrize("by", ["id", "device"])
    async def test_units_on_one_session_take_turns(self, begin: Begin, by: str) -> None:
        first = session(AccountId(uuid4()))
        async with begin() as work:
            await work.sessions.add(first)

        async def rotate() -> None:
            async with begin() as work:
                if by == "id":
                    locked = await work.sessions.lock(first.account_id, first.id)
                else:
                    live = await work.sessions.lock_live(first.account_id, first.fingerprint)
                    assert live is not None
                    locked = live
                await asyncio.sleep(0)
                locked.last_used_at += timedelta(seconds=1)
                await work.sessions.save(locked)

        await asyncio.gather(*(rotate() for _ in range(5)))
        async with begin() as work:
            kept = await work.sessions.lock(first.account_id, first.id)
        assert kept.last_used_at == START + timedelta(seconds=5)

    async def test_an_unknown_one(self, begin: Begin) -> None:
        with pytest.raises(SessionNotFound):
            async with begin() as work:
                await work.sessions.lock(AccountId(uuid4()), SessionId(uuid4()))


class TestProfiles:
    async def test_what_is_kept_comes_back(self, begin: Begin) -> None:
        someone = profile(
            first_name="Анна", last_name="O'Neil", middle_name="%", username="Anna", phone="+79991234567"
        )
        nobody = ProfileId(uuid4())
        username, someone.username = someone.username, None
        async with begin() as work:
            await work.profiles.add(someone)
            someone.edit(username=username)
            await work.profiles.save(someone)
        async with begin() as work:
            found = await work.profiles.find(someone.id)
            assert found is not None
            assert asdict(found) == asdict(someone)
            assert await work.profiles.find(nobody) is None
            assert await work.profiles.find_by_account(someone.account_id) == someone.id
            assert await work.profiles.missing([nobody, someone.id, nobody]) == [nobody, nobody]
            assert await work.profiles.missing([]) == []
            views = await work.profiles.views([someone.id, nobody])
            assert {view.username for view in views.values()} == {"Anna"}
            assert list(views) == [someone.id]
            assert await work.profiles.views([]) == {}
        with pytest.raises(ProfileNotFound):
            async with begin() as work:
                await work.profiles.lock(nobody)

    async def test_a_username_has_one_owner(self, begin: Begin) -> None:
        one, other = profile(), profile()
        async with begin() as work:
            await work.profiles.add(one)
            await work.profiles.add(other)

        async def name(profile_id: ProfileId, username: str | None) -> None:
            async with begin() as work:
                locked = await work.profiles.lock(profile_id)
                locked.edit(username=Username(username) if username else None)
                await work.profiles.save(locked)

        await name(one.id, "anna")
        await name(one.id, "ANNA")
        with pytest.raises(UsernameTaken):
            await name(other.id, "Anna")
        await name(one.id, "boris")
        await name(other.id, "Anna")
        await name(one.id, None)
        await name(other.id, "boris")

    @pytest.mark.parametrize(
        ("first", "second"),
        [("coco", "сосо"), ("paypal", "PaypaI"), ("οδυσσευς", "ΟΔΥΣΣΕΥΣ"), ("anton", "ａnton")],
    )
    async def test_a_username_is_not_taken_twice_by_its_looks(
        self, begin: Begin, first: str, second: str
    ) -> None:
        one, other = profile(), profile()
        async with begin() as work:
            await work.profiles.add(one)
            await work.profiles.add(other)

        async def name(profile_id: ProfileId, username: str | None) -> None:
            async with begin() as work:
                locked = await work.profiles.lock(profile_id)
                locked.edit(username=Username(username) if username else None)
                await work.profiles.save(locked)

        await name(one.id, first)
        with pytest.raises(UsernameTaken):
            await name(other.id, second)
        await name(one.id, second)  # one's own looks are no obstacle
        with pytest.raises(UsernameTaken):
            await name(other.id, first)
        await name(one.id, "somebody")
        await name(other.id, first)
        async with begin() as work:
            await work.profiles.remove(await work.profiles.lock(other.id))
        await name(one.id, second)

    async def test_units_on_one_profile_take_turns(self, begin: Begin) -> None:
        someone = profile(first_name="a")
        async with begin() as work:
            await work.profiles.add(someone)

        async def lengthen() -> None:
            async with begin() as work:
                locked = await work.profiles.lock(someone.id)
                await asyncio.sleep(0)
                assert locked.first_name is not None
                locked.edit(first_name=Name(locked.first_name.text + "a"))
                await work.profiles.save(locked)

        await asyncio.gather(*(lengthen() for _ in range(5)))
        async with begin() as work:
            assert (await work.profiles.lock(someone.id)).first_name == Name("aaaaaa")

    async def test_of_twenty_that_want_one_username_one_gets_it(self, begin: Begin) -> None:
        profiles = [profile() for _ in range(20)]
        async with begin() as work:
            for each in profiles:
                await work.profiles.add(each)

        async def take(profile_id: ProfileId) -> bool:
            try:
                async with begin() as work:
                    locked = await work.profiles.lock(profile_id)
                    locked.edit(username=Username("anna"))
                    await work.profiles.save(locked)
                    await asyncio.sleep(0)
            except UsernameTaken:
                return False
            return True

        assert sum(await asyncio.gather(*(take(each.id) for each in profiles))) == 1

    async def test_search_takes_the_prefix_literally_and_orders_by_what_was_found(self, begin: Begin) -> None:
        async with begin() as work:
            for username, name in [
                ("Zoe", "Ёлка"),
                ("élan", "ёж"),
                ("50%off", None),
                (None, "Ёжик"),
                ("a_b", None),
                ("axb", None),
            ]:
                someone = profile(**({"last_name": name} if name else {}))
                await work.profiles.add(someone)
                someone.edit(username=Username(username) if username else None)
                await work.profiles.save(someone)

        async def found(prefix: str, limit: int = 20) -> list[str | None]:
            async with begin() as work:
                return [
                    each.username.text if each.username else None
                    for each in (await work.profiles.search(prefix, limit)).items
                ]

        assert await found("ё") == ["élan", None, "Zoe"]
        assert await found("Ё", limit=2) == ["élan", None]
        assert await found("A_") == ["a_b"]
        assert await found("50%") == ["50%off"]
        assert await found("%") == []
        assert await found("a\\") == []
        assert await found("É") == ["élan"]


class TestLetters:
    async def test_only_due_letters_are_given_out_longest_due_first(self, begin: Begin) -> None:
        letters = [
            Letter.confirming(
                confirmation(AccountId(uuid4())),
                id=LetterId(uuid4()),
                at=START + timedelta(seconds=seconds),
            )
            for seconds in (3, 1, 2)
        ]
        async with begin() as work:
            for letter in letters:
                await work.letters.add(letter)
        async with begin() as work:
            assert [letter.id for letter in await work.letters.lock_due(START, 10)] == []
            due = await work.letters.lock_due(START + timedelta(seconds=3), 2)
            assert [letter.id for letter in due] == [letters[1].id, letters[2].id]
            assert asdict(due[0]) == asdict(letters[1])

    async def test_of_each_account_the_first_is_given_out_and_one_at_a_time(self, begin: Begin) -> None:
        one, other = AccountId(uuid4()), AccountId(uuid4())
        letters = [
            Letter.confirming(
                confirmation(owner), id=LetterId(uuid4()), at=START + timedelta(seconds=seconds)
            )
            for seconds, owner in enumerate((one, one, one, other))
        ]
        at = START + timedelta(seconds=10)

        async def due() -> list[LetterId]:
            async with begin() as work:
                return [letter.id for letter in await work.letters.lock_due(at, 10)]

        async with begin() as work:
            for letter in letters:
                await work.letters.add(letter)
        assert await due() == [letters[0].id, letters[3].id]
        async with begin() as work:
            (first,) = await work.letters.lock_due(at, 1)
            first.claim(at=at, lease=timedelta(minutes=5))
            await work.letters.save(first)
            assert await due() == [letters[3].id], "while a unit holds the first, or a worker has claimed it"
        assert await due() == [letters[3].id]
        async with begin() as work:
            sent = await work.letters.lock(one, letters[0].id)
            sent.sent()
            await work.letters.save(sent)
        assert await due() == [letters[1].id, letters[3].id]

    async def test_claimed_and_settled_letters_are_not_due(self, begin: Begin) -> None:
        letter = Letter.confirming(confirmation(AccountId(uuid4())), id=LetterId(uuid4()), at=START)
        async with begin() as work:
            await work.letters.add(letter)
        async with begin() as work:
            (claimed,) = await work.letters.lock_due(START, 10)
            claimed.claim(at=START, lease=timedelta(minutes=5))
            await work.letters.save(claimed)
        async with begin() as work:
            assert await work.letters.lock_due(START + timedelta(minutes=4), 10) == []
            assert len(await work.letters.lock_due(START + timedelta(minutes=5), 10)) == 1
            kept = await work.letters.lock(letter.account_id, letter.id)
            kept.sent()
            await work.letters.save(kept)
        async with begin() as work:
            assert await work.letters.lock_due(START + timedelta(days=1), 10) == []
        with pytest.raises(LetterNotFound):
            async with begin() as work:
                await work.letters.lock(letter.account_id, LetterId(uuid4()))

    async def test_letters_that_another_unit_holds_are_left_out(self, begin: Begin) -> None:
        async with begin() as work:
            for _ in range(3):
                await work.letters.add(
                    Letter.confirming(confirmation(AccountId(uuid4())), id=LetterId(uuid4()), at=START)
                )
        async with asyncio.timeout(60), begin() as one, begin() as other:
            (held,) = await one.letters.lock_due(START, 1)
            left = [letter.id for letter in await other.letters.lock_due(START, 10)]
            assert len(left) == 2
            assert held.id not in left
            assert await one.letters.lock_due(START, 1) != []

    async def test_units_on_one_letter_take_turns(self, begin: Begin) -> None:
        letter = Letter.confirming(confirmation(AccountId(uuid4())), id=LetterId(uuid4()), at=START)
        async with begin() as work:
            await work.letters.add(letter)

        async def claim() -> None:
            async with begin() as work:
                locked = await work.letters.lock(letter.account_id, letter.id)
                await asyncio.sleep(0)
                locked.claim(at=START, lease=timedelta(minutes=5))
                await work.letters.save(locked)

        await asyncio.gather(*(claim() for _ in range(5)))
        async with begin() as work:
            assert (await work.letters.lock(letter.account_id, letter.id)).attempts == 5

    async def test_no_letter_is_claimed_twice(self, begin: Begin) -> None:
        async with begin() as work:
            for _ in range(12):
                await work.letters.add(
                    Letter.confirming(confirmation(AccountId(uuid4())), id=LetterId(uuid4()), at=START)
                )

        async def claim() -> list[LetterId]:
            async with begin() as work:
                due = await work.letters.lock_due(START, 5)
                await asyncio.sleep(0)
                for letter in due:
                    letter.claim(at=START, lease=timedelta(minutes=5))
                    await work.letters.save(letter)
                return [letter.id for letter in due]

        claimed = [
            letter_id for batch in await asyncio.gather(*(claim() for _ in range(4))) for letter_id in batch
        ]
        claimed += await claim()
        claimed += await claim()
        assert len(claimed) == len(set(claimed)) == 12


class TestRaces:
    """The use cases on this storage, twenty at a time."""

    async def test_twenty_sign_ups_of_one_address_are_one_account(self, people: AccountsWorld) -> None:
        answers = await asyncio.gather(
            *(people.sign_up_as("one@example.com", f"Password{n}") for n in range(20))
        )
        assert len({answer.account_id for answer in answers}) == 1
        while await people.workers.letters.once():
            pass
        assert len(people.links) == 20
        signed_in = await people.confirm(people.links[7].rpartition("token=")[2])
        assert (await people.actor(signed_in)).account_id == answers[0].account_id

    async def test_twenty_confirmations_with_one_token_sign_in_one(self, people: AccountsWorld) -> None:
        await people.sign_up_as("one@example.com")
        token = await people.mailed_token()
        answers = await asyncio.gather(
            *(people.confirm(token, f"device {n}") for n in range(20)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, NotAuthenticated)]
        assert len(refused) == 19
        assert {refusal.reason for refusal in refused} == {"token_invalid"}

    async def test_twenty_sign_ins_of_one_device_leave_one_session(self, people: AccountsWorld) -> None:
        await people.join("one@example.com")
        answers = await asyncio.gather(*(people.sign_in_as("one@example.com") for _ in range(20)))
        alive = 0
        for answer in answers:
            try:
                await people.actor(answer)
            except NotAuthenticated:
                continue
            alive += 1
        assert alive == 1
        assert len(people.published) == 20, "each ended the one before, the first the one of the confirmation"

    async def test_twenty_refreshes_with_one_token_give_one_pair(self, people: AccountsWorld) -> None:
        first = await people.join("one@example.com")
        answers = await asyncio.gather(*(people.refresh_with(first.refresh_token) for _ in range(20)))
        assert len(set(answers)) == 1
        await people.actor(answers[0])

    async def test_refreshing_and_signing_out_end_in_no_session(self, people: AccountsWorld) -> None:
        first = await people.join("one@example.com")
        command = SignOut(refresh_token=first.refresh_token)
        answers = await asyncio.gather(
            *(people.refresh_with(first.refresh_token) for _ in range(5)),
            people.accounts.sign_out(command),
            *(people.refresh_with(first.refresh_token) for _ in range(5)),
            return_exceptions=True,
        )
        assert all(
            answer is None or isinstance(answer, (NotAuthenticated, type(first))) for answer in answers
        )
        with pytest.raises(NotAuthenticated):
            await people.refresh_with(first.refresh_token)

    async def test_a_mismatch_ends_the_session_for_good(self, people: AccountsWorld) -> None:
        first = await people.join("one@example.com")
        with pytest.raises(NotAuthenticated):
            await people.refresh_with(first.refresh_token, "other")
        async with people.begin() as work:
            account_id = cast(Account, await work.accounts.find_by_email(Email("one@example.com"))).id
            kept = await work.sessions.lock(account_id, first.session_id)
        assert kept.ended_because is SessionEnd.MISMATCHED

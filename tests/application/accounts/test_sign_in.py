import asyncio
from typing import Literal

import bcrypt
import pytest
from argon2 import PasswordHasher
from attrs import define, evolve
from typing_extensions import override

from application.accounts.close import CloseAccount
from application.accounts.sign_in import SignIn
from application.errors import NotAuthenticated
from application.ports.limiter import TooManyRequests
from application.ports.passwords import UNKNOWN_REQUESTER, Requester
from domain.account import Account, Email, PasswordHash, PasswordWrong
from domain.events import SessionEnd, SessionEnded
from domain.session import Fingerprint, Origin
from infrastructure.crypto.passwords import PooledPasswords
from tests.accounts_world import PASSWORD, AccountsWorld, letters_in


async def account_of(people: AccountsWorld, address: str) -> Account:
    async with people.begin() as work:
        account = await work.accounts.find_by_email(Email(address))
    assert account is not None
    return account


async def test_signing_in(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    signed_in = await people.sign_in_as("ONE@example.com", device="laptop")
    actor = await people.actor(signed_in)
    assert actor.email == "one@example.com"
    assert actor.session_id == signed_in.session_id


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("nobody@example.com", PASSWORD),
        ("one@example.com", "wrong"),
        ("one@example.com", ""),
        ("one@example.com", "\ud800" * 2000),
        ("unconfirmed@example.com", PASSWORD),
    ],
)
async def test_no_refusal_says_why(people: AccountsWorld, address: str, password: str) -> None:
    await people.join("one@example.com")
    await people.sign_up_as("unconfirmed@example.com")
    with pytest.raises(NotAuthenticated) as refused:
        await people.sign_in_as(address, password)
    assert refused.value.reason == "credentials_invalid"


@pytest.mark.parametrize("address", ["one@example.com", "unconfirmed@example.com", "nobody@example.com"])
async def test_failures_are_counted_and_then_nobody_is_let_in(people: AccountsWorld, address: str) -> None:
    await people.join("one@example.com")
    await people.sign_up_as("unconfirmed@example.com")
    for _ in range(people.rules.failures.most):
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(address, "wrong")
    with pytest.raises(TooManyRequests):
        await people.sign_in_as(address)


async def test_only_failures_are_counted(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    for _ in range(people.rules.failures.most - 1):
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as("one@example.com", "wrong")
    for _ in range(3):
        await people.sign_in_as("one@example.com")
    with pytest.raises(NotAuthenticated):
        await people.sign_in_as("one@example.com", "wrong")
    with pytest.raises(TooManyRequests):
        await people.sign_in_as("one@example.com")


class CountingHasher(PasswordHasher):
    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    @override
    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified += 1
        return super().verify(hash, password)


async def test_every_refusal_costs_the_same(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    await people.sign_up_as("unconfirmed@example.com")
    people.passwords.hasher = hasher = CountingHasher()
    for address in ("nobody@example.com", "unconfirmed@example.com", "one@example.com"):
        hasher.verified = 0
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(address, "wrong")
        assert hasher.verified == 1


async def test_a_device_has_one_session(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    other = await people.sign_in_as("one@example.com", device="other")
    again = await people.sign_in_as("one@example.com", device="first")
    actor = await people.actor(again)
    await people.actor(other)
    with pytest.raises(NotAuthenticated) as refused:
        await people.actor(first)
    assert refused.value.reason == "token_invalid"
    assert people.published == [
        SessionEnded(
            profile_id=actor.profile_id,
            session_id=first.session_id,
            reason=SessionEnd.REPLACED,
            at=people.clock.now(),
        )
    ]


async def test_devices_without_a_name_share_a_session(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    one = await people.accounts.sign_in(
        SignIn(email=Email("one@example.com"), password=PASSWORD, fingerprint=Fingerprint())
    )
    await people.accounts.sign_in(
        SignIn(email=Email("one@example.com"), password=PASSWORD, fingerprint=Fingerprint("  "))
    )
    with pytest.raises(NotAuthenticated):
        await people.actor(one)


async def test_where_a_sign_in_came_from_is_kept(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    signed_in = await people.accounts.sign_in(
        SignIn(
            email=Email("one@example.com"),
            password=PASSWORD,
            fingerprint=Fingerprint("x"),
            origin=Origin(user_agent="Firefox\x1b[31m", address="192.0.2.1"),
        )
    )
    account = await account_of(people, "one@example.com")
    async with people.begin() as work:
        session = await work.sessions.lock(account.id, signed_in.session_id)
    assert session.origin == Origin(user_agent="Firefox[31m", address="192.0.2.1")


async def test_a_hash_by_bcrypt_verifies_and_is_replaced(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    account = await account_of(people, "one@example.com")
    async with people.begin() as work:
        account = await work.accounts.lock(account.id)
        account.rehash(PasswordHash(bcrypt.hashpw(b"admin", bcrypt.gensalt(4)).decode()))
        await work.accounts.save(account)
    with pytest.raises(NotAuthenticated):
        await people.sign_in_as("one@example.com", "Admin")
    await people.sign_in_as("one@example.com", "admin")
    upgraded = (await account_of(people, "one@example.com")).password_hash
    assert upgraded is not None
    assert upgraded.text.startswith("$argon2id$")
    await people.sign_in_as("one@example.com", "admin")
    assert (await account_of(people, "one@example.com")).password_hash == upgraded


@define
class SlowToVerify:
    """Verifies as usual, and holds the first answer back until told to go on."""

    passwords: PooledPasswords
    verified: asyncio.Event
    go_on: asyncio.Event

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        return await self.passwords.hash(password, requester)

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        answer = await self.passwords.verify(password, against, requester)
        self.verified.set()
        await self.go_on.wait()
        return answer

    def expect(self, former: PasswordHash | None) -> None:
        self.passwords.expect(former)

    def is_current(self, password_hash: PasswordHash) -> bool:
        return self.passwords.is_current(password_hash)


async def test_a_password_that_changes_meanwhile_lets_nobody_in(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    slow = SlowToVerify(people.passwords, asyncio.Event(), asyncio.Event())
    accounts = people.accounts_over(evolve(people.ports, passwords=slow))
    command = SignIn(email=Email("one@example.com"), password=PASSWORD, fingerprint=Fingerprint("x"))
    signing_in = asyncio.ensure_future(accounts.sign_in(command))
    await slow.verified.wait()
    account = await account_of(people, "one@example.com")
    changed = await people.passwords.hash("Another-One1")
    async with people.begin() as work:
        account = await work.accounts.lock(account.id)
        account.rehash(changed)
        await work.accounts.save(account)
    slow.go_on.set()
    with pytest.raises(NotAuthenticated):
        await signing_in


async def test_a_password_that_changes_while_it_is_asked_for_again_is_verified_anew(
    people: AccountsWorld,
) -> None:
    signed_in = await people.join("one@example.com")
    actor = await people.actor(signed_in)
    slow = SlowToVerify(people.passwords, asyncio.Event(), asyncio.Event())
    accounts = people.accounts_over(evolve(people.ports, passwords=slow))
    closing = asyncio.ensure_future(accounts.close(actor, CloseAccount(password=PASSWORD)))
    await slow.verified.wait()
    changed = await people.passwords.hash("Another-One1")
    async with people.begin() as work:
        account = await work.accounts.lock(actor.account_id)
        account.rehash(changed)
        await work.accounts.save(account)
    slow.go_on.set()
    with pytest.raises(PasswordWrong):
        await closing
    await accounts.close(actor, CloseAccount(password="Another-One1"))  # nothing was done before


async def test_an_upgrade_at_the_same_time_lets_both_in(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    account = await account_of(people, "one@example.com")
    async with people.begin() as work:
        account = await work.accounts.lock(account.id)
        account.rehash(PasswordHash(bcrypt.hashpw(b"admin", bcrypt.gensalt(4)).decode()))
        await work.accounts.save(account)
    signed_in = await asyncio.gather(
        *(people.sign_in_as("one@example.com", "admin", device=f"device {n}") for n in range(5))
    )
    for each in signed_in:
        await people.actor(each)


async def try_often(
    people: AccountsWorld, count: int, *, account: str = "one@example.com", network: str = "192.0.2.{}"
) -> list[str]:
    """How so many wrong passwords are answered; ``{}`` counts accounts or networks."""
    answers = []
    for number in range(count):
        command = SignIn(
            email=Email(account.format(number)),
            password="wrong",
            fingerprint=Fingerprint(f"guess {number}"),
            origin=Origin(address=network.format(number)),
        )
        try:
            await people.accounts.sign_in(command)
        except (NotAuthenticated, TooManyRequests) as error:
            answers.append(type(error).__name__)
    return answers


def refused(answers: list[str]) -> int:
    return answers.count("TooManyRequests")


async def test_every_failure_counts_for_account_and_network_together(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    answers = await try_often(people, 21, network="192.0.2.1")
    assert answers == ["NotAuthenticated"] * 20 + ["TooManyRequests"]


async def test_one_network_does_not_guess_for_every_account(people: AccountsWorld) -> None:
    limit = people.rules.failures_per_network.most
    answers = await try_often(people, limit + 5, account="somebody{}@example.com", network="192.0.2.1")
    assert refused(answers) == 5
    assert await try_often(people, 1, account="somebody0@example.com", network="192.0.2.2") == [
        "NotAuthenticated"
    ]


async def test_many_networks_do_not_guess_for_one_account(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    limit = people.rules.failures_per_account.most
    assert refused(await try_often(people, limit + 5)) == 5
    assert refused(await try_often(people, 5, account="two@example.com", network="198.51.100.{}")) == 0


async def test_nobody_is_locked_out_by_others_guesses(people: AccountsWorld) -> None:
    """Neither by guesses for the account, nor by guesses from the same network: a device that was here before goes on."""
    await people.join("one@example.com")
    home = Origin(address="192.0.2.7")
    command = SignIn(
        email=Email("one@example.com"), password=PASSWORD, fingerprint=Fingerprint("first"), origin=home
    )
    await try_often(people, people.rules.failures_per_account.most + 5)
    await try_often(
        people, people.rules.failures_per_network.most + 5, account="a{}@example.com", network="192.0.2.7"
    )
    await people.accounts.sign_in(command)
    with pytest.raises(TooManyRequests):
        await people.accounts.sign_in(evolve(command, fingerprint=Fingerprint("another")))
    await people.redeem(await people.forget_password("one@example.com"), device="another")


async def test_a_known_device_does_not_guess_without_end_either(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as("one@example.com", "wrong")
    with pytest.raises(TooManyRequests):
        await people.sign_in_as("one@example.com", "wrong")
    await people.sign_in_as("one@example.com", device="another")


async def test_letters_about_new_devices_have_a_limit(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    before = len(letters_in(people.mail))
    for number in range(40):
        await people.sign_in_as("one@example.com", device=f"device {number}")
    await people.workers.letters.once()
    assert len(letters_in(people.mail)) - before == people.rules.notices.most == 5
    signed_in = await people.sign_in_as("one@example.com", device="first")
    await people.choose(signed_in, "Another-One1")
    await people.workers.letters.once()
    assert "Your password was changed" in letters_in(people.mail)[-1]["Subject"], (
        "each kind has its own limit"
    )


@pytest.mark.parametrize("has_former", [False, True])
async def test_time_does_not_tell_an_old_account_from_a_new_one(
    people: AccountsWorld, monkeypatch: pytest.MonkeyPatch, has_former: bool
) -> None:
    """Counted, not timed: as many comparisons of each kind for unknown, unconfirmed, old and new accounts."""
    await people.join("new@example.com")
    await people.join("old@example.com")
    await people.sign_up_as("unconfirmed@example.com")
    if has_former:
        async with people.begin() as work:
            account = await work.accounts.lock((await account_of(people, "old@example.com")).id)
            account.rehash(PasswordHash(bcrypt.hashpw(b"admin", bcrypt.gensalt(4)).decode()))
            await work.accounts.save(account)
    await people.workers.tidying.once()
    by_bcrypt: list[bytes] = []
    compare = bcrypt.checkpw

    def noted(password: bytes, hashed: bytes) -> bool:
        by_bcrypt.append(password)
        return compare(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    people.passwords.hasher = hasher = CountingHasher()
    counts = set()
    for address in ("nobody@example.com", "unconfirmed@example.com", "old@example.com", "new@example.com"):
        for password, spellings in (("wrong", 1), ("и\u0306", 2)):
            hasher.verified = 0
            by_bcrypt.clear()
            with pytest.raises(NotAuthenticated):
                await people.sign_in_as(address, password)
            counts.add((hasher.verified // spellings, len(by_bcrypt) // spellings))
    assert counts == {(1, 1 if has_former else 0)}

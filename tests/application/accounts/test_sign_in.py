import asyncio
from typing import Literal

import bcrypt
import pytest
from argon2 import PasswordHasher
from attrs import define, evolve
from typing_extensions import override

from application.accounts.sign_in import SignIn
from application.errors import NotAuthenticated
from application.ports.limiter import TooManyRequests
from domain.account import Account, Email, PasswordHash
from domain.events import SessionEnd, SessionEnded
from domain.session import Fingerprint, Origin
from infrastructure.crypto.passwords import PooledPasswords
from tests.accounts_world import PASSWORD, AccountsWorld


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

    async def hash(self, password: str) -> PasswordHash:
        return await self.passwords.hash(password)

    async def verify(self, password: str, against: PasswordHash | None) -> bool:
        answer = await self.passwords.verify(password, against)
        self.verified.set()
        await self.go_on.wait()
        return answer

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

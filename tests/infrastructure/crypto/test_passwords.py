import asyncio
import os
import threading
import time
import unicodedata
from collections.abc import AsyncIterator

import bcrypt
import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from application.errors import Overloaded
from domain.account import PasswordHash
from infrastructure.crypto.passwords import PooledPasswords
from tests.accounts_world import quick_passwords


@pytest.fixture
async def passwords() -> AsyncIterator[PooledPasswords]:
    passwords = PooledPasswords()
    yield passwords
    passwords.close()


@pytest.fixture
async def quick() -> AsyncIterator[PooledPasswords]:
    passwords = quick_passwords()
    yield passwords
    passwords.close()


async def test_as_hard_as_recommended(passwords: PooledPasswords) -> None:
    made = await passwords.hash("Passw0rd")
    parameters = extract_parameters(made.text)
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        Type.ID,
        19 * 1024,
        2,
        1,
    )
    assert await passwords.verify("Passw0rd", made)
    assert not await passwords.verify("passw0rd", made)
    assert passwords.is_current(made)


async def test_a_password_is_right_however_its_letters_are_composed(quick: PooledPasswords) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Мой-чай-Ёлка-1") for form in ("NFC", "NFD"))
    for typed in (composed, decomposed):
        made = await quick.hash(typed)
        assert await quick.verify(composed, made)
        assert await quick.verify(decomposed, made)
        assert not await quick.verify("Мой-чай-Елка-1", made)


async def test_hashes_from_before_normalisation_verify(quick: PooledPasswords) -> None:
    decomposed = unicodedata.normalize("NFD", "Мой-чай-Ёлка-1")
    former = PasswordHash(quick.hasher.hash(decomposed.encode()))
    assert await quick.verify(decomposed, former)
    original = PasswordHash(bcrypt.hashpw(decomposed.encode(), bcrypt.gensalt(4)).decode())
    assert await quick.verify(decomposed, original)


async def test_two_hashes_of_one_password_differ(quick: PooledPasswords) -> None:
    assert await quick.hash("Passw0rd") != await quick.hash("Passw0rd")


async def test_softer_hashes_verify_and_are_not_current(
    passwords: PooledPasswords, quick: PooledPasswords
) -> None:
    soft = await quick.hash("Passw0rd")
    assert await passwords.verify("Passw0rd", soft)
    assert not passwords.is_current(soft)


@pytest.mark.parametrize("prefix", [b"2b", b"2a"])
async def test_bcrypt_still_verifies(quick: PooledPasswords, prefix: bytes) -> None:
    old = PasswordHash(bcrypt.hashpw("пароль".encode(), bcrypt.gensalt(4, prefix)).decode())
    assert await quick.verify("пароль", old)
    assert not await quick.verify("Пароль", old)
    assert not quick.is_current(old)


async def test_bcrypt_never_looked_beyond_72_bytes(quick: PooledPasswords) -> None:
    old = PasswordHash(bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode())
    assert await quick.verify("a" * 100, old)


@given(password=st.text(max_size=40) | st.text(st.characters(categories=["Cs"]), max_size=5))
def test_any_text_verifies_against_its_own_hash_or_is_wrong(password: str) -> None:
    async def check() -> None:
        quick = quick_passwords()
        made = await quick.hash(password)
        assert await quick.verify(password, made)
        assert not await quick.verify(password + "x", made)
        assert not await quick.verify(password, None)
        quick.close()

    asyncio.run(check())


async def test_nobodys_password_is_wrong_whatever_it_is(quick: PooledPasswords) -> None:
    assert not await quick.verify("", None)
    made = await quick.hash("Passw0rd")
    assert not await quick.verify("Passw0rd" * 100_000, made)


async def test_nobodys_takes_as_long_as_a_wrong_one(passwords: PooledPasswords) -> None:
    made = await passwords.hash("Passw0rd")

    async def fastest(password: str, against: PasswordHash | None) -> float:
        """In seconds of CPU: what else the machine does meanwhile does not count."""
        times = []
        for _ in range(7):
            begun = time.process_time()
            await passwords.verify(password, against)
            times.append(time.process_time() - begun)
        return min(times)

    wrong, nobody, too_long = (
        await fastest("wrong", made),
        await fastest("wrong", None),
        await fastest("wrong" * 1000, made),
    )
    assert 0.5 < nobody / wrong < 2
    assert 0.5 < too_long / wrong < 2


async def test_the_event_loop_goes_on_meanwhile(passwords: PooledPasswords) -> None:
    hashing = [asyncio.create_task(passwords.hash("Passw0rd")) for _ in range(4)]
    turns = 0
    while not all(task.done() for task in hashing):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


class Gate(PasswordHasher):
    """Hashes when it is told to, and counts how many are at it at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.opened = threading.Event()
        self.opened.set()
        self.at_once = 0
        self.most = 0

    # PasswordHasher tells more forms of hash than are used here
    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.opened.wait(10)
        self.at_once -= 1
        return super().hash(password, salt=salt)


async def test_hashing_gives_way_to_the_event_loop(quick: PooledPasswords) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert quick._pool.submit(niceness).result() == min(19, before + 10)
    assert niceness() == before


async def test_at_most_so_many_at_once_and_so_many_waiting() -> None:
    gate = Gate()
    passwords = PooledPasswords(threads=2, backlog=3, hasher=gate)
    gate.opened.clear()
    hashing = [asyncio.create_task(passwords.hash("Passw0rd")) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await passwords.hash("Passw0rd")
    hashing[4].cancel()
    await asyncio.sleep(0)
    hashing[4] = asyncio.create_task(passwords.hash("Passw0rd"))
    gate.opened.set()
    assert len(await asyncio.gather(*hashing)) == 5
    assert gate.most <= 2
    passwords.close()


async def test_hashes_do_not_show(quick: PooledPasswords) -> None:
    made = await quick.hash("Passw0rd")
    assert made.text not in repr(made)
    assert "$argon2" not in repr(quick)


async def test_where_priorities_are_fixed_passwords_are_hashed_all_the_same(
    quick: PooledPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "nice", forbidden)
    assert await quick.verify("Passw0rd", await quick.hash("Passw0rd"))

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import define, field

from application.errors import Overloaded
from domain.account import PasswordHash, password_spellings

R = TypeVar("R")

BCRYPT_PREFIXES: Final = ("$2a$", "$2b$", "$2y$")
BCRYPT_LIMIT: Final = 72
"""Bytes. bcrypt never looked at more; hashes of longer passwords are of their beginnings."""

PATIENCE: Final = 10
"""How much nicer a thread is that hashes: a tenth of what the event loop gets of a CPU that both want."""

LONGEST: Final = 1024
"""Bytes. Nobody's password is as long: it has up to 128 characters, of four bytes at most."""


def _hasher() -> PasswordHasher:
    # OWASP's first choice: 19 MiB, two passes, one lane.
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _give_way() -> None:
    """The event loop comes first, however many sign in on however few CPUs. Elsewhere than on Linux all threads are equal."""
    if sys.platform == "linux":
        os.nice(PATIENCE)


@define(eq=False)
class PooledPasswords:
    """
    argon2id in threads of its own, for a hash is slow on purpose and must not hold up the event loop. Both libraries let go
    of the interpreter's lock meanwhile. Hashes by bcrypt, the original messenger's, still verify.

    At most ``threads`` are worked on at once and ``backlog`` wait; beyond that it raises `Overloaded`.
    """

    threads: int = 2
    backlog: int = 64
    hasher: PasswordHasher = field(factory=_hasher)
    _waiting: int = field(default=0, init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _nobodys: str = field(init=False, repr=False)

    @_pool.default
    def _make_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="passwords", initializer=_give_way)

    @_nobodys.default
    def _hash_of_no_password(self) -> str:
        # Verified when there is nothing to verify, so that an account's absence takes as long as a wrong password.
        return self.hasher.hash(b"")

    async def hash(self, password: str) -> PasswordHash:
        present = _as_bytes(password_spellings(password)[0])
        return PasswordHash(await self._in_thread(lambda: self.hasher.hash(present)))

    async def verify(self, password: str, against: PasswordHash | None) -> bool:
        is_hopeless = against is None or len(_as_bytes(password)) > LONGEST
        wanted = self._nobodys if against is None or is_hopeless else against.text
        # As many comparisons as the password has spellings, whether there is an account or not.
        spellings = [_as_bytes(each[:LONGEST]) for each in password_spellings(password[:LONGEST])]
        is_right = await self._in_thread(lambda: any(self._matches(each, wanted) for each in spellings))
        return is_right and not is_hopeless

    def is_current(self, password_hash: PasswordHash) -> bool:
        try:
            return not self.hasher.check_needs_rehash(password_hash.text)
        except InvalidHashError:
            return False

    def close(self) -> None:
        """Give up what waits; what is being worked on ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: bytes, against: str) -> bool:
        if against.startswith(BCRYPT_PREFIXES):
            return bcrypt.checkpw(password[:BCRYPT_LIMIT], against.encode())
        try:
            return self.hasher.verify(against, password)
        except VerificationError:
            return False

    async def _in_thread(self, work: Callable[[], R]) -> R:
        if self._waiting >= self.threads + self.backlog:
            raise Overloaded("too many passwords are waiting", retry_after=2.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _as_bytes(password: str) -> bytes:
    # Lone surrogates can come in a sign-in. They are in nobody's password, and must not be an error either.
    return password.encode("utf-8", "surrogatepass")

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Final, TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import define, field

from application.ports.passwords import UNKNOWN_REQUESTER, Requester
from domain.account import PasswordHash, password_spellings
from infrastructure.crypto.queue import FairQueue

R = TypeVar("R")

BCRYPT_PREFIXES: Final = ("$2a$", "$2b$", "$2y$")
BCRYPT_LIMIT: Final = 72
"""In bytes. bcrypt ignores the rest of a longer password."""

PATIENCE: Final = 10
"""The niceness of hashing threads: on a busy CPU they get a tenth of the event loop's time."""

LONGEST: Final = 1024
"""In bytes. Passwords are shorter: they have at most 128 characters of up to four bytes."""


PASSES: Final = 2
MEMORY: Final = 19 * 1024
"""In KiB, for each hash. With one lane this is OWASP's first choice for argon2id."""


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY, parallelism=1)


@cache
def _hash_of_no_password(hasher: PasswordHasher) -> str:
    """Compared with when there is no account, so that it takes as long as a wrong password."""
    return hasher.hash(b"")


def _give_way() -> None:
    """
    Lowers the priority of the calling thread. Only Linux has a priority per thread.

    Where this is forbidden, as by a filter of system calls, passwords are hashed all the same.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.nice(PATIENCE)


@define(eq=False)
class PooledPasswords:
    """
    argon2id in threads of its own: hashing is slow on purpose and must not hold up the event loop. Both libraries release
    the interpreter's lock meanwhile. Hashes by bcrypt, which the original messenger made, still verify.

    `FairQueue` decides which requests wait for one of the ``threads``, and which are refused with `Overloaded`.
    """

    threads: int = 2
    backlog: int = 64
    """How many requests may wait; as many again from devices that are known to their accounts."""
    share: int = 16
    """How many of them may come from one network, and how many for one account."""
    hasher: PasswordHasher = field(factory=_hasher)
    _queue: FairQueue = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _nobodys: str = field(init=False, repr=False)
    _former: str | None = field(default=None, init=False, repr=False)
    """A hash by bcrypt, as long as some account has one."""

    @_queue.default
    def _make_queue(self) -> FairQueue:
        return FairQueue(places=self.threads, backlog=self.backlog, share=self.share)

    @_pool.default
    def _make_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="passwords", initializer=_give_way)

    @_nobodys.default
    def _hash_nothing(self) -> str:
        return _hash_of_no_password(self.hasher)

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        present = _as_bytes(password_spellings(password)[0])
        return PasswordHash(await self._in_thread(requester, lambda: self.hasher.hash(present)))

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        is_hopeless = against is None or len(_as_bytes(password)) > LONGEST
        wanted = self._nobodys if against is None or is_hopeless else against.text
        spellings = [_as_bytes(each) for each in password_spellings(password[:LONGEST])]
        if wanted.startswith(BCRYPT_PREFIXES):
            self._former = self._former or wanted
        is_right = await self._in_thread(requester, lambda: self._is_right(spellings, wanted))
        return is_right and not is_hopeless

    def expect(self, former: PasswordHash | None) -> None:
        self._former = former.text if former else None

    def is_current(self, password_hash: PasswordHash) -> bool:
        try:
            return not self.hasher.check_needs_rehash(password_hash.text)
        except InvalidHashError:
            return False

    def close(self) -> None:
        """Cancels what waits. Work that has begun runs to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _is_right(self, spellings: Sequence[bytes], wanted: str) -> bool:
        """
        Compares every spelling, also after the right one. While some accounts have a hash by bcrypt, each comparison is made
        by argon2id and by bcrypt, so that time does not tell which accounts they are. Only the account's own kind counts.
        """
        is_former = wanted.startswith(BCRYPT_PREFIXES)
        evening_out = self._nobodys if is_former else self._former
        is_right = False
        for spelling in spellings:
            is_right |= self._matches(spelling, wanted)
            if evening_out is not None:
                self._matches(spelling, evening_out)
        return is_right

    def _matches(self, password: bytes, against: str) -> bool:
        if against.startswith(BCRYPT_PREFIXES):
            return bcrypt.checkpw(password[:BCRYPT_LIMIT], against.encode())
        try:
            return self.hasher.verify(against, password)
        except VerificationError:
            return False

    async def _in_thread(self, requester: Requester, work: Callable[[], R]) -> R:
        async with self._queue.turn(requester):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _as_bytes(password: str) -> bytes:
    # A sign-in may hold lone surrogates. No password has them, so the answer must be a wrong password and not an error.
    return password.encode("utf-8", "surrogatepass")

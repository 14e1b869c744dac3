from typing import Protocol

from domain.account import PasswordHash


class Passwords(Protocol):
    """
    Slow on purpose, so never called while a unit of work is open.

    Both may raise `Overloaded`: too many wait already.
    """

    async def hash(self, password: str) -> PasswordHash: ...

    async def verify(self, password: str, against: PasswordHash | None) -> bool:
        """Against None it is wrong, and it takes as long to find that out."""
        ...

    def is_current(self, password_hash: PasswordHash) -> bool:
        """Whether it was made as hashes are made today."""
        ...

from typing import Protocol

from attrs import frozen

from domain.account import PasswordHash


@frozen(kw_only=True)
class Requester:
    """The origin of a request to hash or verify. The queue is shared fairly between networks and accounts."""

    network: str = ""
    account: str = ""
    is_known: bool = False
    """Whether it comes from a session or a known device of the account. Such requests go before possible guesses."""


UNKNOWN_REQUESTER = Requester()


class Passwords(Protocol):
    """
    Hashing is slow on purpose, so it is never asked for while a unit of work is open.

    Both methods raise `Overloaded` if too many wait already, in all or for this requester.
    """

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        """Hashes the first of `password_spellings`."""
        ...

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        """
        Tells whether one of `password_spellings` was hashed. The work is the same whatever it is compared with: a hash of
        today, a hash of the original messenger, or None, which no password fits.
        """
        ...

    def expect(self, former: PasswordHash | None) -> None:
        """Sets an example of the former kind of hash, or None if no account has one, so that verifying takes equally long."""
        ...

    def is_current(self, password_hash: PasswordHash) -> bool:
        """Tells whether it was made the way hashes are made today."""
        ...

"""How often passwords may be wrong."""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from application.ports.limiter import Allowance, Limiter


@frozen(kw_only=True)
class FailureLimits:
    """
    Slows down guessing without letting anybody lock others out.

    A failure counts for the network it comes from, for the account, and for the two together. A device that has signed in
    to the account before has an allowance of its own instead: it is neither stopped by what others try, nor does it use up
    what others have.
    """

    limiter: Limiter
    per_pair: Allowance
    """By account and network; also by account and known device."""
    per_network: Allowance
    per_account: Allowance

    def look(self, keys: Sequence[tuple[Allowance, str]], *, at: datetime) -> None:
        """
        Raises:
            TooManyRequests: Nothing is left of one of the allowances.
        """
        for allowance, key in keys:
            self.limiter.look(allowance, key, at=at)

    def report(self, keys: Sequence[tuple[Allowance, str]], *, at: datetime) -> None:
        """Tells the caller what is left, where a password is not asked for."""
        for allowance, key in keys:
            self.limiter.look(allowance, key, at=at, uses=0)

    def count(self, keys: Sequence[tuple[Allowance, str]], *, at: datetime) -> None:
        """
        Counts a failure for each key.

        Raises:
            TooManyRequests: Nothing is left of one of the allowances.
        """
        for allowance, key in keys:
            self.limiter.use(allowance, key, at=at)

    def of_stranger(self, account: str, network: str) -> Sequence[tuple[Allowance, str]]:
        keys = [(self.per_account, account), (self.per_pair, f"{account} {network}")]
        if network:
            keys.append((self.per_network, network))
        return keys

    def of_known_device(self, account: str, device: str) -> Sequence[tuple[Allowance, str]]:
        return ((self.per_pair, f"{account} {device}"),)

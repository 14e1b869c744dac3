"""The ways to sign in: which of them this messenger offers, and which an account has."""

from collections.abc import Sequence
from uuid import UUID

from attrs import frozen

from application.ports.providers import ProviderInfo, Providers
from application.ports.storage import UnitOfWork
from domain.account import Account
from domain.identity import refuse_losing_last_way


@frozen(kw_only=True)
class OfferedWays:
    providers: Sequence[ProviderInfo]
    passkeys: bool


@frozen(kw_only=True)
class Ways:
    providers: Providers
    passkeys: bool

    async def __call__(self) -> OfferedWays:
        """The ways to sign in beside the password that the operator has set up."""
        return OfferedWays(providers=self.providers.list(), passkeys=self.passkeys)

    async def refuse_losing_last(self, work: UnitOfWork, account: Account, *, without: UUID) -> None:
        """
        Called before the identity or passkey ``without`` is removed from a locked account. Ways that the operator has taken away
        do not count.

        Raises:
            LastWayIn: No other way would be left.
        """
        issuers = {each.issuer for each in self.providers.list()}
        identities = await work.identities.of(account.id)
        usable = [each.id for each in identities if each.subject.issuer in issuers]
        passkeys = await work.passkeys.of(account.id) if self.passkeys else ()
        left = {*usable, *(each.id for each in passkeys)} - {without}
        refuse_losing_last_way(has_password=account.password_hash is not None, other_ways=len(left))

"""
Identities: who a person is to another provider (OpenID Connect), through which the person may sign in to an account.

An identity belongs to one account. It is known by the provider's issuer and the name that the provider gives the person for
good, never by an e-mail address: addresses change hands, and a provider may not have checked them.
"""

from datetime import datetime
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Forbidden, NotFound
from domain.ids import AccountId, IdentityId

SUBJECT_LIMIT: Final = 255
"""Characters of a provider's name for a person (OpenID Connect Core, section 2)."""


class ProviderNotFound(NotFound):
    """The operator of this messenger has not set such a provider up."""

    code = "provider_not_found"


class ProviderRefused(Forbidden):
    """The provider did not sign the person in, or what it says cannot be trusted."""

    code = "provider_refused"


class IdentityUnknown(Forbidden):
    """No account is linked with the identity, and none may be found or made by its e-mail address."""

    code = "identity_unknown"


class IdentityNotFound(NotFound):
    code = "identity_not_found"


class IdentityTaken(Conflict):
    """Another account is linked with the identity."""

    code = "identity_taken"


class LastWayIn(Conflict):
    """Without it nobody could sign in to the account: set a password or another way first."""

    code = "last_way_in"


@frozen
class Subject:
    """A person, as a provider knows them."""

    issuer: str
    name: str
    """The provider's name for the person (``sub``), which it gives to nobody else."""


@define(eq=False, kw_only=True)
class Identity:
    id: IdentityId = field(on_setattr=never)
    account_id: AccountId = field(on_setattr=never)
    subject: Subject = field(on_setattr=never)
    email: str | None = None
    """The address that the provider told last, for the owner to recognise the identity by. Nothing follows from it."""
    linked_at: datetime = field(on_setattr=never)
    last_used_at: datetime | None = None

    def use(self, email: str | None, *, at: datetime) -> None:
        """Notes that its owner signed in through it."""
        self.email = email
        self.last_used_at = at


def refuse_losing_last_way(*, has_password: bool, other_ways: int) -> None:
    """
    Called before a way to sign in is removed. ``other_ways`` is how many would be left beside the password.

    Raises:
        LastWayIn: None would be left.
    """
    if not has_password and not other_ways:
        raise LastWayIn

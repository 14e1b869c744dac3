"""Providers of identities (OpenID Connect): other services that tell who a person is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from domain.identity import Subject


@frozen(kw_only=True)
class ProviderInfo:
    id: str
    """Its name in addresses and settings."""
    name: str
    """Its name for people."""
    issuer: str
    """Its identity among providers, which stays when the operator gives it another id."""
    trusts_email: bool = False
    """
    Whether its statement that it has verified an address opens the account of this address, or makes one. If not, people link
    the identity while they are signed in.
    """


@frozen(kw_only=True)
class ProvenIdentity:
    """A provider's statement about a person, after its signature and all claims were checked."""

    subject: Subject
    email: str | None = None
    email_is_verified: bool = False


@frozen(kw_only=True)
class Returned:
    """The parameters with which a provider sent the browser back."""

    code: str = field(repr=False)
    issuer: str | None = None
    """The issuer by which the provider names itself in its answer (RFC 9207). Not all do."""


class Providers(Protocol):
    def list(self) -> Sequence[ProviderInfo]:
        """Those that the operator has set up, in this order."""
        ...

    def find(self, provider_id: str) -> ProviderInfo:
        """
        Raises:
            ProviderNotFound: There is no such provider.
        """
        ...

    async def address(self, provider_id: str, *, state: str, nonce: str, verifier: str) -> str:
        """
        The address at which the provider asks the person.

        Raises:
            ProviderNotFound: There is no such provider.
            ProviderUnavailable: It does not answer.
        """
        ...

    async def identify(
        self, provider_id: str, returned: Returned, *, nonce: str, verifier: str, at: datetime
    ) -> ProvenIdentity:
        """
        Exchanges what the browser brought back for the provider's statement about the person.

        Raises:
            ProviderNotFound: There is no such provider any more.
            ProviderUnavailable: It does not answer.
            ProviderRefused: It refuses the code, or its statement is not about this sign-in, or not to be trusted.
        """
        ...

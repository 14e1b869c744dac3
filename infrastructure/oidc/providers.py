from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from application.ports.providers import ProvenIdentity, ProviderInfo, Returned
from domain.identity import ProviderNotFound
from infrastructure.oidc.registration import Registration


class Provider(Protocol):
    """One of them, as its client sees it."""

    @property
    def info(self) -> ProviderInfo: ...

    async def address(self, *, state: str, nonce: str, verifier: str) -> str: ...

    async def identify(
        self, returned: Returned, *, nonce: str, verifier: str, at: datetime
    ) -> ProvenIdentity: ...


@frozen
class OidcProviders:
    """The providers of identities that the operator has set up."""

    providers: Sequence[Provider]

    @classmethod
    def of(
        cls, registrations: Iterable[Registration], *, callback: Callable[[str], str], deadline: float
    ) -> "OidcProviders":
        """
        ``callback`` returns the address to which a provider of this id sends people back. Without registrations nothing is
        imported that only they need, which would take a quarter of a second of each start.
        """
        registered = tuple(registrations)
        if not registered:
            return cls(())
        from infrastructure.oidc.provider import OidcProvider  # noqa: PLC0415

        return cls(
            [
                OidcProvider(registration=each, redirect_uri=callback(each.info.id), deadline=deadline)
                for each in registered
            ]
        )

    def list(self) -> Sequence[ProviderInfo]:
        return [each.info for each in self.providers]

    def find(self, provider_id: str) -> ProviderInfo:
        return self._find(provider_id).info

    async def address(self, provider_id: str, *, state: str, nonce: str, verifier: str) -> str:
        return await self._find(provider_id).address(state=state, nonce=nonce, verifier=verifier)

    async def identify(
        self, provider_id: str, returned: Returned, *, nonce: str, verifier: str, at: datetime
    ) -> ProvenIdentity:
        return await self._find(provider_id).identify(returned, nonce=nonce, verifier=verifier, at=at)

    def _find(self, provider_id: str) -> Provider:
        for each in self.providers:
            if each.info.id == provider_id:
                return each
        raise ProviderNotFound

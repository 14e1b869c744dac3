from collections.abc import Sequence
from datetime import datetime

from attrs import Factory, define

from application.ports.providers import ProvenIdentity, ProviderInfo, Returned
from domain.identity import ProviderNotFound, Subject

EXAMPLE = ProviderInfo(id="example", name="Example", issuer="https://accounts.example", trusts_email=True)


@define
class KnownProviders:
    """Providers for tests that are not about them: people are called what the code says that they come back with."""

    infos: Sequence[ProviderInfo] = Factory(lambda: [EXAMPLE])

    def list(self) -> Sequence[ProviderInfo]:
        return self.infos

    def find(self, provider_id: str) -> ProviderInfo:
        for each in self.infos:
            if each.id == provider_id:
                return each
        raise ProviderNotFound

    async def address(self, provider_id: str, *, state: str, nonce: str, verifier: str) -> str:
        assert nonce != verifier
        return f"{self.find(provider_id).issuer}/authorize?state={state}"

    async def identify(
        self, provider_id: str, returned: Returned, *, nonce: str, verifier: str, at: datetime
    ) -> ProvenIdentity:
        assert nonce != verifier
        assert at.tzinfo
        code = returned.code
        return ProvenIdentity(
            subject=Subject(self.find(provider_id).issuer, code),
            email=code if "@" in code else None,
            email_is_verified=True,
        )

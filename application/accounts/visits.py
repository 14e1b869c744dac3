"""Visits to providers of identities: leaving for one, and what the browser brings back."""

from datetime import timedelta
from typing import Final

from attrs import evolve, field, frozen

from application.errors import NotAuthenticated
from application.keys import use_once
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.providers import ProvenIdentity, Providers, Returned
from application.ports.seals import Seals, Visit
from application.ports.storage import Begin
from domain.identity import ProviderRefused
from domain.ids import AccountId, SessionId
from domain.session import Fingerprint

VISIT: Final = timedelta(minutes=10)
"""Within this time a person signs in at the provider and comes back."""

CODE_LIMIT: Final = 2048
"""Characters of what a provider sends a person back with. It has to fit into a cookie together with the visit."""


@frozen(kw_only=True)
class Departure:
    url: str
    """The provider's page, to which the browser goes."""
    visit: str = field(repr=False)
    """Sealed; the browser keeps it, and gives it back when the person comes back."""
    expires_in: timedelta


@frozen(kw_only=True)
class Depart:
    """Begins a visit."""

    clock: Clock
    ids: Ids
    providers: Providers
    seals: Seals

    async def __call__(
        self,
        provider: str,
        fingerprint: Fingerprint,
        *,
        from_app: bool = False,
        account_id: AccountId | None = None,
        session_id: SessionId | None = None,
    ) -> Departure:
        """
        Raises:
            ProviderNotFound: There is no such provider.
            ProviderUnavailable: It does not answer.
        """
        visit = Visit(
            provider=provider,
            state=self.ids.token_id(),
            nonce=self.ids.token_id(),
            verifier=self.ids.token_id()
            + self.ids.token_id(),  # 43 characters or more (RFC 7636, section 4.1)
            expires_at=self.clock.now() + VISIT,
            fingerprint=fingerprint,
            from_app=from_app,
            account_id=account_id,
            session_id=session_id,
        )
        url = await self.providers.address(
            provider, state=visit.state, nonce=visit.nonce, verifier=visit.verifier
        )
        return Departure(url=url, visit=self.seals.seal(visit), expires_in=VISIT)


@frozen(kw_only=True)
class ComeBack:
    """The request of a browser that a provider sends back."""

    provider: str
    visit: str = field(repr=False)
    state: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    """None if the provider did not sign the person in."""
    issuer: str | None = None


@frozen(kw_only=True)
class CameBack:
    visit: str = field(repr=False)
    """Sealed again, with what the provider sent."""
    expires_in: timedelta
    from_app: bool
    is_to_link: bool


@frozen(kw_only=True)
class ComeBackHandler:
    """
    Puts what the provider sent into the visit, if it is the visit that this browser left for. Nothing else happens, so that a
    page that is loaded twice does no harm; the visit is used up by the step after it.
    """

    clock: Clock
    seals: Seals

    async def __call__(self, command: ComeBack) -> CameBack:
        """
        Raises:
            NotAuthenticated: The browser did not leave for this visit, or it took too long.
            ProviderRefused: The provider did not sign the person in.
        """
        now = self.clock.now()
        visit = self.seals.open_visit(command.visit, at=now)
        if (visit.provider, visit.state) != (command.provider, command.state):
            raise NotAuthenticated("token_invalid")
        if not command.code or len(command.code) > CODE_LIMIT or len(command.issuer or "") > CODE_LIMIT // 8:
            raise ProviderRefused
        returned = evolve(visit, code=command.code, issuer=command.issuer)
        return CameBack(
            visit=self.seals.seal(returned),
            expires_in=visit.expires_at - now,
            from_app=visit.from_app,
            is_to_link=visit.account_id is not None,
        )


@frozen(kw_only=True)
class EndVisit:
    """The last step: uses a visit up, and asks the provider who came back."""

    begin: Begin
    clock: Clock
    providers: Providers
    seals: Seals

    def open(self, text: str) -> Visit:
        """
        Raises:
            NotAuthenticated: Nobody came back yet from the visit, or it took too long.
        """
        visit = self.seals.open_visit(text, at=self.clock.now())
        if visit.code is None:
            raise NotAuthenticated("token_invalid")
        return visit

    async def __call__(self, visit: Visit) -> ProvenIdentity:
        """
        Raises:
            NotAuthenticated: The visit was used before.
            ProviderNotFound, ProviderUnavailable, ProviderRefused: See `Providers.identify`.
        """
        # Stored before the provider is asked: of two requests at once, one asks.
        async with self.begin() as work:
            await use_once(work.keys, visit.state, at=self.clock.now(), until=visit.expires_at)
        return await self.providers.identify(
            visit.provider,
            Returned(code=visit.code or "", issuer=visit.issuer),
            nonce=visit.nonce,
            verifier=visit.verifier,
            at=self.clock.now(),
        )

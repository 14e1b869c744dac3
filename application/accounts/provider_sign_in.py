"""Signing in through a provider of identities."""

from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from application.accounts.admit import Admit, Admitted
from application.accounts.begun import BegunLimit
from application.accounts.signed_in import SignedIn
from application.accounts.telling import TellOwner
from application.accounts.visits import Depart, Departure, EndVisit
from application.errors import NotAuthenticated
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.providers import ProvenIdentity, ProviderInfo, Providers
from application.ports.seals import Visit
from application.ports.storage import Begin, UnitOfWork
from application.ports.tokens import Tokens
from application.recording import RecordEvent
from domain.account import Account, AccountNotFound, Email, EmailIncorrect, EmailTaken
from domain.identity import Identity, IdentityTaken, IdentityUnknown
from domain.ids import AccountId
from domain.security import SecurityAct
from domain.session import Fingerprint, Origin

ATTEMPTS: Final = 5
"""To sign somebody in of whom others sign in at the same time."""


@frozen(kw_only=True)
class BeginProviderSignIn:
    provider: str
    fingerprint: Fingerprint
    from_app: bool = False
    """See `Visit.from_app`."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class BeginProviderSignInHandler:
    """Sends somebody to a provider."""

    depart: Depart
    begun: BegunLimit

    async def __call__(self, command: BeginProviderSignIn) -> Departure:
        """
        Raises:
            ProviderNotFound: There is no such provider.
            ProviderUnavailable: It does not answer.
            TooManyRequests: The network has begun too often.
        """
        self.begun.use(command.origin.network)
        return await self.depart(command.provider, command.fingerprint, from_app=command.from_app)


@frozen(kw_only=True)
class FinishProviderSignIn:
    visit: str = field(repr=False)
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class FinishProviderSignInHandler:
    """
    Signs in a person that a provider has identified, to the account that is linked with the identity.

    Without a linked account, the address decides, if the operator believes what this provider says of addresses: the account
    of the address is linked, or a new one is made. An account that is linked with somebody else at this provider stays that
    person's, even if the provider has given the address to another person.

    A second factor of the account is asked for as after a password.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    tokens: Tokens
    providers: Providers
    end_visit: EndVisit
    admit: Admit
    begun: BegunLimit
    rates: ActionLimits
    record: RecordEvent
    tell: TellOwner
    letter_is_due: Callable[[], None]

    async def __call__(self, command: FinishProviderSignIn) -> SignedIn:
        """
        Raises:
            SecondFactorNeeded: The account has a second factor.
            NotAuthenticated: The visit is not ours, took too long or was used, or nobody may sign in to the account.
            IdentityUnknown: No account is linked, and none may be found or made by its address.
            ProviderNotFound, ProviderUnavailable, ProviderRefused: See `Providers.identify`.
            TooManyRequests: The account is signed in to too often.
        """
        self.begun.report(command.origin.network)
        visit = self.end_visit.open(command.visit)
        if visit.account_id is not None:  # it was begun to link the identity
            raise NotAuthenticated("token_invalid")
        provider = self.providers.find(visit.provider)
        proven = await self.end_visit(visit)
        account, admitted = await self._admitted(proven, provider, visit, command.origin)
        if admitted.letter_was_added:
            self.letter_is_due()
        return SignedIn.to(admitted.opened, account.email.text, self.tokens, at=self.clock.now())

    async def _admitted(
        self, proven: ProvenIdentity, provider: ProviderInfo, visit: Visit, origin: Origin
    ) -> tuple[Account, Admitted]:
        for _ in range(ATTEMPTS):
            try:
                return await self._admit(proven, provider, visit, origin)
            except (EmailTaken, IdentityTaken):
                continue  # by another sign-in at the same time: what it made is found now
        raise IdentityUnknown

    async def _admit(
        self, proven: ProvenIdentity, provider: ProviderInfo, visit: Visit, origin: Origin
    ) -> tuple[Account, Admitted]:
        async with self.begin() as work:
            account = await self._linked(work, proven) or await self._by_address(work, proven, provider)
            self.rates.count(Action.SIGN_IN, account.email.folded, "")
            return account, await self.admit(work, account, visit.fingerprint, origin, at=self.clock.now())

    async def _linked(self, work: UnitOfWork, proven: ProvenIdentity) -> Account | None:
        account_id = await work.identities.find_account(proven.subject)
        account = account_id and await _locked(work, account_id)
        if not account:
            return None
        identities = await work.identities.of(account.id)
        identity = next((each for each in identities if each.subject == proven.subject), None)
        if identity is None:  # unlinked a moment ago
            return None
        identity.use(proven.email, at=self.clock.now())
        await work.identities.save(identity)
        return account

    async def _by_address(self, work: UnitOfWork, proven: ProvenIdentity, provider: ProviderInfo) -> Account:
        if not (provider.trusts_email and proven.email_is_verified and proven.email):
            raise IdentityUnknown
        try:
            email = Email(proven.email)
            email.mailbox()  # raises for an address that no mail can be sent to
        except EmailIncorrect:
            raise IdentityUnknown from None
        found = await work.accounts.find_by_email(email)
        account = await _locked(work, found.id) if found else await self._new(work, email)
        if account is None:
            raise IdentityUnknown
        await self._refuse_successor(work, account, proven)
        now = self.clock.now()
        if not account.is_confirmed:
            # What waits in confirmations was chosen by somebody who may never have read the mail of this address.
            account.vouch(None, at=now)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            await self.record(work, SecurityAct.ADDRESS_CONFIRMED, account.id, at=now)
        await work.identities.add(
            Identity(
                id=self.ids.identity(),
                account_id=account.id,
                subject=proven.subject,
                email=proven.email,
                linked_at=now,
                last_used_at=now,
            )
        )
        await self.tell(work, SecurityAct.IDENTITY_LINKED, account.id, account.email.text, at=now)
        return account

    async def _refuse_successor(self, work: UnitOfWork, account: Account, proven: ProvenIdentity) -> None:
        """
        Refuses another person at a provider through which the owner signs in: the provider has given the address to somebody
        else since.
        """
        for linked in await work.identities.of(account.id):
            if linked.subject.issuer == proven.subject.issuer and linked.subject != proven.subject:
                raise IdentityUnknown

    async def _new(self, work: UnitOfWork, email: Email) -> Account:
        account, profile = Account.register(
            id=self.ids.account(), profile_id=self.ids.profile(), email=email, at=self.clock.now()
        )
        await work.accounts.add(account)
        await work.profiles.add(profile)
        return account


async def _locked(work: UnitOfWork, account_id: AccountId) -> Account | None:
    try:
        return await work.accounts.lock(account_id)
    except AccountNotFound:
        return None

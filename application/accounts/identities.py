"""The identities at providers that the actor's account may be signed in through: list, link and unlink them."""

from collections.abc import Sequence

from attrs import field, frozen

from application.accounts.own_sessions import lock_own
from application.accounts.step_up import FullReauthentication, StepUp
from application.accounts.telling import TellOwner
from application.accounts.visits import Depart, Departure, EndVisit
from application.accounts.ways import Ways
from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.storage import Begin
from domain.identity import Identity, IdentityNotFound
from domain.ids import IdentityId
from domain.security import SecurityAct
from domain.session import Fingerprint


@frozen(kw_only=True)
class ListIdentitiesHandler:
    """Lists the identities that the actor's account is linked with, the oldest first."""

    begin: Begin

    async def __call__(self, actor: Actor) -> Sequence[Identity]:
        actor.require_device()
        async with self.begin() as work:
            return await work.identities.of(actor.account_id)


@frozen(kw_only=True)
class BeginLink(FullReauthentication):
    provider: str
    from_app: bool = False
    """See `Visit.from_app`."""


@frozen(kw_only=True)
class BeginLinkHandler:
    """Sends somebody who is signed in to a provider, to link the identity there."""

    depart: Depart
    step_up: StepUp

    async def __call__(self, actor: Actor, command: BeginLink) -> Departure:
        """
        Raises:
            ProviderNotFound: There is no such provider.
            ProviderUnavailable: It does not answer.
            ProofUnfit: The proof is not of this session, too old or used already.
            PasswordWrong: The password is wrong.
            CodeWrong: The account has a second factor, and the code is missing or wrong.
            TooManyRequests: One of the two was wrong too often.
        """
        actor.require_device()
        async with self.step_up.proven(actor, command) as proven:
            await self.step_up.code(proven, actor, command.code)
        return await self.depart(
            command.provider,
            Fingerprint(),
            from_app=command.from_app,
            account_id=actor.account_id,
            session_id=actor.session_id,
        )


@frozen(kw_only=True)
class FinishLink:
    visit: str = field(repr=False)


@frozen(kw_only=True)
class FinishLinkHandler:
    """Links the identity of the person who came back with the account of the session that began it."""

    begin: Begin
    clock: Clock
    ids: Ids
    end_visit: EndVisit
    tell: TellOwner

    async def __call__(self, actor: Actor, command: FinishLink) -> Identity:
        """
        Raises:
            NotAuthenticated: The visit is not of this session, took too long or was used.
            IdentityTaken: Another account is linked with the identity, or this one.
            ProviderNotFound, ProviderUnavailable, ProviderRefused: See `Providers.identify`.
        """
        actor.require_device()
        visit = self.end_visit.open(command.visit)
        if (visit.account_id, visit.session_id) != (actor.account_id, actor.session_id):
            raise NotAuthenticated("token_invalid")
        proven = await self.end_visit(visit)
        now = self.clock.now()
        identity = Identity(
            id=self.ids.identity(),
            account_id=actor.account_id,
            subject=proven.subject,
            email=proven.email,
            linked_at=now,
        )
        async with self.begin() as work:
            await lock_own(work, actor)
            await work.identities.add(identity)
            await self.tell.of_own(work, SecurityAct.IDENTITY_LINKED, actor, at=now)
        return identity


@frozen(kw_only=True)
class Unlink(FullReauthentication):
    identity_id: IdentityId


@frozen(kw_only=True)
class UnlinkHandler:
    """Unlinks an identity: nobody signs in to the account through it any more. Sessions that were opened so stay."""

    clock: Clock
    step_up: StepUp
    ways: Ways
    tell: TellOwner

    async def __call__(self, actor: Actor, command: Unlink) -> None:
        """
        Raises:
            IdentityNotFound: The account is not linked with such an identity.
            LastWayIn: Nobody could sign in to the account without it.
            ProofUnfit: The proof is not of this session, too old or used already.
            PasswordWrong: The password is wrong.
            CodeWrong: The account has a second factor, and the code is missing or wrong.
            TooManyRequests: One of the two was wrong too often.
        """
        actor.require_device()
        async with self.step_up.proven(actor, command) as proven:
            work, account = proven.work, proven.account
            identities = await work.identities.of(account.id)
            chosen = next((each for each in identities if each.id == command.identity_id), None)
            if chosen is None:
                raise IdentityNotFound
            await self.step_up.code(proven, actor, command.code)
            await self.ways.refuse_losing_last(work, account, without=chosen.id)
            await work.identities.remove(chosen)
            await self.tell.of_own(work, SecurityAct.IDENTITY_UNLINKED, actor, at=self.clock.now())

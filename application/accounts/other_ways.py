"""The ways to sign in that a changed password leaves as they are: passkeys, and identities at providers."""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from application.accounts.mailed import LetterLimits, report
from application.accounts.own_sessions import lock_own
from application.accounts.telling import TellOwner
from application.actor import Actor
from application.ports.ids import Ids
from application.ports.storage import Begin, UnitOfWork
from application.recording import RecordEvent
from domain.account import Account
from domain.identity import Identity
from domain.ids import AccountId
from domain.notification import Template
from domain.passkey import Passkey
from domain.security import SecurityAct
from domain.session import Origin


@frozen(kw_only=True)
class OtherWays:
    """Those that the operator does not offer just now are among them, because they sign in when they are offered again."""

    passkeys: Sequence[Passkey]
    identities: Sequence[Identity]

    @property
    def exist(self) -> bool:
        return bool(self.passkeys or self.identities)


async def other_ways(work: UnitOfWork, account_id: AccountId) -> OtherWays:
    return OtherWays(
        passkeys=await work.passkeys.of(account_id), identities=await work.identities.of(account_id)
    )


@frozen(kw_only=True)
class RemoveOtherWays:
    """Removes all of them from the actor's account, which has a password. The owner is told once of each kind."""

    tell: TellOwner

    async def __call__(self, work: UnitOfWork, actor: Actor, *, at: datetime) -> None:
        ways = await other_ways(work, actor.account_id)
        for passkey in ways.passkeys:
            await work.passkeys.remove(passkey)
        for identity in ways.identities:
            await work.identities.remove(identity)
        for removed, act in (
            (ways.passkeys, SecurityAct.PASSKEY_REMOVED),
            (ways.identities, SecurityAct.IDENTITY_UNLINKED),
        ):
            if removed:
                await self.tell.of_own(work, act, actor, at=at)


@frozen(kw_only=True)
class TellOfPassword:
    """
    Tells the owner of a changed password, with an event and a letter, and that other ways to sign in stay if there are any. Somebody
    else who was in the account may have added them.
    """

    record: RecordEvent
    ids: Ids
    limits: LetterLimits | None
    """None for what the operator does."""

    async def __call__(
        self, work: UnitOfWork, account: Account, *, origin: Origin, at: datetime
    ) -> OtherWays:
        left = await other_ways(work, account.id)
        await self.record(work, SecurityAct.PASSWORD_CHANGED, account.id, at=at)
        template = Template.PASSWORD_CHANGED
        if left.exist:
            await self.record(work, SecurityAct.OTHER_WAYS_KEPT, account.id, at=at)
            template = Template.PASSWORD_CHANGED_WAYS_KEPT
        await report(
            template,
            account.id,
            account.email,
            work=work,
            limits=self.limits,
            id=self.ids.letter(),
            origin=origin,
            at=at,
        )
        return left


@frozen(kw_only=True)
class OwnWays:
    """The ways by which an account can be signed in to, and what they take."""

    has_password: bool
    has_second_factor: bool
    passkeys: int
    identities: int


@frozen(kw_only=True)
class ReadOwnWaysHandler:
    """Tells by which ways the actor's account can be signed in to, as a person has to know who changes one of them."""

    begin: Begin

    async def __call__(self, actor: Actor) -> OwnWays:
        """
        Raises:
            NotAuthenticated: The actor's session ended meanwhile.
        """
        actor.require_device()
        async with self.begin() as work:
            account, _ = await lock_own(work, actor)
            ways = await other_ways(work, actor.account_id)
            factor = await work.factors.find(actor.account_id)
        return OwnWays(
            has_password=account.password_hash is not None,
            has_second_factor=factor is not None and factor.is_on,
            passkeys=len(ways.passkeys),
            identities=len(ways.identities),
        )

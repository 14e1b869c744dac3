"""The second factor of the actor's account: look at it, set it up, change it and turn it off."""

from collections.abc import Sequence

from attrs import field, frozen

from application.accounts.codes import CodeCheck
from application.accounts.own_sessions import lock_own
from application.accounts.step_up import FullReauthentication, Reauthentication, StepUp
from application.accounts.telling import TellOwner
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.codes import Codes, NewSecret
from application.ports.storage import Begin
from domain.factor import FactorAlreadyOn, FactorNotOn, FactorsUnavailable, SecondFactor
from domain.security import SecurityAct


@frozen(kw_only=True)
class FactorState:
    is_available: bool
    """Says whether this messenger lets its accounts set up a second factor."""
    is_on: bool
    recovery_codes_left: int


@frozen(kw_only=True)
class ReadFactorHandler:
    begin: Begin
    codes: Codes

    async def __call__(self, actor: Actor) -> FactorState:
        actor.require_device()
        async with self.begin() as work:
            factor = await work.factors.find(actor.account_id)
        return FactorState(
            is_available=self.codes.is_available,
            is_on=factor is not None and factor.is_on,
            recovery_codes_left=len(factor.recovery) if factor else 0,
        )


@frozen(kw_only=True)
class SetUpFactor(Reauthentication):
    pass


@frozen(kw_only=True)
class SetUpFactorHandler:
    """
    Begins to set up a second factor: makes its secret. Nothing changes for sign-ins until it is confirmed by a code. Begun
    again, it makes another secret in place of the one before.
    """

    clock: Clock
    codes: Codes
    step_up: StepUp

    async def __call__(self, actor: Actor, command: SetUpFactor) -> NewSecret:
        """
        Raises:
            FactorsUnavailable: This messenger has no second factors.
            FactorAlreadyOn: The account has one.
            PasswordWrong: The password is wrong.
            ProofUnfit: The proof is not of this session, too old or used already.
            TooManyRequests: It was wrong too often.
        """
        actor.require_device()
        if not self.codes.is_available:
            raise FactorsUnavailable
        async with self.step_up.proven(actor, command) as proven:
            former = await proven.work.factors.find(actor.account_id)
            if former is not None and former.is_on:
                raise FactorAlreadyOn
            made = self.codes.new_secret(actor.account_id, actor.email)
            factor = SecondFactor(account_id=actor.account_id, secret=made.sealed, begun_at=self.clock.now())
            await proven.work.factors.save(factor)
        return made


@frozen(kw_only=True)
class ConfirmFactor:
    code: str = field(repr=False)


@frozen(kw_only=True)
class ConfirmFactorHandler:
    """Switches the second factor on, with the first code of the owner's application, and returns recovery codes."""

    begin: Begin
    clock: Clock
    codes: Codes
    check: CodeCheck
    tell: TellOwner

    async def __call__(self, actor: Actor, command: ConfirmFactor) -> Sequence[str]:
        """
        Raises:
            FactorNotOn: No set-up was begun.
            FactorAlreadyOn: The factor is on already.
            CodeWrong: The code is wrong.
            TooManyRequests: Codes were wrong too often.
        """
        now = self.clock.now()
        shown = self.codes.new_recovery_codes()
        async with self.begin() as work:
            account, _ = await lock_own(work, actor)
            factor = await work.factors.find(account.id)
            if factor is None:
                raise FactorNotOn
            digests = [self.codes.digest(each) for each in shown]
            self.check.confirm(factor, command.code, digests, device=str(actor.session_id), at=now)
            await work.factors.save(factor)
            await self.tell.of_own(work, SecurityAct.FACTOR_ON, actor, at=now)
        return shown


@frozen(kw_only=True)
class ProveBoth(FullReauthentication):
    """The proof that changes of a second factor take: the password, and a code or a recovery code; or a passkey."""


@frozen(kw_only=True)
class RenewRecoveryCodesHandler:
    """Exchanges the recovery codes, used or not, for others."""

    clock: Clock
    codes: Codes
    step_up: StepUp
    tell: TellOwner

    async def __call__(self, actor: Actor, command: ProveBoth) -> Sequence[str]:
        """
        Raises:
            FactorNotOn: The account has no second factor.
            PasswordWrong: The password is wrong.
            ProofUnfit: The proof is not of this session, too old or used already.
            CodeWrong: The code is wrong, or was used already.
            TooManyRequests: One of the two was wrong too often.
        """
        actor.require_device()
        async with self.step_up.proven(actor, command) as proven:
            await self.step_up.code(proven, actor, command.code)
            factor = await proven.work.factors.find(actor.account_id)
            if factor is None:
                raise FactorNotOn
            shown = self.codes.new_recovery_codes()
            factor.renew_recovery(map(self.codes.digest, shown))
            await proven.work.factors.save(factor)
            await self.tell.of_own(
                proven.work, SecurityAct.RECOVERY_CODES_RENEWED, actor, at=self.clock.now()
            )
        return shown


@frozen(kw_only=True)
class TurnOffFactorHandler:
    """Removes the second factor: the password alone signs in again."""

    clock: Clock
    step_up: StepUp
    tell: TellOwner

    async def __call__(self, actor: Actor, command: ProveBoth) -> None:
        """
        Raises:
            FactorNotOn: The account has no second factor.
            PasswordWrong: The password is wrong.
            ProofUnfit: The proof is not of this session, too old or used already.
            CodeWrong: The code is wrong, or was used already.
            TooManyRequests: One of the two was wrong too often.
        """
        actor.require_device()
        async with self.step_up.proven(actor, command) as proven:
            factor = await proven.work.factors.find(actor.account_id)
            if factor is None or not factor.is_on:
                raise FactorNotOn
            await self.step_up.code(proven, actor, command.code)
            await proven.work.factors.remove(actor.account_id)
            await self.tell.of_own(proven.work, SecurityAct.FACTOR_OFF, actor, at=self.clock.now())

from collections.abc import Callable

from attrs import field, frozen

from application.accounts.other_ways import RemoveOtherWays, TellOfPassword
from application.accounts.own_sessions import end_others
from application.accounts.step_up import Reauthentication, StepUp
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.passwords import Passwords, Requester
from domain.account import Password, PasswordRule, PasswordWrong
from domain.events import SessionEnd
from domain.session import Origin


@frozen(kw_only=True)
class SetPassword:
    password: Password
    old_password: str | None = field(default=None, repr=False)
    """The password until now. Clients of the original do not send it."""
    proof: str | None = field(default=None, repr=False)
    """A proof by a passkey, in place of the old password."""
    code: str | None = field(default=None, repr=False)
    """A code of the second factor. It is asked for only by `remove_other_ways`."""
    remove_other_ways: bool = False
    """
    True if passkeys and identities at providers shall sign in no more. It takes the old password and a code, or a proof, like
    removing each of them by itself.
    """
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SetPasswordHandler:
    """
    Changes the actor's password. All other sessions of the account end, links in letters under way stop working, and the
    owner is told by mail. Passkeys and identities at providers stay, unless the command removes them.
    """

    clock: Clock
    step_up: StepUp
    old_password_needed: bool
    """True if the command must have the old password or a proof: a session alone does not permit the change."""
    passwords: Passwords
    rule: PasswordRule
    remove_other_ways: RemoveOtherWays
    tell: TellOfPassword
    letter_is_due: Callable[[], None]

    async def __call__(self, actor: Actor, command: SetPassword) -> None:
        """
        Raises:
            PasswordUnfit: The password may not be chosen.
            PasswordWrong: The old password is wrong, or it is missing where it or a proof is needed.
            CodeWrong: Other ways shall be removed, and the code of the second factor is missing or wrong.
            ProofUnfit: The proof is not of this session, too old or used already.
            TooManyRequests: The old password or the code was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        actor.require_device()
        self.rule.check(command.password)
        is_needed = self.old_password_needed or command.remove_other_ways
        if command.old_password is None and not command.proof and is_needed:
            raise PasswordWrong
        requester = Requester(network=command.origin.network, account=str(actor.account_id), is_known=True)
        verified = None
        # Before the hash, which costs as much as verifying the old password.
        if command.proof:
            self.step_up.refuse_unfit(actor, command.proof)
        elif command.old_password is not None:
            verified = await self.step_up.verify(actor, command.old_password, command.origin)
        password_hash = await self.passwords.hash(command.password.text, requester)
        async with self.step_up.proven_if_given(actor, _given(command), verified=verified) as begun:
            work, account, now = begun.work, begun.account, self.clock.now()
            account.change_password(password_hash)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            await end_others(work, begun.sessions, actor, SessionEnd.PASSWORD_CHANGED, at=now)
            if command.remove_other_ways:
                await self.step_up.code(begun, actor, command.code)
                await self.remove_other_ways(work, actor, at=now)
            await self.tell(work, account, origin=command.origin, at=now)
        self.letter_is_due()


def _given(command: SetPassword) -> Reauthentication | None:
    if command.old_password is None and not command.proof:
        return None
    return Reauthentication(password=command.old_password or "", proof=command.proof, origin=command.origin)

from collections.abc import Callable

from attrs import field, frozen

from application.accounts.admit import Admit
from application.accounts.codes import CodeCheck
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import PendingToken, Tokens
from application.recording import RecordEvent
from domain.account import AccountNotFound
from domain.factor import CodeWrong
from domain.security import SecurityAct
from domain.session import Origin


@frozen(kw_only=True)
class FinishSignIn:
    pending_token: str = field(repr=False)
    code: str = field(repr=False)
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class FinishSignInHandler:
    """
    Signs somebody in who has proven the account already, and now shows its second factor: a code, or a recovery code.

    The session is that of the device that began to sign in. A code is used up; the pending sign-in stays good for its few
    minutes, which is of no use to anybody without another code. A wrong code becomes an event of the account, because it
    comes from somebody who knows the password.
    """

    begin: Begin
    clock: Clock
    tokens: Tokens
    admit: Admit
    check: CodeCheck
    letter_is_due: Callable[[], None]
    record: RecordEvent

    async def __call__(self, command: FinishSignIn) -> SignedIn:
        """
        Raises:
            NotAuthenticated: The pending sign-in is not ours or has expired, or the password or the factor changed since.
            CodeWrong: The code is wrong, or was used already.
            TooManyRequests: Codes were wrong too often.
        """
        pending = self.tokens.read_pending(command.pending_token, at=self.clock.now())
        try:
            return await self._finish(pending, command)
        except CodeWrong:
            # The unit of work of the sign-in was rolled back, and an event in it would have gone with it.
            async with self.begin() as work:
                await self.record(work, SecurityAct.SIGN_IN_FAILED, pending.account_id, at=self.clock.now())
            raise

    async def _finish(self, pending: PendingToken, command: FinishSignIn) -> SignedIn:
        now = self.clock.now()
        async with self.begin() as work:
            try:
                account = await work.accounts.lock(pending.account_id)
            except AccountNotFound:
                raise NotAuthenticated("token_invalid") from None
            factor = await work.factors.find(account.id)
            has_changed = pending.password_mark != self.admit.open_session.password_mark(account)
            if factor is None or not factor.is_on or has_changed:
                raise NotAuthenticated("token_invalid")
            is_known = await work.sessions.knows_device(account.id, pending.fingerprint)
            device = pending.fingerprint.text if is_known else ""
            self.check(factor, command.code, device=device, network=command.origin.network, at=now)
            await work.factors.save(factor)
            admitted = await self.admit(
                work, account, pending.fingerprint, command.origin, at=now, by_both=True
            )
        if admitted.letter_was_added:
            self.letter_is_due()
        return SignedIn.to(admitted.opened, account.email.text, self.tokens, at=now)

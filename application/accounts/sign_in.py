from collections.abc import Callable
from typing import Final
from uuid import UUID

from attrs import field, frozen

from application.accounts.admit import Admit, Admitted
from application.accounts.failures import FailureLimits
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.passwords import Passwords, Requester
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from application.recording import RecordEvent
from domain.account import AccountNotFound, Email, PasswordHash
from domain.ids import AccountId
from domain.security import SecurityAct
from domain.session import Fingerprint, Origin

NOBODY: Final = AccountId(UUID(int=0))
"""
No account has this id. For an unknown address the same statements run under it, so that they take as long. It is one id for
all of them, so that what they leave is bounded as it is for one account.
"""


@frozen(kw_only=True)
class SignIn:
    email: Email
    password: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SignInHandler:
    """
    Signs somebody in on a device, in place of the session that the device had. The owner is told by mail of a device that
    was never seen before.

    Only failures count against the limits of wrong passwords. Passwords that are being verified do not count yet, but there
    is a limit to how many are verified at once. Of an account's own limit for signing in only a right password uses
    something up, so that nobody can lock others out.
    """

    begin: Begin
    clock: Clock
    passwords: Passwords
    tokens: Tokens
    admit: Admit
    failures: FailureLimits
    record: RecordEvent
    rates: ActionLimits
    letter_is_due: Callable[[], None]

    async def __call__(self, command: SignIn) -> SignedIn:
        """
        Raises:
            SecondFactorNeeded: The password is right, and the account has a second factor.
            NotAuthenticated: The account is unknown or unconfirmed, or the password is wrong; neither the answer nor its
                time tells which.
            TooManyRequests: Passwords were wrong too often, or somebody signs in too often.
        """
        account, network = command.email.folded, command.origin.network
        self.rates.count(Action.SIGN_IN, None, network)
        self.rates.look(Action.SIGN_IN, account)
        keys = self.failures.of_stranger(account, network)
        if not command.fingerprint.is_set:
            self.failures.look(keys, at=self.clock.now())
        async with self.begin() as work:
            found = await work.accounts.find_by_email(command.email)
            whose = found.id if found else NOBODY
            is_known = await work.sessions.knows_device(whose, command.fingerprint)
        if is_known:
            keys = self.failures.of_known_device(account, command.fingerprint.text)
        self.failures.look(keys, at=self.clock.now())
        requester = Requester(network=network, account=account, is_known=is_known)
        verified = found.password_hash if found else None  # an unconfirmed account has none
        is_right = await self.passwords.verify(command.password, verified, requester)
        if found is None or verified is None or not is_right:
            now = self.clock.now()
            self.failures.count(keys, at=now)
            async with self.begin() as work:
                await self.record(work, SecurityAct.SIGN_IN_FAILED, whose, at=now)
            raise NotAuthenticated("credentials_invalid")
        self.rates.count(Action.SIGN_IN, account, "")
        upgraded = None
        if not self.passwords.is_current(verified):
            upgraded = await self.passwords.hash(command.password, requester)

        admitted = await self._open(command, found.id, verified, upgraded)
        if admitted is None:
            # The password changed while it was being verified; the result was about the former one.
            return await self(command)
        if admitted.letter_was_added:
            self.letter_is_due()
        return SignedIn.to(admitted.opened, found.email.text, self.tokens, at=self.clock.now())

    async def _open(
        self, command: SignIn, account_id: AccountId, verified: PasswordHash, upgraded: PasswordHash | None
    ) -> Admitted | None:
        now = self.clock.now()
        async with self.begin() as work:
            try:
                account = await work.accounts.lock(account_id)
            except AccountNotFound:
                return None
            if account.password_hash != verified:
                return None
            if upgraded:
                account.rehash(upgraded)
                await work.accounts.save(account)
            return await self.admit(work, account, command.fingerprint, command.origin, at=now)

from collections.abc import Callable

from attrs import field, frozen

from application.accounts.signed_in import OpenSession, SignedIn
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.limiter import Allowance, Limiter
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.account import AccountNotFound, Email, PasswordHash
from domain.ids import AccountId
from domain.notification import Letter, Template
from domain.session import Fingerprint, Origin, Session


@frozen(kw_only=True)
class SignIn:
    email: Email
    password: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SignInHandler:
    """
    Sign in on a device, in place of the session that it had. On one that was never seen before, the owner is told by mail.

    Only failures count against the limit. Those that are being verified do not count yet, but there is a limit to how
    many are verified at once.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    passwords: Passwords
    tokens: Tokens
    open_session: OpenSession
    limiter: Limiter
    failures: Allowance
    """By account and address: one who guesses locks nobody else out."""
    letter_is_due: Callable[[], None]

    async def __call__(self, command: SignIn) -> SignedIn:
        """
        Raises:
            NotAuthenticated: Unknown, unconfirmed or wrong, and neither answer nor time tells which.
            TooManyRequests: It failed too often.
        """
        key = f"{command.email.folded} {command.origin.network}"
        self.limiter.look(self.failures, key, at=self.clock.now())
        async with self.begin() as work:
            found = await work.accounts.find_by_email(command.email)
        verified = found.password_hash if found else None  # an unconfirmed account has none
        is_right = await self.passwords.verify(command.password, verified)
        if found is None or verified is None or not is_right:
            self.limiter.use(self.failures, key, at=self.clock.now())
            raise NotAuthenticated("credentials_invalid")
        upgraded = (
            None if self.passwords.is_current(verified) else await self.passwords.hash(command.password)
        )

        opened = await self._open(command, found.id, verified, upgraded)
        if opened is None:
            # The password changed while this one was verified: what was found out is about the former one.
            return await self(command)
        session, is_new_device = opened
        if is_new_device:
            self.letter_is_due()
        return SignedIn.to(session, found.email.text, self.tokens)

    async def _open(
        self, command: SignIn, account_id: AccountId, verified: PasswordHash, upgraded: PasswordHash | None
    ) -> tuple[Session, bool] | None:
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
            is_new = await work.sessions.is_new_device(account.id, command.fingerprint, command.origin)
            if is_new:
                await work.letters.add(
                    Letter.reporting(
                        Template.NEW_DEVICE,
                        id=self.ids.letter(),
                        account_id=account.id,
                        recipient=account.email,
                        at=now,
                        origin=command.origin,
                    )
                )
            session = await self.open_session(work, account, command.fingerprint, command.origin, at=now)
        return session, is_new

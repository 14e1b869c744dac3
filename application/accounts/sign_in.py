from attrs import field, frozen

from application.accounts.signed_in import OpenSession, SignedIn
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from application.ports.updates import Updates
from domain.account import Email, PasswordHash
from domain.events import SessionEnded
from domain.ids import AccountId
from domain.session import Fingerprint, Origin, Session


@frozen(kw_only=True)
class SignIn:
    email: Email
    password: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SignInHandler:
    """Sign in on a device, in place of the session that it had."""

    begin: Begin
    clock: Clock
    passwords: Passwords
    tokens: Tokens
    open_session: OpenSession
    updates: Updates

    async def __call__(self, command: SignIn) -> SignedIn:
        """
        Raises:
            NotAuthenticated: Unknown, unconfirmed or wrong, and neither answer nor time tells which.
        """
        async with self.begin() as work:
            found = await work.accounts.find_by_email(command.email)
        verified = found.password_hash if found else None  # an unconfirmed account has none
        is_right = await self.passwords.verify(command.password, verified)
        if found is None or verified is None or not is_right:
            raise NotAuthenticated("credentials_invalid")
        upgraded = (
            None if self.passwords.is_current(verified) else await self.passwords.hash(command.password)
        )

        opened = await self._open(command, found.id, verified, upgraded)
        if opened is None:
            # The password changed while this one was verified: what was found out is about the former one.
            return await self(command)
        session, ended = opened
        self.updates.publish(ended)
        return SignedIn.to(session, found.email.text, self.tokens)

    async def _open(
        self, command: SignIn, account_id: AccountId, verified: PasswordHash, upgraded: PasswordHash | None
    ) -> tuple[Session, list[SessionEnded]] | None:
        async with self.begin() as work:
            account = await work.accounts.lock(account_id)
            if account.password_hash != verified:
                return None
            if upgraded:
                account.rehash(upgraded)
                await work.accounts.save(account)
            return await self.open_session(
                work, account, command.fingerprint, command.origin, at=self.clock.now()
            )

from attrs import field, frozen

from application.accounts.mailed import proven
from application.accounts.signed_in import OpenSession, SignedIn
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.session import Fingerprint, Origin


@frozen(kw_only=True)
class ConfirmEmail:
    token: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class ConfirmEmailHandler:
    """Show that an address is one's own, and be signed in. A token does so once."""

    begin: Begin
    clock: Clock
    tokens: Tokens
    open_session: OpenSession

    async def __call__(self, command: ConfirmEmail) -> SignedIn:
        """
        Raises:
            NotAuthenticated: The token is none of ours, expired, used or void.
            AlreadyConfirmed: It is none of these, and the account is confirmed.
        """
        now = self.clock.now()
        token = self.tokens.read_confirmation(command.token, at=now)
        async with self.begin() as work:
            account, confirmation = await proven(work, token)
            account.confirm(confirmation, at=now)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            session = await self.open_session(work, account, command.fingerprint, command.origin, at=now)
        return SignedIn.to(session, account.email.text, self.tokens)

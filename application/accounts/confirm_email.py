from attrs import field, frozen

from application.accounts.signed_in import OpenSession, SignedIn
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from application.ports.updates import Updates
from domain.account import AccountNotFound
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
    updates: Updates

    async def __call__(self, command: ConfirmEmail) -> SignedIn:
        """
        Raises:
            NotAuthenticated: The token is none of ours, expired, used or void.
            AlreadyConfirmed: It is none of these, and the account is confirmed.
        """
        now = self.clock.now()
        token = self.tokens.read_confirmation(command.token, at=now)
        async with self.begin() as work:
            try:
                account = await work.accounts.lock(token.account_id)
            except AccountNotFound:
                raise NotAuthenticated("token_invalid") from None
            confirmation = await work.confirmations.find(account.id, token.confirmation_id)
            if confirmation is None:
                raise NotAuthenticated("token_invalid")
            account.confirm(confirmation, at=now)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            session, ended = await self.open_session(
                work, account, command.fingerprint, command.origin, at=now
            )
        self.updates.publish(ended)
        return SignedIn.to(session, account.email.text, self.tokens)

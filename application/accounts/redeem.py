from attrs import field, frozen

from application.accounts.mailed import proven
from application.accounts.signed_in import OpenSession, SignedIn
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.session import Fingerprint, Origin


@frozen(kw_only=True)
class RedeemToken:
    token: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class RedeemTokenHandler:
    """
    Be signed in by the letter for a forgotten password, to choose another. The letter that asks to confirm an address does
    as well, and confirms it. A token works once, and takes all others of its account with it.
    """

    begin: Begin
    clock: Clock
    tokens: Tokens
    open_session: OpenSession

    async def __call__(self, command: RedeemToken) -> SignedIn:
        """
        Raises:
            NotAuthenticated: The token is none of ours, expired, used or void.
        """
        now = self.clock.now()
        token = self.tokens.read_confirmation(command.token, at=now)
        async with self.begin() as work:
            account, confirmation = await proven(work, token)
            account.redeem(confirmation, at=now)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            session = await self.open_session(work, account, command.fingerprint, command.origin, at=now)
        return SignedIn.to(session, account.email.text, self.tokens)

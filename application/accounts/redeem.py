from attrs import field, frozen

from application.accounts.mailed import proven
from application.accounts.own_sessions import end_all
from application.accounts.signed_in import OpenSession, SignedIn
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.events import SessionEnd
from domain.session import Fingerprint, Origin


@frozen(kw_only=True)
class RedeemToken:
    token: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class RedeemTokenHandler:
    """
    Signs somebody in by the letter for a forgotten password, so that they can choose another one, and ends all older
    sessions of the account. The letter that asks to confirm an address works as well, and confirms it. A token works once;
    using it voids all others of its account, also if the account has a second factor and a code is still needed.
    """

    begin: Begin
    clock: Clock
    tokens: Tokens
    open_session: OpenSession

    async def __call__(self, command: RedeemToken) -> SignedIn:
        """
        Raises:
            SecondFactorNeeded: The token is used up, and the account has a second factor.
            NotAuthenticated: The token is not ours, or it is expired, used or void.
        """
        now = self.clock.now()
        token = self.tokens.read_confirmation(command.token, at=now)
        async with self.begin() as work:
            account, confirmation = await proven(work, token)
            account.redeem(confirmation, at=now)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            # The forgotten password may have been stolen, so all sessions that were opened with it end.
            sessions = await work.sessions.lock_not_ended(account.id)
            await end_all(work, sessions, SessionEnd.REVOKED, at=now)
            session = await self.open_session(work, account, command.fingerprint, command.origin, at=now)
        return SignedIn.to(session, account.email.text, self.tokens, at=now)

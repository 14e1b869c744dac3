from attrs import field, frozen

from application.accounts.mailed import confirmed
from application.accounts.signed_in import OpenSession, SignedIn
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from application.recording import RecordEvent
from domain.security import SecurityAct
from domain.session import Fingerprint, Origin, Session


@frozen(kw_only=True)
class ConfirmEmail:
    token: str = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class ConfirmEmailHandler:
    """Confirms an address by the link of a letter, and signs its reader in. A token works once."""

    begin: Begin
    clock: Clock
    tokens: Tokens
    open_session: OpenSession
    record: RecordEvent

    async def __call__(self, command: ConfirmEmail) -> SignedIn:
        """
        Raises:
            NotAuthenticated: The token is not ours, or it is expired, used or void.
            AlreadyConfirmed: The token is good, and the account was confirmed before.
        """
        now = self.clock.now()
        token = self.tokens.read_confirmation(command.token, at=now)
        async with self.begin() as work:
            account = await confirmed(work, token, at=now)
            session = await self.open_session(work, account, command.fingerprint, command.origin, at=now)
            session_id = session.id if isinstance(session, Session) else None
            await self.record(work, SecurityAct.ADDRESS_CONFIRMED, account.id, at=now, session_id=session_id)
        return SignedIn.to(session, account.email.text, self.tokens, at=now)

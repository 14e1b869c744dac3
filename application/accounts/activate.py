from attrs import field, frozen

from application.accounts.mailed import confirmed
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from application.recording import RecordEvent
from domain.account import AccountShut
from domain.security import SecurityAct


@frozen(kw_only=True)
class Activate:
    token: str = field(repr=False)


@frozen(kw_only=True)
class ActivateHandler:
    """
    Confirms an address by the link of a letter, without a session.

    For the page that the link leads to: its reader signs in elsewhere. A session of the page would be the account's first
    device, so that the first real one would be reported as new.
    """

    begin: Begin
    clock: Clock
    tokens: Tokens
    record: RecordEvent

    async def __call__(self, command: Activate) -> None:
        """
        Raises:
            NotAuthenticated: The token is not ours, or it is expired, used or void, or nobody may sign in to the account.
            AlreadyConfirmed: The token is good, and the account was confirmed before.
        """
        now = self.clock.now()
        token = self.tokens.read_confirmation(command.token, at=now)
        async with self.begin() as work:
            account = await confirmed(work, token, at=now)
            try:
                account.refuse_entry()
            except AccountShut:
                raise NotAuthenticated("credentials_invalid") from None
            await self.record(work, SecurityAct.ADDRESS_CONFIRMED, account.id, at=now)

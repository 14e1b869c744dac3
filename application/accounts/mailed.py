"""What the ways of following a link in a letter have in common, and the ways of asking for one."""

from datetime import datetime

from attrs import frozen

from application.errors import NotAuthenticated
from application.ports.limiter import Allowance, Limiter
from application.ports.storage import UnitOfWork
from application.ports.tokens import ConfirmationToken
from domain.account import Account, AccountNotFound, Confirmation, Email
from domain.session import Origin


async def proven(work: UnitOfWork, token: ConfirmationToken) -> tuple[Account, Confirmation]:
    """
    The account, held, and what the token stands for.

    Raises:
        NotAuthenticated: It stands for nothing any more, or never did.
    """
    try:
        account = await work.accounts.lock(token.account_id)
    except AccountNotFound:
        raise NotAuthenticated("token_invalid") from None
    confirmation = await work.confirmations.find(account.id, token.confirmation_id)
    if confirmation is None or account.closed_at is not None:
        raise NotAuthenticated("token_invalid")
    return account, confirmation


@frozen(kw_only=True)
class LetterLimits:
    """Letters go to people who may not have asked for them, so there is an end to how many can be asked for."""

    limiter: Limiter
    per_recipient: Allowance
    per_address: Allowance

    def use(self, recipient: Email, origin: Origin, *, at: datetime) -> None:
        """
        Whether anybody has the address plays no part in it.

        Raises:
            TooManyRequests: Too many to this recipient, or from this address.
        """
        asked = ((self.per_recipient, recipient.folded), (self.per_address, origin.network))
        for allowance, key in asked:
            self.limiter.look(allowance, key, at=at)
        for allowance, key in asked:
            self.limiter.use(allowance, key, at=at)

"""Shared by the use cases that send letters, and by those that follow the links in them."""

from datetime import datetime

from attrs import frozen

from application.errors import NotAuthenticated
from application.ports.limiter import Allowance, Limiter, TooManyRequests
from application.ports.storage import UnitOfWork
from application.ports.tokens import ConfirmationToken
from domain.account import Account, AccountNotFound, Confirmation, Email
from domain.ids import AccountId, LetterId
from domain.notification import Letter, Template
from domain.session import Origin


async def proven(work: UnitOfWork, token: ConfirmationToken) -> tuple[Account, Confirmation]:
    """
    Locks the account of ``token`` and returns it with the confirmation that the token proves.

    Raises:
        NotAuthenticated: The token proves nothing any more, or never did.
    """
    try:
        account = await work.accounts.lock(token.account_id)
    except AccountNotFound:
        raise NotAuthenticated("token_invalid") from None
    confirmation = await work.confirmations.find(account.id, token.confirmation_id)
    if confirmation is None or account.closed_at is not None or not token.is_of(confirmation):
        raise NotAuthenticated("token_invalid")
    return account, confirmation


async def confirmed(work: UnitOfWork, token: ConfirmationToken, *, at: datetime) -> Account:
    """
    Confirms the address of the account that ``token`` proves. All tokens of the account are void then.

    Raises:
        NotAuthenticated: The token proves nothing any more, or never did.
        AlreadyConfirmed: The account was confirmed before.
    """
    account, confirmation = await proven(work, token)
    account.confirm(confirmation, at=at)
    await work.accounts.save(account)
    await work.confirmations.void_all(account.id)
    return account


async def report(
    template: Template,
    account_id: AccountId,
    recipient: Email,
    *,
    work: UnitOfWork,
    limits: "LetterLimits | None",
    id: LetterId,
    origin: Origin,
    at: datetime,
) -> bool:
    """
    Adds a letter that reports what was done to an account. Returns False if the limits do not permit another one; there are none
    for what the operator does.
    """
    if limits is not None and not limits.permits(template, recipient, at=at):
        return False
    letter = Letter.reporting(
        template, id=id, account_id=account_id, recipient=recipient, at=at, origin=origin
    )
    await work.letters.add(letter)
    return True


@frozen(kw_only=True)
class LetterLimits:
    """Limits how many letters are sent, because they may go to people who did not ask for them."""

    limiter: Limiter
    per_recipient: Allowance
    """Letters that somebody asks for, by the address they go to."""
    per_address: Allowance
    """The same, by the network they are asked for from."""
    notices: Allowance
    """Letters that report something, by recipient and template."""

    def use(self, recipient: Email, origin: Origin, *, at: datetime) -> None:
        """
        Counts a letter that was asked for. Whether an account has the address plays no part in it.

        Raises:
            TooManyRequests: Too many were asked for to this recipient or from this network.
        """
        asked = ((self.per_recipient, recipient.folded), (self.per_address, origin.network))
        for allowance, key in asked:
            self.limiter.look(allowance, key, at=at)
        for allowance, key in asked:
            self.limiter.use(allowance, key, at=at)

    def permits(self, template: Template, recipient: Email, *, at: datetime) -> bool:
        """
        Counts a letter that reports something. Returns False where it is one too many: the letter is left out then, and
        what it would report is done all the same.
        """
        try:
            self.limiter.use(self.notices, f"{template} {recipient.folded}", at=at)
        except TooManyRequests:
            return False
        return True

from attrs import field, frozen

from application.accounts.mailed import proven
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.account import Email


@frozen(kw_only=True)
class ReadLink:
    token: str = field(repr=False)


@frozen(kw_only=True)
class Link:
    """The account that the link of a letter belongs to."""

    email: Email
    is_confirmed: bool
    """Whether the address was confirmed before, so that the link can only set a password."""


@frozen(kw_only=True)
class ReadLinkHandler:
    """Tells whether the link of a letter still works, and uses nothing up: mail scanners open links, too."""

    begin: Begin
    clock: Clock
    tokens: Tokens

    async def __call__(self, query: ReadLink) -> Link:
        """
        Raises:
            NotAuthenticated: The token is not ours, or it is expired, used or void, or nobody may sign in to the account.
        """
        token = self.tokens.read_confirmation(query.token, at=self.clock.now())
        async with self.begin() as work:
            account, confirmation = await proven(work, token)
        if account.disabled_at is not None:
            raise NotAuthenticated("credentials_invalid")
        return Link(email=confirmation.email, is_confirmed=account.is_confirmed)

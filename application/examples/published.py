from collections.abc import Sequence

from attrs import frozen

from application.examples.script import Script
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.account import Email


@frozen(kw_only=True)
class FindOpenExamplesHandler:
    """Finds the example accounts that everybody can sign in to, because their password is still the published one."""

    script: Script
    begin: Begin
    passwords: Passwords

    async def __call__(self) -> Sequence[str]:
        """Returns the e-mail addresses of these accounts."""
        async with self.begin() as work:
            found = [await work.accounts.find_by_email(Email(person.email)) for person in self.script.people]
        return [
            account.email.text
            for account in found
            if account is not None
            and account.disabled_at is None
            and account.password_hash is not None
            and await self.passwords.verify(self.script.password, account.password_hash)
        ]

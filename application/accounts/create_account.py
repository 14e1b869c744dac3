from attrs import field, frozen

from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.account import Account, Email, Password, PasswordRule
from domain.ids import AccountId


@frozen(kw_only=True)
class CreateAccount:
    email: Email
    password: Password = field(repr=False)


@frozen(kw_only=True)
class CreateAccountHandler:
    """Makes a confirmed account without a letter: the operator who makes it vouches for the address."""

    begin: Begin
    clock: Clock
    ids: Ids
    passwords: Passwords
    rule: PasswordRule

    async def __call__(self, command: CreateAccount) -> AccountId:
        """
        Raises:
            EmailIncorrect: No mail can be sent to the address.
            EmailTaken: Another account has the address.
            PasswordUnfit: The password may not be chosen.
        """
        command.email.mailbox()  # raises for an address that no mail can be sent to
        self.rule.check(command.password)
        password_hash = await self.passwords.hash(command.password.text)
        now = self.clock.now()
        account, profile = Account.register(
            id=self.ids.account(), profile_id=self.ids.profile(), email=command.email, at=now
        )
        account.vouch(password_hash, at=now)
        async with self.begin() as work:
            await work.accounts.add(account)
            await work.profiles.add(profile)
        return account.id

from collections.abc import Callable
from datetime import timedelta

from attrs import evolve, field, frozen

from application.accounts.mailed import LetterLimits, named
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords, Requester
from application.ports.storage import Begin
from domain.account import (
    Account,
    Confirmation,
    Email,
    EmailTaken,
    Password,
    PasswordHash,
    PasswordRule,
)
from domain.ids import AccountId
from domain.message import Nonce
from domain.notification import Letter
from domain.session import Origin


@frozen(kw_only=True)
class SignUp:
    email: Email
    password: Password
    key: Nonce | None = None
    """The client's ``Idempotency-Key``. One letter is sent under it to this address with this password."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SignedUp:
    account_id: AccountId
    email: str
    """In the spelling of this request."""


@frozen(kw_only=True)
class SignUpHandler:
    """
    Makes an unconfirmed account and sends a letter that asks for confirmation. Signing up again before that sends another
    letter; each one activates the password that was given with it.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    passwords: Passwords
    rule: PasswordRule
    limits: LetterLimits
    confirmation_lifetime: timedelta
    letter_is_due: Callable[[], None]
    """Called after the commit, so that the letter does not wait for the worker's next round."""

    async def __call__(self, command: SignUp) -> SignedUp:
        """
        Raises:
            EmailIncorrect: No mail can be sent to the address.
            EmailTaken: The address belongs to a confirmed account.
            PasswordUnfit: The password may not be chosen.
            TooManyRequests: Too many letters were asked for.
        """
        command.email.mailbox()  # raises for an address that no mail can be sent to
        self.rule.check(command.password)
        self.limits.use(command.email, command.origin, at=self.clock.now())
        requester = Requester(network=command.origin.network, account=command.email.folded)
        password_hash = await self.passwords.hash(command.password.text, requester)
        try:
            signed_up, first = await self._sign_up(command, password_hash)
        except EmailTaken:
            # Taken for good, or only just, by another sign-up that is not confirmed either: a second look tells.
            signed_up, first = await self._sign_up(command, password_hash)
        if first and not await self.passwords.verify(command.password.text, first.password_hash, requester):
            # the letter that was sent under this key would activate another password than this one
            signed_up, _ = await self._sign_up(evolve(command, key=None), password_hash)
        self.letter_is_due()
        return signed_up

    async def _sign_up(
        self, command: SignUp, password_hash: PasswordHash
    ) -> tuple[SignedUp, Confirmation | None]:
        """Also returns the confirmation that was made under this key before, if any; then nothing was done."""
        now, email, key = self.clock.now(), command.email, command.key
        async with self.begin() as work:
            account = await work.accounts.find_by_email(email)
            if account is None:
                account, profile = Account.register(
                    id=self.ids.account(), profile_id=self.ids.profile(), email=email, at=now
                )
                await work.accounts.add(account)
                await work.profiles.add(profile)
            elif (await work.accounts.lock(account.id)).is_confirmed:
                raise EmailTaken
            issued_at = now.replace(microsecond=0)
            confirmation = Confirmation(
                id=named(account.id, "sign up", key) if key else self.ids.confirmation(),
                account_id=account.id,
                email=email,
                password_hash=password_hash,
                issued_at=issued_at,
                expires_at=issued_at + self.confirmation_lifetime,
            )
            signed_up = SignedUp(account_id=account.id, email=email.text)
            if not await work.confirmations.add(confirmation):
                return signed_up, await work.confirmations.find(account.id, confirmation.id)
            await work.letters.add(
                Letter.confirming(confirmation, id=self.ids.letter(), at=now, origin=command.origin)
            )
        return signed_up, None

from collections.abc import Callable
from datetime import timedelta

from attrs import field, frozen

from application.accounts.mailed import LetterLimits
from application.keys import KeyReused, claimed, digest, owned_by_address
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.keys import KeyUse, Operation
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
from domain.ids import AccountId, ConfirmationId
from domain.message import Nonce
from domain.notification import Letter
from domain.session import Origin


@frozen(kw_only=True)
class SignUp:
    email: Email
    password: Password
    key: Nonce | None = None
    """The idempotency key: under it one letter is sent to this address, for this password."""
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
    rates: ActionLimits
    confirmation_lifetime: timedelta
    letter_is_due: Callable[[], None]
    """Called after the commit, so that the letter does not wait for the worker's next round."""

    async def __call__(self, command: SignUp) -> SignedUp:
        """
        Raises:
            EmailIncorrect: No mail can be sent to the address.
            EmailTaken: The address belongs to a confirmed account.
            PasswordUnfit: The password may not be chosen.
            TooManyRequests: Too many letters were asked for, or too many people sign up from this network.
            KeyReused: Under this key, an account of this address was asked for with another password.
        """
        command.email.mailbox()  # raises for an address that no mail can be sent to
        self.rule.check(command.password)
        self.rates.count(Action.SIGN_UP, None, command.origin.network)
        self.limits.use(command.email, command.origin, at=self.clock.now())
        requester = Requester(network=command.origin.network, account=command.email.folded)
        password_hash = await self.passwords.hash(command.password.text, requester)
        try:
            signed_up, first, sent = await self._sign_up(command, password_hash)
        except EmailTaken:
            # Either a confirmed account has the address, or another sign-up has just added it: trying again tells which.
            signed_up, first, sent = await self._sign_up(command, password_hash)
        if (
            first
            and sent
            and not await self.passwords.verify(command.password.text, sent.password_hash, requester)
        ):
            raise KeyReused(first)
        self.letter_is_due()
        return signed_up

    async def _sign_up(
        self, command: SignUp, password_hash: PasswordHash
    ) -> tuple[SignedUp, KeyUse | None, Confirmation | None]:
        """
        If the key was used for this address before, does nothing and also returns the first use and what was sent then.
        """
        now, email = self.clock.now(), command.email
        issued_at = now.replace(microsecond=0)
        use = KeyUse(
            operation=Operation.SIGN_UP,
            digest=digest(email.folded),  # without the password, whose own slow hash is compared
            subject_id=self.ids.confirmation(),
            used_at=now,
            expires_at=issued_at + self.confirmation_lifetime,
        )
        async with self.begin() as work:
            account = await work.accounts.find_by_email(email)
            if account and (await work.accounts.lock(account.id)).is_confirmed:
                raise EmailTaken
            first = await claimed(work.keys, owned_by_address(Operation.SIGN_UP, email), command.key, use)
            if account and first:
                sent = await work.confirmations.find(account.id, ConfirmationId(first.subject_id))
                return SignedUp(account_id=account.id, email=email.text), first, sent
            if account is None:
                account, profile = Account.register(
                    id=self.ids.account(), profile_id=self.ids.profile(), email=email, at=now
                )
                await work.accounts.add(account)
                await work.profiles.add(profile)
            confirmation = Confirmation(
                id=ConfirmationId(use.subject_id),
                account_id=account.id,
                email=email,
                password_hash=password_hash,
                issued_at=issued_at,
                expires_at=issued_at + self.confirmation_lifetime,
            )
            await work.confirmations.add(confirmation)
            await work.letters.add(
                Letter.confirming(confirmation, id=self.ids.letter(), at=now, origin=command.origin)
            )
        return SignedUp(account_id=account.id, email=email.text), None, None

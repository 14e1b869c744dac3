from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from attrs import field, frozen

from application.accounts.mailed import LetterLimits
from application.keys import claimed, digest, owned_by_address
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.keys import KeyUse, Operation
from application.ports.storage import Begin
from domain.account import AccountNotFound, Confirmation, Email
from domain.ids import ConfirmationId
from domain.message import Nonce
from domain.notification import Letter
from domain.session import Origin


@frozen(kw_only=True)
class ResetPassword:
    email: Email
    key: Nonce | None = None
    """The client's ``Idempotency-Key``. One letter is sent under it, even if that letter is void by now."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class ResetPasswordHandler:
    """
    Sends a letter by which the reader of this mailbox can choose another password. A newer letter voids the older ones.

    Nobody learns whether the address is known: for an unknown one the same rows are written, for an account that does not
    exist, with a letter that is given up before it is tried.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    limits: LetterLimits
    rates: ActionLimits
    lifetime: timedelta
    letter_is_due: Callable[[], None]

    async def __call__(self, command: ResetPassword) -> None:
        """
        Raises:
            TooManyRequests: Too many letters were asked for, to this address or from this network.
        """
        now = self.clock.now()
        self.rates.count(Action.RESET, None, command.origin.network)
        self.limits.use(command.email, command.origin, at=now)
        issued_at = now.replace(microsecond=0)
        use = KeyUse(
            operation=Operation.RESET_PASSWORD,
            digest=digest(command.email.folded),
            subject_id=self.ids.confirmation(),
            used_at=now,
            expires_at=issued_at + self.lifetime,
        )
        async with self.begin() as work:
            account = await work.accounts.find_by_email(command.email)
            owner_id = owned_by_address(Operation.RESET_PASSWORD, command.email)
            if not await claimed(work.keys, owner_id, command.key, use):
                confirmation = Confirmation(
                    id=ConfirmationId(use.subject_id),
                    account_id=account.id if account else self.ids.account(),
                    email=account.email if account else command.email,
                    password_hash=None,
                    issued_at=issued_at,
                    expires_at=issued_at + self.lifetime,
                )
                letter = Letter.resetting(confirmation, id=self.ids.letter(), at=now, origin=command.origin)
                if account is None:
                    letter.drop("no account has this address")
                # An unknown address leads to the same statements, so that the time does not tell whether there is an account.
                with suppress(AccountNotFound):
                    await work.accounts.lock(confirmation.account_id)
                await work.confirmations.void_resets(confirmation.account_id)
                await work.confirmations.add(confirmation)
                await work.letters.add(letter)
        self.letter_is_due()

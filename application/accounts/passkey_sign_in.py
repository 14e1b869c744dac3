"""Signing in with a passkey, which names the account itself."""

from collections.abc import Callable

from attrs import field, frozen

from application.accounts.admit import Admit
from application.accounts.begun import BegunLimit
from application.accounts.passkeys import AskDevice, Ceremony, UsePasskey
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated
from application.keys import use_once
from application.limits import Action, ActionLimits
from application.ports.authenticators import Authenticators, Json
from application.ports.clock import Clock
from application.ports.seals import Purpose
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.account import AccountNotFound
from domain.passkey import PasskeyCopied, PasskeyNotFound, PasskeyRefused
from domain.session import Fingerprint, Origin


@frozen(kw_only=True)
class BeginPasskeySignIn:
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class BeginPasskeySignInHandler:
    """Asks a device for any passkey of this messenger."""

    ask: AskDevice
    authenticators: Authenticators
    begun: BegunLimit

    async def __call__(self, command: BeginPasskeySignIn) -> Ceremony:
        """
        Raises:
            PasskeysUnavailable: This messenger has none.
            TooManyRequests: The network has begun too often.
        """
        self.ask.refuse_unavailable()
        self.begun.use(command.origin.network)
        challenge, token = self.ask.new(Purpose.SIGN_IN)
        return Ceremony(options=self.authenticators.options_to_use(challenge), token=token)


@frozen(kw_only=True)
class PasskeySignIn:
    token: str = field(repr=False)
    credential: Json = field(repr=False)
    fingerprint: Fingerprint
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class PasskeySignInHandler:
    """
    Signs somebody in whose passkey has answered. No second factor is asked for: the device has verified the person before it used
    the key, which is the second proof.
    """

    begin: Begin
    clock: Clock
    tokens: Tokens
    authenticators: Authenticators
    ask: AskDevice
    use: UsePasskey
    admit: Admit
    begun: BegunLimit
    rates: ActionLimits
    letter_is_due: Callable[[], None]

    async def __call__(self, command: PasskeySignIn) -> SignedIn:
        """
        Raises:
            PasskeysUnavailable: This messenger has none.
            NotAuthenticated: The challenge is not ours, too old or used; there is no such passkey; its answer is not to be
                believed; or nobody may sign in to the account.
            PasskeyCopied: There is a copy of the passkey.
            TooManyRequests: The account is signed in to too often.
        """
        self.begun.report(command.origin.network)
        challenge = self.ask.open(command.token, Purpose.SIGN_IN)
        now = self.clock.now()
        async with self.begin() as work:
            await use_once(work.keys, challenge.text, at=now, until=challenge.expires_at)
        try:
            account_id = self.authenticators.presented(command.credential).account_id
        except PasskeyRefused:
            account_id = None
        if account_id is None:
            raise NotAuthenticated("credentials_invalid")
        email = ""
        try:
            async with self.begin() as work:
                account = await work.accounts.lock(account_id)
                email = account.email.text
                await self.use(work, account.id, command.credential, challenge.text)
                self.rates.count(Action.SIGN_IN, account.email.folded, "")
                admitted = await self.admit(
                    work, account, command.fingerprint, command.origin, at=now, by_both=True
                )
        except (AccountNotFound, PasskeyNotFound, PasskeyRefused):
            raise NotAuthenticated("credentials_invalid") from None
        except PasskeyCopied:
            await self.use.tell_of_copy(account_id, email)
            raise
        if admitted.letter_was_added:
            self.letter_is_due()
        return SignedIn.to(admitted.opened, email, self.tokens, at=now)

"""The passkeys of the actor's account: list, add, rename and remove them, and prove by one who one is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from attrs import field, frozen

from application.accounts.own_sessions import lock_own
from application.accounts.step_up import FullReauthentication, StepUp
from application.accounts.telling import TellOwner
from application.accounts.ways import Ways
from application.actor import Actor
from application.errors import NotAuthenticated
from application.keys import use_once
from application.ports.authenticators import Authenticators, Json
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.seals import Challenge, Proof, Purpose, Seals
from application.ports.storage import Begin, UnitOfWork
from domain.ids import AccountId, PasskeyId
from domain.passkey import (
    Passkey,
    PasskeyCopied,
    PasskeyName,
    PasskeyNotFound,
    PasskeysUnavailable,
    PasskeyTaken,
    TooManyPasskeys,
)
from domain.security import SecurityAct

CEREMONY: Final = timedelta(minutes=5)
"""Within this time a person finds the device and answers."""
PROOF: Final = timedelta(minutes=5)
"""A proof by a passkey expires after this time."""


@frozen(kw_only=True)
class Ceremony:
    options: Json
    """The request that the browser makes to the device."""
    token: str = field(repr=False)
    """Sealed; comes back with the device's answer."""


@frozen(kw_only=True)
class AskDevice:
    """Makes challenges, and uses them up."""

    clock: Clock
    ids: Ids
    seals: Seals
    most: int
    """An account may have this many passkeys. With 0 this messenger has none at all."""

    def refuse_unavailable(self) -> None:
        """
        Raises:
            PasskeysUnavailable: This messenger has no passkeys.
        """
        if not self.most:
            raise PasskeysUnavailable

    def new(self, purpose: Purpose, actor: Actor | None = None) -> tuple[str, str]:
        """Returns a challenge, and the same sealed."""
        challenge = self.ids.token_id() + self.ids.token_id()
        sealed = self.seals.seal(
            Challenge(
                purpose=purpose,
                text=challenge,
                expires_at=self.clock.now() + CEREMONY,
                account_id=actor.account_id if actor else None,
                session_id=actor.session_id if actor else None,
            )
        )
        return challenge, sealed

    def open(self, token: str, purpose: Purpose, actor: Actor | None = None) -> Challenge:
        """
        Raises:
            PasskeysUnavailable: This messenger has no passkeys.
            NotAuthenticated: The challenge is not ours, too old, or was made for something or somebody else.
        """
        self.refuse_unavailable()
        challenge = self.seals.open_challenge(token, at=self.clock.now())
        whose = (actor.account_id, actor.session_id) if actor else (None, None)
        if challenge.purpose is not purpose or (challenge.account_id, challenge.session_id) != whose:
            raise NotAuthenticated("token_invalid")
        return challenge


@frozen(kw_only=True)
class UsePasskey:
    """Verifies that a passkey of an account has answered a challenge, and notes its use."""

    begin: Begin
    clock: Clock
    authenticators: Authenticators
    tell: TellOwner

    async def __call__(
        self, work: UnitOfWork, account_id: AccountId, credential: Json, challenge: str
    ) -> Passkey:
        """
        The account is locked.

        Raises:
            PasskeyNotFound: The account has no such passkey.
            PasskeyRefused: The answer is not to be believed.
            PasskeyCopied: There is a copy of the passkey.
        """
        credential_id = self.authenticators.presented(credential).credential_id
        passkeys = await work.passkeys.of(account_id)
        passkey = next((each for each in passkeys if each.credential_id == credential_id), None)
        if passkey is None:
            raise PasskeyNotFound
        used = self.authenticators.used(credential, challenge, passkey)
        passkey.use(used.uses, is_backed_up=used.is_backed_up, at=self.clock.now())
        await work.passkeys.save(passkey)
        return passkey

    async def tell_of_copy(self, account_id: AccountId, email: str) -> None:
        """Tells the owner of a `PasskeyCopied`, in a unit of work of its own, because the one of the use is rolled back."""
        async with self.begin() as work:
            await self.tell(work, SecurityAct.PASSKEY_COPIED, account_id, email, at=self.clock.now())


@frozen(kw_only=True)
class ListPasskeysHandler:
    """Lists the actor's passkeys, the oldest first."""

    begin: Begin

    async def __call__(self, actor: Actor) -> Sequence[Passkey]:
        actor.require_device()
        async with self.begin() as work:
            return await work.passkeys.of(actor.account_id)


@frozen(kw_only=True)
class BeginPasskey(FullReauthentication):
    pass


@frozen(kw_only=True)
class BeginPasskeyHandler:
    """Asks for a new passkey of the actor's account."""

    ask: AskDevice
    authenticators: Authenticators
    step_up: StepUp

    async def __call__(self, actor: Actor, command: BeginPasskey) -> Ceremony:
        """
        Raises:
            PasskeysUnavailable: This messenger has none.
            TooManyPasskeys: The account has as many as it may have.
            PasswordWrong, CodeWrong, ProofUnfit: See `StepUp`.
            TooManyRequests: Something was wrong too often.
        """
        actor.require_device()
        self.ask.refuse_unavailable()
        async with self.step_up.proven(actor, command) as proven:
            await self.step_up.code(proven, actor, command.code)
            known = await proven.work.passkeys.of(actor.account_id)
        if len(known) >= self.ask.most:
            raise TooManyPasskeys
        challenge, token = self.ask.new(Purpose.ADD, actor)
        options = self.authenticators.options_to_make(
            challenge, actor.account_id, actor.email, [each.credential_id for each in known]
        )
        return Ceremony(options=options, token=token)


@frozen(kw_only=True)
class AddPasskey:
    token: str = field(repr=False)
    credential: Json = field(repr=False)
    name: PasskeyName


@frozen(kw_only=True)
class AddPasskeyHandler:
    """Adds the passkey that a device has made, in the session that asked for it."""

    begin: Begin
    clock: Clock
    ids: Ids
    ask: AskDevice
    authenticators: Authenticators
    tell: TellOwner

    async def __call__(self, actor: Actor, command: AddPasskey) -> Passkey:
        """
        Raises:
            PasskeysUnavailable: This messenger has none.
            NotAuthenticated: The challenge is not of this session, too old or used.
            PasskeyRefused: The device's answer is not to be believed.
            PasskeyTaken: The account has it already.
            TooManyPasskeys: The account has as many as it may have.
        """
        actor.require_device()
        challenge = self.ask.open(command.token, Purpose.ADD, actor)
        made = self.authenticators.made(command.credential, challenge.text)
        now = self.clock.now()
        passkey = Passkey(
            id=self.ids.passkey(),
            account_id=actor.account_id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            name=command.name,
            uses=made.uses,
            is_backed_up=made.is_backed_up,
            created_at=now,
        )
        async with self.begin() as work:
            await lock_own(work, actor)
            await use_once(work.keys, challenge.text, at=now, until=challenge.expires_at)
            known = await work.passkeys.of(actor.account_id)
            if passkey.credential_id in {each.credential_id for each in known}:
                raise PasskeyTaken
            if len(known) >= self.ask.most:
                raise TooManyPasskeys
            await work.passkeys.save(passkey)
            await self.tell.of_own(work, SecurityAct.PASSKEY_ADDED, actor, at=now)
        return passkey


@frozen(kw_only=True)
class RenamePasskey:
    passkey_id: PasskeyId
    name: PasskeyName


@frozen(kw_only=True)
class RenamePasskeyHandler:
    begin: Begin

    async def __call__(self, actor: Actor, command: RenamePasskey) -> Passkey:
        """
        Raises:
            PasskeyNotFound: The actor has no such passkey.
        """
        async with self.begin() as work:
            await lock_own(work, actor)
            passkey = await _own(work, actor, command.passkey_id)
            passkey.rename(command.name)
            await work.passkeys.save(passkey)
        return passkey


@frozen(kw_only=True)
class RemovePasskey(FullReauthentication):
    passkey_id: PasskeyId


@frozen(kw_only=True)
class RemovePasskeyHandler:
    """Removes a passkey: it signs nobody in any more. Sessions that were opened with it stay."""

    clock: Clock
    step_up: StepUp
    ways: Ways
    tell: TellOwner

    async def __call__(self, actor: Actor, command: RemovePasskey) -> None:
        """
        Raises:
            PasskeyNotFound: The actor has no such passkey.
            LastWayIn: Nobody could sign in to the account without it.
            PasswordWrong, CodeWrong, ProofUnfit: See `StepUp`.
            TooManyRequests: Something was wrong too often.
        """
        actor.require_device()
        async with self.step_up.proven(actor, command) as proven:
            work = proven.work
            passkey = await _own(work, actor, command.passkey_id)
            await self.step_up.code(proven, actor, command.code)
            await self.ways.refuse_losing_last(work, proven.account, without=passkey.id)
            await work.passkeys.remove(passkey)
            await self.tell.of_own(work, SecurityAct.PASSKEY_REMOVED, actor, at=self.clock.now())


@frozen(kw_only=True)
class BeginProofHandler:
    """Asks for one of the actor's passkeys, in place of the password and a code."""

    begin: Begin
    ask: AskDevice
    authenticators: Authenticators

    async def __call__(self, actor: Actor) -> Ceremony:
        """
        Raises:
            PasskeysUnavailable: This messenger has none.
            PasskeyNotFound: The actor has none.
        """
        actor.require_device()
        self.ask.refuse_unavailable()
        async with self.begin() as work:
            known = await work.passkeys.of(actor.account_id)
        if not known:
            raise PasskeyNotFound
        challenge, token = self.ask.new(Purpose.PROVE, actor)
        options = self.authenticators.options_to_use(challenge, [each.credential_id for each in known])
        return Ceremony(options=options, token=token)


@frozen(kw_only=True)
class Prove:
    token: str = field(repr=False)
    credential: Json = field(repr=False)


@frozen(kw_only=True)
class Proved:
    proof: str = field(repr=False)
    """Good once, in this session."""
    expires_in: timedelta


@frozen(kw_only=True)
class ProveHandler:
    """Exchanges a passkey's answer for a proof that requests of this session take in place of the password and a code."""

    begin: Begin
    clock: Clock
    ids: Ids
    seals: Seals
    ask: AskDevice
    use: UsePasskey

    async def __call__(self, actor: Actor, command: Prove) -> Proved:
        """
        Raises:
            PasskeysUnavailable: This messenger has none.
            NotAuthenticated: The challenge is not of this session, too old or used.
            PasskeyNotFound: The actor has no such passkey.
            PasskeyRefused: The device's answer is not to be believed.
            PasskeyCopied: There is a copy of the passkey.
        """
        actor.require_device()
        challenge = self.ask.open(command.token, Purpose.PROVE, actor)
        now = self.clock.now()
        try:
            async with self.begin() as work:
                await lock_own(work, actor)
                await use_once(work.keys, challenge.text, at=now, until=challenge.expires_at)
                await self.use(work, actor.account_id, command.credential, challenge.text)
        except PasskeyCopied:
            await self.use.tell_of_copy(actor.account_id, actor.email)
            raise
        proof = Proof(
            id=self.ids.token_id(),
            account_id=actor.account_id,
            session_id=actor.session_id,
            expires_at=now + PROOF,
        )
        return Proved(proof=self.seals.seal(proof), expires_in=PROOF)


async def _own(work: UnitOfWork, actor: Actor, passkey_id: PasskeyId) -> Passkey:
    for each in await work.passkeys.of(actor.account_id):
        if each.id == passkey_id:
            return each
    raise PasskeyNotFound

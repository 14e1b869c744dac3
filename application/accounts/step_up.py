"""The proof that is asked for again before something that a stolen session must not do."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import field, frozen

from application.accounts.codes import CodeCheck
from application.accounts.failures import FailureLimits
from application.accounts.own_sessions import lock_own
from application.actor import Actor
from application.errors import NotAuthenticated
from application.keys import use_once
from application.ports.clock import Clock
from application.ports.limiter import Allowance
from application.ports.passwords import Passwords, Requester
from application.ports.seals import Proof, Seals
from application.ports.storage import Begin, UnitOfWork
from domain.account import Account, PasswordHash, PasswordWrong
from domain.factor import CodeWrong
from domain.passkey import ProofUnfit
from domain.session import Origin, Session


@frozen(kw_only=True)
class Reauthentication:
    """The fields of a command that asks a signed-in person for the password again."""

    password: str = field(default="", repr=False)
    proof: str | None = field(default=None, repr=False)
    """A proof by a passkey, in place of the password and of a code."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class FullReauthentication(Reauthentication):
    """The same for a command that also takes a code, if the account has a second factor."""

    code: str | None = field(default=None, repr=False)
    """A code of the application, or a recovery code."""


@frozen(kw_only=True)
class Proven:
    """A unit of work in which the actor's account and its sessions are locked, and which the actor may carry out."""

    work: UnitOfWork
    account: Account
    sessions: Sequence[Session]
    """Those that have not ended."""
    by_both: bool = False
    """True if the person proved both factors at once, by a passkey; then no code is asked for."""


@frozen(kw_only=True)
class StepUp:
    """
    Asks a signed-in person for the password, and for a code if the account has a second factor; or for a passkey instead of both,
    which is the only way for somebody without a password.
    """

    begin: Begin
    clock: Clock
    passwords: Passwords
    failures: FailureLimits
    check: CodeCheck
    seals: Seals

    @asynccontextmanager
    async def proven(
        self,
        actor: Actor,
        given: Reauthentication,
        *,
        verified: PasswordHash | None = None,
    ) -> AsyncIterator[Proven]:
        """
        Begins a unit of work for somebody who gives the password, or a proof by a passkey. The password is verified
        outside the unit, because that takes long; if it changed meanwhile, what was verified is the former one, and the new one
        is verified. ``verified`` is what `verify` returned for the password, if that was done before.

        Raises:
            ScopeMissing: The actor is a program.
            PasswordWrong: The password is wrong.
            ProofUnfit: The proof is not of this session, too old or used already.
            TooManyRequests: The password was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        if given.proof:
            self.failures.report(self._keys(actor), at=self.clock.now())
            async with self.begin() as work:
                account, sessions = await lock_own(work, actor)
                await self._use_proof(work, actor, given.proof)
                yield Proven(work=work, account=account, sessions=sessions, by_both=True)
            return
        while True:
            if verified is None:
                verified = await self.verify(actor, given.password, given.origin)
            async with self.begin() as work:
                account, sessions = await lock_own(work, actor)
                if account.password_hash == verified:
                    yield Proven(work=work, account=account, sessions=sessions)
                    return
            verified = None

    @asynccontextmanager
    async def proven_if_given(
        self, actor: Actor, given: Reauthentication | None, *, verified: PasswordHash | None = None
    ) -> AsyncIterator[Proven]:
        """Begins a unit of work like `proven`, or for somebody of whom nothing is asked but the session."""
        if given is not None:
            async with self.proven(actor, given, verified=verified) as proven:
                yield proven
            return
        self.failures.report(self._keys(actor), at=self.clock.now())
        async with self.begin() as work:
            account, sessions = await lock_own(work, actor)
            yield Proven(work=work, account=account, sessions=sessions)

    async def _use_proof(self, work: UnitOfWork, actor: Actor, text: str) -> None:
        proof = self.refuse_unfit(actor, text)
        try:
            await use_once(work.keys, proof.id, at=self.clock.now(), until=proof.expires_at)
        except NotAuthenticated:
            raise ProofUnfit from None

    def refuse_unfit(self, actor: Actor, text: str) -> Proof:
        """
        Reads a proof without using it up, before something else that takes long and needs it.

        Raises:
            ProofUnfit: The proof is not of this session, or too old.
        """
        try:
            proof = self.seals.open_proof(text, at=self.clock.now())
        except NotAuthenticated:
            raise ProofUnfit from None
        if (proof.account_id, proof.session_id) != (actor.account_id, actor.session_id):
            raise ProofUnfit
        return proof

    async def verify(self, actor: Actor, password: str, origin: Origin) -> PasswordHash | None:
        """
        Returns the hash that the password fits, before something else that takes long and needs the proof.

        Raises:
            PasswordWrong: The password is wrong.
            TooManyRequests: It was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        now = self.clock.now()
        keys = self._keys(actor)
        self.failures.look(keys, at=now)
        async with self.begin() as work:
            account, _ = await lock_own(work, actor)
        verified = account.password_hash
        requester = Requester(network=origin.network, account=str(actor.account_id), is_known=True)
        if not await self.passwords.verify(password, verified, requester):
            self.failures.count(keys, at=now)
            raise PasswordWrong
        return verified

    def _keys(self, actor: Actor) -> Sequence[tuple[Allowance, str]]:
        return self.failures.of_known_device(str(actor.account_id), str(actor.session_id))

    async def code(self, proven: Proven, actor: Actor, code: str | None) -> None:
        """
        Uses up a code of the actor's second factor, if there is one that is on and was not shown yet.

        Raises:
            CodeWrong: There is a second factor, and the code is missing, wrong or used.
            TooManyRequests: Codes were wrong too often.
        """
        if proven.by_both:
            return
        work = proven.work
        factor = await work.factors.find(actor.account_id)
        if factor is None or not factor.is_on:
            return
        if not code:
            raise CodeWrong
        self.check(factor, code, device=str(actor.session_id), at=self.clock.now())
        await work.factors.save(factor)

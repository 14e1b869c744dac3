"""The proof that is asked for again before something that a stolen session must not do."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import frozen

from application.accounts.codes import CodeCheck
from application.accounts.failures import FailureLimits
from application.accounts.own_sessions import lock_own
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.passwords import Passwords, Requester
from application.ports.storage import Begin, UnitOfWork
from domain.account import Account, PasswordHash, PasswordWrong
from domain.factor import CodeWrong
from domain.session import Origin, Session


@frozen(kw_only=True)
class Proven:
    """A unit of work in which the actor's account and its sessions are locked, and which the actor may carry out."""

    work: UnitOfWork
    account: Account
    sessions: Sequence[Session]
    """Those that have not ended."""


@frozen(kw_only=True)
class StepUp:
    """Asks a signed-in person for the password, and for a code if the account has a second factor."""

    begin: Begin
    clock: Clock
    passwords: Passwords
    failures: FailureLimits
    check: CodeCheck

    @asynccontextmanager
    async def proven(
        self, actor: Actor, password: str, origin: Origin, verified: PasswordHash | None = None
    ) -> AsyncIterator[Proven]:
        """
        Begins a unit of work for somebody who knows the password. It is verified outside the unit, because that takes long; if
        it changed meanwhile, what was verified is the former one, and the new one is verified. ``verified`` is what `verify`
        returned for the password, if that was done before.

        Raises:
            ScopeMissing: The actor is a program.
            PasswordWrong: The password is wrong.
            TooManyRequests: It was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        while True:
            if verified is None:
                verified = await self.verify(actor, password, origin)
            async with self.begin() as work:
                account, sessions = await lock_own(work, actor)
                if account.password_hash == verified:
                    yield Proven(work=work, account=account, sessions=sessions)
                    return
            verified = None

    async def verify(self, actor: Actor, password: str, origin: Origin) -> PasswordHash | None:
        """
        Returns the hash that the password fits, before something else that takes long and needs the proof.

        Raises:
            PasswordWrong: The password is wrong.
            TooManyRequests: It was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        now = self.clock.now()
        keys = self.failures.of_known_device(str(actor.account_id), str(actor.session_id))
        self.failures.look(keys, at=now)
        async with self.begin() as work:
            account, _ = await lock_own(work, actor)
        verified = account.password_hash
        requester = Requester(network=origin.network, account=str(actor.account_id), is_known=True)
        if not await self.passwords.verify(password, verified, requester):
            self.failures.count(keys, at=now)
            raise PasswordWrong
        return verified

    async def code(self, work: UnitOfWork, actor: Actor, code: str | None) -> None:
        """
        Uses up a code of the actor's second factor, if there is one that is on. The actor's account is locked.

        Raises:
            CodeWrong: There is a second factor, and the code is missing, wrong or used.
            TooManyRequests: Codes were wrong too often.
        """
        factor = await work.factors.find(actor.account_id)
        if factor is None or not factor.is_on:
            return
        if not code:
            raise CodeWrong
        self.check(factor, code, device=str(actor.session_id), at=self.clock.now())
        await work.factors.save(factor)

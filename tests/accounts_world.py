"""People signing up and in, on whatever storage: every use case of accounts, with real tokens, hashes and letters."""

import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

from argon2 import PasswordHasher
from attrs import Factory, define, evolve, field

from application.accounts.authenticate import Authenticate
from application.accounts.close import CloseAccount
from application.accounts.confirm_email import ConfirmEmail
from application.accounts.recent_sessions import RecentSessions
from application.accounts.redeem import RedeemToken
from application.accounts.refresh import Refresh
from application.accounts.reset_password import ResetPassword
from application.accounts.sessions import RevokeOthers, RevokeSession
from application.accounts.set_password import SetPassword
from application.accounts.sign_in import SignIn
from application.accounts.sign_up import SignedUp, SignUp
from application.accounts.signed_in import SignedIn
from application.accounts.ways import Ways
from application.actor import Actor
from application.limits import ActionLimits
from application.messenger import (
    AccessTokenUseCases,
    AccountUseCases,
    FactorUseCases,
    PasskeyUseCases,
    ProfileUseCases,
    ProviderUseCases,
    SessionUseCases,
)
from application.meter import Unmetered
from application.ports.limiter import Limiter
from application.ports.mailer import Mailer
from application.ports.providers import Providers
from application.ports.storage import Begin
from application.ports.updates import Update
from config.features.accounts import (
    AccountRules,
    access_token_use_cases,
    account_use_cases,
    factor_use_cases,
    make_account_rules,
    passkey_use_cases,
    profile_use_cases,
    provider_use_cases,
    recording,
    session_opening,
    session_use_cases,
)
from config.features.limits import make_limits
from config.features.workers import Workers, make_workers
from config.ports import Ports, Storage, announced
from config.settings.groups import Limits, Settings
from domain.account import Account, Email, Password, PasswordRule
from domain.ids import SessionId
from domain.security import SecurityAct
from domain.session import Fingerprint, Lifetimes, Origin
from infrastructure.crypto.access_tokens import RandomAccessTokens
from infrastructure.crypto.codes import SealedCodes
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.crypto.seals import AesSeals
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.oidc.providers import OidcProviders
from infrastructure.smtp.mailbox import Mailbox
from infrastructure.smtp.writing import LetterWriter
from infrastructure.system.chance import unguessable
from infrastructure.system.ids import SystemIds
from infrastructure.system.security_log import LoggedSecurity
from interfaces import whereabouts
from tests.authenticator import CHAT_EXAMPLE
from tests.unlimited import UNLIMITED

START = datetime(2026, 11, 23, 3, 32, 9, 900840, tzinfo=UTC)
PASSWORD = "Correct-Horse"


@define
class SettableClock:
    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **parts: float) -> None:
        self.at += timedelta(**parts)


def quick_passwords() -> PooledPasswords:
    """The same algorithm, as cheap as it gets."""
    return PooledPasswords(share=64, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@define(eq=False)
class AccountsWorld:
    storage: Storage
    mail: Path
    passwords: PooledPasswords = Factory(quick_passwords)
    clock: SettableClock = Factory(SettableClock)
    ids: SystemIds = Factory(SystemIds)
    tokens: JwtTokens = Factory(
        lambda: JwtTokens("a secret of this test alone, long enough", "messenger", "clients")
    )
    codes: SealedCodes = Factory(lambda: SealedCodes("a key of this test alone", unguessable))
    providers: Providers = Factory(lambda: OidcProviders([]))
    lifetimes: Lifetimes = Factory(Lifetimes)
    updates: MemoryUpdates = Factory(MemoryUpdates)
    published: list[Update] = Factory(list)
    links: list[str] = Factory(list)
    """The links of letters, as the terminal showed them."""
    woken: list[None] = Factory(list)
    closed: list[None] = Factory(list)
    """How often it was said that an account is closed."""
    limiter: Limiter = Factory(MemoryLimiter)
    security: LoggedSecurity = Factory(lambda: LoggedSecurity(whereabouts.fields))
    mailer: Mailer | None = None
    """Without one, letters become files in ``mail``."""
    is_limited: bool = True
    limits: Limits = Factory(Limits)
    letters_per_address: int = 1000
    most_sessions: int = 0
    password_rule: PasswordRule = Factory(lambda: PasswordRule(common=frozenset({"qwerty-йцукен"})))
    ports: Ports = field(init=False)
    rules: AccountRules = field(init=False)
    accounts: AccountUseCases = field(init=False)
    factors: FactorUseCases = field(init=False)
    through_providers: ProviderUseCases = field(init=False)
    passkeys: PasskeyUseCases = field(init=False)
    access_tokens: AccessTokenUseCases = field(init=False)
    sessions: SessionUseCases = field(init=False)
    profiles: ProfileUseCases = field(init=False)
    workers: Workers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.updates.subscribe(self.published.extend)
        self.storage = announced(self.storage, self.updates, Unmetered(), self.security)
        settings = Settings()
        ports = self.ports = self._ports()
        self.rules = self._rules(settings)
        self.accounts = self.accounts_over(ports)
        self.factors = factor_use_cases(ports, self.rules)
        self.through_providers = self.providers_over(ports)
        self.passkeys = passkey_use_cases(
            ports, self.rules, limits=self._limits(ports), letter_is_due=lambda: self.woken.append(None)
        )
        self.access_tokens = access_token_use_cases(ports, self.rules)
        self.sessions = session_use_cases(ports, self.rules)
        self.profiles = profile_use_cases(ports, self._limits(ports))
        self.workers = make_workers(ports, settings)

    def accounts_over(self, ports: Ports) -> AccountUseCases:
        """The same use cases, with some of the ports exchanged."""
        return account_use_cases(
            ports,
            self.rules,
            limits=self._limits(ports),
            recent_sessions=RecentSessions(monotonic),
            letter_is_due=lambda: self.woken.append(None),
            account_is_closed=lambda: self.closed.append(None),
        )

    def providers_over(self, ports: Ports) -> ProviderUseCases:
        return provider_use_cases(
            ports, self.rules, limits=self._limits(ports), letter_is_due=lambda: self.woken.append(None)
        )

    def ways(self) -> Ways:
        return Ways(providers=self.providers, passkeys=bool(self.rules.passkeys))

    def _rules_with(self, **changed: Any) -> AccountRules:
        return evolve(self.rules, **changed)

    def _limits(self, ports: Ports) -> ActionLimits:
        return make_limits(ports, self.limits) if self.is_limited else UNLIMITED

    @property
    def begin(self) -> Begin:
        return self.storage.begin

    def _ports(self) -> Ports:
        writer = LetterWriter(
            sender=Address("Messenger", "messenger", "example.com"),
            confirm_url="http://chat.example/confirm-email",
            reset_url="http://chat.example/setup-new-password",
        )
        return Ports(
            storage=self.storage,
            clock=self.clock,
            ids=self.ids,
            updates=self.updates,
            passwords=self.passwords,
            tokens=self.tokens,
            codes=self.codes,
            access_tokens=RandomAccessTokens(unguessable),
            providers=self.providers,
            authenticators=CHAT_EXAMPLE,
            seals=AesSeals("a secret of this test alone, long enough", unguessable),
            mailer=self.mailer or Mailbox(folder=self.mail, writer=writer, show=self.links.append),
            limiter=self.limiter,
            meter=Unmetered(),
            security=self.security,
            where=whereabouts.origin,
        )

    def _rules(self, settings: Settings) -> AccountRules:
        much = int(self.is_limited)
        rules = make_account_rules(settings)
        return evolve(
            rules,
            password=self.password_rule,
            access_tokens=3,
            passkeys=3,
            sessions=self.lifetimes,
            most_sessions=self.most_sessions,
            notices=evolve(rules.notices, most=rules.notices.most * much),
            letters_per_recipient=evolve(rules.letters_per_recipient, most=20 * much),
            letters_per_address=evolve(rules.letters_per_address, most=self.letters_per_address * much),
            failures=evolve(rules.failures, most=20 * much, within=timedelta(minutes=15)),
            wrong_codes=evolve(rules.wrong_codes, most=10 * much, within=timedelta(minutes=15)),
            wrong_codes_of_strangers=evolve(
                rules.wrong_codes_of_strangers, most=10 * much, within=timedelta(minutes=15)
            ),
            failures_per_network=evolve(rules.failures_per_network, most=300 * much),
            failures_per_account=evolve(rules.failures_per_account, most=100 * much),
        )

    async def sign_up_as(self, address: str, password: str = PASSWORD) -> SignedUp:
        return await self.accounts.sign_up(SignUp(email=Email(address), password=Password(password)))

    async def mailed_token(self) -> str:
        """What the newest letter's link carries, after the letters that are due were sent."""
        while await self.workers.letters.once():
            pass
        return token_of(self.links[-1])

    async def confirm(self, token: str, device: str = "first") -> SignedIn:
        return await self.accounts.confirm_email(ConfirmEmail(token=token, fingerprint=Fingerprint(device)))

    async def join(self, address: str, password: str = PASSWORD, device: str = "first") -> SignedIn:
        """
        Makes a confirmed account and signs in to it, in one unit of work. To sign up by a letter takes longer than most tests
        that need somebody; `join_by_letter` is for those to which letters matter.
        """
        ports, now = self.ports, self.clock.now()
        account, profile = Account.register(
            id=ports.ids.account(), profile_id=ports.ids.profile(), email=Email(address), at=now
        )
        account.vouch(await self.passwords.hash(password), at=now)
        async with self.begin() as work:
            await work.accounts.add(account)
            await work.profiles.add(profile)
            session = await session_opening(ports, self.rules).by_both(
                work, account, Fingerprint(device), Origin(), at=now
            )
            await recording(ports, self.rules)(
                work, SecurityAct.ADDRESS_CONFIRMED, account.id, at=now, session_id=session.id
            )
        return SignedIn.to(session, account.email.text, self.tokens, at=now)

    async def join_by_letter(self, address: str, password: str = PASSWORD) -> SignedIn:
        """Signs up, confirms the address and is signed in, as people do."""
        await self.sign_up_as(address, password)
        return await self.confirm(await self.mailed_token())

    async def sign_in_as(
        self, address: str, /, password: str = PASSWORD, device: str = "first", **origin: str
    ) -> SignedIn:
        return await self.accounts.sign_in(
            SignIn(
                email=Email(address),
                password=password,
                fingerprint=Fingerprint(device),
                origin=Origin(**origin),
            )
        )

    async def forget_password(self, address: str) -> str:
        """Asks for a new password, and returns the token of the letter."""
        await self.accounts.reset_password(ResetPassword(email=Email(address)))
        return await self.mailed_token()

    async def redeem(self, token: str, device: str = "first") -> SignedIn:
        return await self.accounts.redeem_token(RedeemToken(token=token, fingerprint=Fingerprint(device)))

    async def choose(self, signed_in: SignedIn, password: str, *, old: str | None = None) -> None:
        actor = await self.actor(signed_in)
        await self.accounts.set_password(actor, SetPassword(password=Password(password), old_password=old))

    async def revoke(self, by: SignedIn, session_id: SessionId, password: str = PASSWORD) -> None:
        command = RevokeSession(session_id=session_id, password=password)
        await self.sessions.revoke(await self.actor(by), command)

    async def revoke_others(self, by: SignedIn, password: str = PASSWORD) -> int:
        return await self.sessions.revoke_others(await self.actor(by), RevokeOthers(password=password))

    async def close(self, signed_in: SignedIn, password: str = PASSWORD) -> None:
        await self.accounts.close(await self.actor(signed_in), CloseAccount(password=password))

    async def refresh_with(self, token: str, device: str = "first") -> SignedIn:
        return await self.accounts.refresh(Refresh(token=token, fingerprint=Fingerprint(device)))

    async def actor(self, signed_in: SignedIn) -> Actor:
        return await self.accounts.authenticate(Authenticate(token=signed_in.access_token))


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link.rpartition(" ")[2]).query)["token"][0]


def letters_in(folder: Path) -> list[email.message.EmailMessage]:
    """Oldest first."""
    files = sorted(folder.glob("*.eml"))
    parsed = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    assert all(isinstance(letter, email.message.EmailMessage) for letter in parsed)
    return parsed


@asynccontextmanager
async def accounts_world(storage: Storage, mail: Path) -> AsyncIterator[AccountsWorld]:
    world = AccountsWorld(storage, mail)
    try:
        yield world
    finally:
        world.passwords.close()

"""People signing up and in, on whatever storage: every use case of accounts, with real tokens, hashes and letters."""

import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from argon2 import PasswordHasher
from attrs import Factory, define, field

from application.accounts.authenticate import Authenticate, AuthenticateHandler
from application.accounts.clear_closed import ClearClosedAccountsHandler
from application.accounts.close import CloseAccount, CloseAccountHandler
from application.accounts.confirm_email import ConfirmEmail, ConfirmEmailHandler
from application.accounts.email_status import EmailStatusHandler
from application.accounts.mailed import LetterLimits
from application.accounts.redeem import RedeemToken, RedeemTokenHandler
from application.accounts.refresh import Refresh, RefreshHandler
from application.accounts.reset_password import ResetPassword, ResetPasswordHandler
from application.accounts.sessions import (
    ListSessionsHandler,
    RevokeOthersHandler,
    RevokeSession,
    RevokeSessionHandler,
)
from application.accounts.set_password import SetPassword, SetPasswordHandler
from application.accounts.sign_in import SignIn, SignInHandler
from application.accounts.sign_out import SignOutHandler
from application.accounts.sign_up import SignedUp, SignUp, SignUpHandler
from application.accounts.signed_in import OpenSession, SignedIn
from application.accounts.tidy import TidyAccountsHandler
from application.actor import Actor
from application.notifications.deliver import DeliverDueLettersHandler
from application.ports.limiter import Allowance, Limiter
from application.ports.storage import Begin
from application.ports.updates import Update
from application.ports.views import Views
from application.profiles.edit import EditProfileHandler
from application.profiles.find import FindProfilesHandler
from application.profiles.read import ReadOwnProfileHandler, ReadProfileHandler
from domain.account import Email, Password, PasswordRule
from domain.ids import SessionId
from domain.session import Fingerprint, Lifetimes, Origin
from infrastructure.announcing import Announcing
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.smtp.mailbox import Mailbox
from infrastructure.smtp.writing import LetterWriter
from infrastructure.system.ids import SystemIds

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
    return PooledPasswords(hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@define(eq=False)
class AccountsWorld:
    begin: Begin
    views: Views
    mail: Path
    passwords: PooledPasswords = Factory(quick_passwords)
    clock: SettableClock = Factory(SettableClock)
    ids: SystemIds = Factory(SystemIds)
    tokens: JwtTokens = Factory(
        lambda: JwtTokens("a secret of this test alone, long enough", "messenger", "clients")
    )
    lifetimes: Lifetimes = Factory(Lifetimes)
    updates: MemoryUpdates = Factory(MemoryUpdates)
    published: list[Update] = Factory(list)
    links: list[str] = Factory(list)
    """As they were shown on the terminal."""
    woken: list[None] = Factory(list)
    closed: list[None] = Factory(list)
    """How often it was said that an account is closed."""
    limiter: Limiter = Factory(MemoryLimiter)
    is_limited: bool = True
    rule: PasswordRule = Factory(lambda: PasswordRule(common=frozenset({"qwerty-йцукен"})))
    sign_up: SignUpHandler = field(init=False)
    confirm_email: ConfirmEmailHandler = field(init=False)
    sign_in: SignInHandler = field(init=False)
    refresh: RefreshHandler = field(init=False)
    sign_out: SignOutHandler = field(init=False)
    authenticate: AuthenticateHandler = field(init=False)
    email_status: EmailStatusHandler = field(init=False)
    read_own_profile: ReadOwnProfileHandler = field(init=False)
    read_profile: ReadProfileHandler = field(init=False)
    edit_profile: EditProfileHandler = field(init=False)
    find_profiles: FindProfilesHandler = field(init=False)
    deliver: DeliverDueLettersHandler = field(init=False)
    reset_password: ResetPasswordHandler = field(init=False)
    redeem_token: RedeemTokenHandler = field(init=False)
    set_password: SetPasswordHandler = field(init=False)
    list_sessions: ListSessionsHandler = field(init=False)
    revoke_session: RevokeSessionHandler = field(init=False)
    revoke_others: RevokeOthersHandler = field(init=False)
    close_account: CloseAccountHandler = field(init=False)
    clear_closed: ClearClosedAccountsHandler = field(init=False)
    tidy: TidyAccountsHandler = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.updates.subscribe(self.published.extend)
        self.begin = begin = Announcing(self.begin, self.updates)
        clock, tokens = self.clock, self.tokens
        open_session = OpenSession(ids=self.ids, lifetimes=self.lifetimes)
        writer = LetterWriter(
            sender=Address("Messenger", "messenger", "example.com"),
            confirm_url="http://chat.example/confirm-email",
            reset_url="http://chat.example/setup-new-password",
        )
        hour, much = timedelta(hours=1), int(self.is_limited)
        limits = LetterLimits(
            limiter=self.limiter,
            per_recipient=Allowance("letters to", 20 * much, hour, is_shared=True),
            per_address=Allowance("letters from", 1000 * much, hour),
        )
        failures = Allowance("wrong passwords", 20 * much, timedelta(minutes=15))
        self.sign_up = SignUpHandler(
            begin=begin,
            clock=clock,
            ids=self.ids,
            passwords=self.passwords,
            rule=self.rule,
            limits=limits,
            confirmation_lifetime=timedelta(days=2),
            letter_is_due=lambda: self.woken.append(None),
        )
        self.confirm_email = ConfirmEmailHandler(
            begin=begin, clock=clock, tokens=tokens, open_session=open_session
        )
        self.sign_in = SignInHandler(
            begin=begin,
            clock=clock,
            ids=self.ids,
            passwords=self.passwords,
            tokens=tokens,
            open_session=open_session,
            limiter=self.limiter,
            failures=failures,
            letter_is_due=lambda: self.woken.append(None),
        )
        self.refresh = RefreshHandler(
            begin=begin, clock=clock, ids=self.ids, tokens=tokens, lifetimes=self.lifetimes
        )
        self.sign_out = SignOutHandler(begin=begin, clock=clock, tokens=tokens, lifetimes=self.lifetimes)
        self.authenticate = AuthenticateHandler(views=self.views, clock=clock, tokens=tokens)
        self.email_status = EmailStatusHandler(
            begin=begin,
            clock=clock,
            limiter=self.limiter,
            allowance=Allowance("email status", 120, timedelta(minutes=1)),
        )
        self.reset_password = ResetPasswordHandler(
            begin=begin,
            clock=clock,
            ids=self.ids,
            limits=limits,
            lifetime=hour,
            letter_is_due=lambda: self.woken.append(None),
        )
        self.redeem_token = RedeemTokenHandler(
            begin=begin, clock=clock, tokens=tokens, open_session=open_session
        )
        self.set_password = SetPasswordHandler(
            begin=begin,
            clock=clock,
            ids=self.ids,
            passwords=self.passwords,
            rule=self.rule,
            letter_is_due=lambda: self.woken.append(None),
        )
        self.list_sessions = ListSessionsHandler(begin=begin, clock=clock)
        self.revoke_session = RevokeSessionHandler(begin=begin, clock=clock)
        self.revoke_others = RevokeOthersHandler(begin=begin, clock=clock)
        self.close_account = CloseAccountHandler(
            begin=begin,
            clock=clock,
            passwords=self.passwords,
            account_is_closed=lambda: self.closed.append(None),
            limiter=self.limiter,
            failures=failures,
        )
        self.clear_closed = ClearClosedAccountsHandler(begin=begin, clock=clock)
        self.tidy = TidyAccountsHandler(begin=begin, clock=clock)
        self.read_own_profile = ReadOwnProfileHandler(begin=begin)
        self.read_profile = ReadProfileHandler(begin=begin)
        self.edit_profile = EditProfileHandler(begin=begin)
        self.find_profiles = FindProfilesHandler(begin=begin)
        self.deliver = DeliverDueLettersHandler(
            begin=begin,
            clock=clock,
            mailer=Mailbox(folder=self.mail, writer=writer, show=self.links.append),
            tokens=tokens,
        )

    async def sign_up_as(self, address: str, password: str = PASSWORD) -> SignedUp:
        return await self.sign_up(SignUp(email=Email(address), password=Password(password)))

    async def mailed_token(self) -> str:
        """What the newest letter's link carries, after the letters that are due were sent."""
        while await self.deliver():
            pass
        return token_of(self.links[-1])

    async def confirm(self, token: str, device: str = "first") -> SignedIn:
        return await self.confirm_email(ConfirmEmail(token=token, fingerprint=Fingerprint(device)))

    async def join(self, address: str, password: str = PASSWORD) -> SignedIn:
        """Signed up, confirmed and signed in."""
        await self.sign_up_as(address, password)
        return await self.confirm(await self.mailed_token())

    async def sign_in_as(
        self, address: str, /, password: str = PASSWORD, device: str = "first", **origin: str
    ) -> SignedIn:
        return await self.sign_in(
            SignIn(
                email=Email(address),
                password=password,
                fingerprint=Fingerprint(device),
                origin=Origin(**origin),
            )
        )

    async def forget_password(self, address: str) -> str:
        """The token of the letter for whoever forgot it."""
        await self.reset_password(ResetPassword(email=Email(address)))
        return await self.mailed_token()

    async def redeem(self, token: str, device: str = "first") -> SignedIn:
        return await self.redeem_token(RedeemToken(token=token, fingerprint=Fingerprint(device)))

    async def choose(self, signed_in: SignedIn, password: str) -> None:
        actor = await self.actor(signed_in)
        await self.set_password(actor, SetPassword(password=Password(password)))

    async def revoke(self, by: SignedIn, session_id: SessionId) -> None:
        await self.revoke_session(await self.actor(by), RevokeSession(session_id=session_id))

    async def close(self, signed_in: SignedIn, password: str = PASSWORD) -> None:
        await self.close_account(await self.actor(signed_in), CloseAccount(password=password))

    async def refresh_with(self, token: str, device: str = "first") -> SignedIn:
        return await self.refresh(Refresh(token=token, fingerprint=Fingerprint(device)))

    async def actor(self, signed_in: SignedIn) -> Actor:
        return await self.authenticate(Authenticate(token=signed_in.access_token))


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link.rpartition(" ")[2]).query)["token"][0]


def letters_in(folder: Path) -> list[email.message.EmailMessage]:
    """Oldest first."""
    files = sorted(folder.glob("*.eml"))
    parsed = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    assert all(isinstance(letter, email.message.EmailMessage) for letter in parsed)
    return parsed


@asynccontextmanager
async def accounts_world(begin: Begin, views: Views, mail: Path) -> AsyncIterator[AccountsWorld]:
    world = AccountsWorld(begin, views, mail)
    try:
        yield world
    finally:
        world.passwords.close()

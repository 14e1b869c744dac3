"""The last step of every way to sign in: a session and a signed pair of tokens for it."""

from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from application.accounts.own_sessions import end_all
from application.errors import NotAuthenticated, SecondFactorNeeded
from application.ports.codes import Codes
from application.ports.ids import Ids
from application.ports.storage import UnitOfWork
from application.ports.tokens import PendingToken, SessionToken, SessionTokenType, Tokens
from domain.account import Account, AccountShut
from domain.events import SessionEnd
from domain.ids import SessionId
from domain.profile import ProfileNotFound
from domain.session import Fingerprint, Lifetimes, Origin, Session

PENDING: Final = timedelta(minutes=5)
"""A sign-in that waits for the code of a second factor expires after this time."""


@frozen(kw_only=True)
class SignedIn:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    session_id: SessionId
    refresh_expires_at: datetime
    expires_in: timedelta = field(eq=False)
    """How long the access token is still good. A repeated exchange returns the same tokens with less time left."""

    @classmethod
    def to(cls, opened: Session | PendingToken, email: str, tokens: Tokens, *, at: datetime) -> "SignedIn":
        """
        Signs the tokens of a session. This is called after the unit of work, so that what a sign-in stores stays stored if
        a code is still needed.

        Raises:
            SecondFactorNeeded: No session was opened, because the account has a second factor.
        """
        if isinstance(opened, PendingToken):
            left = (opened.expires_at - at) // timedelta(seconds=1)
            raise SecondFactorNeeded(tokens.sign(opened), left)
        return cls(
            access_token=tokens.sign(_token(opened, SessionTokenType.ACCESS, email)),
            refresh_token=tokens.sign(_token(opened, SessionTokenType.REFRESH, email)),
            session_id=opened.id,
            refresh_expires_at=opened.pair.refresh_expires_at,
            expires_in=opened.pair.access_expires_at - at,
        )


def _token(session: Session, kind: SessionTokenType, email: str) -> SessionToken:
    is_access = kind is SessionTokenType.ACCESS
    pair = session.pair
    return SessionToken(
        type=kind,
        account_id=session.account_id,
        email=email,
        session_id=session.id,
        token_id=pair.access_id if is_access else pair.refresh_id,
        issued_at=pair.issued_at,
        expires_at=pair.access_expires_at if is_access else pair.refresh_expires_at,
    )


@frozen(kw_only=True)
class OpenSession:
    """
    Opens a session to a locked account, ending the one that the same device had, and the oldest if there are too many.
    """

    ids: Ids
    lifetimes: Lifetimes
    codes: Codes
    most: int = 0
    """Sessions of one account; zero means no limit."""

    async def __call__(
        self, work: UnitOfWork, account: Account, fingerprint: Fingerprint, origin: Origin, *, at: datetime
    ) -> Session | PendingToken:
        """
        Opens a session by one proof. If the account has a second factor it opens none, and returns what the owner needs to
        go on with a code.

        Raises:
            NotAuthenticated: Nobody may sign in to the account (`Account.refuse_entry`).
        """
        _refuse_entry(account)
        factor = await work.factors.find(account.id)
        if factor is not None and factor.is_on:
            begun = at.replace(microsecond=0)
            return PendingToken(
                account_id=account.id,
                email=account.email.text,
                fingerprint=fingerprint,
                password_mark=self.password_mark(account),
                issued_at=begun,
                expires_at=begun + PENDING,
            )
        return await self.by_both(work, account, fingerprint, origin, at=at)

    def password_mark(self, account: Account) -> str:
        """Differs when the password of the account has changed."""
        return self.codes.mark(account.password_hash.text if account.password_hash else "")

    async def by_both(
        self, work: UnitOfWork, account: Account, fingerprint: Fingerprint, origin: Origin, *, at: datetime
    ) -> Session:
        """
        Opens a session without asking for a second factor: there is none, or it was shown.

        Raises:
            NotAuthenticated: Nobody may sign in to the account.
        """
        _refuse_entry(account)
        former = await work.sessions.lock_live(account.id, fingerprint)
        await end_all(work, [former] if former else [], SessionEnd.REPLACED, at=at)
        if self.most:
            surplus = await work.sessions.lock_oldest(account.id, keep=self.most - 1)
            await end_all(work, surplus, SessionEnd.REPLACED, at=at)
        profile_id = await work.profiles.find_by_account(account.id)
        if profile_id is None:
            raise ProfileNotFound
        session = Session.open(
            id=self.ids.session(),
            account_id=account.id,
            profile_id=profile_id,
            fingerprint=fingerprint,
            origin=origin,
            pair=self.lifetimes.pair(access_id=self.ids.token_id(), refresh_id=self.ids.token_id(), at=at),
            at=at,
        )
        await work.sessions.add(session)
        return session


def _refuse_entry(account: Account) -> None:
    try:
        account.refuse_entry()
    except AccountShut:
        raise NotAuthenticated("credentials_invalid") from None

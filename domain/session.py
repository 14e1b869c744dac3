"""
A signed-in device.

A session lives from one sign-in to its end and holds one pair of tokens at a time. Refreshing gives it the next pair; all
pairs of a session are one family. Tokens themselves are not kept, only their ids and times: the same ids and times, signed
again, are the same tokens.

The access tokens of earlier pairs stay good until they expire or the session ends, so that a tab of a browser which
refreshes does not sign the other tabs out. `Lifetimes.one_access_token` asks for the original messenger's rule instead.
"""

from datetime import datetime, timedelta
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Invalid, NotFound
from domain.events import SessionEnd, SessionEnded
from domain.ids import AccountId, ProfileId, SessionId
from domain.network import network_of
from domain.scope import Grant
from domain.text import refuse_unstorable

FINGERPRINT_LIMIT: Final = 40
NOT_SET: Final = "NOT_SET"
ORIGIN_LIMIT: Final = 200


class FingerprintTooLong(Invalid):
    code = "fingerprint_too_long"


class SessionNotFound(NotFound):
    code = "session_not_found"


class SessionOver(Conflict):
    """The session has ended already."""

    code = "session_over"


class TokenExpired(Conflict):
    code = "token_expired"


def _named(text: str | None) -> str:
    return (text or "").strip() or NOT_SET


@frozen
class Fingerprint:
    """The name that a device gives itself, up to 40 characters. Devices that give none share ``NOT_SET``."""

    text: str = field(default=None, converter=_named)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        if len(text) > FINGERPRINT_LIMIT:
            raise FingerprintTooLong
        refuse_unstorable(text)

    @property
    def is_set(self) -> bool:
        return self.text != NOT_SET


def _shown(text: str | None) -> str | None:
    return "".join(filter(str.isprintable, (text or "")[:ORIGIN_LIMIT])) or None


@frozen(kw_only=True)
class Origin:
    """The origin of a sign-in, for the owner to see. Values are clipped and made printable instead of refused."""

    user_agent: str | None = field(default=None, converter=_shown)
    address: str | None = field(default=None, converter=_shown)

    @property
    def network(self) -> str:
        """The network that limits count as one client (`domain.network.network_of`). Empty if the address is unknown."""
        return network_of(self.address or "")


@frozen(kw_only=True)
class Pair:
    """An access and a refresh token, by id and time. ``issued_at`` is in whole seconds, as tokens tell time."""

    access_id: str
    refresh_id: str
    issued_at: datetime
    access_expires_at: datetime
    refresh_expires_at: datetime


@frozen(kw_only=True)
class Lifetimes:
    access: timedelta = timedelta(minutes=30)
    refresh: timedelta = timedelta(days=60)
    grace: timedelta = timedelta(seconds=10)
    """For how long a refresh token that was just used still returns the pair it was exchanged for: two tabs, a lost answer."""
    longest: timedelta | None = None
    """For how long a session lasts from its sign-in on, however often it is refreshed. None stands for no end."""
    one_access_token: bool = False
    """Whether only the newest access token of a session is accepted, as in the original messenger."""

    def accepts_access(self, token_id: str, *, newest: str) -> bool:
        """
        Returns whether an access token opens its session, which has not ended; ``newest`` is the id of the session's
        present one. Only an access token that is signed and has not expired may be asked about.
        """
        return token_id == newest or not self.one_access_token

    def ends_at(self, since: datetime) -> datetime | None:
        """Returns when a session that was opened at ``since`` ends however often it is refreshed, or None if it need not end."""
        return None if self.longest is None else since.replace(microsecond=0) + self.longest

    def pair(self, *, access_id: str, refresh_id: str, at: datetime, since: datetime | None = None) -> Pair:
        """Returns the tokens of a session that was opened at ``since``, or is opened now. None is good for longer than it."""
        issued_at = at.replace(microsecond=0)
        access, refresh = self.access, self.refresh
        if (ends_at := self.ends_at(since or at)) is not None:
            left = ends_at - issued_at
            access, refresh = min(access, left), min(refresh, left)
        return Pair(
            access_id=access_id,
            refresh_id=refresh_id,
            issued_at=issued_at,
            access_expires_at=issued_at + access,
            refresh_expires_at=issued_at + refresh,
        )


@define(eq=False, kw_only=True)
class Session:
    id: SessionId = field(on_setattr=never)
    account_id: AccountId = field(on_setattr=never)
    profile_id: ProfileId = field(on_setattr=never)
    fingerprint: Fingerprint = field(on_setattr=never)
    origin: Origin = field(on_setattr=never)
    pair: Pair
    previous_refresh_id: str | None = None
    rotated_at: datetime | None = None
    created_at: datetime = field(on_setattr=never)
    last_used_at: datetime
    grant: Grant | None = field(default=None, on_setattr=never)
    """The permission of a program. None stands for a device of the owner, which may do everything."""
    ended_at: datetime | None = None
    ended_because: SessionEnd | None = None

    @classmethod
    def open(
        cls,
        *,
        id: SessionId,
        account_id: AccountId,
        profile_id: ProfileId,
        fingerprint: Fingerprint,
        origin: Origin,
        pair: Pair,
        at: datetime,
        grant: Grant | None = None,
    ) -> "Session":
        return cls(
            id=id,
            account_id=account_id,
            profile_id=profile_id,
            fingerprint=fingerprint,
            origin=origin,
            pair=pair,
            created_at=at,
            last_used_at=at,
            grant=grant,
        )

    def refresh(
        self, token_id: str, fingerprint: Fingerprint, fresh: Pair, *, at: datetime, grace: timedelta
    ) -> SessionEnded | None:
        """
        Exchanges a refresh token for ``fresh``, which becomes the session's pair.

        The token before the present one changes nothing within ``grace``: its bearer gets the present pair again. The
        present token from another device ends the session, and so does a token that was used before, because then two
        devices have it. In these cases the event is returned.

        Raises:
            SessionOver: The session has ended.
            TokenExpired: The token is the present one, but it has expired; or ``fresh`` has, because the session is too old.
        """
        if self.ended_at is not None:
            raise SessionOver
        if not self.answers_to_refresh(token_id, at=at, grace=grace):
            if token_id == self.pair.refresh_id:
                raise TokenExpired
            return self.end(SessionEnd.REUSED, at=at)
        if fingerprint != self.fingerprint:
            return self.end(SessionEnd.MISMATCHED, at=at)
        if token_id == self.pair.refresh_id:
            if fresh.refresh_expires_at <= at:
                raise TokenExpired
            self.previous_refresh_id = token_id
            self.pair = fresh
            self.rotated_at = self.last_used_at = at
        return None

    def use(self, *, at: datetime) -> None:
        """Notes that its token was used."""
        self.last_used_at = max(self.last_used_at, at)

    def is_live(self, at: datetime) -> bool:
        """Whether it has neither ended nor expired."""
        return self.ended_at is None and at < self.pair.refresh_expires_at

    def answers_to_refresh(self, token_id: str, *, at: datetime, grace: timedelta) -> bool:
        if token_id == self.pair.refresh_id:
            return at < self.pair.refresh_expires_at
        return (
            token_id == self.previous_refresh_id
            and self.rotated_at is not None
            and at < self.rotated_at + grace
        )

    def end(self, because: SessionEnd, *, at: datetime) -> SessionEnded:
        """
        Raises:
            SessionOver: The session has ended already.
        """
        if self.ended_at is not None:
            raise SessionOver
        self.ended_at = at
        self.ended_because = because
        return SessionEnded(profile_id=self.profile_id, session_id=self.id, reason=because, at=at)

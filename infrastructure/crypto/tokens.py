"""
Tokens as JWTs, HS256 (RFC 7519, by joserfc).

All checks are made here and none is left to a library's defaults: size, header, signature, presence and type of each
claim, issuer, audience, times, kind. Front ends of the original messenger read ``userId``, ``email`` and ``tokenType``.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from attrs import define, field, frozen
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from application.errors import NotAuthenticated
from application.ports.tokens import ConfirmationToken, PendingToken, SessionToken, SessionTokenType
from domain.errors import Invalid
from domain.ids import AccountId, ConfirmationId, SessionId
from domain.session import Fingerprint

logger = logging.getLogger(__name__)

LONGEST: Final = 6144
"""In characters. Usual tokens have 500; an address of 254 characters, all of them escaped, makes it 4 600."""
SKEW: Final = timedelta(seconds=60)
"""How far another node's clock may be ahead before it is logged. The end of a token is exact."""
KNOWN_MOST: Final = 4096
"""Tokens whose signature need not be checked again, about 2 kB each. Time, kind and session are checked each time."""
CONFIRMATION: Final = "confirmation"
PENDING: Final = "pending"


def _key(secret: str) -> OctKey:
    return OctKey.import_key(secret)


@define(eq=False)
class SkewLog:
    """
    Logs once that this node's clock is behind.

    A token whose time of issue is in the future was signed on a node whose clock is ahead of this one's. It is accepted:
    refusing it would sign people out depending on the node that they reach, and its session is looked up anyway.
    """

    _is_told: bool = field(default=False, init=False)

    def look(self, ahead: timedelta) -> None:
        if ahead > SKEW and not self._is_told:
            self._is_told = True
            logger.warning(
                "the clock of this node is %.0f s behind that of another node: set both by NTP. "
                "Tokens are accepted all the same",
                ahead.total_seconds(),
            )


@frozen
class JwtTokens:
    key: OctKey = field(converter=_key, repr=False)
    issuer: str
    audience: str
    algorithm: str = "HS256"
    skew: SkewLog = field(factory=SkewLog, init=False, eq=False, repr=False)
    _known: dict[str, "Claims"] = field(factory=dict, init=False, eq=False, repr=False)
    """The claims of tokens whose signature was checked. A client sends the same token again and again until it expires."""

    @property
    def _header(self) -> dict[str, Any]:
        return {"alg": self.algorithm, "typ": "JWT"}

    def sign(self, token: SessionToken | PendingToken | ConfirmationToken) -> str:
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(token.account_id),
            "iat": _numeric_date(token.issued_at),
            "exp": _numeric_date(token.expires_at),
            "userId": str(token.account_id),
            "email": token.email,
        }
        if isinstance(token, SessionToken):
            claims |= {"tokenType": token.type.value, "sid": str(token.session_id), "jti": token.token_id}
        elif isinstance(token, PendingToken):
            claims |= {"tokenType": PENDING, "jti": token.password_mark, "device": token.fingerprint.text}
        else:
            claims |= {"tokenType": CONFIRMATION, "jti": str(token.confirmation_id)}
        payload = json.dumps(claims, separators=(",", ":"))
        return jws.serialize_compact(self._header, payload, self.key, algorithms=[self.algorithm])

    def read_access(self, text: str, *, at: datetime) -> SessionToken:
        return self._read_session_token(text, SessionTokenType.ACCESS, at)

    def read_refresh(self, text: str, *, at: datetime) -> SessionToken:
        return self._read_session_token(text, SessionTokenType.REFRESH, at)

    def read_pending(self, text: str, *, at: datetime) -> PendingToken:
        claims = self._claims(text, PENDING, at, malformed="token_malformed")
        return PendingToken(
            account_id=AccountId(claims.account_id),
            email=claims.email,
            fingerprint=_fingerprint(claims.device),
            password_mark=claims.token_id,
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
        )

    def read_confirmation(self, text: str, *, at: datetime) -> ConfirmationToken:
        claims = self._claims(text, CONFIRMATION, at, malformed="token_malformed")
        return ConfirmationToken(
            account_id=AccountId(claims.account_id),
            email=claims.email,
            confirmation_id=ConfirmationId(_uuid(claims.token_id)),
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
        )

    def _read_session_token(self, text: str, type_: SessionTokenType, at: datetime) -> SessionToken:
        claims = self._claims(text, type_.value, at, malformed="token_invalid")
        return SessionToken(
            type=type_,
            account_id=AccountId(claims.account_id),
            email=claims.email,
            session_id=SessionId(_uuid(claims.session_id)),
            token_id=claims.token_id,
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
        )

    def _claims(self, text: str, kind: str, at: datetime, *, malformed: str) -> "Claims":
        claims = self._known.get(text) or self._read(text, malformed)
        self.skew.look(claims.issued_at - at)
        if claims.expires_at <= at:
            raise NotAuthenticated("token_expired")
        if claims.kind != kind:
            raise NotAuthenticated("token_type")
        return claims

    def _read(self, text: str, malformed: str) -> "Claims":
        claims = Claims.of(self._verified(text, malformed))
        if claims.issuer != self.issuer or claims.audience != self.audience:
            raise NotAuthenticated("token_invalid")
        self._known[text] = claims
        if len(self._known) > KNOWN_MOST:
            del self._known[next(iter(self._known))]
        return claims

    def _verified(self, text: str, malformed: str) -> Mapping[str, Any]:
        if len(text) > LONGEST:
            raise NotAuthenticated(malformed)
        try:
            extracted = jws.extract_compact(text.encode("ascii"))
            payload = json.loads(extracted.payload)
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
            # joserfc raises other errors than its own when a header is not an object.
            raise NotAuthenticated(malformed) from None
        if extracted.headers() != self._header or not isinstance(payload, dict):
            raise NotAuthenticated("token_invalid")
        if not jws.validate_compact(extracted, self.key, algorithms=[self.algorithm]):
            raise NotAuthenticated("token_invalid")
        return payload


@frozen(kw_only=True)
class Claims:
    """The claims of a token, each present and of the right type."""

    issuer: str
    audience: str
    account_id: UUID
    email: str
    kind: str
    session_id: str
    """Empty but in tokens of a session."""
    token_id: str
    device: str
    """Empty but in a pending sign-in."""
    issued_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Claims":
        subject = _text(payload, "sub")
        if subject != _text(payload, "userId"):
            raise NotAuthenticated("token_invalid")
        return cls(
            issuer=_text(payload, "iss"),
            audience=_text(payload, "aud"),
            account_id=_uuid(subject),
            email=_text(payload, "email"),
            kind=_text(payload, "tokenType"),
            session_id=_text(payload, "sid") if "sid" in payload else "",
            token_id=_text(payload, "jti"),
            device=_text(payload, "device") if "device" in payload else "",
            issued_at=_moment(payload, "iat"),
            expires_at=_moment(payload, "exp"),
        )


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str):
        raise NotAuthenticated("token_invalid")
    return value


def _fingerprint(text: str) -> Fingerprint:
    if not text:  # a device without a name has one that says so
        raise NotAuthenticated("token_invalid")
    try:
        return Fingerprint(text)
    except Invalid:
        raise NotAuthenticated("token_invalid") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotAuthenticated("token_invalid") from None


def _moment(payload: Mapping[str, Any], name: str) -> datetime:
    value = payload.get(name)
    if type(value) is not int:  # a bool is an int, and none of ours has a fraction
        raise NotAuthenticated("token_invalid")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise NotAuthenticated("token_invalid") from None


def _numeric_date(moment: datetime) -> int:
    return int(moment.timestamp())

"""
Access tokens of programs: a prefix that scanners for leaked secrets can look for, then the account, the session and 256 random
bits in base64url.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from uuid import UUID

from attrs import frozen

from application.ports.access_tokens import NewAccessToken, PresentedToken
from domain.ids import AccountId, SessionId

PREFIX: Final = "messenger_pat_"
SECRET_BYTES: Final = 32
ID_BYTES: Final = 16
LENGTH: Final = 4 * ((2 * ID_BYTES + SECRET_BYTES) // 3) + 2
"""Characters after the prefix; the last group of base64 has two, and no padding."""


@frozen
class RandomAccessTokens:
    random: Callable[[int], bytes]
    """Makes so many random bytes that nobody can guess."""

    def new(self, account_id: AccountId, session_id: SessionId) -> NewAccessToken:
        secret = self.random(SECRET_BYTES)
        written = urlsafe_b64encode(account_id.bytes + session_id.bytes + secret).rstrip(b"=").decode()
        return NewAccessToken(text=PREFIX + written, digest=_digest(secret))

    def read(self, text: str) -> PresentedToken | None:
        written = text.removeprefix(PREFIX)
        if written == text or len(written) != LENGTH or not written.isascii():
            return None
        try:
            plain = urlsafe_b64decode(written + "==")
        except ValueError:
            return None
        if len(plain) != 2 * ID_BYTES + SECRET_BYTES:
            return None
        return PresentedToken(
            account_id=AccountId(UUID(bytes=plain[:ID_BYTES])),
            session_id=SessionId(UUID(bytes=plain[ID_BYTES : 2 * ID_BYTES])),
            digest=_digest(plain[2 * ID_BYTES :]),
        )


def _digest(secret: bytes) -> str:
    return sha256(b"access token " + secret).hexdigest()

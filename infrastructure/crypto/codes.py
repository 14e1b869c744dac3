"""
Codes of second factors: TOTP with HMAC-SHA-1, six digits and thirty seconds, which every application understands.

Secrets are sealed with AES-256-GCM under a key that is derived from the operator's setting, and bound to their account.
"""

import hmac
import logging
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha1, sha256
from typing import Final
from urllib.parse import quote, urlencode

from attrs import field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.ports.codes import NewSecret
from domain.factor import (
    CODE_DIGITS,
    RECOVERY_CODES,
    STEP_SECONDS,
    FactorsUnavailable,
    RecoveryDigest,
    SealedSecret,
    step_at,
)
from domain.ids import AccountId

logger = logging.getLogger(__name__)

SECRET_BYTES: Final = 20
"""The length of the output of SHA-1, which RFC 4226 recommends (section 4, R6)."""
NONCE_BYTES: Final = 12
WINDOW: Final = (0, -1, 1)
"""Steps around the present one whose codes are accepted (RFC 6238, section 5.2), the likeliest first."""

RECOVERY_BYTES: Final = 10
"""80 random bits, so that a plain digest of a code cannot be turned back into it by trying."""
RECOVERY_GROUP: Final = 4


def totp(secret: bytes, step: int) -> str:
    """The code of a step (RFC 4226, section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), sha1)
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}}"


def _cipher(key: str) -> AESGCM | None:
    return AESGCM(sha256(b"second factors " + key.encode()).digest()) if key else None


@frozen
class SealedCodes:
    cipher: AESGCM | None = field(converter=_cipher, repr=False)
    """Made from the text of the operator's key. An empty text makes no cipher: secrets can then be neither made nor opened."""
    random: Callable[[int], bytes]
    """Makes so many random bytes that nobody can guess."""
    issuer: str = "Messenger"
    """The name of this messenger in applications for codes."""

    @property
    def is_available(self) -> bool:
        return self.cipher is not None

    def new_secret(self, account_id: AccountId, email: str) -> NewSecret:
        if self.cipher is None:
            raise FactorsUnavailable
        secret, nonce = self.random(SECRET_BYTES), self.random(NONCE_BYTES)
        sealed = nonce + self.cipher.encrypt(nonce, secret, account_id.bytes)
        shown = b32encode(secret).decode()
        return NewSecret(shown, self._uri(shown, email), SealedSecret(urlsafe_b64encode(sealed).decode()))

    def _uri(self, secret: str, email: str) -> str:
        label = f"{quote(self.issuer, safe='')}:{quote(email, safe='@')}"
        asked = {"secret": secret, "issuer": self.issuer, "algorithm": "SHA1"}
        more = {"digits": str(CODE_DIGITS), "period": str(STEP_SECONDS)}
        return f"otpauth://totp/{label}?{urlencode(asked | more, quote_via=quote)}"

    def step_of(self, code: str, secret: SealedSecret, account_id: AccountId, *, at: datetime) -> int | None:
        if (opened := self._opened(secret, account_id)) is None:
            return None
        given, present = code.encode(), step_at(at)
        # No early end: the time must not tell which step a code belongs to.
        fitting = [
            present + off
            for off in WINDOW
            if hmac.compare_digest(totp(opened, max(0, present + off)).encode(), given)
        ]
        return fitting[0] if fitting else None

    def mark(self, text: str) -> str:
        return sha256(b"mark " + text.encode()).hexdigest()

    def new_recovery_codes(self) -> Sequence[str]:
        return [_grouped(self.random(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]

    def digest(self, recovery_code: str) -> RecoveryDigest:
        plain = "".join(filter(str.isalnum, recovery_code)).lower()
        return RecoveryDigest(sha256(b"recovery code " + plain.encode()).hexdigest())

    def _opened(self, secret: SealedSecret, account_id: AccountId) -> bytes | None:
        try:
            if self.cipher is not None:
                sealed = urlsafe_b64decode(secret.text)
                return self.cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], account_id.bytes)
        except (InvalidTag, ValueError):  # ValueError: what is stored is damaged
            pass
        logger.error(
            "the secret of a second factor cannot be opened: AUTH_FACTOR_KEY is not the one it was sealed with, or it is"
            " damaged",
            extra={"account": str(account_id)},
        )
        return None


def _grouped(random: bytes) -> str:
    text = b32encode(random).decode().lower()
    return "-".join(text[at : at + RECOVERY_GROUP] for at in range(0, len(text), RECOVERY_GROUP))

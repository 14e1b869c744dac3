"""Sealed texts: JSON in AES-256-GCM under a key that is derived from the one that signs tokens."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, TypeVar
from uuid import UUID

from attrs import AttrsInstance, field, frozen
from cattrs.preconf.json import make_converter
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.errors import NotAuthenticated
from application.ports.seals import Challenge, Proof, Visit
from domain.session import Fingerprint

T = TypeVar("T", bound=AttrsInstance)

NONCE_BYTES: Final = 12
LONGEST: Final = 4000
"""In characters. A cookie may have 4096 bytes with its name and attributes."""

_converter: Final = make_converter()
_converter.register_unstructure_hook(UUID, str)
_converter.register_structure_hook(UUID, lambda text, _: UUID(text))
_converter.register_unstructure_hook(datetime, lambda moment: int(moment.timestamp()))
_converter.register_structure_hook(datetime, lambda seconds, _: datetime.fromtimestamp(seconds, UTC))
_converter.register_unstructure_hook(Fingerprint, lambda fingerprint: fingerprint.text)
_converter.register_structure_hook(Fingerprint, lambda text, _: Fingerprint(text))


def _cipher(secret: str) -> AESGCM:
    return AESGCM(sha256(b"seals " + secret.encode()).digest())


@frozen
class AesSeals:
    cipher: AESGCM = field(converter=_cipher, repr=False)
    """Made from the text of the secret that signs tokens."""
    random: Callable[[int], bytes]
    """Makes so many random bytes that nobody can guess."""

    def seal(self, what: Visit | Challenge | Proof) -> str:
        nonce = self.random(NONCE_BYTES)
        sealed = self.cipher.encrypt(nonce, _converter.dumps(what).encode(), _kind(type(what)))
        return urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open_visit(self, text: str, *, at: datetime) -> Visit:
        return self._opened(text, Visit, at)

    def open_challenge(self, text: str, *, at: datetime) -> Challenge:
        return self._opened(text, Challenge, at)

    def open_proof(self, text: str, *, at: datetime) -> Proof:
        return self._opened(text, Proof, at)

    def _opened(self, text: str, kind: type[T], at: datetime) -> T:
        try:
            encoded = text[: LONGEST + 1].encode("ascii")
            sealed = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
            plain = self.cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _kind(kind))
        except (InvalidTag, ValueError):
            raise NotAuthenticated("token_invalid") from None
        opened: Any = _converter.loads(plain, kind)
        if opened.expires_at <= at:
            raise NotAuthenticated("token_expired")
        return opened  # type: ignore[no-any-return]


def _kind(kind: type) -> bytes:
    """Text of one kind does not open as another."""
    return kind.__name__.encode()

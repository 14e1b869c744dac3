"""
The credentials file of a NATS user: a token (JWT) that an account has signed, and the seed of the key that the user proves to have.

The client leaves the proof to its caller, so that no package for keys of NATS is needed: a seed is base32 of two bytes for
its kind, 32 bytes for an Ed25519 key and a checksum.
"""

import re
from base64 import b32decode, b64encode
from binascii import crc_hqx
from pathlib import Path
from typing import Final

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PART: Final = re.compile(r"-+BEGIN ([A-Z ]+)-+\s+(\S+)\s+-+END \1-+")

SEED_OF_A_USER: Final = bytes([0b10010_101, 0b00_000000])
"""Numbers 18 and 20 of five bits each, which base32 shows as S and U: the seed of a user."""


class UnusableCredentials(Exception):
    """The file does not hold what a user of NATS needs."""


@frozen
class Credentials:
    token: bytes = field(repr=False)
    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "Credentials":
        """
        Raises:
            UnusableCredentials: The file has no token or no seed of a user.
            OSError: It cannot be read.
        """
        parts = dict(_PART.findall(path.read_text(errors="replace")))
        token, seed = parts.get("NATS USER JWT"), parts.get("USER NKEY SEED")
        if token is None or seed is None:
            raise UnusableCredentials(f"{path} has no NATS USER JWT or no USER NKEY SEED")
        return cls(token.encode(), _key_of(seed, path))

    def tell_token(self) -> bytes:
        return self.token

    def sign(self, nonce: str) -> bytes:
        """Signs the nonce that a server has chosen, which proves that the user has the key."""
        return b64encode(self.key.sign(nonce.encode()))


def _key_of(seed: str, path: Path) -> Ed25519PrivateKey:
    try:
        data = b32decode(seed + "=" * (-len(seed) % 8))
    except ValueError:
        data = b""
    kind, key, checksum = data[:2], data[2:-2], data[-2:]
    if kind != SEED_OF_A_USER or len(key) != 32 or crc_hqx(kind + key, 0).to_bytes(2, "little") != checksum:
        raise UnusableCredentials(f"{path} has a damaged seed, or not that of a user")
    return Ed25519PrivateKey.from_private_bytes(key)

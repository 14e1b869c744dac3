"""A NATS with accounts: keys and tokens as its own tools make them, and credentials files of users."""

from base64 import b32encode, urlsafe_b64encode
from binascii import crc_hqx
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OPERATOR: Final = 14 << 3
ACCOUNT: Final = 0
USER: Final = 20 << 3
"""The first byte of the name of a key, of which base32 makes O, A and U."""

CREDENTIALS: Final = """\
-----BEGIN NATS USER JWT-----
{token}
------END NATS USER JWT------

************************* IMPORTANT *************************
Whoever has the seed below is this user.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


def _shown(data: bytes) -> str:
    return b32encode(data + crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")


@frozen
class Key:
    kind: int
    private: Ed25519PrivateKey = field(factory=Ed25519PrivateKey.generate)

    @property
    def name(self) -> str:
        return _shown(bytes([self.kind]) + self.private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        first, second = 18 << 3 | self.kind >> 5, (self.kind & 0b11111) << 3
        return _shown(bytes([first, second]) + self.private.private_bytes_raw())

    def token(self, about: "Key", kind: str, **claims: Any) -> str:
        """What this key says about another one."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {
            "jti": about.name,
            "iat": 1_700_000_000,
            "iss": self.name,
            "sub": about.name,
            "name": kind,
            "nats": {"type": kind, "version": 2, **claims},
        }
        text = b".".join(map(_part, (orjson.dumps(head), orjson.dumps(body))))
        return b".".join((text, _part(self.private.sign(text)))).decode()


def _part(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


@frozen
class Accounts:
    """An operator with one account."""

    operator: Key = field(factory=lambda: Key(OPERATOR))
    account: Key = field(factory=lambda: Key(ACCOUNT))

    def configuration(self) -> str:
        """Returns the configuration of a server that lets in everybody for whom the account has signed a token."""
        names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
        limits = {**dict.fromkeys(names, -1), "wildcards": True}
        operator = self.operator.token(self.operator, "operator")
        account = self.operator.token(self.account, "account", limits=limits)
        return f"operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {self.account.name}: {account} }}\n"

    def credentials(self, path: Path, *, seed: str | None = None) -> Path:
        """Writes the file of a new user; with the seed of another key if one is given."""
        user = Key(USER)
        limits = {"subs": -1, "data": -1, "payload": -1}
        token = self.account.token(user, "user", pub={}, sub={}, **limits)
        path.write_text(CREDENTIALS.format(token=token, seed=seed or user.seed))
        return path

"""One idempotency key stands for one request of one person."""

from datetime import datetime
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

from application.errors import NotAuthenticated
from application.ports.keys import KeyOwner, Keys, KeyUse, Operation
from domain.account import Email
from domain.errors import Conflict
from domain.ids import AccountId
from domain.message import Nonce

__all__ = ["KeyReused", "claimed", "digest", "owned_by", "owned_by_address", "use_once"]

_NAMESPACE: Final = uuid5(NAMESPACE_OID, "idempotency keys")


class KeyReused(Conflict):
    """The key was used for another request: ``first`` is that one."""

    code = "key_reused"

    def __init__(self, first: KeyUse) -> None:
        super().__init__(first)
        self.first = first


def owned_by(account_id: AccountId) -> KeyOwner:
    return KeyOwner(account_id)


def owned_by_address(operation: Operation, email: Email) -> KeyOwner:
    """
    For requests without a signed-in account: the address alone says who asks, whether or not it has an account.

    Each operation has keys of its own. Otherwise a stranger who tries common keys could tell by a conflict which address
    has an account.
    """
    return KeyOwner(uuid5(_NAMESPACE, f"{operation} {email.folded}"))


def digest(*asked: str | None) -> UUID:
    """The digest of a request, from all that was asked."""
    return uuid5(_NAMESPACE, ascii(asked))


async def claimed(keys: Keys, owner_id: KeyOwner, key: Nonce | None, use: KeyUse) -> KeyUse | None:
    """
    Claim the key of a request. Returns None if there is something to do: the key is new, or there is none. If the same
    request was carried out under the key before, returns that use.

    Raises:
        KeyReused: The key was used for another request.
    """
    first = await keys.claim(owner_id, key, use) if key else None
    if first and (first.operation, first.digest) != (use.operation, use.digest):
        raise KeyReused(first)
    return first


async def use_once(keys: Keys, name: str, *, at: datetime, until: datetime) -> None:
    """
    Uses up an unguessable name that is good ``until`` then.

    Raises:
        NotAuthenticated: It was used before.
    """
    owner = KeyOwner(uuid5(_NAMESPACE, f"{Operation.CEREMONY} {name}"))
    use = KeyUse(
        operation=Operation.CEREMONY, digest=digest(name), subject_id=owner, used_at=at, expires_at=until
    )
    if await keys.claim(owner, Nonce(name), use) is not None:
        raise NotAuthenticated("token_invalid")

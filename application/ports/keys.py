"""Idempotency keys: the names that clients give to requests, so that a repeat is not carried out again."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NewType, Protocol
from uuid import UUID

from attrs import frozen

from domain.message import Nonce

KeyOwner = NewType("KeyOwner", UUID)
"""Whose key it is: an account, or an address at which nobody is signed in yet."""


class Operation(StrEnum):
    """What is asked for under a key. A message's key is its nonce, and kept with the message."""

    CREATE_CHAT = "create_chat"
    OPEN_DIRECT = "open_direct"
    ADD_MEMBERS = "add_members"
    SIGN_UP = "sign_up"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # the name of an operation

    IMPORT = "import"


LETTERS: Final = frozenset((Operation.SIGN_UP, Operation.RESET_PASSWORD))
"""Operations that send a letter to an address at which nobody is signed in."""


@frozen(kw_only=True)
class KeyUse:
    """What a key was used for."""

    operation: Operation
    digest: UUID
    """Of everything that was asked: the same for the same request, and another one for any other."""
    subject_id: UUID
    """What it was about: the chat, the confirmation that was sent, or the person to talk to."""
    used_at: datetime
    expires_at: datetime | None = None
    """From then on the key is free again. None: it is kept as long as the account."""

    def is_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at


class Keys(Protocol):
    async def claim(self, owner_id: KeyOwner, key: Nonce, use: KeyUse) -> KeyUse | None:
        """
        Claim a key for one request. Returns what the key was used for before, and then keeps nothing.

        Of two units of work that claim a key at once the second waits for the first. If the unit fails, the key is free.
        """
        ...

    async def forget(self, owner_id: KeyOwner) -> None:
        """Free all keys of an owner."""
        ...

    async def remove_expired(self, at: datetime) -> None: ...

"""Idempotency keys: the names that clients give to requests, so that a repeat is not carried out again."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NewType, Protocol
from uuid import UUID

from attrs import frozen

from domain.message import Nonce

KeyOwner = NewType("KeyOwner", UUID)
"""The owner of a key: an account, or an e-mail address if the request comes without a signed-in account."""


class Operation(StrEnum):
    """The requests that can have a key. Sending is not among them: the nonce of a message is stored with the message."""

    CREATE_CHAT = "create_chat"
    OPEN_DIRECT = "open_direct"
    ADD_MEMBERS = "add_members"
    SIGN_UP = "sign_up"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # the name of an operation

    CEREMONY = "ceremony"
    """A way to sign in that takes several steps, of which the last may be taken once (`application.keys.use_once`)."""

    IMPORT = "import"


LETTERS: Final = frozenset((Operation.SIGN_UP, Operation.RESET_PASSWORD))
"""Operations that send a letter to an address at which nobody is signed in."""


@frozen(kw_only=True)
class KeyUse:
    """The request that a key was used for."""

    operation: Operation
    digest: UUID
    """A digest of all parameters: equal for a repeat, different for any other request."""
    subject_id: UUID
    """The object of the request: the chat, the confirmation that was sent, or the other person."""
    used_at: datetime
    expires_at: datetime | None = None
    """When the key becomes free again; None if it is kept as long as the account."""

    def is_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at


class Keys(Protocol):
    async def claim(self, owner_id: KeyOwner, key: Nonce, use: KeyUse) -> KeyUse | None:
        """
        Claim a key for one request. If the key was used before, returns that use and stores nothing.

        Of two units of work that claim a key at once the second waits for the first. If the unit fails, the key is free.
        """
        ...

    async def forget(self, owner_id: KeyOwner) -> None:
        """Free all keys of an owner."""
        ...

    async def remove_expired(self, at: datetime) -> None: ...

from datetime import timedelta

from attrs import frozen

from application.ports.clock import Clock
from application.ports.purging import DeletedChats


@frozen(kw_only=True)
class PurgeDeletedChatsHandler:
    """Remove the contents of chats that were deleted long enough ago, in several short passes."""

    deleted_chats: DeletedChats
    clock: Clock
    keep: timedelta
    """How long contents are kept after the deletion. Until then an operator can undo it."""
    rows: int = 1000

    async def __call__(self) -> bool:
        """Returns True if there may be more to remove."""
        now = self.clock.now()
        return await self.deleted_chats.purge_some(deleted_before=now - self.keep, at=now, rows=self.rows)

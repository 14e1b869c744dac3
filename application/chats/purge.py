from datetime import timedelta

from attrs import frozen

from application.ports.clock import Clock
from application.ports.purging import DeletedChats


@frozen(kw_only=True)
class PurgeDeletedChatsHandler:
    """Remove what was said in chats that are deleted for long enough. One pass removes a slice."""

    deleted_chats: DeletedChats
    clock: Clock
    keep: timedelta
    """For how long; so long a deletion can still be undone by an operator."""
    rows: int = 1000

    async def __call__(self) -> bool:
        """True: there may be more."""
        now = self.clock.now()
        return await self.deleted_chats.purge_some(deleted_before=now - self.keep, at=now, rows=self.rows)

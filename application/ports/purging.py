from datetime import datetime
from typing import Protocol


class DeletedChats(Protocol):
    async def purge_some(self, *, deleted_before: datetime, at: datetime, rows: int) -> bool:
        """
        Remove about ``rows`` rows of one chat that was deleted before then: messages, log, receipts, readings and
        memberships, in a short transaction of its own. The row of the chat stays, with its last numbers and when it was
        purged.

        Chats that another transaction holds are left out. Returns False if there is nothing that can be removed now.
        """
        ...

from datetime import datetime
from typing import Protocol


class DeletedChats(Protocol):
    async def purge_some(self, *, deleted_before: datetime, at: datetime, rows: int) -> bool:
        """
        Remove about ``rows`` rows of one chat that was deleted before then: messages, log, receipts, readings and
        memberships, in a short transaction of its own. What remains of a chat says that there was one, how far its numbers
        had come, and that nothing of its log is left.

        Chats that somebody holds are left out. False: there is nothing to remove, or nobody lets go of it.
        """
        ...

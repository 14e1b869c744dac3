from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen
from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.ids import ChatId
from infrastructure.postgres.divided.stamp import TWO_PHASES
from infrastructure.postgres.purging import PostgresDeletedChats
from infrastructure.postgres.schema.chat_tables import chat, chat_head

FOUND_AT_ONCE: Final = 10
"""Deleted chats that are found by one statement. More are needed only if others hold all of these."""


@frozen
class DividedDeletedChats(PostgresDeletedChats):
    """
    Finds deleted chats first and then locks them one by one, because a statement can lock rows of one node only. What is removed from the
    node of a chat and what is removed from the coordinator is committed in two phases.
    """

    async def _hold_one(self, connection: AsyncConnection, deleted_before: datetime) -> ChatId | None:
        waiting = chat.c.deleted_at < deleted_before, chat.c.purged_at.is_(None)
        order = chat.c.deleted_at, chat.c.chat_id
        beginning = select(*order).where(*waiting).order_by(*order).limit(FOUND_AT_ONCE)
        found: Sequence[Row[Any, Any]] = (await connection.execute(beginning)).all()
        while found:
            for chat_id in (row.chat_id for row in found):
                held = await connection.scalar(
                    select(chat_head.c.chat_id)
                    .where(chat_head.c.chat_id == chat_id)
                    .with_for_update(key_share=True, skip_locked=True)
                )
                # Checked again under the lock: another node may have purged the chat in the meantime.
                if held and await connection.scalar(
                    select(chat.c.chat_id).where(chat.c.chat_id == chat_id, *waiting)
                ):
                    await connection.exec_driver_sql(TWO_PHASES)
                    return ChatId(chat_id)
            after = beginning.where(tuple_(*order) > tuple_(*found[-1]))
            found = (await connection.execute(after)).all()
        return None

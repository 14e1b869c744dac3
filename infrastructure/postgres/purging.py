"""
Removes the rows of deleted chats in slices.

Each slice is a transaction that locks the head of one deleted chat and deletes a bounded number of its rows. Chats whose
head is locked by another transaction are skipped.
"""

from datetime import datetime
from typing import Final

from attrs import frozen
from sqlalchemy import Table, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.ids import ChatId
from infrastructure.postgres.chats import TX
from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import in_our_terms
from infrastructure.postgres.schema.chat_tables import (
    chat,
    chat_head,
    chat_log,
    member,
    message,
    profile_chat,
    reading,
    receipt,
)

TABLES: Final = (receipt, reading, message, chat_log, member)
"""Tables in the order of deletion. Memberships come last, because they lead to the members' own rows in `profile_chat`."""


@frozen
class PostgresDeletedChats:
    engine: AsyncEngine
    deadline: float = 5.0

    async def purge_some(self, *, deleted_before: datetime, at: datetime, rows: int) -> bool:
        async with transaction(self.engine, self.deadline) as connection:
            chat_id = await self._hold_one(connection, deleted_before)
            if chat_id is None:
                return False
            left = rows
            for table in TABLES:
                left -= await self._remove(connection, table, chat_id, left)
                if left <= 0:
                    break
            else:
                await connection.execute(update(chat).where(chat.c.chat_id == chat_id).values(purged_at=at))
            with in_our_terms(committing=True):
                await connection.commit()
            return True

    async def _hold_one(self, connection: AsyncConnection, deleted_before: datetime) -> ChatId | None:
        # Chats that are locked by other transactions are skipped.
        found = await connection.scalar(
            select(chat.c.chat_id)
            .join(chat_head, chat_head.c.chat_id == chat.c.chat_id)
            .where(chat.c.deleted_at < deleted_before, chat.c.purged_at.is_(None))
            .order_by(chat.c.deleted_at, chat.c.chat_id)
            .limit(1)
            .with_for_update(of=chat_head, key_share=True, skip_locked=True)
        )
        # Checked again under the lock: another node may have purged the chat in the meantime.
        if found and await connection.scalar(
            select(chat.c.chat_id).where(chat.c.chat_id == found, chat.c.purged_at.is_(None))
        ):
            return ChatId(found)
        return None

    async def _remove(self, connection: AsyncConnection, table: Table, chat_id: ChatId, most: int) -> int:
        key = list(table.primary_key.columns)
        some = select(*key).where(table.c.chat_id == chat_id).order_by(*key).limit(most)
        gone = await connection.execute(
            delete(table).where(table.c.chat_id == chat_id, tuple_(*key).in_(some)).returning(*key)
        )
        keys = gone.all()
        if table is chat_log and keys:
            await connection.execute(
                update(chat_head)
                .where(chat_head.c.chat_id == chat_id)
                .values(
                    first_position=func.greatest(
                        chat_head.c.first_position, max(row.position for row in keys) + 1
                    ),
                    tx=TX,
                )
            )
        if table is member and keys:
            await connection.execute(
                delete(profile_chat).where(
                    tuple_(profile_chat.c.profile_id, profile_chat.c.chat_id).in_(
                        [(row.profile_id, chat_id) for row in keys]
                    )
                )
            )
        return len(keys)

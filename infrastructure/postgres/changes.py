"""
Finds everything that is new in all logs since a cursor. `infrastructure.postgres.places` explains the method.

Each read also checks that the tables are still those that the cursor was made from. An operator may restore an older dump
into the database while nodes run; seqs and positions that clients have seen are then used again for other messages. The
first node that notices a restore begins a new line of history, so that all clients start over.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import Column, ColumnElement, RowMapping, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.errors import Unavailable
from application.ports.changes import Cursor, News, ReadRange
from domain.events import MessagesRead, PersonalEvent
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from infrastructure.postgres.chats import TOLD_IDS
from infrastructure.postgres.driver.connection import READ_SNAPSHOT
from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import complaints
from infrastructure.postgres.driver.reads import Row
from infrastructure.postgres.places import Place, place_columns
from infrastructure.postgres.schema.chat_tables import (
    chat_log,
    message,
    origin,
    profile_log,
    reading,
    receipt,
)
from infrastructure.postgres.server.adoption import HERE, adopt
from infrastructure.postgres.views import epoch_columns, epoch_from
from infrastructure.stored_events import personal_event

log: Final = logging.getLogger(__name__)


ORIGIN: Final = select(
    # each name once: the columns of the epoch and those of the place overlap
    *{column.name: column for column in (*epoch_columns(), *place_columns())}.values(),
    (origin.c.home == HERE).label("is_home"),
    HERE.concat(literal_column("'/' || origin.xmin::text")).label("lineage"),
).where(origin.c.id == 1)
"""Selects what `Origin.of` needs."""


@frozen
class Origin:
    """The only row of `origin`, as one transaction sees it, and the cursor after everything that it sees."""

    cursor: Cursor
    generation: UUID
    is_home: bool
    last_tx: int
    """The greatest ``tx`` that any finished transaction of this cluster can have written."""

    @classmethod
    def of(cls, row: Row | None) -> "Origin":
        """
        Raises:
            Unavailable: There is no row, because the database is being restored.
        """
        if row is None:
            complaints.tell(Unavailable.code, "the table origin is empty: is the database being restored?")
            raise Unavailable("the table origin is empty")
        return cls(
            cursor=Cursor(epoch=epoch_from(row), place=Place.of(row).written(), lineage=row["lineage"]),
            generation=row["generation"],
            is_home=row["is_home"],
            last_tx=row["base"] + row["xmax"] - 1,
        )

    def was_restored_since(self, cursor: Cursor) -> bool:
        """
        Whether the database was restored since ``cursor`` was made, and no new line of history has begun since.

        Its tables are others; or transactions that the cursor has seen have not happened yet, as after a server went back to
        older files.
        """
        is_same_epoch = self.cursor.epoch == cursor.epoch
        if cursor.lineage and self.cursor.lineage != cursor.lineage and (is_same_epoch or not self.is_home):
            return True
        return is_same_epoch and Place.read(cursor.place).next_tx > self.last_tx + 1


@frozen
class PostgresChanges:
    engine: AsyncEngine
    deadline: float = 5.0

    async def now(self) -> Cursor:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            return (await _origin(connection)).cursor

    async def since(self, cursor: Cursor) -> News:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            found = await _origin(connection)
            if not found.was_restored_since(cursor):
                return await self._since(connection, cursor, found.cursor)
        return News(cursor=await self._adopted(found.generation), moved={}, personal=(), read=())

    async def _adopted(self, generation: UUID) -> Cursor:
        log.warning("the database was restored while this node was running: a new line of history begins")
        await adopt(self.engine, instead_of=generation)
        return await self.now()

    async def _since(self, connection: AsyncConnection, cursor: Cursor, here: Cursor) -> News:
        if here.epoch != cursor.epoch:
            return News(cursor=here, moved={}, personal=(), read=())
        is_new = self._newer(cursor, here)
        moved = await connection.execute(
            select(chat_log.c.chat_id, func.max(chat_log.c.position))
            .where(is_new(chat_log.c.tx))
            .group_by(chat_log.c.chat_id)
        )
        personal = await connection.execute(
            select(profile_log)
            .where(is_new(profile_log.c.tx))
            .order_by(profile_log.c.profile_id, profile_log.c.position)
        )
        receipts = await connection.execute(
            select(receipt).where(is_new(receipt.c.tx)).order_by(receipt.c.chat_id, receipt.c.to_seq)
        )
        return News(
            cursor=here,
            moved={ChatId(chat_id): Position(position) for chat_id, position in moved},
            personal=[_personal(row) for row in personal.mappings()],
            read=[_read(row) for row in receipts.mappings()],
        )

    def _newer(self, cursor: Cursor, _: Cursor) -> Callable[[Column[Any]], ColumnElement[bool]]:
        """Returns the condition on ``tx`` for what lies after ``cursor`` and before the next one."""
        return Place.read(cursor.place).behind

    async def recall(self, read: ReadRange) -> MessagesRead:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            found = await connection.execute(
                select(message.c.message_id, message.c.sender_id)
                .where(
                    message.c.chat_id == read.chat_id,
                    message.c.seq >= read.from_seq,
                    message.c.seq <= read.to_seq,
                    message.c.sender_id != read.reader_id,
                )
                .order_by(message.c.seq)
            )
            covered = found.all()
            moved = await connection.execute(
                select(reading.c.mark).where(
                    reading.c.chat_id == read.chat_id, reading.c.profile_id == read.reader_id
                )
            )
            mark = moved.scalar_one()
        return MessagesRead(
            chat_id=read.chat_id,
            reader_id=read.reader_id,
            from_seq=read.from_seq,
            to_seq=read.to_seq,
            at=read.at,
            message_ids=tuple(MessageId(message_id) for message_id, _ in covered[-TOLD_IDS:]),
            count=len(covered),
            by_author=Counter(ProfileId(sender_id) for _, sender_id in covered),
            is_single=mark < read.from_seq,
        )


async def _origin(connection: AsyncConnection) -> Origin:
    """
    Raises:
        Unavailable: The database is being restored.
    """
    found = await connection.execute(ORIGIN)
    return Origin.of(found.mappings().one_or_none())


def _personal(row: RowMapping) -> PersonalEvent:
    chat_id: UUID | None = row["chat_id"]
    return personal_event(row["kind"], row["payload"], profile_id=row["profile_id"], chat_id=chat_id)


def _read(row: RowMapping) -> ReadRange:
    return ReadRange(
        chat_id=ChatId(row["chat_id"]),
        reader_id=ProfileId(row["profile_id"]),
        from_seq=Seq(row["from_seq"]),
        to_seq=Seq(row["to_seq"]),
        at=row["read_at"],
    )

"""
One place in all logs: a snapshot of PostgreSQL, made to survive restarts.

A transaction's number says when it began, not when it committed, so "greater than the last" misses what committed late.
A snapshot knows which transactions were still running: the place is (xmax, those running below it), and what lies
behind it is what carries ``tx >= xmax`` or one of the running ones. docs/storage.md, "The cursor", tells what each part is
good for and how it was tried.
"""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import Column, ColumnElement, RowMapping, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.ports.changes import Cursor, News, ReadRange
from domain.events import MessagesRead, PersonalEvent
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from infrastructure.postgres.chats import TOLD_IDS
from infrastructure.postgres.driver.connection import READ_SNAPSHOT
from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.schema.chat_tables import (
    chat_log,
    message,
    origin,
    profile_log,
    reading,
    receipt,
)
from infrastructure.postgres.views import epoch_columns, epoch_from
from infrastructure.stored_events import personal_event

LOGS: Final = (chat_log, profile_log, receipt)


@frozen
class Place:
    """``next_tx`` and everything above it, and ``running`` below it, are not yet covered. Numbers have base added."""

    next_tx: int
    running: frozenset[int]

    def written(self) -> str:
        return ".".join(str(number) for number in (self.next_tx, *sorted(self.running)))

    @classmethod
    def read(cls, text: str) -> "Place":
        """
        Raises:
            ValueError: Nobody here wrote this.
        """
        next_tx, *running = (int(number) for number in text.split("."))
        return cls(next_tx, frozenset(running))

    def behind(self, tx: Column[Any]) -> ColumnElement[bool]:
        return or_(tx >= self.next_tx, tx.in_(sorted(self.running)))


@frozen
class PostgresChanges:
    engine: AsyncEngine
    deadline: float = 5.0

    async def now(self) -> Cursor:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            return await _here(connection)

    async def since(self, cursor: Cursor) -> News:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            here = await _here(connection)
            if here.epoch != cursor.epoch:
                return News(cursor=here, moved={}, personal=(), read=())
            place = Place.read(cursor.place)
            moved = await connection.execute(
                select(chat_log.c.chat_id, func.max(chat_log.c.position))
                .where(place.behind(chat_log.c.tx))
                .group_by(chat_log.c.chat_id)
            )
            personal = await connection.execute(
                select(profile_log)
                .where(place.behind(profile_log.c.tx))
                .order_by(profile_log.c.profile_id, profile_log.c.position)
            )
            receipts = await connection.execute(
                select(receipt)
                .where(place.behind(receipt.c.tx))
                .order_by(receipt.c.chat_id, receipt.c.to_seq)
            )
            return News(
                cursor=here,
                moved={ChatId(chat_id): Position(position) for chat_id, position in moved},
                personal=[_personal(row) for row in personal.mappings()],
                read=[_read(row) for row in receipts.mappings()],
            )

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


async def _here(connection: AsyncConnection) -> Cursor:
    """
    The place after everything that this transaction sees.

    Capped by the greatest ``tx`` that is visible: after a crash PostgreSQL hands the numbers of transactions that left
    nothing out again, and a place beyond them would hide what is stored under them then.
    """
    greatest = [select(func.max(log.c.tx)).scalar_subquery() for log in LOGS]
    found = await connection.execute(
        select(
            *epoch_columns(),
            literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint").label("xmax"),
            literal_column(
                "ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(pg_current_snapshot()) AS x)"
            ).label("xip"),
            func.greatest(*greatest).label("greatest"),
        ).where(origin.c.id == 1)
    )
    row = found.mappings().one()
    base = row["base"]
    greatest_tx = base if row["greatest"] is None else row["greatest"]
    next_tx = min(base + row["xmax"], 1 + greatest_tx)
    running = frozenset(base + number for number in row["xip"] if base + number < next_tx)
    return Cursor(epoch=epoch_from(row), place=Place(next_tx, running).written())


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

"""Chats, readings and the logs of profiles, as an ordinary unit of work changes them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from attrs import frozen
from sqlalchemy import BigInteger, Table, Text, and_, cast, exists, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.chat import Chat, ChatNotFound, Member
from domain.events import ChatEvent, MessageSent, MessagesRead, PersonalEvent
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import Passed, Reading
from infrastructure.postgres import rows
from infrastructure.postgres.tables import (
    chat,
    chat_head,
    chat_log,
    member,
    message,
    origin,
    profile_chat,
    profile_head,
    profile_log,
    reading,
    receipt,
)
from infrastructure.stored_events import kind_of, payload_of

_Row = TypeVar("_Row")

TOLD_IDS: Final = 1000
"""At most so many ids of newly read messages are named, the newest."""

SLICE: Final = 1000
"""Rows in one statement: the protocol has room for 65 535 parameters."""

TX: Final = (
    select(origin.c.base + cast(cast(func.pg_current_xact_id(), Text), BigInteger))
    .where(origin.c.id == 1)
    .scalar_subquery()
)
"""What ``tx`` is set to by everything that writes a row which has it."""


@frozen
class PostgresChats:
    _connection: AsyncConnection

    async def add(self, new: Chat, members: Sequence[Member]) -> None:
        await self._connection.execute(insert(chat).values(rows.chat_row(new)))
        await self._connection.execute(
            insert(chat_head).values(rows.head_row(new) | {"first_position": 1, "tx": TX})
        )
        await self.add_members(members)

    async def lock(self, chat_id: ChatId) -> Chat:
        # the head first, and alone: whoever changes a chat takes it, and what is read next is what the wait let through
        head = await self._connection.execute(
            select(
                chat_head.c.last_seq,
                chat_head.c.last_position,
                chat_head.c.last_at,
                chat_head.c.member_count,
            )
            .where(chat_head.c.chat_id == chat_id)
            .with_for_update(key_share=True)
        )
        held = head.mappings().one_or_none()
        if held is None:
            raise ChatNotFound
        row = await self._connection.execute(select(chat).where(chat.c.chat_id == chat_id))
        return rows.chat_from(row.mappings().one(), held)

    async def find_member(self, chat_id: ChatId, profile_id: ProfileId) -> Member | None:
        found = await self._connection.execute(
            select(member).where(member.c.chat_id == chat_id, member.c.profile_id == profile_id)
        )
        row = found.mappings().one_or_none()
        return rows.member_from(row) if row else None

    async def members(self, chat_id: ChatId) -> Sequence[Member]:
        found = await self._connection.execute(
            select(member).where(member.c.chat_id == chat_id, member.c.left_at.is_(None))
        )
        return [rows.member_from(row) for row in found.mappings()]

    async def save(self, changed: Chat, events: Sequence[ChatEvent] = ()) -> None:
        kept = rows.chat_row(changed)
        head = rows.head_row(changed)
        await self._connection.execute(update(chat).where(chat.c.chat_id == changed.id).values(kept))
        await self._connection.execute(
            update(chat_head).where(chat_head.c.chat_id == changed.id).values(head | {"tx": TX})
        )
        await self._insert(chat_log, [_logged(event) for event in events])

    async def add_members(self, members: Sequence[Member]) -> None:
        await self._insert(
            member, [rows.member_row(new) for new in members], again=("role", "joined_at", "left_at")
        )
        await self._insert(
            reading,
            [
                rows.reading_row(Reading(chat_id=new.chat_id, profile_id=new.profile_id))
                for new in sorted(members, key=lambda new: new.profile_id)
            ],
            again=(),
        )
        await self._insert(
            profile_chat,
            [
                {"profile_id": m.profile_id, "chat_id": m.chat_id, "joined_at": m.joined_at, "left_at": None}
                for m in members
            ],
            again=("joined_at", "left_at"),
        )

    async def remove_members(self, members: Sequence[Member]) -> None:
        for some in _slices(members):
            keys = [(gone.chat_id, gone.profile_id) for gone in some]
            left_at = some[0].left_at
            await self._connection.execute(
                update(member)
                .where(tuple_(member.c.chat_id, member.c.profile_id).in_(keys))
                .values(left_at=left_at, tx=TX)
            )
            await self._connection.execute(
                update(profile_chat)
                .where(tuple_(profile_chat.c.chat_id, profile_chat.c.profile_id).in_(keys))
                .values(left_at=left_at)
            )

    async def _insert(
        self, table: Table, new: Sequence[dict[str, Any]], *, again: tuple[str, ...] | None = None
    ) -> None:
        """``again``: what is set anew where the row is there already; empty: nothing is, None: it must not be there."""
        if not new:
            return
        put = _put(table, new)
        if again == ():
            put = put.on_conflict_do_nothing()
        elif again is not None:
            stamped = ("tx",) if "tx" in table.c else ()
            put = put.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={name: put.excluded[name] for name in (*again, *stamped)},
            )
        await self._connection.execute(put)


@frozen
class PostgresReadings:
    _connection: AsyncConnection

    async def lock(self, chat_id: ChatId, profile_id: ProfileId) -> Reading | None:
        # the row alone, for what is counted next must be what the wait let through
        found = await self._connection.execute(
            select(reading)
            .where(
                reading.c.chat_id == chat_id,
                reading.c.profile_id == profile_id,
            )
            .with_for_update(key_share=True)
        )
        row = found.mappings().one_or_none()
        if row is None:
            return None
        present = await self._connection.execute(
            select(member.c.profile_id).where(
                member.c.chat_id == chat_id, member.c.profile_id == profile_id, member.c.left_at.is_(None)
            )
        )
        return rows.reading_from(row) if present.one_or_none() else None

    async def find_seq(self, chat_id: ChatId, message_id: MessageId) -> Seq | None:
        found = await self._connection.execute(
            select(message.c.seq).where(message.c.chat_id == chat_id, message.c.message_id == message_id)
        )
        return found.scalar_one_or_none()

    async def passed(self, reading: Reading, to: Seq) -> Passed:
        unread = and_(
            message.c.chat_id == reading.chat_id,
            message.c.seq > reading.mark,
            message.c.seq <= to,
            message.c.sender_id != reading.profile_id,
            ~exists().where(
                receipt.c.chat_id == message.c.chat_id,
                receipt.c.profile_id == reading.profile_id,
                receipt.c.from_seq <= message.c.seq,
                receipt.c.to_seq >= message.c.seq,
            ),
        )
        newest = await self._connection.execute(
            select(message.c.message_id).where(unread).order_by(message.c.seq.desc()).limit(TOLD_IDS)
        )
        counted = await self._connection.execute(
            select(message.c.sender_id, func.count()).where(unread).group_by(message.c.sender_id)
        )
        return Passed(
            message_ids=tuple(MessageId(id) for id in newest.scalars())[::-1],
            by_author={ProfileId(sender_id): count for sender_id, count in counted},
        )

    async def save(self, moved: Reading, read: MessagesRead | None) -> None:
        await self._connection.execute(
            update(reading)
            .where(reading.c.chat_id == moved.chat_id, reading.c.profile_id == moved.profile_id)
            .values(mark=moved.mark, less=moved.less, tx=TX)
        )
        if read:
            await self._connection.execute(insert(receipt).values(rows.receipt_row(read) | {"tx": TX}))


@frozen
class PostgresPersonalLog:
    _connection: AsyncConnection

    async def add(self, events: Sequence[PersonalEvent]) -> None:
        if not events:
            return
        grown = Counter(event.profile_id for event in events)
        put = _put(
            profile_head,
            [
                {"profile_id": profile_id, "last_position": grown[profile_id], "first_position": 1}
                for profile_id in sorted(grown)
            ],
        )
        heads = await self._connection.execute(
            put.on_conflict_do_update(
                index_elements=[profile_head.c.profile_id],
                set_={
                    "last_position": profile_head.c.last_position + put.excluded.last_position,
                    "tx": put.excluded.tx,
                },
            ).returning(profile_head.c.profile_id, profile_head.c.last_position)
        )
        following = {ProfileId(profile_id): position - grown[profile_id] for profile_id, position in heads}
        new = []
        for event in events:
            following[event.profile_id] += 1
            new.append(_personal(event, following[event.profile_id]))
        await self._connection.execute(_put(profile_log, new))


def _put(table: Table, new: Sequence[dict[str, Any]]) -> Insert:
    """
    An INSERT of rows that have the same columns, and ``tx`` where the table has it.

    A column travels as one array: a statement with a parameter for each value is compiled anew for each number of rows,
    which for a thousand members takes seconds.
    """
    names = list(new[0])
    columns = [cast([row[name] for row in new], ARRAY(table.c[name].type)) for name in names]
    given = func.unnest(*columns).table_valued(*names).render_derived()
    stamped = {"tx": TX} if "tx" in table.c else {}
    return upsert(table).from_select(
        [*names, *stamped], select(*(given.c[name] for name in names), *stamped.values())
    )


def _logged(event: ChatEvent) -> dict[str, Any]:
    payload = None if isinstance(event, MessageSent) else payload_of(event, "chat_id", "position")
    return {
        "chat_id": event.chat_id,
        "position": event.position,
        "kind": kind_of(event),
        "seq": event.message.seq if isinstance(event, MessageSent) else None,
        "payload": payload,
    }


def _personal(event: PersonalEvent, position: int) -> dict[str, Any]:
    chat_id = getattr(event, "chat_id", None)
    return {
        "profile_id": event.profile_id,
        "position": position,
        "kind": kind_of(event),
        "chat_id": chat_id,
        "payload": payload_of(event, "profile_id", *(["chat_id"] if chat_id else [])),
    }


def _slices(new: Sequence[_Row]) -> Iterator[list[_Row]]:
    rest = iter(new)
    while some := list(islice(rest, SLICE)):
        yield some

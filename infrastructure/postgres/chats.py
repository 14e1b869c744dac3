"""Chats, readings and the logs of profiles, as units of work outside the write path change them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from attrs import Factory, frozen
from sqlalchemy import (
    BigInteger,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID, Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from application.ports.updates import Update, about_decision
from domain.chat import Chat
from domain.chat_errors import ChatNotFound
from domain.decision import Decision
from domain.events import ChatEvent, MemberAdded, MessageSent, MessagesRead, PersonalEvent
from domain.group_rules import ANSWERED_WITHIN
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.member import Member
from domain.reading import Reading
from infrastructure.postgres import chat_rows as rows
from infrastructure.postgres.accounts import PostgresProfiles
from infrastructure.postgres.driver.unnest import beside_key, columns, pieces, table_of_rows
from infrastructure.postgres.receipts import READ_BEFORE
from infrastructure.postgres.schema.chat_tables import (
    chat,
    chat_head,
    chat_log,
    direct_chat,
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

TOLD_IDS: Final = 1000
"""An announcement of read messages names at most this many of their ids, the newest."""

TX: Final = (
    select(origin.c.base + cast(cast(func.pg_current_xact_id(), Text), BigInteger))
    .where(origin.c.id == 1)
    .scalar_subquery()
)
"""The value of ``tx`` for the current transaction: ``base`` plus its number. Every write to a row that has ``tx`` sets it."""


PEOPLE: Final = bindparam("people", type_=ARRAY(UUID))

THOSE_IN: Final = text(
    """
    SELECT wanted.profile_id FROM unnest(:people) AS wanted (profile_id)
    WHERE :count <= (
        SELECT count(*) FROM (
            SELECT FROM profile_chat AS own
            WHERE own.profile_id = wanted.profile_id AND own.left_at IS NULL LIMIT :count
        ) AS counted
    )
    ORDER BY wanted.profile_id
    """
).bindparams(PEOPLE)

ACQUAINTED: Final = text(
    f"""
    SELECT wanted.profile_id FROM unnest(:people) AS wanted (profile_id)
    WHERE wanted.profile_id <> :profile AND EXISTS (
        SELECT FROM profile_chat AS own
        CROSS JOIN LATERAL (
            SELECT each.left_at FROM profile_chat AS each
            WHERE each.profile_id = wanted.profile_id AND each.chat_id = own.chat_id LIMIT 1
        ) AS theirs
        CROSS JOIN LATERAL (
            SELECT each.kind, each.owner_id FROM chat AS each WHERE each.chat_id = own.chat_id LIMIT 1
        ) AS shared
        WHERE own.profile_id = :profile AND own.left_at IS NULL AND theirs.left_at IS NULL AND (
            shared.kind <> 'direct' OR shared.owner_id = wanted.profile_id OR EXISTS (
                SELECT FROM (
                    SELECT message.sender_id FROM message
                    WHERE message.chat_id = own.chat_id ORDER BY message.seq DESC LIMIT {ANSWERED_WITHIN}
                ) AS recent
                WHERE recent.sender_id = wanted.profile_id
            )
        )
    )
    ORDER BY wanted.profile_id
    """  # noqa: S608 - a number of ours
).bindparams(PEOPLE)


@frozen
class PostgresChats:
    _connection: AsyncConnection
    _pending_updates: list[Update] = Factory(list)

    async def add(self, new: Chat, opened: Decision) -> bool:
        made = await self._connection.execute(
            upsert(chat).values(rows.chat_row(new)).on_conflict_do_nothing().returning(chat.c.chat_id)
        )
        if made.one_or_none() is None:
            return False
        await _insert(self._connection, chat_head, [rows.head_row(new) | {"first_position": 1}])
        await self._keep_rest(new, opened)
        return True

    async def keep(self, changed: Chat, decision: Decision) -> None:
        kept = beside_key(chat, rows.chat_row(changed))
        head = beside_key(chat_head, rows.head_row(changed))
        await self._connection.execute(update(chat).where(chat.c.chat_id == changed.id).values(kept))
        await self._connection.execute(
            update(chat_head).where(chat_head.c.chat_id == changed.id).values({**head, "tx": TX})
        )
        await self._keep_rest(changed, decision)

    async def _keep_rest(self, changed: Chat, decision: Decision) -> None:
        await _insert(self._connection, chat_log, map(_logged, decision.events))
        await self._join(decision.joined)
        await self._change(decision.changed)
        if decision.ends_chat:
            await self._connection.execute(delete(direct_chat).where(direct_chat.c.chat_id == changed.id))
        await _log_personal(self._connection, decision.personal)
        newcomers = [event.profile_id for event in decision.events if isinstance(event, MemberAdded)]
        people = await PostgresProfiles(self._connection).views(newcomers) if newcomers else {}
        self._pending_updates.extend(about_decision(decision, people))

    async def lock(self, chat_id: ChatId) -> Chat:
        # The head is locked first, in a statement of its own: the next statements see what was committed during the wait.
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
            select(member)
            .where(member.c.chat_id == chat_id, member.c.left_at.is_(None))
            .order_by(member.c.joined_at, member.c.profile_id)
        )
        return [rows.member_from(row) for row in found.mappings()]

    async def of(self, profile_id: ProfileId) -> Sequence[ChatId]:
        found = await self._connection.scalars(
            select(profile_chat.c.chat_id)
            .where(profile_chat.c.profile_id == profile_id, profile_chat.c.left_at.is_(None))
            .order_by(profile_chat.c.chat_id)
        )
        return [ChatId(chat_id) for chat_id in found]

    async def those_in(self, profile_ids: Sequence[ProfileId], count: int) -> Collection[ProfileId]:
        found = await self._connection.scalars(THOSE_IN, {"people": list(profile_ids), "count": count})
        return {ProfileId(profile_id) for profile_id in found}

    async def acquainted(self, profile_id: ProfileId, others: Sequence[ProfileId]) -> Collection[ProfileId]:
        found = await self._connection.scalars(ACQUAINTED, {"people": list(others), "profile": profile_id})
        return {ProfileId(known) for known in found}

    async def _join(self, members: Sequence[Member]) -> None:
        await _insert(
            self._connection, member, map(rows.member_row, members), again=("role", "joined_at", "left_at")
        )
        await _insert(
            self._connection,
            reading,
            (
                rows.reading_row(Reading(chat_id=new.chat_id, profile_id=new.profile_id))
                for new in sorted(members, key=lambda new: new.profile_id)
            ),
            again=(),
        )
        await _insert(
            self._connection,
            profile_chat,
            (
                {"profile_id": m.profile_id, "chat_id": m.chat_id, "joined_at": m.joined_at, "left_at": None}
                for m in members
            ),
            again=("joined_at", "left_at"),
        )

    async def _change(self, members: Sequence[Member]) -> None:
        if not members:
            return
        new = [rows.member_row(one) for one in members]
        kept = table_of_rows(member, [*new[0]], "kept")
        await self._connection.execute(
            update(member)
            .where(member.c.chat_id == members[0].chat_id, member.c.profile_id == kept.c.profile_id)
            .values(role=kept.c.role, left_at=kept.c.left_at, tx=TX),
            columns(new),
        )
        await self._connection.execute(
            update(profile_chat)
            .where(profile_chat.c.chat_id == kept.c.chat_id, profile_chat.c.profile_id == kept.c.profile_id)
            .values(left_at=kept.c.left_at),
            columns(new),
        )

    async def claim_direct(self, one: ProfileId, other: ProfileId, chat_id: ChatId) -> ChatId:
        pair = dict(zip(("one_id", "other_id"), sorted((one, other)), strict=True))
        put = (
            upsert(direct_chat)
            .values(pair | {"chat_id": chat_id})
            .on_conflict_do_nothing()
            .returning(direct_chat.c.chat_id)
        )
        find = select(direct_chat.c.chat_id).where(
            direct_chat.c.one_id == pair["one_id"], direct_chat.c.other_id == pair["other_id"]
        )
        # The second of two transactions waits in the insert until the first commits, and finds its row in the next
        # statement. If the row was deleted between the two statements, the loop tries again.
        while (await self._connection.execute(put)).one_or_none() is None:
            if claimed := (await self._connection.execute(find)).scalar_one_or_none():
                return ChatId(claimed)
        return chat_id


@frozen
class PostgresReadings:
    _connection: AsyncConnection
    _pending_updates: list[Update] = Factory(list)

    async def lock(self, chat_id: ChatId, profile_id: ProfileId) -> Reading | None:
        # Only this row, in a statement of its own: the next statements see what was committed during the wait.
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

    async def find_message(self, chat_id: ChatId, message_id: MessageId) -> tuple[Seq, ProfileId] | None:
        found = await self._connection.execute(
            select(message.c.seq, message.c.sender_id).where(
                message.c.chat_id == chat_id, message.c.message_id == message_id
            )
        )
        row = found.one_or_none()
        return (Seq(row.seq), ProfileId(row.sender_id)) if row else None

    async def is_covered(self, reading: Reading, seq: Seq) -> bool:
        found = await self._connection.execute(
            select(
                exists().where(
                    receipt.c.chat_id == reading.chat_id,
                    receipt.c.profile_id == reading.profile_id,
                    receipt.c.from_seq <= seq,
                    receipt.c.to_seq >= seq,
                )
            )
        )
        return bool(found.scalar_one())

    async def save(self, moved: Reading, read: MessagesRead | None) -> None:
        await self._connection.execute(
            update(reading)
            .where(reading.c.chat_id == moved.chat_id, reading.c.profile_id == moved.profile_id)
            .values(
                mark=moved.mark,
                less=moved.excluded,
                read_at=func.greatest(reading.c.read_at, read.at if read else None),
                tx=TX,
            )
        )
        if read:
            was_read = read.is_single and await self._was_read(read)
            await _insert(self._connection, receipt, [rows.receipt_row(read, early=not was_read)])
            self._pending_updates.append(read)

    async def _was_read(self, read: MessagesRead) -> bool:
        """Tells whether anybody but the reader and the author had read the message, which was read singly, by the same time."""
        (author_id,) = read.by_author
        asked = {"chat": read.chat_id, "seq": read.from_seq, "reader": read.reader_id, "author": author_id}
        return bool(await self._connection.scalar(READ_BEFORE, {**asked, "at": read.at}))


@frozen
class PostgresPersonalLog:
    _connection: AsyncConnection
    _pending_updates: list[Update] = Factory(list)

    async def add(self, events: Sequence[PersonalEvent]) -> None:
        await _log_personal(self._connection, events)
        self._pending_updates.extend(events)


async def _log_personal(connection: AsyncConnection, events: Sequence[PersonalEvent]) -> None:
    """Appends each event to the log of its profile. Heads are locked in the order of profile ids."""
    grown = Counter(event.profile_id for event in events)
    following: dict[ProfileId, int] = {}
    for heads in pieces(
        {"profile_id": profile_id, "last_position": grown[profile_id], "first_position": 1}
        for profile_id in sorted(grown)
    ):
        moved = await connection.execute(_growing((*heads[0],)), columns(heads))
        for profile_id, position in moved:
            following[ProfileId(profile_id)] = position - grown[profile_id]

    def logged(event: PersonalEvent) -> dict[str, Any]:
        following[event.profile_id] += 1
        return _personal(event, following[event.profile_id])

    await _insert(connection, profile_log, map(logged, events))


async def _insert(
    connection: AsyncConnection,
    table: Table,
    new: Iterable[Mapping[str, Any]],
    *,
    again: tuple[str, ...] | None = None,
) -> None:
    """``again`` names the columns to update if a row exists: none if empty; with None an existing row is an error."""
    for piece in pieces(new):
        await connection.execute(_putting(table, (*piece[0],), again), columns(piece))


@cache
def _putting(table: Table, names: Sequence[str], again: tuple[str, ...] | None) -> Insert:
    """Makes the statement of `_insert`, which takes longer than carrying it out."""
    put = _put(table, names)
    if again == ():
        return put.on_conflict_do_nothing()
    if again is None:
        return put
    stamped = ("tx",) if "tx" in table.c else ()
    return put.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: put.excluded[name] for name in (*again, *stamped)},
    )


@cache
def _growing(names: Sequence[str]) -> ReturningInsert[Any]:
    """Makes the statement that moves the ends of profiles' logs on, and tells where they are then."""
    put = _put(profile_head, names)
    return put.on_conflict_do_update(
        index_elements=[profile_head.c.profile_id],
        set_={
            "last_position": profile_head.c.last_position + put.excluded.last_position,
            "tx": put.excluded.tx,
        },
    ).returning(profile_head.c.profile_id, profile_head.c.last_position)


def _put(table: Table, names: Sequence[str]) -> Insert:
    """Makes an INSERT of rows with these columns; it also sets ``tx`` if the table has that column."""
    new_rows = table_of_rows(table, names, "new_rows")
    stamped = {"tx": TX} if "tx" in table.c else {}
    return upsert(table).from_select(
        [*names, *stamped], select(*(new_rows.c[name] for name in names), *stamped.values())
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

"""Reads on PostgreSQL: one snapshot each, a constant number of statements, every one with an equality on its key."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import RowMapping, Uuid, and_, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.ports.updates import ChatUpdate, NewMember, NewMessage
from application.ports.views import Newest, Where, span
from application.views import NOBODY, ChatDetails, ChatView, HistoryPage, MessageView, ProfileView, Snapshot
from domain.chat import ChatNotFound, Kind, NotAMember, Role
from domain.events import ChatChanged
from domain.ids import ChatId, Position, ProfileId, Seq
from infrastructure.postgres.accounts import PostgresProfiles
from infrastructure.postgres.rows import message_from
from infrastructure.postgres.storage import connected
from infrastructure.postgres.tables import (
    chat,
    chat_head,
    chat_log,
    member,
    message,
    origin,
    profile_chat,
    reading,
    receipt,
)
from infrastructure.stored_events import MESSAGE_SENT, chat_event

READ_AT: Final = (
    select(func.min(receipt.c.read_at))
    .where(
        receipt.c.chat_id == message.c.chat_id,
        receipt.c.from_seq <= message.c.seq,
        receipt.c.to_seq >= message.c.seq,
        receipt.c.profile_id != message.c.sender_id,
    )
    .correlate(message)
    .scalar_subquery()
    .label("read_at")
)

PLACE: Final = (
    chat_head.c.last_seq,
    chat_head.c.last_position,
    member.c.left_at,
    member.c.profile_id.label("member_id"),
    reading.c.mark,
    reading.c.less,
)
"""Where a reader stands in a chat."""


def epoch_columns() -> tuple[Any, ...]:
    """
    What names a line of history: the stored generation, the cluster, its timeline.

    The timeline comes from the WAL's position, for the control file lags behind a promotion.
    """
    return (
        origin.c.generation,
        origin.c.base,
        literal_column("(SELECT system_identifier FROM pg_control_system())").label("system_identifier"),
        literal_column("left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)").label("timeline"),
    )


def epoch_from(row: RowMapping) -> str:
    whole = f"{row['generation']}/{row['system_identifier']}/{row['timeline']}"
    return sha256(whole.encode()).hexdigest()[:16]


@frozen
class PostgresViews:
    engine: AsyncEngine
    deadline: float = 5.0

    async def list_chats(self, reader: ProfileId) -> Sequence[ChatView]:
        async with self._picture() as connection:
            own = await connection.execute(
                select(profile_chat.c.chat_id).where(
                    profile_chat.c.profile_id == reader, profile_chat.c.left_at.is_(None)
                )
            )
            found = await self._entries(connection, reader, list(own.scalars()))
            people = await self._people(connection, _people_of(found))
        chats = [_chat_view(row, people) for row in found]
        return sorted(chats, key=lambda view: (_last_activity(view), view.id), reverse=True)

    async def get_chat(self, reader: ProfileId, chat_id: ChatId) -> ChatDetails:
        async with self._picture() as connection:
            found = await self._entries(connection, reader, [chat_id])
            if not found:
                await self._refuse(connection, chat_id)
            present = await connection.execute(
                select(member.c.profile_id).where(member.c.chat_id == chat_id, member.c.left_at.is_(None))
            )
            present_ids = [ProfileId(id) for id in present.scalars()]
            people = await self._people(connection, {*_people_of(found), *present_ids})
        view = _chat_view(found[0], people)
        members = [people.get(id, NOBODY) for id in present_ids]
        return ChatDetails(chat=view, members=sorted(members, key=lambda one: by_name(view.owner.id, one)))

    async def history(self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int) -> HistoryPage:
        async with self._picture() as connection:
            place = await self._place(connection, reader, chat_id)
            return await self._page(connection, chat_id, where, limit, place["last_seq"])

    async def snapshot(self, reader: ProfileId, chat_id: ChatId, limit: int) -> Snapshot:
        async with self._picture() as connection:
            place = await self._place(connection, reader, chat_id)
            epoch = await connection.execute(select(*epoch_columns()).where(origin.c.id == 1))
            return Snapshot(
                epoch=epoch_from(epoch.mappings().one()),
                seq=Seq(place["last_seq"]),
                position=Position(place["last_position"]),
                unread_count=_unread(place),
                history=await self._page(connection, chat_id, Newest(), limit, place["last_seq"]),
            )

    async def unread_count(self, reader: ProfileId, chat_id: ChatId) -> int:
        async with self._picture() as connection:
            return _unread(await self._place(connection, reader, chat_id))

    async def log(self, chat_id: ChatId, after: Position, limit: int) -> Sequence[ChatUpdate]:
        async with self._picture() as connection:
            found = await connection.execute(
                select(
                    chat_log.c.position.label("log_position"),
                    chat_log.c.kind,
                    chat_log.c.payload,
                    message,
                )
                .select_from(
                    chat_log.outerjoin(
                        message,
                        and_(message.c.chat_id == chat_log.c.chat_id, message.c.seq == chat_log.c.seq),
                    )
                )
                .where(chat_log.c.chat_id == chat_id, chat_log.c.position > after)
                .order_by(chat_log.c.position)
                .limit(limit)
            )
            entries = found.mappings().all()
            people = await self._people(connection, _people_in(entries))
        return [_update(chat_id, row, people) for row in entries]

    async def probe(self) -> None:
        async with connected(self.engine, self.deadline) as connection:
            await connection.execute(select(1))

    @asynccontextmanager
    async def _picture(self) -> AsyncIterator[AsyncConnection]:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with connected(self.engine, self.deadline, **options) as connection:
            yield connection

    async def _entries(
        self, connection: AsyncConnection, reader: ProfileId, chat_ids: Sequence[ChatId]
    ) -> Sequence[RowMapping]:
        """Those of ``chat_ids`` that the reader is a member of, with all that a list shows of them."""
        wanted = func.unnest(cast(list(chat_ids), ARRAY(Uuid))).table_valued("chat_id").render_derived()
        found = await connection.execute(
            select(
                *(column.label(f"chat_{column.name}") for column in chat.c),
                chat_head.c.last_seq,
                chat_head.c.last_position,
                chat_head.c.member_count,
                member.c.role,
                reading.c.mark,
                reading.c.less,
                READ_AT,
                message,
            )
            .select_from(
                wanted.join(chat, chat.c.chat_id == wanted.c.chat_id)
                .join(chat_head, chat_head.c.chat_id == wanted.c.chat_id)
                .join(member, and_(member.c.chat_id == wanted.c.chat_id, member.c.profile_id == reader))
                .join(reading, and_(reading.c.chat_id == wanted.c.chat_id, reading.c.profile_id == reader))
                .outerjoin(
                    message,
                    and_(message.c.chat_id == wanted.c.chat_id, message.c.seq == chat_head.c.last_seq),
                )
            )
            .where(chat.c.deleted_at.is_(None), member.c.left_at.is_(None))
        )
        return found.mappings().all()

    async def _place(self, connection: AsyncConnection, reader: ProfileId, chat_id: ChatId) -> RowMapping:
        found = await connection.execute(
            select(*PLACE, chat.c.deleted_at)
            .select_from(
                chat.join(chat_head, chat_head.c.chat_id == chat.c.chat_id)
                .outerjoin(member, and_(member.c.chat_id == chat.c.chat_id, member.c.profile_id == reader))
                .outerjoin(reading, and_(reading.c.chat_id == chat.c.chat_id, reading.c.profile_id == reader))
            )
            .where(chat.c.chat_id == chat_id)
        )
        place = found.mappings().one_or_none()
        if place is None or place["deleted_at"] is not None:
            raise ChatNotFound
        if place["member_id"] is None or place["left_at"] is not None:
            raise NotAMember
        return place

    async def _refuse(self, connection: AsyncConnection, chat_id: ChatId) -> None:
        there = await connection.execute(
            select(chat.c.chat_id).where(chat.c.chat_id == chat_id, chat.c.deleted_at.is_(None))
        )
        raise NotAMember if there.one_or_none() else ChatNotFound

    async def _page(
        self, connection: AsyncConnection, chat_id: ChatId, where: Where, limit: int, last_seq: int
    ) -> HistoryPage:
        numbers = span(where, limit, Seq(last_seq))
        rows: Sequence[RowMapping] = []
        if numbers:
            found = await connection.execute(
                select(message, READ_AT)
                .where(
                    message.c.chat_id == chat_id,
                    message.c.seq >= numbers.start,
                    message.c.seq < numbers.stop,
                )
                .order_by(message.c.seq)
            )
            rows = found.mappings().all()
        people = await self._people(connection, {ProfileId(row["sender_id"]) for row in rows})
        return HistoryPage(
            total_count=last_seq,
            messages=[_message_view(row, people) for row in rows],
            has_before=min(numbers.start, last_seq + 1) > 1,
            has_after=numbers.stop <= last_seq,
        )

    async def _people(
        self, connection: AsyncConnection, ids: Iterable[ProfileId]
    ) -> Mapping[ProfileId, ProfileView]:
        wanted = sorted(set(ids))
        return await PostgresProfiles(connection).views(wanted) if wanted else {}


def by_name(owner_id: ProfileId, one: ProfileView) -> tuple[bool, str, str, str, ProfileId]:
    """The order of members: the owner first, then by what one would look for."""
    return (one.id != owner_id, one.first_name or "", one.last_name or "", one.username or "", one.id)


def _unread(row: RowMapping) -> int:
    return int(row["last_seq"] - row["mark"] - row["less"])


def _last_activity(view: ChatView) -> Any:
    return view.last_message.message.sent_at if view.last_message else view.created_at


def _people_of(entries: Sequence[RowMapping]) -> set[ProfileId]:
    owners = {ProfileId(row["chat_owner_id"]) for row in entries}
    return owners | {ProfileId(row["sender_id"]) for row in entries if row["sender_id"]}


def _people_in(entries: Sequence[RowMapping]) -> set[ProfileId]:
    senders = {ProfileId(row["sender_id"]) for row in entries if row["sender_id"]}
    payloads = [row["payload"] for row in entries if row["payload"]]
    return senders | {
        ProfileId(UUID(payload["profile_id"])) for payload in payloads if "profile_id" in payload
    }


def _message_view(row: RowMapping, people: Mapping[ProfileId, ProfileView]) -> MessageView:
    event = message_from(row)
    return MessageView(
        message=event.message,
        position=event.position,
        sender=people.get(event.message.author_id, NOBODY),
        read_at=row.get("read_at"),
    )


def _chat_view(row: RowMapping, people: Mapping[ProfileId, ProfileView]) -> ChatView:
    return ChatView(
        id=ChatId(row["chat_chat_id"]),
        kind=Kind(row["chat_kind"]),
        name=row["chat_name"],
        description=row["chat_description"],
        owner=people.get(ProfileId(row["chat_owner_id"]), NOBODY),
        role=Role(row["role"]),
        member_count=row["member_count"],
        created_at=row["chat_created_at"],
        updated_at=row["chat_updated_at"],
        last_message=_message_view(row, people) if row["message_id"] else None,
        last_seq=Seq(row["last_seq"]),
        last_position=Position(row["last_position"]),
        read_up_to=Seq(row["mark"]),
        unread_count=_unread(row),
    )


def _update(chat_id: ChatId, row: RowMapping, people: Mapping[ProfileId, ProfileView]) -> ChatUpdate:
    position = Position(row["log_position"])
    if row["kind"] == MESSAGE_SENT:
        return NewMessage(chat_id=chat_id, position=position, view=_message_view(row, people))
    event = chat_event(row["kind"], row["payload"], chat_id=chat_id, position=position)
    if isinstance(event, ChatChanged):
        return event
    member_view = people.get(event.profile_id, NOBODY)
    return NewMember(chat_id=chat_id, position=position, member=member_view, by=event.by, at=event.at)

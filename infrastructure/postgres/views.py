"""
Reads on PostgreSQL. Each read sees one consistent snapshot and runs a constant number of statements, which search by the
keys of their tables.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NoReturn
from uuid import UUID

from attrs import Factory, evolve, field, frozen
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int8
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Label,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from application.errors import Unavailable
from application.paging import ChatPlace, MemberPlace, Page, Paging, ReaderPlace, page_of
from application.ports.updates import ChatUpdate, NewMember, NewMessage
from application.ports.views import (
    LogSpan,
    MessageNotFound,
    Newest,
    PageAsked,
    Start,
    Where,
    session_then_history,
    span,
)
from application.views import (
    NOBODY,
    ChatDetails,
    ChatView,
    Contact,
    HistoryPage,
    LiveSession,
    MemberView,
    MessageRow,
    MessageView,
    ProfileView,
    ReaderView,
    Snapshot,
    by_name,
)
from domain.chat import Kind
from domain.chat_errors import ChatNotFound, NotAMember
from domain.events import MemberAdded
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq, SessionId
from domain.reading import unread_count
from domain.role import Role
from domain.scope import Scope
from infrastructure.postgres.chat_rows import OWN_NONCE, message_from
from infrastructure.postgres.driver.arrays import Bigint, Bigints, Id, Texts, Uuids
from infrastructure.postgres.driver.errors import NO_PRIVILEGE, READ_ONLY, UNDEFINED_TABLE, complaints
from infrastructure.postgres.driver.reads import (
    Prepared,
    PreparedReads,
    ReadPool,
    ReadTransaction,
    Row,
    made,
    prepared,
)
from infrastructure.postgres.driver.together import Together
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.pages import (
    AT,
    CHAT,
    CHATS,
    CHATS_AFTER,
    CHATS_AND_HERE,
    ID,
    MEMBER,
    MEMBERS_AFTER,
    MOST,
    SKIP,
    bounds,
    place_of_chat,
    place_of_reader,
    reader_place,
)
from infrastructure.postgres.places import Place
from infrastructure.postgres.receipts import ANY, EARLY, covering
from infrastructure.postgres.replica import WRITTEN, Replica
from infrastructure.postgres.schema.account_tables import account, profile, session
from infrastructure.postgres.schema.base import metadata, with_all_tables
from infrastructure.postgres.schema.chat_tables import (
    chat,
    chat_head,
    chat_log,
    member,
    message,
    origin,
    reading,
    receipt,
)
from infrastructure.stored_events import MESSAGE_SENT, chat_event

READER, MESSAGE = bindparam("reader", type_=Uuid), bindparam("id", type_=Uuid)
IDS = bindparam("ids", type_=ARRAY(Uuid))
START, STOP = (bindparam(name, type_=BigInteger) for name in ("start", "stop"))
ANCHOR, BEYOND, SHIFT, MOST_MESSAGES = (
    bindparam(name, type_=BigInteger) for name in ("anchor", "beyond", "shift", "most")
)
KNOWN = bindparam("known", type_=ARRAY(Text))

EPOCH_NAMES: Final = ("generation", "base", "system_identifier", "timeline")


def epoch_columns() -> tuple[Any, ...]:
    """
    Returns the columns that name a line of history: the stored generation, the cluster and its timeline.

    The timeline is taken from the WAL position, because the control file lags behind after a promotion.
    """
    return (
        origin.c.generation,
        origin.c.base,
        literal_column("(SELECT system_identifier FROM pg_control_system())").label("system_identifier"),
        literal_column("left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)").label("timeline"),
    )


def epoch_from(row: Row) -> str:
    return _epoch(row["generation"], row["system_identifier"], row["timeline"])


@lru_cache(maxsize=16)
def _epoch(generation: UUID, system_identifier: int, timeline: str) -> str:
    return sha256(f"{generation}/{system_identifier}/{timeline}".encode()).hexdigest()[:16]


# For the last message of a chat only: no receipt ends after it, and the index orders the receipts that end there by time.
_first_read_of_last = (
    select(receipt.c.read_at)
    .where(
        receipt.c.chat_id == message.c.chat_id,
        EARLY,
        receipt.c.to_seq == message.c.seq,
        receipt.c.from_seq <= message.c.seq,
        receipt.c.profile_id != message.c.sender_id,
    )
    .order_by(receipt.c.read_at)
    .limit(1)
    .correlate(message)
    .scalar_subquery()
    .label("read_at")
)

_highest_mark_of_others = (
    select(reading.c.mark)
    .where(reading.c.chat_id == CHAT, reading.c.profile_id != READER)
    .order_by(reading.c.mark.desc())
    .limit(1)
    .scalar_subquery()
)
_others_mark = func.coalesce(_highest_mark_of_others, 0).label("others_mark")


def _membership(*more: Label[Any]) -> Any:
    """Selects the head of a chat, and the membership and read mark of a reader in it."""
    return (
        select(
            chat.c.deleted_at,
            chat.c.owner_id,
            chat_head.c.last_seq,
            chat_head.c.last_position,
            chat_head.c.member_count,
            member.c.left_at,
            member.c.profile_id.label("member_id"),
            reading.c.mark,
            reading.c.less,
            *more,
        )
        .select_from(
            chat.join(chat_head, chat_head.c.chat_id == chat.c.chat_id)
            .outerjoin(member, and_(member.c.chat_id == chat.c.chat_id, member.c.profile_id == READER))
            .outerjoin(reading, and_(reading.c.chat_id == chat.c.chat_id, reading.c.profile_id == READER))
        )
        .where(chat.c.chat_id == CHAT)
    )


MEMBERSHIP: Final = prepared(_membership())

MEMBERSHIP_AND_EPOCH: Final = prepared(
    _membership(
        _others_mark,
        *(
            select(column).where(origin.c.id == 1).scalar_subquery().label(name)
            for column, name in zip(epoch_columns(), EPOCH_NAMES, strict=True)
        ),
    )
)

STANDS: Final = Prepared(
    """
    WITH epoch AS MATERIALIZED (
        SELECT each.generation, each.base,
            (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
            left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline
        FROM origin AS each WHERE each.id = 1
    )
    SELECT wanted.number, chat.deleted_at, head.last_seq, head.last_position, head.member_count,
        member.left_at, member.profile_id AS member_id, reading.mark, reading.less,
        coalesce(others.mark, 0) AS others_mark,
        epoch.generation, epoch.base, epoch.system_identifier, epoch.timeline
    FROM unnest(%(chats)s::uuid[], %(readers)s::uuid[])
        WITH ORDINALITY AS wanted (chat_id, reader_id, number)
    CROSS JOIN LATERAL (
        SELECT each.deleted_at FROM chat AS each WHERE each.chat_id = wanted.chat_id LIMIT 1
    ) AS chat
    CROSS JOIN LATERAL (
        SELECT each.last_seq, each.last_position, each.member_count
        FROM chat_head AS each WHERE each.chat_id = wanted.chat_id LIMIT 1
    ) AS head
    LEFT JOIN LATERAL (
        SELECT each.left_at, each.profile_id
        FROM member AS each
        WHERE each.chat_id = wanted.chat_id AND each.profile_id = wanted.reader_id LIMIT 1
    ) AS member ON true
    LEFT JOIN LATERAL (
        SELECT each.mark, each.less
        FROM reading AS each
        WHERE each.chat_id = wanted.chat_id AND each.profile_id = wanted.reader_id LIMIT 1
    ) AS reading ON true
    LEFT JOIN LATERAL (
        SELECT each.mark
        FROM reading AS each WHERE each.chat_id = wanted.chat_id AND each.profile_id <> wanted.reader_id
        ORDER BY each.mark DESC LIMIT 1
    ) AS others ON true
    CROSS JOIN epoch
    """,
    {},
)
"""The columns of `MEMBERSHIP_AND_EPOCH` for several pairs of a chat and a reader."""

_wanted = func.unnest(IDS).table_valued("chat_id").render_derived()


def _one(table: Table, *conditions: ColumnElement[bool], of: FromClause) -> Any:
    """
    Joins the one matching row of a table to each row of another. LIMIT keeps this a lookup by the primary key: with
    misleading statistics, a plain join could start from all rows of the chat.
    """
    return select(table).where(*conditions).limit(1).correlate(of).lateral(f"one_{table.name}")


_chat = _one(chat, chat.c.chat_id == _wanted.c.chat_id, of=_wanted)
_head = _one(chat_head, chat_head.c.chat_id == _wanted.c.chat_id, of=_wanted)
_member = _one(member, member.c.chat_id == _wanted.c.chat_id, member.c.profile_id == READER, of=_wanted)
_reading = _one(reading, reading.c.chat_id == _wanted.c.chat_id, reading.c.profile_id == READER, of=_wanted)
_last = (
    select(message, _first_read_of_last)
    .where(message.c.chat_id == _wanted.c.chat_id, message.c.seq == _head.c.last_seq)
    .limit(1)
    .correlate(_wanted, _head)
    .lateral("one_message")
)

ENTRIES: Final = prepared(
    select(
        *(column.label(f"chat_{column.name}") for column in _chat.c),
        _head.c.last_seq,
        _head.c.last_position,
        _head.c.member_count,
        _member.c.role,
        _reading.c.mark,
        _reading.c.less,
        _last,
    )
    .select_from(
        _wanted.join(_chat, true())
        .join(_head, true())
        .join(_member, true())
        .join(_reading, true())
        .outerjoin(_last, true())
    )
    .where(_chat.c.deleted_at.is_(None), _member.c.left_at.is_(None))
)
"""The entries of a chat list for those of the given chats that the reader is a member of."""

OTHERS: Final = prepared(
    select(member.c.chat_id, member.c.profile_id).where(
        member.c.chat_id == any_(IDS), member.c.profile_id != READER
    )
)

EXISTS: Final = prepared(select(chat.c.chat_id).where(chat.c.chat_id == CHAT, chat.c.deleted_at.is_(None)))

PRESENT: Final = prepared(
    select(member.c.profile_id).where(member.c.chat_id == CHAT, member.c.left_at.is_(None))
)


NAMES: Final = ("first_name", "last_name", "middle_name", "username")

_person = (
    profile.c.profile_id.label("id"),
    *(profile.c[name] for name in NAMES),
)
"""The columns of `ProfileView`, named like its fields."""


def _digest(text: ColumnElement[str]) -> ColumnElement[str]:
    """Makes a digest in hexadecimal. It is not MD5, which PostgreSQL refuses where cryptography must follow FIPS 140."""
    return func.encode(func.sha256(func.convert_to(text, "UTF8")), "hex")


def _page() -> Select[Any]:
    """
    Selects a page of history in one statement: the place of the reader in the chat, which numbers the page has
    (`application.ports.views.Start`), its version, and unless the client knows that version, its messages with the time at
    which anyone but its author first read each. The authors are in the row of the first message, as an array in JSON.

    Of the receipts only the early ones are looked at (`infrastructure.postgres.receipts`). Those that cover the same part of the
    page are first reduced to the earliest of each author, whose own reading does not count for their messages, and the earliest
    of all others; then to the first two of these.

    What a page shows never changes but for receipts, which are only added, names, and the number of messages in the chat.
    Its version is made of these; the id of its last message distinguishes what was written after a restore.
    """
    first = func.least(ANCHOR, chat_head.c.last_seq + BEYOND) + SHIFT
    is_member = and_(
        chat.c.deleted_at.is_(None), member.c.profile_id.is_not(None), member.c.left_at.is_(None)
    )
    place = (
        select(
            chat.c.deleted_at,
            chat_head.c.last_seq,
            member.c.left_at,
            member.c.profile_id.label("member_id"),
            func.greatest(first, 1).label("start"),
            case(
                (is_member, func.greatest(func.least(first + MOST_MESSAGES, chat_head.c.last_seq + 1), 1)),
                else_=0,
            ).label("stop"),
        )
        .select_from(
            chat.join(chat_head, chat_head.c.chat_id == chat.c.chat_id).outerjoin(
                member, and_(member.c.chat_id == chat.c.chat_id, member.c.profile_id == READER)
            )
        )
        .where(chat.c.chat_id == CHAT)
        .cte("place")
    )
    start, stop = (select(place.c[name]).scalar_subquery() for name in ("start", "stop"))
    page = (
        select(message)
        .where(message.c.chat_id == CHAT, message.c.seq >= start, message.c.seq < stop)
        .cte("page")
    )
    senders = select(page.c.sender_id).distinct().subquery("senders")
    person = (
        select(*_person)
        .where(profile.c.profile_id == senders.c.sender_id)
        .limit(1)
        .correlate(senders)
        .lateral("one_profile")
    )
    one_author = func.json_build_array(*(person.c[name] for name in ("id", *NAMES)))
    authors = (
        select(func.json_agg(aggregate_order_by(one_author, person.c.id), type_=JSON).label("people"))
        .select_from(senders.join(person, true()))
        .cte("authors")
    )
    looked_at = covering(EARLY, start, stop, receipt.c.tx).cte("covering")
    version = select(
        _digest(
            func.concat_ws(
                " ",
                select(place.c.last_seq).scalar_subquery(),
                start,
                select(page.c.message_id).where(page.c.seq == stop - 1).scalar_subquery(),
                select(func.concat_ws(" ", func.count(), func.max(looked_at.c.tx))).scalar_subquery(),
                select(cast(authors.c.people, Text)).scalar_subquery(),
            )
        ).label("version")
    ).cte("present")
    is_known = select(version.c.version == any_(KNOWN)).scalar_subquery()

    began, ended = func.greatest(looked_at.c.from_seq, start), func.least(looked_at.c.to_seq, stop - 1)
    author = case((looked_at.c.profile_id.in_(select(page.c.sender_id)), looked_at.c.profile_id))
    of_author = (
        select(
            began.label("start"),
            ended.label("end"),
            author.label("author_id"),
            func.min(looked_at.c.read_at).label("read_at"),
        )
        .group_by("start", "end", "author_id")
        .subquery("of_author")
    )
    readers, moments = (
        func.array_agg(aggregate_order_by(each, of_author.c.read_at), type_=ARRAY(kind))
        for each, kind in ((of_author.c.author_id, Uuid), (of_author.c.read_at, DateTime(timezone=True)))
    )
    earliest = (
        select(
            of_author.c.start,
            of_author.c.end,
            readers[1].label("author_id"),
            moments[1].label("read_at"),
            moments[2].label("next_at"),
        )
        .group_by(of_author.c.start, of_author.c.end)
        .cte("earliest")
        .prefix_with("MATERIALIZED")  # otherwise it would be made anew for each message
    )
    read_at = (
        select(
            func.min(
                case((earliest.c.author_id == page.c.sender_id, earliest.c.next_at), else_=earliest.c.read_at)
            )
        )
        .where(earliest.c.start <= page.c.seq, earliest.c.end >= page.c.seq)
        .correlate(page)
        .scalar_subquery()
    )
    shown = (
        select(
            cast(page.c.message_id, Text).label("id"),
            page.c.seq,
            page.c.position,
            cast(page.c.sender_id, Text).label("sender_id"),
            page.c.body,
            case(
                (func.starts_with(page.c.nonce, OWN_NONCE), func.substr(page.c.nonce, len(OWN_NONCE) + 1))
            ).label("nonce"),
            func.timezone("UTC", page.c.sent_at).label("sent_at"),
            func.timezone("UTC", read_at).label("read_at"),
            case((page.c.seq == start, select(authors.c.people).scalar_subquery())).label("authors"),
        )
        .where(not_(is_known))
        .limit(
            MOST_MESSAGES
        )  # which keeps the planner from joining first and asking whether it is known last
        .subquery("shown")
    )
    return (
        select(
            place.c.deleted_at,
            place.c.left_at,
            place.c.member_id.is_not(None).label("is_member"),
            *(place.c[name] for name in ("last_seq", "start", "stop")),
            version.c.version,
            is_known.label("is_known"),
            shown,
        )
        .select_from(place.join(version, true()).outerjoin(shown, true()))
        .order_by(shown.c.seq)
    )


PAGE: Final = evolve(prepared(_page()), rows=tuple_row)

_of_entry = _one(
    message, message.c.chat_id == chat_log.c.chat_id, message.c.seq == chat_log.c.seq, of=chat_log
)

LOG: Final = prepared(
    select(chat_log.c.position.label("log_position"), chat_log.c.kind, chat_log.c.payload, _of_entry)
    .select_from(chat_log.outerjoin(_of_entry, true()))
    .where(
        chat_log.c.chat_id == CHAT, chat_log.c.position > bindparam("after", type_=chat_log.c.position.type)
    )
    .order_by(chat_log.c.position)
    .limit(bindparam("most"))
)

LOGS: Final = Prepared(
    """
    SELECT entry.position AS log_position, entry.kind, entry.payload, entry.chat_id AS log_chat_id, said.*
    FROM unnest(%(ids)s::uuid[], %(after)s::bigint[], %(last)s::bigint[])
        WITH ORDINALITY AS wanted (chat_id, after, last, number)
    CROSS JOIN LATERAL (
        SELECT each.* FROM chat_log AS each
        WHERE each.chat_id = wanted.chat_id AND each.position > wanted.after AND each.position <= wanted.last
        ORDER BY each.position
        LIMIT wanted.last - wanted.after
    ) AS entry
    LEFT JOIN LATERAL (
        SELECT message.chat_id, message.seq, message.message_id, message.position, message.sender_id,
            message.nonce, message.body, message.sent_at
        FROM message
        WHERE message.chat_id = wanted.chat_id AND message.seq = entry.seq LIMIT 1
    ) AS said ON true
    ORDER BY wanted.number, entry.position
    """,
    {},
)
"""Parts of the logs of several chats."""

OF_MESSAGE: Final = prepared(
    select(message.c.seq, message.c.sender_id).where(
        message.c.chat_id == CHAT, message.c.message_id == MESSAGE
    )
)

_readers = covering(ANY, START, STOP).subquery("covering")

_first_read = func.min(_readers.c.read_at)

READERS: Final = prepared(
    select(_readers.c.profile_id, _first_read.label("read_at"))
    .where(_readers.c.profile_id != bindparam("author", type_=Uuid))
    .group_by(_readers.c.profile_id)
    .having(tuple_(_first_read, _readers.c.profile_id) > tuple_(AT, ID))
    .order_by("read_at", _readers.c.profile_id)
    .limit(MOST)
    .offset(SKIP)
)
"""The readers of message number START after a place in the list. STOP is START + 1."""

_live_session_columns = (
    *_person,
    session.c.access_id,
    session.c.refresh_expires_at,
    session.c.created_at,
    session.c.last_used_at,
    session.c.scopes,
    account.c.email,
)

LIVE_SESSION_COLUMNS: Final = tuple(each.name for each in _live_session_columns)

LIVE_SESSION: Final = prepared(
    select(*_live_session_columns)
    .join(account, account.c.account_id == session.c.account_id)
    .join(profile, profile.c.profile_id == session.c.profile_id)
    .where(
        session.c.account_id == bindparam("account", type_=Uuid),
        session.c.session_id == bindparam("session", type_=Uuid),
        session.c.ended_at.is_(None),
    )
)

LIVE_SESSIONS: Final = Prepared(
    """
    SELECT wanted.number, person.profile_id AS id, person.first_name, person.last_name, person.middle_name,
        person.username, live.access_id, live.refresh_expires_at, live.created_at, live.last_used_at, live.scopes,
        owner.email
    FROM unnest(%(accounts)s::uuid[], %(sessions)s::uuid[])
        WITH ORDINALITY AS wanted (account_id, session_id, number)
    CROSS JOIN LATERAL (
        SELECT each.profile_id, each.access_id, each.refresh_expires_at, each.created_at, each.last_used_at,
            each.scopes
        FROM session AS each
        WHERE each.account_id = wanted.account_id AND each.session_id = wanted.session_id
            AND each.ended_at IS NULL
        LIMIT 1
    ) AS live
    CROSS JOIN LATERAL (
        SELECT each.email FROM account AS each WHERE each.account_id = wanted.account_id LIMIT 1
    ) AS owner
    CROSS JOIN LATERAL (
        SELECT each.profile_id, each.first_name, each.last_name, each.middle_name, each.username
        FROM profile AS each WHERE each.profile_id = live.profile_id LIMIT 1
    ) AS person
    ORDER BY wanted.number
    """,
    {},
)
"""The same for several sessions."""

PEOPLE: Final = prepared(select(*_person).where(profile.c.profile_id == any_(IDS)))

CONTACTS: Final = Prepared(
    """
    SELECT wanted.profile_id, (
        SELECT max(each.last_used_at) FROM session AS each WHERE each.account_id = person.account_id
    ) AS last_used_at
    FROM unnest(%(wanted)s::uuid[]) AS wanted (profile_id)
    CROSS JOIN LATERAL (
        SELECT each.account_id FROM profile AS each WHERE each.profile_id = wanted.profile_id LIMIT 1
    ) AS person
    WHERE EXISTS (
        SELECT FROM profile_chat AS theirs
        CROSS JOIN LATERAL (
            SELECT each.left_at FROM profile_chat AS each
            WHERE each.profile_id = %(reader)s AND each.chat_id = theirs.chat_id LIMIT 1
        ) AS own
        CROSS JOIN LATERAL (
            SELECT chat.deleted_at FROM chat WHERE chat.chat_id = theirs.chat_id LIMIT 1
        ) AS chat
        WHERE theirs.profile_id = wanted.profile_id AND theirs.left_at IS NULL
            AND own.left_at IS NULL AND chat.deleted_at IS NULL
    )
    ORDER BY wanted.profile_id
    """,
    {},
)
"""The people among ``wanted`` who share a chat with the reader."""

PROBE: Final = Prepared(
    """
    SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS is_read_only,
        coalesce(array_agg(name ORDER BY name) FILTER (WHERE found IS NULL), '{}') AS missing,
        coalesce(array_agg(name ORDER BY name) FILTER (WHERE NOT (
            has_table_privilege(found, 'SELECT') AND has_table_privilege(found, 'INSERT')
            AND has_table_privilege(found, 'UPDATE') AND has_table_privilege(found, 'DELETE')
        )), '{}') AS forbidden
    FROM unnest(%(names)s::text[]) AS name, LATERAL (SELECT to_regclass(name) AS found) AS looked_up
    """,
    {"names": sorted(with_all_tables(metadata).tables)},
)
"""Whether the server accepts writes, and which of the tables are missing or may not be written."""


SESSIONS: Final = "shared reads of sessions"
"""The owner of shared reads of sessions at the connections. It is another one than `SHARED`, whose reads take longer."""

SESSIONS_ALONE: Final = 2
"""
While fewer connections are in use, a session is read alone, which costs PostgreSQL a quarter less than a shared read of one (some
57 instead of 75 us). Otherwise those that are asked for at the same moment share a read.
"""


@frozen
class PostgresViews:
    pool: ReadPool
    trouble: WriteTrouble = Factory(WriteTrouble)
    replica: Replica | None = None
    """Pages of history are read from it when it has what the reader must see."""
    _stands: Together[tuple[ProfileId, ChatId], Row] = field(init=False)
    _sessions: Together[tuple[AccountId, SessionId], LiveSession] = field(init=False)

    @_sessions.default
    def _sessions_together(self) -> Together[tuple[AccountId, SessionId], LiveSession]:
        return Together(self._read_sessions)

    @_stands.default
    def _together(self) -> Together[tuple[ProfileId, ChatId], Row]:
        return Together(self._read_stands)

    async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
        if self.pool.in_use < SESSIONS_ALONE:
            row = await self.pool.row(LIVE_SESSION, account=account_id, session=session_id)
            return None if row is None else _live_session(row)
        return await self._sessions.ask((account_id, session_id), owner=account_id)

    async def _read_sessions(
        self, _: Hashable, wanted: Sequence[tuple[AccountId, SessionId]]
    ) -> Mapping[tuple[AccountId, SessionId], LiveSession]:
        rows = await self.pool.shared_rows(
            LIVE_SESSIONS,
            SESSIONS,
            accounts=Uuids.of([account_id for account_id, _ in wanted]),
            sessions=Uuids.of([session_id for _, session_id in wanted]),
        )
        return {wanted[row["number"] - 1]: _live_session(row) for row in rows}

    async def list_chats(self, reader: ProfileId) -> Sequence[ChatView]:
        return (await self.page_of_chats(reader, Paging())).items

    async def page_of_chats(self, reader: ProfileId, paging: Paging[ChatPlace]) -> Page[ChatView, ChatPlace]:
        async with self.pool.open(reader) as reads:
            page = await _own_chats(reads, reader, paging)
            ids = [ChatId(row["chat_id"]) for row in page.items]
            views = {view.id: view for view in await _entries(reads, reader, ids)}
        return Page([views[id] for id in ids if id in views], page.next)

    async def some_chats(self, reader: ProfileId, chat_ids: Sequence[ChatId]) -> Sequence[ChatView]:
        if not chat_ids:
            return []
        async with self.pool.open(reader) as reads:
            return await _entries(reads, reader, chat_ids)

    async def get_chat(self, reader: ProfileId, chat_id: ChatId) -> ChatDetails:
        async with self.pool.open(reader) as reads:
            found = await reads.rows(ENTRIES, ids=Uuids.of([chat_id]), reader=reader)
            if not found:
                raise NotAMember if await reads.row(EXISTS, chat=chat_id) else ChatNotFound
            present = [ProfileId(row["profile_id"]) for row in await reads.rows(PRESENT, chat=chat_id)]
            others = await _others(reads, reader, found)
            people = await _people(reads, {*_people_of(found), *present, *others.values()})
        owner_id = ProfileId(found[0]["chat_owner_id"])
        ordered = sorted(present, key=lambda id: by_name(owner_id, id, people.get(id, NOBODY)))
        return ChatDetails(
            chat=_chat_view(found[0], people, others), members=[people.get(id, NOBODY) for id in ordered]
        )

    async def history(self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int) -> HistoryPage:
        return await self.history_unless_known(reader, chat_id, where, limit, ())

    async def history_unless_known(
        self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int, known: Collection[str]
    ) -> HistoryPage:
        replica = self.replica
        if replica is not None and not replica.is_resting:
            written = await self.pool.row(WRITTEN, reader=reader)
            assert written is not None
            found = await replica.read(
                written, lambda reads: _history(reads, reader, chat_id, where, limit, known)
            )
            if found is not None:
                return found
        page = await _history(self.pool, reader, chat_id, where, limit, known)
        if replica is not None:
            replica.passed_by += 1
        return page

    async def session_and_history(
        self, account_id: AccountId, session_id: SessionId, reader: ProfileId, asked: PageAsked
    ) -> tuple[LiveSession | None, HistoryPage | None]:
        if self.replica is not None:  # which has to be asked for the page
            return await session_then_history(self, account_id, session_id, reader, asked)
        begin = Start.of(asked.where, asked.limit)
        sessions, page_rows = await self.pool.exchange(
            LIVE_SESSION.asked(account=Id.of(account_id), session=Id.of(session_id)),
            PAGE.asked(
                reader=Id.of(reader),
                chat=Id.of(asked.chat_id),
                anchor=Bigint.of(begin.anchor),
                beyond=Bigint.of(begin.beyond),
                shift=Bigint.of(begin.shift),
                most=Bigint.of(asked.limit),
                known=Texts.of(list(asked.known)),
            ),
            whose=reader,
            in_one_snapshot=False,  # each statement has one, and nothing compares the two
        )
        live = [_live_session(dict(zip(LIVE_SESSION_COLUMNS, row, strict=True))) for row in sessions.rows()]
        session = live[0] if live else None
        try:
            return session, _page_from(asked.chat_id, page_rows.rows())
        except (ChatNotFound, NotAMember):
            return session, None

    async def snapshot(self, reader: ProfileId, chat_id: ChatId, limit: int) -> Snapshot:
        if not limit:
            stand = _member_only(await self._stands.ask((reader, chat_id), owner=reader))
            last_seq = Seq(stand["last_seq"])
            return _snapshot(stand, HistoryPage.of(chat_id, span(Newest(), 0, last_seq), last_seq))
        async with self.pool.open(reader) as reads:
            stand = await _require_member(reads, MEMBERSHIP_AND_EPOCH, reader, chat_id)
            return _snapshot(stand, await _history(reads, reader, chat_id, Newest(), limit))

    async def _read_stands(
        self, _: Hashable, wanted: Sequence[tuple[ProfileId, ChatId]]
    ) -> Mapping[tuple[ProfileId, ChatId], Row]:
        rows = await self.pool.shared_rows(
            STANDS,
            chats=Uuids.of([chat_id for _, chat_id in wanted]),
            readers=Uuids.of([reader for reader, _ in wanted]),
        )
        return {wanted[row["number"] - 1]: row for row in rows}

    async def members(self, reader: ProfileId, chat_id: ChatId) -> Sequence[MemberView]:
        return (await self.page_of_members(reader, chat_id, Paging())).items

    async def page_of_members(
        self, reader: ProfileId, chat_id: ChatId, paging: Paging[MemberPlace]
    ) -> Page[MemberView, MemberPlace]:
        async with self.pool.open(reader) as reads:
            membership = await _require_member(reads, MEMBERSHIP, reader, chat_id)
            page = await _members(reads, chat_id, ProfileId(membership["owner_id"]), paging)
            people = await _people(reads, {ProfileId(row["profile_id"]) for row in page.items})

        def member(row: Row) -> MemberView:
            return MemberView(
                profile=people.get(ProfileId(row["profile_id"]), NOBODY),
                role=Role(row["role"]),
                joined_at=row["joined_at"],
                read_up_to=Seq(row["mark"]),
            )

        return Page(await made(member, page.items), page.next)

    async def readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId
    ) -> Sequence[ReaderView]:
        return (await self.page_of_readers(reader, chat_id, message_id, Paging())).items

    async def page_of_readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId, paging: Paging[ReaderPlace]
    ) -> Page[ReaderView, ReaderPlace]:
        async with self.pool.open(reader) as reads:
            await _require_member(reads, MEMBERSHIP, reader, chat_id)
            there = await reads.row(OF_MESSAGE, chat=chat_id, id=message_id)
            if there is None:
                raise MessageNotFound
            seq = there["seq"]
            found = await reads.rows(
                READERS,
                chat=chat_id,
                start=seq,
                stop=seq + 1,
                author=there["sender_id"],
                **place_of_reader(paging.after),
                **bounds(paging),
            )
            page = page_of(found, paging.limit, reader_place)
            people = await _people(reads, {ProfileId(row["profile_id"]) for row in page.items})
        readers = [
            ReaderView(profile=people.get(ProfileId(row["profile_id"]), NOBODY), read_at=row["read_at"])
            for row in page.items
        ]
        return Page(readers, page.next)

    async def check_member(self, reader: ProfileId, chat_id: ChatId) -> None:
        await _require_member(self.pool, MEMBERSHIP, reader, chat_id)

    async def contacts(self, reader: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
        found = await self.pool.rows(CONTACTS, reader=reader, wanted=Uuids.of(wanted))
        return [
            Contact(profile_id=ProfileId(row["profile_id"]), last_used_at=row["last_used_at"])
            for row in found
        ]

    async def unread_count(self, reader: ProfileId, chat_id: ChatId) -> int:
        return _unread(await _require_member(self.pool, MEMBERSHIP, reader, chat_id))

    async def log(self, chat_id: ChatId, after: Position, limit: int) -> Sequence[ChatUpdate]:
        # log entries never change, but people are shown with their current names
        entries = await self.pool.rows(LOG, chat=chat_id, after=after, most=limit)
        people = await _people(self.pool, _people_in(entries))
        return [_update(chat_id, row, people) for row in entries]

    async def logs(self, spans: Sequence[LogSpan]) -> Sequence[ChatUpdate]:
        entries = await self.pool.rows(
            LOGS,
            ids=Uuids.of([span.chat_id for span in spans]),
            after=Bigints.of(span.after for span in spans),
            last=Bigints.of(span.last for span in spans),
        )
        people = await _people(self.pool, _people_in(entries))
        return [_update(ChatId(row["log_chat_id"]), row, people) for row in entries]

    async def probe(self) -> None:
        found = await self._probed()
        # A connection learns when it is made whether writing is forbidden. An old one may be out of date: ask on a new one.
        if found["is_read_only"] and (found := await self._probed(anew=True))["is_read_only"]:
            _cannot_write("the database accepts no writes", READ_ONLY)
        if found["missing"]:
            _cannot_write(f"tables are missing: {', '.join(found['missing'])}", UNDEFINED_TABLE)
        if found["forbidden"]:
            _cannot_write(f"tables may not be written: {', '.join(found['forbidden'])}", NO_PRIVILEGE)
        self.trouble.check()

    async def _probed(self, *, anew: bool = False) -> Row:
        """``anew`` asks on a new connection."""
        if anew:
            await self.pool.renew()
        found: Row = (await self.pool.rows(PROBE))[0]
        return found


def _cannot_write(cause: str, sqlstate: str) -> NoReturn:
    complaints.tell(Unavailable.code, cause, sqlstate)
    raise Unavailable(f"storage accepts no writes ({sqlstate})")


async def _require_member(
    reads: PreparedReads, statement: Prepared, reader: ProfileId, chat_id: ChatId
) -> Row:
    return _member_only(await reads.row(statement, reader=reader, chat=chat_id))


def _member_only(membership: Row | None) -> Row:
    """
    Raises:
        ChatNotFound, NotAMember: What was found is not the membership of somebody who is in the chat.
    """
    if membership is None:
        raise ChatNotFound
    is_member = membership["member_id"] is not None
    _check_member(membership["deleted_at"], membership["left_at"], is_member=is_member)
    return membership


def _check_member(deleted_at: datetime | None, left_at: datetime | None, *, is_member: bool) -> None:
    """``is_member`` tells whether there is a membership, which may have ended."""
    if deleted_at is not None:
        raise ChatNotFound
    if not is_member or left_at is not None:
        raise NotAMember


def _snapshot(membership: Row, history: HistoryPage) -> Snapshot:
    return Snapshot(
        epoch=epoch_from(membership),
        seq=Seq(membership["last_seq"]),
        position=Position(membership["last_position"]),
        unread_count=_unread(membership),
        read_up_to=Seq(membership["mark"]),
        others_read_up_to=Seq(membership["others_mark"]),
        member_count=membership["member_count"],
        history=history,
    )


async def _entries(reads: PreparedReads, reader: ProfileId, chat_ids: Sequence[ChatId]) -> Sequence[ChatView]:
    found = await reads.rows(ENTRIES, ids=Uuids.of(chat_ids), reader=reader)
    others = await _others(reads, reader, found)
    people = await _people(reads, {*_people_of(found), *others.values()})
    return await made(lambda row: _chat_view(row, people, others), found)


async def _history(
    reads: PreparedReads,
    reader: ProfileId,
    chat_id: ChatId,
    where: Where,
    limit: int,
    known: Collection[str] = (),
) -> HistoryPage:
    begin = Start.of(where, limit)
    found = await reads.rows(
        PAGE,
        reader=reader,
        chat=chat_id,
        # of one type whatever their size, because statements are prepared for each combination of types
        anchor=Int8(begin.anchor),
        beyond=Int8(begin.beyond),
        shift=Int8(begin.shift),
        most=Int8(limit),
        known=list(known),
    )
    return _page_from(chat_id, found)


def _page_from(chat_id: ChatId, found: Sequence[Sequence[Any]]) -> HistoryPage:
    """
    Makes a page of the rows of `PAGE`.

    Raises:
        ChatNotFound, NotAMember: The reader may not see it.
    """
    if not found:
        raise ChatNotFound
    deleted_at, left_at, is_member, last_seq, start, stop, version, is_known, *_ = found[0]
    _check_member(deleted_at, left_at, is_member=is_member)
    # Without messages there is one row, about the chat.
    rows = [MessageRow._make(row[8:16]) for row in found if row[8] is not None]
    people = {person[0]: _person_of(person) for person in found[0][16] or ()}
    return HistoryPage(
        chat_id=chat_id,
        numbers=range(start, stop),
        total_count=last_seq,
        rows=rows,
        senders={id: people.get(id, NOBODY) for id in {row.sender_id for row in rows}},
        version=version,
        is_known=is_known,
    )


def _person_of(values: Sequence[str]) -> ProfileView:
    id, *names = values
    return ProfileView(id=ProfileId(UUID(id)), **dict(zip(NAMES, names, strict=True)))


async def _own_chats(
    reads: ReadTransaction, reader: ProfileId, paging: Paging[ChatPlace]
) -> Page[Row, ChatPlace]:
    if after := paging.after:
        began = after.began
        found = await reads.rows(CHATS_AFTER, reader=reader, **place_of_chat(after), **bounds(paging))
    else:
        statement = CHATS if paging.limit is None else CHATS_AND_HERE
        found = await reads.rows(statement, reader=reader, **bounds(paging))
        began = Place.of(found[0]).written() if found and paging.limit is not None else ""
    return page_of(
        found,
        paging.limit,
        lambda row: ChatPlace(began=began, activity=row["activity"], id=ChatId(row["chat_id"])),
    )


async def _members(
    reads: ReadTransaction, chat_id: ChatId, owner_id: ProfileId, paging: Paging[MemberPlace]
) -> Page[Row, MemberPlace]:
    after, skip = paging.after, paging.skip
    found: list[Row] = []
    if after is None:
        after = MemberPlace.behind(owner_id)
        found += await reads.rows(MEMBER, chat=chat_id, id=owner_id)
        if found and skip:
            found, skip = [], skip - 1
    found += await reads.rows(
        MEMBERS_AFTER,
        chat=chat_id,
        first=after.first,
        at=after.joined_at,
        id=after.id,
        most=paging.most,
        skip=skip,
    )
    return page_of(found, paging.limit, lambda row: after.then(row["profile_id"], row["joined_at"]))


async def _others(
    reads: PreparedReads, reader: ProfileId, entries: Sequence[Row]
) -> Mapping[ChatId, ProfileId]:
    """The other person of each direct chat among the entries."""
    direct = [row["chat_chat_id"] for row in entries if row["chat_kind"] == Kind.DIRECT]
    if not direct:
        return {}
    found = await reads.rows(OTHERS, ids=Uuids.of(direct), reader=reader)
    return {ChatId(row["chat_id"]): ProfileId(row["profile_id"]) for row in found}


async def _people(reads: PreparedReads, ids: Iterable[ProfileId]) -> Mapping[ProfileId, ProfileView]:
    wanted = sorted(set(ids), key=lambda id: id.int)  # comparing ids takes ten times as long
    if not wanted:
        return {}
    found = await reads.rows(PEOPLE, ids=Uuids.of(wanted))
    return {view.id: view for view in await made(lambda row: ProfileView(**row), found)}


def _live_session(row: Row) -> LiveSession:
    scopes = row["scopes"]
    return LiveSession(
        profile=ProfileView(
            id=ProfileId(row["id"]),
            first_name=row["first_name"],
            last_name=row["last_name"],
            middle_name=row["middle_name"],
            username=row["username"],
        ),
        email=row["email"],
        access_id=row["access_id"],
        expires_at=row["refresh_expires_at"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        scopes=None if scopes is None else frozenset(map(Scope, scopes)),
    )


def _unread(row: Row) -> int:
    return unread_count(last_seq=row["last_seq"], mark=row["mark"], excluded=row["less"])


def _people_of(entries: Sequence[Row]) -> set[ProfileId]:
    owners = {ProfileId(row["chat_owner_id"]) for row in entries}
    return owners | {ProfileId(row["sender_id"]) for row in entries if row["sender_id"]}


def _people_in(entries: Sequence[Row]) -> set[ProfileId]:
    senders = {ProfileId(row["sender_id"]) for row in entries if row["sender_id"]}
    payloads = [row["payload"] for row in entries if row["payload"]]
    return senders | {
        ProfileId(UUID(payload["profile_id"])) for payload in payloads if "profile_id" in payload
    }


def _message_view(row: Row, people: Mapping[ProfileId, ProfileView]) -> MessageView:
    event = message_from(row)
    return MessageView(
        message=event.message,
        position=event.position,
        sender=people.get(event.message.author_id, NOBODY),
        read_at=row.get("read_at"),
    )


def _chat_view(
    row: Row, people: Mapping[ProfileId, ProfileView], others: Mapping[ChatId, ProfileId]
) -> ChatView:
    chat_id, kind = ChatId(row["chat_chat_id"]), Kind(row["chat_kind"])
    other = people.get(others[chat_id], NOBODY) if kind is Kind.DIRECT and chat_id in others else None
    return ChatView(
        id=chat_id,
        kind=kind,
        name=(other or NOBODY).shown_name if kind is Kind.DIRECT else row["chat_name"],
        description=row["chat_description"],
        owner=people.get(ProfileId(row["chat_owner_id"]), NOBODY),
        other=other,
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


def _update(chat_id: ChatId, row: Row, people: Mapping[ProfileId, ProfileView]) -> ChatUpdate:
    position = Position(row["log_position"])
    if row["kind"] == MESSAGE_SENT:
        return NewMessage(chat_id=chat_id, position=position, view=_message_view(row, people))
    event = chat_event(row["kind"], row["payload"], chat_id=chat_id, position=position)
    if not isinstance(event, MemberAdded):
        return event
    member_view = people.get(event.profile_id, NOBODY)
    return NewMember(chat_id=chat_id, position=position, member=member_view, by=event.by, at=event.at)

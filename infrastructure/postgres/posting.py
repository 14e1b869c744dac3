"""
The write path: one transaction with three statements between BEGIN and COMMIT stores any number of messages. It takes two
exchanges with the server, or three after a pause. Where nobody else posts to the chats, one statement and one exchange do
(`KEEP_REMEMBERED`).

The statements run on a dedicated driver connection: a checkout from the pool and SQLAlchemy's compilation would cost a
batch more than its statements do. docs/storage.md, "The write path", explains each statement.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, LiteralString, NamedTuple

from attrs import Factory, define, field

from application.ports.posting import Conversations, Draft, Outdated, Slots
from application.ports.updates import Moved, Update, about_event
from application.views import ProfileView
from domain.chat import Chat, Kind
from domain.events import MessageSent
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.member import Member
from domain.message import Body, Message, Nonce
from domain.role import Role
from infrastructure.postgres.chat_rows import derived_key, nonce_key, stored_about
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.batches import Batch, BatchConnection
from infrastructure.postgres.driver.pipeline import Rows, Statement
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.remembered import Author, Memory, Remembered
from infrastructure.stored_events import MESSAGE_SENT

LOCK: Final = """
SELECT chat_id, last_seq, last_position, last_at, member_count, tx FROM chat_head
WHERE chat_id = ANY(%s) ORDER BY chat_id FOR NO KEY UPDATE
"""
"""Reads only heads: any other table in the statement would be seen as it was before the wait for the lock."""

LOCK_WHAT_IS_FREE: Final = LOCK.rstrip() + " SKIP LOCKED"

READ: Final = """
SELECT c.kind, c.name, c.description, c.owner_id, c.created_at, c.updated_at, c.deleted_at,
       m.role, m.joined_at, m.left_at, p.profile_id, p.first_name, p.last_name, p.middle_name, p.username, p.xmin,
       s.message_id, s.seq, s.position, s.body, s.sent_at, s.nonce
FROM unnest(%s, %s, %s, %s) WITH ORDINALITY AS d(chat_id, author_id, nonce, earlier, n)
LEFT JOIN chat c ON c.chat_id = d.chat_id
LEFT JOIN member m ON m.chat_id = d.chat_id AND m.profile_id = d.author_id
LEFT JOIN profile p ON p.profile_id = d.author_id
LEFT JOIN LATERAL (
    (
        SELECT message_id, seq, position, body, sent_at, nonce FROM message
        WHERE chat_id = d.chat_id AND sender_id = d.author_id AND nonce >= d.nonce AND nonce <= d.nonce
        ORDER BY nonce LIMIT 1
    )
    UNION ALL
    (
        SELECT message_id, seq, position, body, sent_at, nonce FROM message
        WHERE chat_id = d.chat_id AND sender_id = d.author_id AND nonce >= d.earlier AND nonce <= d.earlier
          AND d.earlier <> d.nonce
        ORDER BY nonce LIMIT 1
    )
    ORDER BY seq DESC LIMIT 1
) s ON true
ORDER BY d.n
"""
"""
Reads chats, memberships and authors, and finds repeats by the key of each draft and by the key that the same text would
have had one slot earlier.

Each is one lookup in the unique index of the nonces. Their order is requested because no other index has it, and the
connection plans without sorting. Where statistics say that a chat has one message, all indexes that begin with the chat
look equally good: with ``nonce = d.nonce`` or ``nonce IN (d.nonce, d.earlier)`` the planner could read all messages of the
chat instead.
"""


class HeadRow(NamedTuple):
    """A row of `LOCK`."""

    chat_id: ChatId
    last_seq: Seq
    last_position: Position
    last_at: datetime | None
    member_count: int
    tx: int


class DraftRow(NamedTuple):
    """A row of `READ`. All fields of a group are None if the chat, member, profile or earlier message does not exist."""

    kind: str | None
    name: str
    description: str | None
    owner_id: ProfileId
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None

    role: str | None
    joined_at: datetime
    left_at: datetime | None

    author_id: ProfileId | None
    first_name: str | None
    last_name: str | None
    middle_name: str | None
    username: str | None
    version: bytes | None

    message_id: MessageId | None
    seq: Seq
    position: Position
    body: str
    sent_at: datetime
    key: str


KEEP: Final = """
WITH stamp AS MATERIALIZED (
    SELECT base + pg_current_xact_id()::text::bigint AS tx FROM origin WHERE id = 1
), posted AS (
    INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
    SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s)
    RETURNING chat_id, position, seq
), logged AS (
    INSERT INTO chat_log (chat_id, position, kind, seq, tx)
    SELECT chat_id, position, %s, seq, (SELECT tx FROM stamp) FROM posted
), headed AS (
    UPDATE chat_head h
    SET last_seq = u.last_seq, last_position = u.last_position, last_at = u.last_at, tx = (SELECT tx FROM stamp)
    FROM unnest(%s, %s, %s, %s) AS u(chat_id, last_seq, last_position, last_at)
    WHERE h.chat_id = u.chat_id
)
UPDATE reading r SET less = r.less + u.sent, tx = (SELECT tx FROM stamp)
FROM unnest(%s, %s, %s) AS u(chat_id, profile_id, sent)
WHERE r.chat_id = u.chat_id AND r.profile_id = u.profile_id
RETURNING r.tx
"""
"""
Stores messages, log rows and heads. An author's own messages are not unread, so ``less`` grows by their number.

The last three arrays must have one element for each sender and chat: of two elements with the same key, UPDATE would
silently apply only one.
"""

KEEP_REMEMBERED: Final = """
WITH said AS MATERIALIZED (
    SELECT d.chat_id, d.seq, d.message_id, d.position, d.sender_id, d.nonce, d.body, d.sent_at, d.version
    FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s)
        AS d(chat_id, seq, message_id, position, sender_id, nonce, body, sent_at, version)
), heads AS MATERIALIZED (
    SELECT d.chat_id, d.tx, d.last_seq, d.last_position, d.last_at
    FROM unnest(%s, %s, %s, %s, %s) AS d(chat_id, tx, last_seq, last_position, last_at)
), held AS MATERIALIZED (
    SELECT h.chat_id FROM heads d JOIN chat_head h ON h.chat_id = d.chat_id AND h.tx = d.tx
    FOR NO KEY UPDATE OF h SKIP LOCKED
), stamp AS MATERIALIZED (
    SELECT base + pg_current_xact_id()::text::bigint AS tx FROM origin
    WHERE id = 1 AND (SELECT count(*) FROM held) = (SELECT count(*) FROM heads) AND NOT EXISTS (
        SELECT FROM said d
        LEFT JOIN member m ON m.chat_id = d.chat_id AND m.profile_id = d.sender_id
        LEFT JOIN profile p ON p.profile_id = d.sender_id
        WHERE m.profile_id IS NULL OR m.left_at IS NOT NULL OR p.xmin IS DISTINCT FROM d.version OR EXISTS (
            SELECT FROM message s WHERE s.chat_id = d.chat_id AND s.sender_id = d.sender_id
                AND s.nonce >= d.nonce AND s.nonce <= d.nonce
        )
    )
), posted AS (
    INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
    SELECT d.chat_id, d.seq, d.message_id, d.position, d.sender_id, d.nonce, d.body, d.sent_at FROM said d, stamp
), logged AS (
    INSERT INTO chat_log (chat_id, position, kind, seq, tx)
    SELECT d.chat_id, d.position, %s, d.seq, stamp.tx FROM said d, stamp
), headed AS (
    UPDATE chat_head h
    SET last_seq = d.last_seq, last_position = d.last_position, last_at = d.last_at, tx = stamp.tx
    FROM stamp, heads d
    WHERE h.chat_id = d.chat_id
), counted AS (
    UPDATE reading r SET less = r.less + d.sent, tx = stamp.tx
    FROM stamp, unnest(%s, %s, %s) AS d(chat_id, profile_id, sent)
    WHERE r.chat_id = d.chat_id AND r.profile_id = d.profile_id
)
SELECT tx FROM stamp
"""
"""
Stores messages of chats that the process remembers, and returns the ``tx`` of the transaction. If anything has changed since, the
statement stores nothing and returns no row.

The statement locks the heads and compares their ``tx`` with the remembered one. Every transaction that changes a chat or its
members writes the head with a ``tx`` of its own, so an unchanged ``tx`` proves that the chat and its members are unchanged, even if
the lock was granted after the statement took its snapshot. The statement also checks that the authors are members, that the rows
of their profiles are the same, and that the nonces are new, with the same index lookups as `READ`. A head that another
transaction has locked counts as changed.
"""


@define(eq=False)
class PostgresPostings:
    """Begins units of posting on a dedicated connection."""

    _connection: BatchConnection
    _trouble: WriteTrouble = Factory(WriteTrouble)
    _memory: Memory = Factory(Memory)
    _remembers_over: object = field(init=False, default=None)
    """The driver connection that filled the memory. Another connection may reach a database that was restored from a backup."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["PostgresPosting"]:
        with self._trouble.noted():
            async with self._connection.begin() as batch:
                lock = LOCK if self._connection.patient else LOCK_WHAT_IS_FREE
                unit = self._unit(batch, lock)
                yield unit
            unit.settle()

    def _unit(self, batch: Batch, lock: LiteralString) -> "PostgresPosting":
        return PostgresPosting(batch, lock, self._memory_on(batch))

    def _memory_on(self, batch: Batch) -> Memory | None:
        """
        Returns the memory if this connection may use it. Connections that wait for locks have none, and neither have those behind
        a pooler, where each transaction must first set its parameters.
        """
        if self._connection.patient or batch.connection.is_pooled:
            return None
        if self._remembers_over is not batch.connection:
            self._remembers_over = batch.connection
            self._memory.forget()
        return self._memory


@define(eq=False)
class PostgresPosting:
    _batch: Batch
    _lock: LiteralString
    _memory: Memory | None = None
    pending_updates: list[Update] = field(init=False, factory=list)
    _keys: dict[MessageId, str] = field(init=False, factory=dict)
    _authors: dict[ProfileId, ProfileView] = field(init=False, factory=dict)
    """Authors with their current names. The names that an open socket remembers may be days old."""
    _known: dict[ChatId, Remembered] = field(init=False, factory=dict)
    """The chats that this unit posts to, which the memory gets when the unit is committed."""
    _is_by_memory: bool = field(init=False, default=False)
    """True if the conversations came from the memory. The last statement then checks that they are still current."""
    _kept_in: list[ChatId] = field(init=False, factory=list)

    async def open(self, drafts: Sequence[Draft], slots: Slots | None) -> Conversations:
        keys = [keys_of(draft, slots) for draft in drafts]
        self._keys = {draft.id: key for draft, (key, _) in zip(drafts, keys, strict=True)}
        if remembered := self._recall(drafts, slots):
            return remembered
        heads, rows = await self._read(drafts, keys)
        held = {head.chat_id: head for head in map(HeadRow._make, heads)}
        chats: dict[ChatId, Chat] = {}
        busy: set[ChatId] = set()
        authors: dict[tuple[ChatId, ProfileId], Member] = {}
        said: dict[tuple[ChatId, ProfileId, Nonce], MessageSent] = {}
        just_said: dict[tuple[ChatId, ProfileId, Body], datetime] = {}
        for draft, row in zip(drafts, map(DraftRow._make, rows), strict=True):
            chat_id, author_id = draft.chat_id, draft.author_id
            if row.kind is not None and chat_id not in chats:
                if head := held.get(chat_id):
                    chats[chat_id] = chat = _chat(head, row)
                    self._learn(chat, head.tx)
                else:
                    busy.add(chat_id)
            if row.role is not None and (chat_id, author_id) not in authors:
                authors[chat_id, author_id] = Member(
                    chat_id=chat_id,
                    profile_id=author_id,
                    role=Role(row.role),
                    joined_at=row.joined_at,
                    left_at=row.left_at,
                )
            if row.author_id is not None and author_id not in self._authors:
                self._authors[author_id] = ProfileView(
                    id=author_id,
                    first_name=row.first_name,
                    last_name=row.last_name,
                    middle_name=row.middle_name,
                    username=row.username,
                )
            if chat_id in self._known:
                self._learn_author(authors.get((chat_id, author_id)), row.version)
            if row.message_id is None:
                continue
            if draft.nonce is not None:
                said[chat_id, author_id, draft.nonce] = _said(draft, row)
            elif slots:
                # the domain refuses a repeat in the same slot, so there is never a second row under one key
                slot = slots.of(draft.at) - (row.key != self._keys[draft.id])
                just_said[chat_id, author_id, draft.body] = slots.said_at(slot, row.sent_at)
        return Conversations(chats, frozenset(busy), authors, said, just_said)

    def _recall(self, drafts: Sequence[Draft], slots: Slots | None) -> Conversations | None:
        """
        Returns the conversations from the memory, or None if they must be read. Repeats of a text without a nonce are looked for
        under two keys, and `KEEP_REMEMBERED` checks only one.
        """
        if self._memory is None or (slots and any(draft.nonce is None for draft in drafts)):
            return None
        known = self._memory.take(drafts)
        if not known:
            return None
        self._known, self._is_by_memory = known, True
        authors: dict[tuple[ChatId, ProfileId], Member] = {}
        for draft in drafts:
            author = known[draft.chat_id].authors[draft.author_id]
            authors[draft.chat_id, draft.author_id] = author.member
            if author.profile is not None:
                self._authors[draft.author_id] = author.profile
        return Conversations(
            {chat_id: each.chat for chat_id, each in known.items()}, frozenset(), authors, {}, {}
        )

    def _learn(self, chat: Chat, tx: int) -> None:
        if self._memory is None or chat.deleted_at is not None:
            return
        known = self._memory.pop(chat.id)
        if known is not None and known.tx == tx:
            known.chat = chat
            known.proofs += 1
        else:
            known = Remembered(chat, tx)
        self._known[chat.id] = known

    def _learn_author(self, member: Member | None, version: bytes | None) -> None:
        if member is not None and member.left_at is None:
            author = Author(member, self._authors.get(member.profile_id), version)
            self._known[member.chat_id].authors[member.profile_id] = author

    def settle(self) -> None:
        """
        Remembers the stored state. The unit has been committed.

        Raises:
            Outdated: The memory was out of date, and nothing is stored.
        """
        if self._memory is None:
            return
        if self._kept_in and self._batch.told:
            tx = self._batch.told[0][0]
            for chat_id in self._kept_in:
                if known := self._known.get(chat_id):
                    known.tx = tx
                    self._memory.put(known)
        elif self._is_by_memory:
            raise Outdated("the memory of a chat was out of date")

    async def _read(self, drafts: Sequence[Draft], keys: Sequence[tuple[str, str]]) -> Sequence[Rows]:
        """Locks the chats, and returns the rows of `LOCK` and those of `READ`."""
        ids = list(dict.fromkeys(draft.chat_id for draft in drafts))
        return await self._batch.ask(
            Statement(self._lock, (arrays.Uuids.of(ids),)), Statement(READ, sought(drafts, keys))
        )

    async def keep(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        self._kept_in = [chat.id for chat in chats]
        if self._is_by_memory:
            if len(chats) < len(self._known):  # a refusal would rest on the memory alone
                raise Outdated("a refusal would rest on the memory alone")
            self._batch.finish(Statement(KEEP_REMEMBERED, self._kept_by_memory(chats, posted)))
        else:
            await self._store(chats, posted)
        self.pending_updates += [about_event(event, self._authors) for event in posted]

    async def _store(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        self._batch.finish(Statement(KEEP, self._kept(chats, posted)))

    def _kept(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> Sequence[arrays.Packed]:
        """Returns the parameters of `KEEP`."""
        heads = sorted(chats, key=_by_id)
        return (
            *self._messages(posted),
            arrays.Bigint.of(MESSAGE_SENT),
            arrays.Uuids.of([chat.id for chat in heads]),
            *_numbers(heads),
            *_senders(posted),
        )

    def _kept_by_memory(
        self, chats: Sequence[Chat], posted: Sequence[MessageSent]
    ) -> Sequence[arrays.Packed]:
        """Returns the parameters of `KEEP_REMEMBERED`."""
        heads, known = sorted(chats, key=_by_id), self._known
        messages = [event.message for event in posted]
        return (
            *self._messages(posted),
            arrays.Xids.of([known[each.chat_id].authors[each.author_id].version for each in messages]),
            arrays.Uuids.of([chat.id for chat in heads]),
            arrays.Bigints.of(known[chat.id].tx for chat in heads),
            *_numbers(heads),
            arrays.Bigint.of(MESSAGE_SENT),
            *_senders(posted),
        )

    def _messages(self, posted: Sequence[MessageSent]) -> Sequence[arrays.Packed]:
        messages = [event.message for event in posted]
        return (
            arrays.Uuids.of([message.chat_id for message in messages]),
            arrays.Bigints.of(message.seq for message in messages),
            arrays.Uuids.of([message.id for message in messages]),
            arrays.Bigints.of(event.position for event in posted),
            arrays.Uuids.of([message.author_id for message in messages]),
            arrays.Texts.of([self._keys[message.id] for message in messages]),
            arrays.Texts.of([message.body.text for message in messages]),
            arrays.Moments.of(message.sent_at for message in messages),
        )

    def remind(self, repeated: Sequence[MessageSent]) -> None:
        self.pending_updates += [Moved(chat_id=event.chat_id, position=event.position) for event in repeated]


def _numbers(heads: Sequence[Chat]) -> Sequence[arrays.Packed]:
    return (
        arrays.Bigints.of(chat.last_seq for chat in heads),
        arrays.Bigints.of(chat.last_position for chat in heads),
        arrays.Moments.of(chat.last_at for chat in heads if chat.last_at is not None),
    )


def _senders(posted: Sequence[MessageSent]) -> Sequence[arrays.Packed]:
    """Returns who has sent how many messages to which chat."""
    sent = Counter((event.message.chat_id, event.message.author_id) for event in posted)
    senders = sorted(sent.items(), key=_in_lock_order)
    return (
        arrays.Uuids.of([chat_id for (chat_id, _), _ in senders]),
        arrays.Uuids.of([profile_id for (_, profile_id), _ in senders]),
        arrays.Bigints.of(count for _, count in senders),
    )


def _by_id(chat: Chat) -> int:
    return chat.id.int


def _in_lock_order(sent: tuple[tuple[ChatId, ProfileId], int]) -> tuple[int, int]:
    """The order in which every transaction locks readings. PostgreSQL and integers order ids alike."""
    (chat_id, profile_id), _ = sent
    return chat_id.int, profile_id.int


def sought(drafts: Sequence[Draft], keys: Sequence[tuple[str, str]]) -> Sequence[arrays.Packed]:
    """Returns the parameters of `READ`."""
    return (
        arrays.Uuids.of([draft.chat_id for draft in drafts]),
        arrays.Uuids.of([draft.author_id for draft in drafts]),
        arrays.Texts.of([key for key, _ in keys]),
        arrays.Texts.of([earlier for _, earlier in keys]),
    )


def keys_of(draft: Draft, slots: Slots | None) -> tuple[str, str]:
    """Returns the key that a draft is stored under, and the key that the same text would have had one slot earlier."""
    if draft.nonce is None and slots:
        slot = slots.of(draft.at)
        return derived_key(slot, draft.body), derived_key(slot - 1, draft.body)
    key = nonce_key(draft.nonce, draft.id)
    return key, key


def _chat(head: HeadRow, row: DraftRow) -> Chat:
    assert row.kind is not None
    return Chat(
        id=head.chat_id,
        kind=Kind(row.kind),
        about=stored_about(row.name, row.description),
        owner_id=row.owner_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        last_seq=head.last_seq,
        last_position=head.last_position,
        last_at=head.last_at,
        member_count=head.member_count,
    )


def _said(draft: Draft, row: DraftRow) -> MessageSent:
    assert row.message_id is not None
    message = Message(
        id=row.message_id,
        chat_id=draft.chat_id,
        seq=row.seq,
        author_id=draft.author_id,
        body=Body.unjudged(row.body),
        nonce=draft.nonce,
        sent_at=row.sent_at,
    )
    return MessageSent(chat_id=draft.chat_id, position=row.position, message=message)

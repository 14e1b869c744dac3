"""Chats, messages and read marks, in memory."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from attrs import define, field, fields, frozen

from application.ports.changes import ReadRange
from application.ports.marking import MarkRequest, OpenedReadings
from application.ports.posting import Conversations, Draft, Slots
from application.ports.updates import Moved, Update, about_decision, about_event
from application.views import ProfileView
from domain.chat import Chat, Kind
from domain.chat_errors import ChatNotFound
from domain.decision import Decision
from domain.events import ChatEvent, MessageSent, MessagesRead, PersonalEvent
from domain.group_rules import ANSWERED_WITHIN
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.member import Member, by_seniority
from domain.message import Body, Nonce
from domain.reading import NewlyRead, Reading
from infrastructure.memory.table import Table

TOLD_IDS: Final = 1000
"""How many ids of newly read messages an event lists at most."""


@define
class ChatState:
    """The committed state."""

    chats: dict[ChatId, Chat] = field(factory=dict)
    members: dict[tuple[ChatId, ProfileId], Member] = field(factory=dict)
    members_of: dict[ChatId, tuple[ProfileId, ...]] = field(factory=dict)
    """Present and former members, in the order of joining."""
    chats_of: dict[ProfileId, tuple[ChatId, ...]] = field(factory=dict)
    log: dict[tuple[ChatId, Position], ChatEvent] = field(factory=dict)
    messages: dict[tuple[ChatId, Seq], MessageSent] = field(factory=dict)
    seq_of: dict[tuple[ChatId, MessageId], Seq] = field(factory=dict)
    said: dict[tuple[ChatId, ProfileId, Nonce], Seq] = field(factory=dict)
    just_said: dict[tuple[ChatId, ProfileId, Body, int], Seq] = field(factory=dict)
    """Messages without a nonce, by the slot of the time at which their command arrived."""
    directs: dict[tuple[ProfileId, ProfileId], ChatId] = field(factory=dict)
    readings: dict[tuple[ChatId, ProfileId], Reading] = field(factory=dict)
    receipts: dict[ChatId, tuple[ReadRange, ...]] = field(factory=dict)
    personal: dict[tuple[ProfileId, int], PersonalEvent] = field(factory=dict)
    personal_heads: dict[ProfileId, int] = field(factory=dict)


class ChatTables:
    """The tables as one unit of work sees them."""

    def __init__(self, state: ChatState) -> None:
        self.chats = Table(state.chats)
        self.members = Table(state.members)
        self.members_of = Table(state.members_of)
        self.chats_of = Table(state.chats_of)
        self.log = Table(state.log)
        self.messages = Table(state.messages)
        self.seq_of = Table(state.seq_of)
        self.said = Table(state.said)
        self.just_said = Table(state.just_said)
        self.directs = Table(state.directs)
        self.readings = Table(state.readings)
        self.receipts = Table(state.receipts)
        self.personal = Table(state.personal)
        self.personal_heads = Table(state.personal_heads)

    def apply(self) -> None:
        for each in fields(ChatState):
            table: Table[Any, Any] = getattr(self, each.name)
            table.apply()


class Work(Protocol):
    """The part of a unit of work that these adapters use."""

    news: list[Any]
    pending_updates: list[Update]

    @property
    def chats_state(self) -> ChatTables: ...

    async def hold(self, key: Hashable) -> None: ...

    def is_busy(self, key: Hashable) -> bool: ...

    def people(self, profile_ids: Iterable[ProfileId]) -> Mapping[ProfileId, ProfileView]:
        """The profiles of these people as others see them; those that do not exist are left out."""
        ...


@define
class MemoryChats:
    work: Work

    async def add(self, chat: Chat, opened: Decision) -> bool:
        await self.work.hold(("chat", chat.id))
        if self.work.chats_state.chats.get(chat.id) is not None:
            return False
        await self.keep(chat, opened)
        return True

    async def keep(self, chat: Chat, decision: Decision) -> None:
        tables = self.work.chats_state
        tables.chats[chat.id] = chat
        for event in decision.events:
            tables.log[chat.id, event.position] = event
            self.work.news.append((chat.id, event.position))
        await self._join(decision.joined)
        for member in decision.changed:
            tables.members[member.chat_id, member.profile_id] = member
        if decision.ends_chat:
            self._release_direct(chat.id)
        await keep_personal(self.work, decision.personal)
        people = self.work.people(member.profile_id for member in decision.joined)
        self.work.pending_updates += about_decision(decision, people)

    async def lock(self, chat_id: ChatId) -> Chat:
        await self.work.hold(("chat", chat_id))
        chat = self.work.chats_state.chats.get(chat_id)
        if chat is None:
            raise ChatNotFound
        return chat

    async def find_member(self, chat_id: ChatId, profile_id: ProfileId) -> Member | None:
        return self.work.chats_state.members.get((chat_id, profile_id))

    async def members(self, chat_id: ChatId) -> Sequence[Member]:
        tables = self.work.chats_state
        found = [tables.members.get((chat_id, id)) for id in tables.members_of.get(chat_id) or ()]
        return by_seniority(member for member in found if member and member.left_at is None)

    async def of(self, profile_id: ProfileId) -> Sequence[ChatId]:
        tables = self.work.chats_state
        found = [tables.members.get((id, profile_id)) for id in tables.chats_of.get(profile_id) or ()]
        return sorted(member.chat_id for member in found if member and member.left_at is None)

    async def those_in(self, profile_ids: Sequence[ProfileId], count: int) -> Collection[ProfileId]:
        return {profile_id for profile_id in profile_ids if len(await self.of(profile_id)) >= count}

    async def acquainted(self, profile_id: ProfileId, others: Sequence[ProfileId]) -> Collection[ProfileId]:
        known: set[ProfileId] = set()
        for chat_id in await self.of(profile_id):
            chat = self.work.chats_state.chats.get(chat_id)
            assert chat is not None, "a member's chat is there"
            there = {member.profile_id for member in await self.members(chat_id)}
            known |= {other for other in others if other in there and self._is_known_from(chat, other)}
        return known - {profile_id}

    def _is_known_from(self, chat: Chat, other: ProfileId) -> bool:
        if chat.kind is Kind.GROUP or chat.owner_id == other:
            return True
        first = max(chat.last_seq - ANSWERED_WITHIN, 0) + 1
        recent = (
            self.work.chats_state.messages.get((chat.id, Seq(seq))) for seq in range(first, chat.last_seq + 1)
        )
        return any(event and event.message.author_id == other for event in recent)

    async def _join(self, members: Sequence[Member]) -> None:
        tables = self.work.chats_state
        # Two units that add a person to two chats write the same entry. Locking in one order avoids a deadlock.
        for profile_id in sorted(member.profile_id for member in members):
            await self.work.hold(("chats_of", profile_id))
        for member in members:
            key = member.chat_id, member.profile_id
            if key not in tables.members:
                tables.members_of[member.chat_id] = (
                    *(tables.members_of.get(member.chat_id) or ()),
                    member.profile_id,
                )
                tables.chats_of[member.profile_id] = (
                    *(tables.chats_of.get(member.profile_id) or ()),
                    member.chat_id,
                )
            if key not in tables.readings:
                tables.readings[key] = Reading(chat_id=member.chat_id, profile_id=member.profile_id)
            tables.members[key] = member

    async def claim_direct(self, one: ProfileId, other: ProfileId, chat_id: ChatId) -> ChatId:
        pair = min(one, other), max(one, other)
        await self.work.hold(("direct", pair))
        directs = self.work.chats_state.directs
        if (claimed := directs.get(pair)) is None:
            directs[pair] = claimed = chat_id
        return claimed

    def _release_direct(self, chat_id: ChatId) -> None:
        directs = self.work.chats_state.directs
        for pair, claimed in directs.items():
            if claimed == chat_id:
                del directs[pair]


@define
class MemoryReadings:
    work: Work

    async def lock(self, chat_id: ChatId, profile_id: ProfileId) -> Reading | None:
        await self.work.hold(("reading", chat_id, profile_id))
        member = self.work.chats_state.members.get((chat_id, profile_id))
        if member is None or member.left_at is not None:
            return None
        return self.work.chats_state.readings.get((chat_id, profile_id))

    async def find_message(self, chat_id: ChatId, message_id: MessageId) -> tuple[Seq, ProfileId] | None:
        seq = self.work.chats_state.seq_of.get((chat_id, message_id))
        event = None if seq is None else self.work.chats_state.messages.get((chat_id, seq))
        return (event.message.seq, event.message.author_id) if event else None

    async def is_covered(self, reading: Reading, seq: Seq) -> bool:
        return any(
            read.reader_id == reading.profile_id and read.from_seq <= seq <= read.to_seq
            for read in self.work.chats_state.receipts.get(reading.chat_id) or ()
        )

    async def save(self, reading: Reading, read: MessagesRead | None) -> None:
        await keep_reading(self.work, reading, read)


@frozen
class MarkMoved:
    """A read mark moved in a chat, past nothing that was unread: only those who come back are told."""

    chat_id: ChatId


async def keep_reading(work: Work, reading: Reading, read: MessagesRead | None) -> None:
    tables = work.chats_state
    tables.readings[reading.chat_id, reading.profile_id] = reading
    if read:
        kept = ReadRange(
            chat_id=read.chat_id,
            reader_id=read.reader_id,
            from_seq=read.from_seq,
            to_seq=read.to_seq,
            at=read.at,
        )
        await work.hold(("receipts", read.chat_id))
        tables.receipts[read.chat_id] = (*(tables.receipts.get(read.chat_id) or ()), kept)
        work.news.append(kept)
        work.pending_updates.append(read)
    else:
        work.news.append(MarkMoved(reading.chat_id))


@define
class MemoryMarking:
    work: Work

    @property
    def pending_updates(self) -> Sequence[Update]:
        return self.work.pending_updates

    async def open(self, requests: Sequence[MarkRequest]) -> OpenedReadings:
        tables = self.work.chats_state
        readings: dict[tuple[ChatId, ProfileId], Reading] = {}
        for key in sorted({(request.chat_id, request.reader_id) for request in requests}):
            await self.work.hold(("reading", *key))
            member, reading = tables.members.get(key), tables.readings.get(key)
            if member and reading and member.left_at is None:
                readings[key] = reading
        return OpenedReadings(readings, [self._target(request) for request in requests])

    def _target(self, request: MarkRequest) -> Seq | None:
        tables = self.work.chats_state
        if isinstance(request.up_to, UUID):
            return tables.seq_of.get((request.chat_id, request.up_to))
        chat = tables.chats.get(request.chat_id)
        return min(request.up_to, chat.last_seq if chat else Seq(0))

    async def newly_read(self, moves: Sequence[tuple[Reading, Seq]]) -> Sequence[NewlyRead]:
        return [self._newly_read(reading, to) for reading, to in moves]

    def _newly_read(self, reading: Reading, to: Seq) -> NewlyRead:
        tables = self.work.chats_state
        ranges = [
            read
            for read in tables.receipts.get(reading.chat_id) or ()
            if read.reader_id == reading.profile_id and read.to_seq > reading.mark
        ]
        unread = []
        for number in range(reading.mark + 1, to + 1):
            event = tables.messages.get((reading.chat_id, Seq(number)))
            assert event is not None, "numbers have no holes"
            covered = any(read.from_seq <= number <= read.to_seq for read in ranges)
            if event.message.author_id != reading.profile_id and not covered:
                unread.append(event.message)
        return NewlyRead(
            message_ids=tuple(message.id for message in unread[-TOLD_IDS:]),
            by_author=dict(Counter(message.author_id for message in unread)),
        )

    async def keep(self, moved: Sequence[tuple[Reading, MessagesRead | None]]) -> None:
        for reading, read in moved:
            await keep_reading(self.work, reading, read)


@define
class MemoryPersonalLog:
    work: Work

    async def add(self, events: Sequence[PersonalEvent]) -> None:
        await keep_personal(self.work, events)
        self.work.pending_updates += events


async def keep_personal(work: Work, events: Sequence[PersonalEvent]) -> None:
    tables = work.chats_state
    for profile_id in sorted({event.profile_id for event in events}):
        await work.hold(("personal", profile_id))
    for event in events:
        position = (tables.personal_heads.get(event.profile_id) or 0) + 1
        tables.personal_heads[event.profile_id] = position
        tables.personal[event.profile_id, position] = event
        work.news.append(event)


@define
class MemoryPosting:
    work: Work
    patient: bool
    _slots: Slots | None = field(init=False, default=None)
    _slot_of: dict[MessageId, int] = field(init=False, factory=dict)

    @property
    def pending_updates(self) -> Sequence[Update]:
        return self.work.pending_updates

    def remind(self, repeated: Sequence[MessageSent]) -> None:
        self.work.pending_updates += [
            Moved(chat_id=event.chat_id, position=event.position) for event in repeated
        ]

    async def open(self, drafts: Sequence[Draft], slots: Slots | None) -> Conversations:
        tables = self.work.chats_state
        self._slots = slots
        chats: dict[ChatId, Chat] = {}
        busy = set()
        for chat_id in sorted({draft.chat_id for draft in drafts}):
            if not self.patient and self.work.is_busy(("chat", chat_id)):
                busy.add(chat_id)
                continue
            await self.work.hold(("chat", chat_id))
            if chat := tables.chats.get(chat_id):
                chats[chat_id] = chat
        authors: dict[tuple[ChatId, ProfileId], Member] = {}
        said: dict[tuple[ChatId, ProfileId, Nonce], MessageSent] = {}
        just_said: dict[tuple[ChatId, ProfileId, Body], datetime] = {}
        for draft in drafts:
            if member := tables.members.get((draft.chat_id, draft.author_id)):
                authors[draft.chat_id, draft.author_id] = member
            if draft.nonce and (seq := tables.said.get((draft.chat_id, draft.author_id, draft.nonce))):
                first = tables.messages.get((draft.chat_id, seq))
                assert first is not None
                said[draft.chat_id, draft.author_id, draft.nonce] = first
            if draft.nonce is None and slots:
                self._slot_of[draft.id] = slots.of(draft.at)
                if at := self._said_at(draft, slots):
                    just_said[draft.chat_id, draft.author_id, draft.body] = at
        return Conversations(chats, frozenset(busy), authors, said, just_said)

    def _said_at(self, draft: Draft, slots: Slots) -> datetime | None:
        tables, present = self.work.chats_state, slots.of(draft.at)
        found = [
            (seq, slot)
            for slot in (present, present - 1)
            if (seq := tables.just_said.get((draft.chat_id, draft.author_id, draft.body, slot)))
        ]
        if not found:
            return None
        seq, slot = max(found)
        event = tables.messages.get((draft.chat_id, seq))
        assert event is not None
        return slots.said_at(slot, event.message.sent_at)

    async def keep(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        tables = self.work.chats_state
        sent = Counter((event.chat_id, event.message.author_id) for event in posted)
        for key in sorted(sent):
            await self.work.hold(("reading", *key))
            reading = tables.readings.get(key)
            if reading:  # an imported message may be by an author who has no reading
                reading.count_own(sent[key])
                tables.readings[key] = reading
        for chat in chats:
            tables.chats[chat.id] = chat
        for event in posted:
            message = event.message
            tables.messages[event.chat_id, message.seq] = event
            tables.seq_of[event.chat_id, message.id] = message.seq
            tables.log[event.chat_id, event.position] = event
            if message.nonce:
                tables.said[event.chat_id, message.author_id, message.nonce] = message.seq
            elif message.id in self._slot_of:
                place = event.chat_id, message.author_id, message.body, self._slot_of[message.id]
                tables.just_said[place] = message.seq
            self.work.news.append((event.chat_id, event.position))
        people = self.work.people(event.message.author_id for event in posted)
        self.work.pending_updates += [about_event(event, people) for event in posted]


def first_read(receipts: Sequence[ReadRange], event: MessageSent) -> datetime | None:
    """When anyone but its author first read a message."""
    seq, author_id = event.message.seq, event.message.author_id
    times = [r.at for r in receipts if r.from_seq <= seq <= r.to_seq and r.reader_id != author_id]
    return min(times, default=None)

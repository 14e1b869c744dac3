"""Reads in memory. They await nothing, so each one sees a consistent snapshot of the data."""

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256

from attrs import evolve, frozen

from application.paging import (
    BadPlace,
    ChatPlace,
    MemberPlace,
    Page,
    Paging,
    ReaderPlace,
    page_of,
)
from application.ports.changes import Cursor, News, ReadRange
from application.ports.own_changes import Lost, Missed, Standing
from application.ports.updates import ChatUpdate, NewMember, NewMessage
from application.ports.views import (
    LogSpan,
    MessageNotFound,
    Newest,
    PageAsked,
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
    MessageView,
    ProfileView,
    ReaderView,
    Snapshot,
    by_name,
)
from domain.chat import Chat, Kind
from domain.chat_errors import ChatNotFound, NotAMember
from domain.events import ChatAdded, ChatRemoved, MemberAdded, MessageSent, MessagesRead, SessionEnded
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq, SessionId
from domain.member import Member
from infrastructure.memory.chats import TOLD_IDS, MarkMoved, first_read
from infrastructure.memory.storage import MemoryStorage


@frozen
class MemoryViews:
    storage: MemoryStorage

    async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
        tables = self.storage.accounts
        session = tables.sessions.get((account_id, session_id))
        account = tables.accounts.get(account_id)
        if session is None or account is None or session.ended_at is not None:
            return None
        profile = tables.profiles.get(session.profile_id)
        if profile is None:
            return None
        return LiveSession(
            profile=ProfileView.of(profile),
            email=account.email.text,
            access_id=session.pair.access_id,
            expires_at=session.pair.refresh_expires_at,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            scopes=session.grant.scopes if session.grant else None,
        )

    async def list_chats(self, reader: ProfileId) -> Sequence[ChatView]:
        return (await self.page_of_chats(reader, Paging())).items

    async def page_of_chats(self, reader: ProfileId, paging: Paging[ChatPlace]) -> Page[ChatView, ChatPlace]:
        after = paging.after
        began = after.began if after else str(len(self.storage.journal))
        moved = self._moved_since(began)
        state = self.storage.chats
        found = [place for id in state.chats_of.get(reader, ()) if (place := self._find(reader, id))]
        keyed = sorted(
            ((self._activity(chat, moved.get(chat.id)), chat.id, member) for chat, member in found),
            key=lambda each: each[:2],
            reverse=True,
        )
        if after:
            keyed = [each for each in keyed if each[:2] < (after.activity, after.id)]
        page = page_of(
            paging.part_of(keyed),
            paging.limit,
            lambda each: ChatPlace(began=began, activity=each[0], id=each[1]),
        )
        return Page([self._view(state.chats[id], member) for _, id, member in page.items], page.next)

    async def some_chats(self, reader: ProfileId, chat_ids: Sequence[ChatId]) -> Sequence[ChatView]:
        return [self._view(*place) for id in chat_ids if (place := self._find(reader, id))]

    async def get_chat(self, reader: ProfileId, chat_id: ChatId) -> ChatDetails:
        chat, member = self._place(reader, chat_id)
        state = self.storage.chats
        present = [id for id in state.members_of[chat_id] if state.members[chat_id, id].left_at is None]
        people = {id: self._person(id) for id in present}
        ordered = sorted(present, key=lambda id: by_name(chat.owner_id, id, people[id]))
        return ChatDetails(chat=self._view(chat, member), members=[people[id] for id in ordered])

    async def history(self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int) -> HistoryPage:
        return await self.history_unless_known(reader, chat_id, where, limit, ())

    async def history_unless_known(
        self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int, known: Collection[str]
    ) -> HistoryPage:
        chat, _ = self._place(reader, chat_id)
        page = self._page(chat, where, limit)
        return evolve(page, rows=(), senders={}, is_known=True) if page.version in known else page

    async def session_and_history(
        self, account_id: AccountId, session_id: SessionId, reader: ProfileId, asked: PageAsked
    ) -> tuple[LiveSession | None, HistoryPage | None]:
        return await session_then_history(self, account_id, session_id, reader, asked)

    async def snapshot(self, reader: ProfileId, chat_id: ChatId, limit: int) -> Snapshot:
        chat, _ = self._place(reader, chat_id)
        return Snapshot(
            epoch=self.storage.epoch,
            seq=chat.last_seq,
            position=chat.last_position,
            unread_count=self.storage.chats.readings[chat_id, reader].unread(chat.last_seq),
            read_up_to=self.storage.chats.readings[chat_id, reader].mark,
            others_read_up_to=max(
                (
                    reading.mark
                    for (of, profile_id), reading in self.storage.chats.readings.items()
                    if of == chat_id and profile_id != reader
                ),
                default=Seq(0),
            ),
            member_count=chat.member_count,
            history=self._page(chat, Newest(), limit),
        )

    async def members(self, reader: ProfileId, chat_id: ChatId) -> Sequence[MemberView]:
        return (await self.page_of_members(reader, chat_id, Paging())).items

    async def page_of_members(
        self, reader: ProfileId, chat_id: ChatId, paging: Paging[MemberPlace]
    ) -> Page[MemberView, MemberPlace]:
        chat, _ = self._place(reader, chat_id)
        state = self.storage.chats
        there = [state.members[chat_id, id] for id in state.members_of[chat_id]]
        present = sorted(
            (member for member in there if member.left_at is None), key=lambda m: (m.joined_at, m.profile_id)
        )
        after = paging.after or MemberPlace.behind(chat.owner_id)
        found = [
            member
            for member in present
            if member.profile_id != after.first
            and (member.joined_at, member.profile_id) > (after.joined_at, after.id)
        ]
        if paging.after is None:
            found = [member for member in present if member.profile_id == chat.owner_id] + found
        page = page_of(
            paging.part_of(found),
            paging.limit,
            lambda member: after.then(member.profile_id, member.joined_at),
        )
        return Page([self._member(member) for member in page.items], page.next)

    async def readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId
    ) -> Sequence[ReaderView]:
        return (await self.page_of_readers(reader, chat_id, message_id, Paging())).items

    async def page_of_readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId, paging: Paging[ReaderPlace]
    ) -> Page[ReaderView, ReaderPlace]:
        self._place(reader, chat_id)
        state = self.storage.chats
        if (seq := state.seq_of.get((chat_id, message_id))) is None:
            raise MessageNotFound
        author_id = state.messages[chat_id, seq].message.author_id
        first: dict[ProfileId, datetime] = {}
        for read in state.receipts.get(chat_id, ()):
            if read.from_seq <= seq <= read.to_seq and read.reader_id != author_id:
                first[read.reader_id] = min(read.at, first.get(read.reader_id, read.at))
        found = sorted((at, profile_id) for profile_id, at in first.items())
        if after := paging.after:
            found = [each for each in found if each > (after.read_at, after.id)]
        page = page_of(
            paging.part_of(found), paging.limit, lambda each: ReaderPlace(read_at=each[0], id=each[1])
        )
        return Page([ReaderView(profile=self._person(id), read_at=at) for at, id in page.items], page.next)

    async def check_member(self, reader: ProfileId, chat_id: ChatId) -> None:
        self._place(reader, chat_id)

    async def contacts(self, reader: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
        profiles, sessions = self.storage.accounts.profiles, self.storage.accounts.sessions.values()
        own = self._chats_of(reader)
        return [
            Contact(
                profile_id=profile_id,
                last_used_at=max(
                    (each.last_used_at for each in sessions if each.profile_id == profile_id), default=None
                ),
            )
            for profile_id in wanted
            if profile_id in profiles and not own.isdisjoint(self._chats_of(profile_id))
        ]

    def _chats_of(self, reader: ProfileId) -> set[ChatId]:
        return {id for id in self.storage.chats.chats_of.get(reader, ()) if self._find(reader, id)}

    async def unread_count(self, reader: ProfileId, chat_id: ChatId) -> int:
        chat, _ = self._place(reader, chat_id)
        return self.storage.chats.readings[chat_id, reader].unread(chat.last_seq)

    async def log(self, chat_id: ChatId, after: Position, limit: int) -> Sequence[ChatUpdate]:
        chat = self.storage.chats.chats.get(chat_id)
        last = chat.last_position if chat else 0
        positions = range(after + 1, min(last, after + limit) + 1)
        log = self.storage.chats.log  # the log of a purged chat is empty
        return [self._update(chat_id, Position(n)) for n in positions if (chat_id, n) in log]

    async def logs(self, spans: Sequence[LogSpan]) -> Sequence[ChatUpdate]:
        return [
            update
            for span in spans
            for update in await self.log(span.chat_id, span.after, span.last - span.after)
        ]

    async def probe(self) -> None:
        return None

    def _find(self, reader: ProfileId, chat_id: ChatId) -> tuple[Chat, Member] | None:
        try:
            return self._place(reader, chat_id)
        except (ChatNotFound, NotAMember):
            return None

    def _place(self, reader: ProfileId, chat_id: ChatId) -> tuple[Chat, Member]:
        chat = self.storage.chats.chats.get(chat_id)
        if chat is None or chat.deleted_at is not None:
            raise ChatNotFound
        member = self.storage.chats.members.get((chat_id, reader))
        if member is None or member.left_at is not None:
            raise NotAMember
        return chat, member

    def _moved_since(self, began: str) -> dict[ChatId, Position]:
        """The first new position of each chat whose log has grown since ``began``."""
        if not began.isdecimal():
            raise BadPlace
        moved: dict[ChatId, Position] = {}
        for entry in self.storage.journal[int(began) :]:
            if isinstance(entry, tuple):
                chat_id, position = entry
                moved.setdefault(chat_id, position)
        return moved

    def _activity(self, chat: Chat, moved: Position | None) -> datetime:
        """The time of the last message in a chat, before the position ``moved`` if that is given."""
        messages = self.storage.chats.messages
        for seq in range(chat.last_seq, 0, -1):
            event = messages[chat.id, Seq(seq)]
            if moved is None or event.position < moved:
                return event.message.sent_at
        return chat.created_at

    def _member(self, member: Member) -> MemberView:
        return MemberView(
            profile=self._person(member.profile_id),
            role=member.role,
            joined_at=member.joined_at,
            read_up_to=self.storage.chats.readings[member.chat_id, member.profile_id].mark,
        )

    def _view(self, chat: Chat, member: Member) -> ChatView:
        state = self.storage.chats
        reading = state.readings[chat.id, member.profile_id]
        last = state.messages.get((chat.id, chat.last_seq))
        other = self._other(chat, member.profile_id)
        return ChatView(
            id=chat.id,
            kind=chat.kind,
            name=other.shown_name if other else chat.about.name,
            description=chat.about.description,
            owner=self._person(chat.owner_id),
            other=other,
            role=member.role,
            member_count=chat.member_count,
            created_at=chat.created_at,
            updated_at=chat.updated_at,
            last_message=self._message(last) if last else None,
            last_seq=chat.last_seq,
            last_position=chat.last_position,
            read_up_to=reading.mark,
            unread_count=reading.unread(chat.last_seq),
        )

    def _other(self, chat: Chat, reader: ProfileId) -> ProfileView | None:
        if chat.kind is not Kind.DIRECT:
            return None
        others = [id for id in self.storage.chats.members_of[chat.id] if id != reader]
        return self._person(others[0])

    def _page(self, chat: Chat, where: Where, limit: int) -> HistoryPage:
        numbers = span(where, limit, chat.last_seq)
        messages = self.storage.chats.messages
        shown = [self._message(messages[chat.id, Seq(number)]) for number in numbers]
        version = sha256(repr((numbers, chat.last_seq, shown)).encode()).hexdigest()[:32]
        return HistoryPage.of(chat.id, numbers, chat.last_seq, shown, version)

    def _message(self, event: MessageSent) -> MessageView:
        return MessageView(
            message=event.message,
            position=event.position,
            sender=self._person(event.message.author_id),
            read_at=first_read(self.storage.chats.receipts.get(event.chat_id, ()), event),
        )

    def _update(self, chat_id: ChatId, position: Position) -> ChatUpdate:
        match event := self.storage.chats.log[chat_id, position]:
            case MessageSent():
                view = MessageView(
                    message=event.message, position=position, sender=self._person(event.message.author_id)
                )
                return NewMessage(chat_id=chat_id, position=position, view=view)
            case MemberAdded():
                return NewMember(
                    chat_id=chat_id,
                    position=position,
                    member=self._person(event.profile_id),
                    by=event.by,
                    at=event.at,
                )
            case _:
                return event

    def _person(self, profile_id: ProfileId) -> ProfileView:
        profile = self.storage.accounts.profiles.get(profile_id)
        if profile is None:
            return NOBODY
        return ProfileView.of(profile)


@frozen
class MemoryChanges:
    """A place in the journal is the number of entries before it."""

    storage: MemoryStorage

    async def now(self) -> Cursor:
        return Cursor(epoch=self.storage.epoch, place=str(len(self.storage.journal)))

    async def since(self, cursor: Cursor) -> News:
        here = await self.now()
        new = self.storage.journal[int(cursor.place) :] if cursor.epoch == here.epoch else []
        moved: dict[ChatId, Position] = {}
        personal, read = [], []
        for entry in new:
            if isinstance(entry, tuple):
                chat_id, position = entry
                moved[chat_id] = max(position, moved.get(chat_id, position))
            elif isinstance(entry, ReadRange):
                read.append(entry)
            elif not isinstance(entry, MarkMoved):
                personal.append(entry)
        return News(cursor=here, moved=moved, personal=personal, read=read)

    async def recall(self, read: ReadRange) -> MessagesRead:
        messages = self.storage.chats.messages
        numbers = range(read.from_seq, read.to_seq + 1)
        events = [event for number in numbers if (event := messages.get((read.chat_id, Seq(number))))]
        covered = [event.message for event in events if event.message.author_id != read.reader_id]
        by_author: dict[ProfileId, int] = {}
        for message in covered:
            by_author[message.author_id] = by_author.get(message.author_id, 0) + 1
        return MessagesRead(
            chat_id=read.chat_id,
            reader_id=read.reader_id,
            from_seq=read.from_seq,
            to_seq=read.to_seq,
            at=read.at,
            message_ids=tuple(message.id for message in covered[-TOLD_IDS:]),
            count=len(covered),
            by_author=by_author,
            is_single=self.storage.chats.readings[read.chat_id, read.reader_id].mark < read.from_seq,
        )


@frozen
class MemoryOwnChanges:
    """Places are those of `MemoryChanges`."""

    storage: MemoryStorage

    async def here(self) -> Cursor:
        return await MemoryChanges(self.storage).now()

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        state = self.storage.chats
        return [
            id
            for id in state.chats_of.get(reader, ())
            if state.members[id, reader].left_at is None and state.chats[id].deleted_at is None
        ]

    async def since(
        self,
        reader: ProfileId,
        cursor: Cursor,
        chats: int | None = None,  # noqa: ARG002 - nothing is divided here
    ) -> Missed | Lost:
        here = await self.here()
        if cursor.epoch != here.epoch:
            return Lost.EPOCH
        if not cursor.place.isdecimal() or int(cursor.place) > len(self.storage.journal):
            return Lost.MALFORMED
        first: dict[ChatId, Position] = {}
        read: set[ChatId] = set()
        personal = []
        for entry in self.storage.journal[int(cursor.place) :]:
            match entry:
                case ReadRange() | MarkMoved():
                    read.add(entry.chat_id)
                case ChatAdded() | ChatRemoved() | SessionEnded():
                    if entry.profile_id == reader:
                        personal.append(entry)
                case chat_id, position:
                    first.setdefault(chat_id, position)
        standings = [
            self._standing(reader, id, first_missed=first.get(id), is_read=id in read)
            for id in await self.chats_of(reader)
        ]
        return Missed(cursor=here, standings=standings, personal=personal)

    def _standing(
        self, reader: ProfileId, chat_id: ChatId, *, first_missed: Position | None, is_read: bool
    ) -> Standing:
        state = self.storage.chats
        chat, reading = state.chats[chat_id], state.readings[chat_id, reader]
        others = (
            each.mark
            for (of, profile_id), each in state.readings.items()
            if of == chat_id and profile_id != reader
        )
        return Standing(
            chat_id=chat_id,
            last_seq=chat.last_seq,
            last_position=chat.last_position,
            member_count=chat.member_count,
            read_up_to=reading.mark,
            unread_count=reading.unread(chat.last_seq),
            others_read_up_to=max(others, default=Seq(0)),
            first_missed=first_missed,
            is_read=is_read,
        )

"""Whatever people do to a chat, its order stays whole and its marks stay true."""

from collections import Counter
from datetime import datetime, timedelta
from uuid import uuid4

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.chat import About, Chat, ChatNotFound, Member, NotAMember, NotTheOwner
from domain.events import ChatEvent, MemberAdded, MessageSent
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.message import Body, Message, Nonce
from domain.reading import Passed, Reading
from tests.strategies import START, lines


class ChatMachine(RuleBasedStateMachine):
    """
    Its storage is what STORAGE.md says of it in the simplest form: all messages in a list, and every send adds to its
    author's ``less``.
    """

    people = Bundle("people")

    chat: Chat
    now: datetime

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[ProfileId, Member] = {}
        self.readings: dict[ProfileId, Reading] = {}
        self.log: list[ChatEvent] = []
        self.messages: list[Message] = []
        self.now = START

    @initialize(target=people)
    def open(self) -> ProfileId:
        owner_id = ProfileId(uuid4())
        self.chat, members, _ = Chat.open(
            id=ChatId(uuid4()), about=About("A chat"), owner_id=owner_id, others=[], at=self.now
        )
        self._join(members[0])
        return owner_id

    @rule(target=people)
    def a_stranger_comes(self) -> ProfileId:
        return ProfileId(uuid4())

    @rule(by=people, who=people)
    def add(self, by: ProfileId, who: ProfileId) -> None:
        if who in self.members:
            return
        try:
            member, event, personal = self.chat.add(self.members.get(by), who, at=self.now)
        except NotTheOwner:
            assert self._is_over or by != self.chat.owner_id
        else:
            assert not self._is_over
            assert by == self.chat.owner_id
            assert personal.profile_id == who
            self._join(member)
            self.log.append(event)

    @rule(author=people, body=lines, step=st.integers(-3, 3), named=st.booleans())
    def post(self, author: ProfileId, body: Body, step: int, named: bool) -> None:
        self.now += timedelta(seconds=step)
        nonce = Nonce("n") if named else None
        try:
            event = self.chat.post(
                self.members.get(author), body, id=MessageId(uuid4()), nonce=nonce, at=self.now
            )
        except ChatNotFound:
            assert self._is_over
        except NotAMember:
            assert not self._is_over
            assert author not in self.members
        else:
            assert not self._is_over
            assert author in self.members, "nobody but members posts"
            assert (event.message.author_id, event.message.body, event.message.nonce) == (author, body, nonce)
            assert event.message.sent_at == max([self.now, *(m.sent_at for m in self.messages)])
            self.messages.append(event.message)
            self.log.append(event)
            reading = self.readings[author]
            self.readings[author] = evolve(reading, less=reading.less + 1)

    @rule(by=people, about=st.sampled_from([About("A chat"), About("Another"), About("Another", "why")]))
    def change(self, by: ProfileId, about: About) -> None:
        before = self.chat.about
        try:
            event = self.chat.change(self.members.get(by), about, at=self.now)
        except NotTheOwner:
            assert self._is_over or by != self.chat.owner_id
        else:
            assert (event is None) == (about == before)
            assert self.chat.about == about
            if event:
                self.log.append(event)

    @rule(reader=people, to=st.integers(0, 30))
    def mark(self, reader: ProfileId, to: int) -> None:
        if reader not in self.readings:
            return
        to = min(to, len(self.messages))
        reading = self.readings[reader]
        before, unread_before = reading.mark, self._unread(reader)
        unread = [m for m in self.messages if before < m.seq <= to and m.author_id != reader]
        passed = Passed(
            message_ids=tuple(m.id for m in unread), by_author=Counter(m.author_id for m in unread)
        )
        read = reading.advance(Seq(to), passed, at=self.now)
        assert reading.mark == max(before, to), "a mark never moves back"
        assert (read is None) == (not unread)
        if read:
            assert (read.from_seq, read.to_seq) == (before + 1, to)
            assert read.count == len(unread) == unread_before - self._unread(reader)

    @precondition(lambda self: len(self.messages) > 3)
    @rule(by=people)
    def delete(self, by: ProfileId) -> None:
        try:
            removed = self.chat.delete(self.members.get(by), list(self.members.values()), at=self.now)
        except NotTheOwner:
            assert self._is_over or by != self.chat.owner_id
        else:
            assert {event.profile_id for event in removed} == self.members.keys()

    @invariant()
    def numbers_have_no_holes(self) -> None:
        assert [message.seq for message in self.messages] == list(range(1, self.chat.last_seq + 1))
        assert [event.position for event in self.log] == list(range(1, self.chat.last_position + 1))
        assert [e.message for e in self.log if isinstance(e, MessageSent)] == self.messages

    @invariant()
    def times_follow_the_order(self) -> None:
        times = [message.sent_at for message in self.messages]
        assert times == sorted(times)

    @invariant()
    def unread_is_what_it_is_defined_as(self) -> None:
        for profile_id, reading in self.readings.items():
            assert reading.unread(self.chat.last_seq) == self._unread(profile_id)
            assert reading.mark <= self.chat.last_seq

    @invariant()
    def everybody_is_counted(self) -> None:
        present = [member for member in self.members.values() if member.left_at is None]
        assert self.chat.member_count == len(present)
        assert len(self.members) == 1 + sum(isinstance(event, MemberAdded) for event in self.log)

    @property
    def _is_over(self) -> bool:
        return self.chat.deleted_at is not None

    def _join(self, member: Member) -> None:
        self.members[member.profile_id] = member
        self.readings[member.profile_id] = Reading(chat_id=self.chat.id, profile_id=member.profile_id)

    def _unread(self, reader: ProfileId) -> int:
        """By the definition: after the mark, not one's own."""
        mark = self.readings[reader].mark
        return sum(m.seq > mark and m.author_id != reader for m in self.messages)


TestChat = ChatMachine.TestCase

"""After any sequence of commands the order of a chat is whole, it has one owner, and its marks are true."""

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from domain.chat import About, Chat, Kind
from domain.chat_errors import ChatNotFound, MemberNotFound, NotAllowed, NotAMember, OnlyInGroups, TooFrequent
from domain.decision import Decision
from domain.events import ChatEvent, MemberAdded, MemberRemoved, MessageSent, RoleChanged
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.member import Member, by_seniority
from domain.message import Body, Message, Nonce
from domain.reading import NewlyRead, Reading
from domain.role import Role
from tests.strategies import START, lines

INTERVAL = timedelta(seconds=2)

MANAGERS = {Role.OWNER, Role.ADMIN}


class ChatMachine(RuleBasedStateMachine):
    """
    Its storage is what docs/storage.md says of it in the simplest form: all messages in a list, and every send adds to its
    author's ``excluded``.
    """

    people = Bundle("people")

    chat: Chat
    now: datetime

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[ProfileId, Member] = {}
        """Also those who left."""
        self.readings: dict[ProfileId, Reading] = {}
        self.singly: dict[ProfileId, set[Seq]] = {}
        """Read out of order, beyond the mark of that moment."""
        self.log: list[ChatEvent] = []
        self.messages: list[Message] = []
        self.just_said: dict[tuple[ProfileId, Body], datetime] = {}
        self.now = START
        self._was_over = False

    @initialize(
        target=people,
        drawn=st.lists(st.uuids(), min_size=4, max_size=4, unique=True),
        admins=st.integers(0, 2),
    )
    def open(self, drawn: list[UUID], admins: int) -> MultipleResults[ProfileId]:
        """With several in it from the beginning: what its only member left would be over, and few would get far."""
        owner_id, *others = ids = [ProfileId(each) for each in drawn]
        self.chat, opening = Chat.open(
            id=ChatId(uuid4()), about=About("A chat"), owner_id=owner_id, others=others, at=self.now
        )
        self.founders = {member.profile_id: member.role for member in opening.joined}
        self._keep(opening)
        for other in others[:admins]:
            self.appoint(owner_id, other, Role.ADMIN)
        return multiple(*ids)

    @rule(target=people, who=st.uuids())
    def a_stranger_comes(self, who: UUID) -> ProfileId:
        return ProfileId(who)

    @rule(by=people, who=st.lists(people, max_size=3, unique=True))
    def add(self, by: ProfileId, who: list[ProfileId]) -> None:
        newcomers = [each for each in who if not self._role(each)]
        self.now += timedelta(seconds=1)  # so that some are here longer than others
        try:
            added = self.chat.add(self._place(by), newcomers, at=self.now)
        except NotAllowed:
            assert self._role(by) not in MANAGERS
        else:
            assert self._role(by) in MANAGERS
            assert [each.profile_id for each in added.personal] == newcomers
            assert [(each.profile_id, each.role) for each in added.joined] == [
                (each, Role.MEMBER) for each in newcomers
            ]
            self._keep(added)

    @rule(by=people, who=people)
    def remove(self, by: ProfileId, who: ProfileId) -> None:
        mine, theirs = self._role(by), self._role(who)
        try:
            removed = self.chat.remove(self._place(by), self._place(who), at=self.now)
        except NotAllowed:
            assert mine not in MANAGERS or by == who or (mine is Role.ADMIN and theirs in MANAGERS)
        except MemberNotFound:
            assert mine in MANAGERS
            assert theirs is None
        else:
            assert by != who
            assert (mine is Role.OWNER and theirs) or (mine is Role.ADMIN and theirs is Role.MEMBER)
            assert [each.profile_id for each in removed.personal] == [who]
            self._keep(removed)

    @rule(who=people, is_person_gone=st.booleans())
    def leave(self, who: ProfileId, is_person_gone: bool) -> None:
        before = self._role(who)
        others = [member for member in self._present() if member.profile_id != who]
        heirs = [member for member in others if member.role is Role.ADMIN] or others
        heir_ids = {heir.profile_id for heir in heirs}
        go = self.chat.withdraw if is_person_gone else self.chat.leave
        try:
            decision = go(self._place(who), self._present(), at=self.now)
        except ChatNotFound:
            assert self._is_over
            return
        except NotAMember:
            assert before is None
            return
        assert [each.profile_id for each in decision.personal] == [who]
        self._keep(decision)
        if before is Role.OWNER and others:
            (crowned,) = (e.profile_id for e in decision.events if isinstance(e, RoleChanged))
            assert crowned in heir_ids
            assert self.members[crowned].joined_at == min(heir.joined_at for heir in heirs)
        else:
            assert len(decision.events) == 1
        assert self._is_over == (not others)

    @rule(by=people, who=people, role=st.sampled_from(Role))
    def appoint(self, by: ProfileId, who: ProfileId, role: Role) -> None:
        mine, theirs = self._role(by), self._role(who)
        try:
            changed = self.chat.appoint(self._place(by), self._place(who), role, at=self.now)
        except NotAllowed:
            assert mine is not Role.OWNER or (by == who and role is not Role.OWNER)
        except MemberNotFound:
            assert theirs is None
        else:
            assert mine is Role.OWNER
            self._keep(changed)
            assert self._role(who) is role
            assert bool(changed.events) == (theirs is not role)
            assert by == who or self._role(by) is (Role.ADMIN if role is Role.OWNER else Role.OWNER)

    @rule(target=people, who=st.uuids())
    def the_owner_adds_a_stranger(self, who: UUID) -> ProfileId:
        self.add(self.chat.owner_id, [ProfileId(who)])
        return ProfileId(who)

    @rule(author=people, body=lines, step=st.integers(-3, 3), named=st.booleans())
    def post(self, author: ProfileId, body: Body, step: int, named: bool) -> None:
        self.now += timedelta(seconds=step)
        nonce = Nonce("n") if named else None
        just_said = self.just_said.get((author, body))
        try:
            event = self.chat.post(
                self._place(author),
                body,
                id=MessageId(uuid4()),
                nonce=nonce,
                at=self.now,
                just_said=just_said,
                interval=INTERVAL,
            )
        except ChatNotFound:
            assert self._is_over
        except NotAMember:
            assert not self._is_over
            assert self._role(author) is None
        except TooFrequent as refused:
            self._was_too_soon(refused, None if named else just_said)
        else:
            assert self._role(author), "nobody but members posts"
            assert named or just_said is None or self.now - just_said >= INTERVAL
            assert (event.message.author_id, event.message.body, event.message.nonce) == (author, body, nonce)
            assert event.message.sent_at == max([self.now, *(m.sent_at for m in self.messages)])
            self.messages.append(event.message)
            self.log.append(event)
            if not named:
                self.just_said[author, body] = event.message.sent_at
            self.readings[author].count_own(1)

    @rule(by=people, about=st.sampled_from([About("A chat"), About("Another"), About("Another", "why")]))
    def change(self, by: ProfileId, about: About) -> None:
        before = self.chat.about
        try:
            changed = self.chat.change(self._place(by), about, at=self.now)
        except NotAllowed:
            assert self._role(by) not in MANAGERS
        else:
            assert self._role(by) in MANAGERS
            assert (not changed.events) == (about == before)
            assert self.chat.about == about
            self._keep(changed)

    @rule(reader=people, to=st.integers(0, 30))
    def mark(self, reader: ProfileId, to: int) -> None:
        if not self._role(reader):
            return
        to = min(to, len(self.messages))
        reading = self.readings[reader]
        before, unread_before = reading.mark, self._unread(reader)
        unread = [m for m in self.messages if m.seq <= to and self._is_unread(m, reader)]
        passed = NewlyRead(
            message_ids=tuple(m.id for m in unread), by_author=Counter(m.author_id for m in unread)
        )
        read = reading.advance(Seq(to), passed, at=self.now)
        assert reading.mark == max(before, to), "a mark never moves back"
        assert (read is None) == (not unread)
        if read:
            assert (read.from_seq, read.to_seq, read.is_single) == (before + 1, to, False)
            assert read.count == len(unread) == unread_before - self._unread(reader)

    @precondition(lambda self: self.messages)
    @rule(reader=people, index=st.integers(0, 30))
    def mark_single(self, reader: ProfileId, index: int) -> None:
        if not self._role(reader):
            return
        message = self.messages[index % len(self.messages)]
        reading, was_unread = self.readings[reader], self._is_unread(message, reader)
        mark, unread_before = reading.mark, self._unread(reader)
        read = reading.read_single(
            message.seq,
            message.id,
            message.author_id,
            is_covered=message.seq in self.singly[reader],
            at=self.now,
        )
        assert reading.mark == mark, "nothing before it is read"
        assert (read is not None) == was_unread
        if read:
            self.singly[reader].add(message.seq)
            assert (read.from_seq, read.to_seq, read.count) == (message.seq, message.seq, 1)
            assert (list(read.message_ids), read.by_author) == ([message.id], {message.author_id: 1})
            assert self._unread(reader) == unread_before - 1

    @precondition(lambda self: len(self.messages) > 3)
    @rule(by=people)
    def delete(self, by: ProfileId) -> None:
        present = self._present()
        try:
            decision = self.chat.delete(self._place(by), present, at=self.now)
        except NotAllowed:
            assert self._role(by) is not Role.OWNER
        else:
            assert [each.profile_id for each in decision.personal] == [
                member.profile_id for member in by_seniority(present)
            ]
            self._keep(decision)
            assert self._present() == []

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
        assert self.chat.member_count == len(self._present())

    @invariant()
    def it_has_one_owner_as_long_as_anybody_is_in_it(self) -> None:
        owners = [member.profile_id for member in self._present() if member.role is Role.OWNER]
        assert owners == ([] if self._is_over else [self.chat.owner_id])

    @invariant()
    def its_log_tells_who_is_in_it_and_as_what(self) -> None:
        """A reader of the log from its beginning knows the members and their roles."""
        told = dict(self.founders)
        for event in self.log:
            match event:
                case MemberAdded():
                    told[event.profile_id] = Role.MEMBER
                case MemberRemoved():
                    del told[event.profile_id]
                case RoleChanged():
                    told[event.profile_id] = event.role
        if not self._is_over:
            assert told == {member.profile_id: member.role for member in self._present()}

    def _was_too_soon(self, refused: TooFrequent, just_said: datetime | None) -> None:
        assert just_said is not None
        assert refused.wait > 0
        assert self.now + timedelta(seconds=refused.wait) == just_said + INTERVAL

    @property
    def _is_over(self) -> bool:
        return self.chat.deleted_at is not None

    def _present(self) -> list[Member]:
        return [evolve(member) for member in self.members.values() if member.left_at is None]

    def _place(self, who: ProfileId) -> Member | None:
        """A copy, as storage gives it out."""
        member = self.members.get(who)
        return member and evolve(member)

    def _role(self, who: ProfileId) -> Role | None:
        """Returns None if the person is not a member now."""
        member = self.members.get(who)
        return member.role if member and member.left_at is None and not self._is_over else None

    def _keep(self, decision: Decision) -> None:
        """Stores a decision as storage does: what it does not name stays unchanged."""
        self.log.extend(decision.events)
        for member in decision.joined:
            self._join(evolve(member))
        for member in decision.changed:
            self.members[member.profile_id] = evolve(member)
        assert decision.ends_chat == (self._is_over and not self._was_over)
        self._was_over = self._is_over

    def _join(self, member: Member) -> None:
        self.members[member.profile_id] = member
        self.readings.setdefault(
            member.profile_id, Reading(chat_id=self.chat.id, profile_id=member.profile_id)
        )
        self.singly.setdefault(member.profile_id, set())

    def _is_unread(self, message: Message, reader: ProfileId) -> bool:
        """By the definition: after the mark, not one's own, not read singly."""
        return (
            message.seq > self.readings[reader].mark
            and message.author_id != reader
            and message.seq not in self.singly[reader]
        )

    def _unread(self, reader: ProfileId) -> int:
        return sum(self._is_unread(message, reader) for message in self.messages)


class DirectMachine(RuleBasedStateMachine):
    """Two people, of whom either may go with their account or end it, and whom nobody changes."""

    @initialize()
    def open(self) -> None:
        one, other = ProfileId(uuid4()), ProfileId(uuid4())
        self.chat, opening = Chat.open_direct(id=ChatId(uuid4()), opener_id=one, other_id=other, at=START)
        self.two = list(opening.joined)

    @rule(
        by=st.integers(0, 1),
        whom=st.integers(0, 1),
        what=st.sampled_from(["add", "remove", "appoint", "change", "leave"]),
    )
    def try_to_change_who_is_in_it(self, by: int, whom: int, what: str) -> None:
        actor, other = self.two[by], self.two[whom]
        try:
            match what:
                case "add":
                    self.chat.add(actor, [ProfileId(uuid4())], at=START)
                case "remove":
                    self.chat.remove(actor, other, at=START)
                case "appoint":
                    self.chat.appoint(actor, other, Role.OWNER, at=START)
                case "change":
                    self.chat.change(actor, About("x"), at=START)
                case _:
                    self.chat.leave(actor, [], at=START)
        except OnlyInGroups:
            assert actor.left_at is None
        except (NotAllowed, NotAMember, ChatNotFound):
            assert actor.left_at is not None
        else:
            raise AssertionError(what)

    @rule(who=st.integers(0, 1))
    def go(self, who: int) -> None:
        member, other = self.two[who], self.two[1 - who]
        if member.left_at is None:
            decision = self.chat.withdraw(member, [other] if other.left_at is None else [], at=START)
            assert decision.ends_chat == (other.left_at is not None)

    @precondition(lambda self: self.chat.deleted_at is None)
    @rule(who=st.integers(0, 1))
    def end(self, who: int) -> None:
        present = [member for member in self.two if member.left_at is None]
        try:
            decision = self.chat.delete(self.two[who], present, at=START)
        except NotAMember:
            assert self.two[who].left_at is not None
        else:
            assert [each.profile_id for each in decision.personal] == [
                member.profile_id for member in by_seniority(present)
            ]
            assert decision.ends_chat

    @invariant()
    def it_is_there_as_long_as_anybody_is(self) -> None:
        present = [member for member in self.two if member.left_at is None]
        assert self.chat.member_count == len(present)
        assert (self.chat.deleted_at is None) == bool(present)
        assert self.chat.kind is Kind.DIRECT


TestChat = ChatMachine.TestCase
TestDirectChat = DirectMachine.TestCase

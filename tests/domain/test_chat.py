from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chat import DESCRIPTION_LIMIT, NAME_LIMIT, About, Chat
from domain.chat_errors import (
    BadChatDescription,
    BadChatName,
    ChatNotFound,
    NotAllowed,
    NotAMember,
    NotTheOwner,
)
from domain.decision import Decision
from domain.events import ChatAdded, ChatChanged, ChatRemoved, MemberAdded, MessageSent, Removal
from domain.ids import ChatId, MessageId, Position, ProfileId
from domain.member import Member, by_seniority
from domain.message import Body, Nonce
from domain.role import Role
from domain.text import UnstorableText
from tests.strategies import START, abouts

LATER = START + timedelta(minutes=1)


def profile_id() -> ProfileId:
    return ProfileId(uuid4())


def opened(others: int = 2) -> tuple[Chat, list[Member]]:
    """The owner is the first of the members."""
    chat, opening = Chat.open(
        id=ChatId(uuid4()),
        about=About("A chat"),
        owner_id=profile_id(),
        others=[profile_id() for _ in range(others)],
        at=START,
    )
    return chat, list(opening.joined)


def say(chat: Chat, author: Member | None, text: str = "Hello", minutes: int = 1) -> MessageSent:
    at = START + timedelta(minutes=minutes)
    return chat.post(author, Body(text), id=MessageId(uuid4()), nonce=Nonce("n"), at=at)


class TestAbout:
    @given(abouts)
    def test_it_is_about_itself(self, about: About) -> None:
        assert About(about.name, about.description) == about

    @pytest.mark.parametrize(
        "name", ["", "   ", "\u3164", "\u200b\u200b", "A\u202eB", "x" * (NAME_LIMIT + 1)]
    )
    def test_not_a_name(self, name: str) -> None:
        with pytest.raises(BadChatName):
            About(name)

    def test_limits(self) -> None:
        assert About("  " + "я" * NAME_LIMIT + "  ").name == "я" * 100
        assert About("x", "").description == ""
        assert About("x", "y" * DESCRIPTION_LIMIT).description == "y" * 250
        with pytest.raises(BadChatDescription):
            About("x", "y" * (DESCRIPTION_LIMIT + 1))

    @pytest.mark.parametrize(("name", "description"), [("a\0", None), ("a\ud800", None), ("a", "\0")])
    def test_what_cannot_be_stored_is_refused(self, name: str, description: str | None) -> None:
        with pytest.raises(UnstorableText):
            About(name, description)


class TestOpening:
    def test_everybody_hears_of_it_and_nothing_is_numbered(self) -> None:
        owner, other = profile_id(), profile_id()
        chat_id = ChatId(uuid4())
        chat, opening = Chat.open(
            id=chat_id, about=About("A chat"), owner_id=owner, others=[other, other, owner], at=START
        )
        assert [(member.profile_id, member.role) for member in opening.joined] == [
            (owner, Role.OWNER),
            (other, Role.MEMBER),
        ]
        assert opening.personal == tuple(
            ChatAdded(profile_id=id, chat_id=chat_id, at=START) for id in (owner, other)
        )
        assert (opening.events, opening.changed, opening.ends_chat) == ((), (), False)
        assert (chat.member_count, chat.last_seq, chat.last_position, chat.last_at) == (2, 0, 0, None)


class TestPosting:
    def test_messages_are_numbered_and_say_who_wrote_them_and_when(self) -> None:
        chat, (owner, other, _) = opened()
        first, second = say(chat, owner, " Hello "), say(chat, other, "Hi", minutes=2)
        assert (first.message.seq, first.position) == (1, 1)
        assert (second.message.seq, second.position) == (2, 2)
        assert first.message.body.text == "Hello"
        assert first.message.author_id == owner.profile_id
        assert first.chat_id == first.message.chat_id == chat.id
        assert first.message.sent_at == LATER

    def test_a_clock_that_steps_back_does_not_send_before_the_last_message(self) -> None:
        chat, (owner, *_) = opened()
        say(chat, owner, minutes=5)
        assert say(chat, owner, minutes=3).message.sent_at == START + timedelta(minutes=5)
        assert say(chat, owner, minutes=6).message.sent_at == START + timedelta(minutes=6)

    def test_without_an_interval_the_same_may_be_said_again_whatever_the_clock_does(self) -> None:
        chat, (owner, *_) = opened()
        for at in (LATER, LATER, START):
            chat.post(owner, Body("Hello"), id=MessageId(uuid4()), nonce=None, at=at, just_said=LATER)
        assert chat.last_seq == 3

    def test_strangers_and_who_left_may_not(self) -> None:
        chat, (_, other, _) = opened()
        with pytest.raises(NotAMember):
            say(chat, None)
        other.left_at = LATER
        with pytest.raises(NotAMember):
            say(chat, other)
        assert (chat.last_seq, chat.last_position, chat.last_at) == (0, 0, None), "a refusal takes no number"

    def test_nobody_posts_to_a_deleted_chat(self) -> None:
        chat, members = opened()
        chat.delete(members[0], members, at=LATER)
        for member in (*members, None):
            with pytest.raises(ChatNotFound):
                say(chat, member)


class TestChanging:
    def test_a_change_is_numbered_and_tells_the_new_state(self) -> None:
        chat, (owner, *_) = opened()
        say(chat, owner)
        changed = ChatChanged(
            chat_id=chat.id,
            position=Position(2),
            name="New",
            description="why",
            by=owner.profile_id,
            at=LATER,
        )
        assert chat.change(owner, About("New", "why"), at=LATER) == Decision(events=(changed,))
        assert chat.last_seq == 1
        assert chat.about == About("New", "why")

    def test_calling_it_what_it_is_called_is_no_event(self) -> None:
        chat, (owner, *_) = opened()
        assert chat.change(owner, About("A chat"), at=LATER) == Decision()
        assert (chat.last_position, chat.updated_at) == (0, LATER)

    @pytest.mark.parametrize("who", ["a member", "a stranger", "an owner who left"])
    def test_nobody_else_may(self, who: str) -> None:
        chat, (owner, other, _) = opened()
        by = {"a member": other, "a stranger": None, "an owner who left": owner}[who]
        if by is owner:
            owner.left_at = LATER
        with pytest.raises(NotAllowed):
            chat.change(by, About("New"), at=LATER)
        with pytest.raises(NotAllowed):
            chat.add(by, [profile_id()], at=LATER)
        with pytest.raises(NotTheOwner):
            chat.delete(by, [owner, other], at=LATER)
        assert (chat.about, chat.member_count, chat.deleted_at, chat.last_position) == (
            About("A chat"),
            3,
            None,
            0,
        )

    def test_a_newcomer(self) -> None:
        chat, (owner, *_) = opened(others=0)
        newcomer = profile_id()
        decision = chat.add(owner, [newcomer], at=LATER)
        (member,), (added,) = decision.joined, decision.events
        assert isinstance(added, MemberAdded)
        assert (member.chat_id, member.profile_id, member.role) == (chat.id, newcomer, Role.MEMBER)
        assert (added.position, added.profile_id, added.by) == (1, newcomer, owner.profile_id)
        assert decision.personal == (ChatAdded(profile_id=newcomer, chat_id=chat.id, at=LATER),)
        assert (chat.member_count, chat.updated_at) == (2, LATER)
        assert say(chat, member).message.seq == 1


class TestDeleting:
    def test_everybody_is_told_and_leaves(self) -> None:
        chat, members = opened()
        decision = chat.delete(members[0], members, at=LATER)
        assert decision.personal == tuple(
            ChatRemoved(profile_id=m.profile_id, chat_id=chat.id, reason=Removal.CHAT_DELETED, at=LATER)
            for m in by_seniority(members)
        )
        assert decision.changed == tuple(by_seniority(members))
        assert decision.ends_chat
        assert {member.left_at for member in members} == {LATER}
        assert (chat.deleted_at, chat.member_count) == (LATER, 0)

    def test_members_are_told_in_the_order_of_joining_however_they_are_given(self) -> None:
        told = []
        for turn in (1, -1):
            ids = [ProfileId(UUID(int=n)) for n in (3, 1, 2)]
            chat, opening = Chat.open(
                id=ChatId(uuid4()), about=About("A chat"), owner_id=ids[0], others=ids[1:], at=START
            )
            owner = opening.joined[0]
            owner.joined_at = LATER
            decision = chat.delete(owner, opening.joined[::turn], at=LATER)
            told.append([event.profile_id.int for event in decision.personal])
        assert told == [[1, 2, 3]] * 2

    def test_once(self) -> None:
        chat, members = opened()
        chat.delete(members[0], members, at=LATER)
        with pytest.raises(NotTheOwner):
            chat.delete(members[0], [], at=LATER)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_whatever_the_clock_does_messages_are_in_the_order_of_their_times(steps: list[int]) -> None:
    chat, (owner, *_) = opened()
    minute, times = 0, []
    for step in steps:
        minute += step
        times.append(say(chat, owner, minutes=minute).message.sent_at)
    assert times == sorted(times)

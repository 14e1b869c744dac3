"""Who may do what, each rule in every case there is."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.chat import About, Chat
from domain.chat_errors import (
    ChatNotFound,
    MemberNotFound,
    NotAllowed,
    NotAMember,
    NotTheOwner,
    NotToOneself,
    OnlyInGroups,
    TooFrequent,
)
from domain.decision import Decision
from domain.errors import DomainError
from domain.events import ChatRemoved, MemberRemoved, Removal, RoleChanged
from domain.ids import ChatId, MessageId, Position, ProfileId
from domain.member import Member
from domain.message import Body, Nonce
from domain.role import MAY, Act, Role
from tests.strategies import START

LATER = START + timedelta(minutes=1)

OWNER, ADMIN, MEMBER, STRANGER, GONE = "owner", "admin", "member", "stranger", "gone"
EVERYBODY = (OWNER, ADMIN, MEMBER, STRANGER, GONE)


def profile_id() -> ProfileId:
    return ProfileId(uuid4())


class Group:
    """An owner, two admins and two members; and one who was an admin and left."""

    def __init__(self) -> None:
        self.chat, opened = Chat.open(
            id=ChatId(uuid4()),
            about=About("A chat"),
            owner_id=profile_id(),
            others=[profile_id() for _ in range(5)],
            at=START,
        )
        self.owner, self.admin, self.second, self.member, self.other, self.gone = opened.joined
        self.admin.role = self.second.role = self.gone.role = Role.ADMIN
        self.gone.left_at = LATER
        self.chat.member_count -= 1

    def one(self, name: str) -> Member | None:
        return {OWNER: self.owner, ADMIN: self.admin, MEMBER: self.member, STRANGER: None, GONE: self.gone}[
            name
        ]

    @property
    def all(self) -> list[Member]:
        return [self.owner, self.admin, self.second, self.member, self.other]

    def but(self, *gone: Member) -> list[Member]:
        return [member for member in self.all if member not in gone]

    def state(self) -> object:
        chat = self.chat
        return (
            chat.about, chat.owner_id, chat.deleted_at, chat.member_count, chat.last_position,
            [(m.role, m.left_at) for m in (*self.all, self.gone)],
        )  # fmt: skip


def direct() -> tuple[Chat, Member, Member]:
    chat, opened = Chat.open_direct(
        id=ChatId(uuid4()), opener_id=profile_id(), other_id=profile_id(), at=START
    )
    one, other = opened.joined
    return chat, one, other


def roles_told(decision: Decision) -> list[tuple[ProfileId, Role, Position]]:
    return [(e.profile_id, e.role, e.position) for e in decision.events if isinstance(e, RoleChanged)]


def outcome(act: Callable[[], object]) -> type[DomainError] | None:
    try:
        act()
    except DomainError as refusal:
        return type(refusal)
    return None


def test_the_table() -> None:
    managers, owners = {Role.OWNER, Role.ADMIN}, {Role.OWNER}
    assert {
        Act.DESCRIBE: managers,
        Act.ADD: managers,
        Act.REMOVE: managers,
        Act.APPOINT: owners,
        Act.DELETE: owners,
    } == MAY


ACTS: dict[Act, Callable[[Group, Member | None], object]] = {
    Act.DESCRIBE: lambda group, by: group.chat.change(by, About("Another"), at=LATER),
    Act.ADD: lambda group, by: group.chat.add(by, [profile_id()], at=LATER),
    Act.REMOVE: lambda group, by: group.chat.remove(by, group.other, at=LATER),
    Act.APPOINT: lambda group, by: group.chat.appoint(by, group.other, Role.ADMIN, at=LATER),
    Act.DELETE: lambda group, by: group.chat.delete(by, group.all, at=LATER),
}


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("act", Act)
def test_everybody_tries_everything(act: Act, who: str) -> None:
    group = Group()
    before = group.state()
    refused = outcome(lambda: ACTS[act](group, group.one(who)))
    if who in {role.value for role in MAY[act]}:
        assert refused is None
        assert group.state() != before
    else:
        assert refused is (NotTheOwner if MAY[act] == {Role.OWNER} else NotAllowed)
        assert group.state() == before, "a refusal changes nothing"


@pytest.mark.parametrize("act", Act)
def test_nobody_does_anything_in_a_deleted_chat(act: Act) -> None:
    group = Group()
    group.chat.delete(group.owner, [], at=LATER)
    assert issubclass(outcome(lambda: ACTS[act](group, group.owner)) or object, NotAllowed)


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.DELETE])
def test_the_two_of_a_direct_chat_stay_as_they_are(act: Act) -> None:
    chat, one, other = direct()
    group = Group()
    group.chat, group.other = chat, other
    assert outcome(lambda: ACTS[act](group, one)) is OnlyInGroups
    assert issubclass(outcome(lambda: ACTS[act](group, None)) or object, NotAllowed)
    assert outcome(lambda: chat.leave(one, [other], at=LATER)) is OnlyInGroups
    assert outcome(lambda: chat.leave(None, [other], at=LATER)) is NotAMember
    assert (chat.last_position, chat.member_count, one.left_at, other.left_at) == (0, 2, None, None)


class TestDirect:
    def test_two_members_and_no_owner(self) -> None:
        opener, other = profile_id(), profile_id()
        chat, opened = Chat.open_direct(id=ChatId(uuid4()), opener_id=opener, other_id=other, at=START)
        assert [(m.profile_id, m.role) for m in opened.joined] == [
            (opener, Role.MEMBER),
            (other, Role.MEMBER),
        ]
        assert (chat.owner_id, chat.member_count, chat.last_position) == (opener, 2, 0)
        assert [event.profile_id for event in opened.personal] == [opener, other]

    def test_nobody_talks_to_themselves(self) -> None:
        one = profile_id()
        with pytest.raises(NotToOneself):
            Chat.open_direct(id=ChatId(uuid4()), opener_id=one, other_id=one, at=START)

    @pytest.mark.parametrize("index", [0, 1])
    def test_either_ends_it(self, index: int) -> None:
        chat, *two = direct()
        decision = chat.delete(two[index], two, at=LATER)
        assert [event.profile_id for event in decision.personal] == sorted(each.profile_id for each in two)
        assert decision.ends_chat
        assert chat.deleted_at == LATER
        assert outcome(lambda: chat.delete(two[0], two, at=LATER)) is ChatNotFound

    def test_a_stranger_does_not_end_it(self) -> None:
        chat, one, other = direct()
        assert outcome(lambda: chat.delete(None, [one, other], at=LATER)) is NotAMember
        assert chat.deleted_at is None


class TestRemoving:
    @pytest.mark.parametrize(
        ("by", "whom", "refusal"),
        [
            (OWNER, ADMIN, None),
            (OWNER, MEMBER, None),
            (OWNER, OWNER, NotAllowed),
            (OWNER, STRANGER, MemberNotFound),
            (OWNER, GONE, MemberNotFound),
            (ADMIN, MEMBER, None),
            (ADMIN, ADMIN, NotAllowed),
            (ADMIN, OWNER, NotAllowed),
            (ADMIN, GONE, MemberNotFound),
            (MEMBER, MEMBER, NotAllowed),
            (MEMBER, STRANGER, NotAllowed),
        ],
    )
    def test_whom(self, by: str, whom: str, refusal: type[DomainError] | None) -> None:
        group = Group()
        before = group.state()
        assert outcome(lambda: group.chat.remove(group.one(by), group.one(whom), at=LATER)) is refusal
        assert (group.state() == before) == (refusal is not None)

    def test_an_admin_does_not_remove_another(self) -> None:
        group = Group()
        assert outcome(lambda: group.chat.remove(group.admin, group.second, at=LATER)) is NotAllowed

    def test_what_is_told(self) -> None:
        group = Group()
        chat, gone = group.chat, group.member
        removed = MemberRemoved(
            chat_id=chat.id,
            position=Position(1),
            profile_id=gone.profile_id,
            by=group.admin.profile_id,
            at=LATER,
        )
        lost = ChatRemoved(profile_id=gone.profile_id, chat_id=chat.id, reason=Removal.REMOVED, at=LATER)
        assert chat.remove(group.admin, gone, at=LATER) == Decision(
            events=(removed,), personal=(lost,), changed=(gone,)
        )
        assert (gone.left_at, chat.member_count, chat.updated_at) == (LATER, 4, LATER)
        with pytest.raises(NotAMember):
            chat.post(gone, Body("x"), id=MessageId(uuid4()), nonce=None, at=LATER)


class TestLeaving:
    @pytest.mark.parametrize("name", [ADMIN, MEMBER])
    def test_who_owns_nothing_just_goes(self, name: str) -> None:
        group = Group()
        gone = group.one(name)
        assert gone is not None
        decision = group.chat.leave(gone, group.all, at=LATER)
        (removed,), (left,) = decision.events, decision.personal
        assert isinstance(removed, MemberRemoved)
        assert isinstance(left, ChatRemoved)
        assert (removed.profile_id, removed.by) == (gone.profile_id, gone.profile_id)
        assert left.reason is Removal.LEFT
        assert (decision.changed, decision.ends_chat) == ((gone,), False)
        assert (group.chat.owner_id, group.chat.member_count) == (group.owner.profile_id, 4)

    def test_ownership_passes_to_the_longest_standing_admin(self) -> None:
        group = Group()
        group.admin.joined_at = LATER
        group.member.joined_at = START - timedelta(days=1)
        decision = group.chat.leave(group.owner, group.but(group.owner), at=LATER)
        removed, crowned = decision.events
        assert decision.changed == (group.owner, group.second)
        assert isinstance(crowned, RoleChanged)
        assert (removed.position, crowned.position) == (1, 2)
        assert (crowned.profile_id, crowned.role, crowned.by) == (
            group.second.profile_id,
            Role.OWNER,
            group.owner.profile_id,
        )
        assert (group.chat.owner_id, group.second.role) == (group.second.profile_id, Role.OWNER)

    def test_else_to_the_longest_standing_member(self) -> None:
        group = Group()
        group.other.joined_at = START - timedelta(days=1)
        group.chat.leave(group.owner, [group.member, group.other], at=LATER)
        assert (group.chat.owner_id, group.other.role) == (group.other.profile_id, Role.OWNER)
        assert group.member.role is Role.MEMBER

    def test_of_equals_everybody_names_the_same(self) -> None:
        heirs = set()
        for turn in (1, -1):
            group = Group()
            group.admin.role = group.second.role = Role.MEMBER
            ids = [ProfileId(UUID(int=n)) for n in (3, 1, 2)]
            others = [
                Member(chat_id=group.chat.id, profile_id=id, role=Role.MEMBER, joined_at=START) for id in ids
            ]
            group.chat.leave(group.owner, others[::turn], at=LATER)
            heirs.add(group.chat.owner_id.int)
        assert heirs == {1}

    def test_with_the_last_one_goes_the_chat(self) -> None:
        group = Group()
        decision = group.chat.leave(group.owner, [group.owner], at=LATER)
        (removed,), (left,) = decision.events, decision.personal
        assert isinstance(left, ChatRemoved)
        assert group.chat.deleted_at == LATER
        assert (removed.position, left.reason, decision.ends_chat) == (1, Removal.LEFT, True)
        assert outcome(lambda: group.chat.leave(group.admin, [], at=LATER)) is ChatNotFound

    @pytest.mark.parametrize("name", [STRANGER, GONE])
    def test_who_is_not_there_does_not_go(self, name: str) -> None:
        group = Group()
        before = group.state()
        assert outcome(lambda: group.chat.leave(group.one(name), group.all, at=LATER)) is NotAMember
        assert group.state() == before

    def test_a_person_who_is_no_more_goes_from_chats_of_every_kind(self) -> None:
        chat, one, other = direct()
        first = chat.withdraw(one, [one, other], at=LATER)
        assert [(each.profile_id, first.ends_chat) for each in first.personal] == [(one.profile_id, False)]
        assert (chat.deleted_at, chat.member_count, chat.owner_id) == (None, 1, one.profile_id)
        assert chat.withdraw(other, [other], at=LATER).ends_chat
        assert (chat.deleted_at, chat.member_count) == (LATER, 0)


class TestAppointing:
    @pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER])
    @pytest.mark.parametrize("name", [ADMIN, MEMBER])
    def test_a_role(self, name: str, role: Role) -> None:
        group = Group()
        member = group.one(name)
        assert member is not None
        changed = group.chat.appoint(group.owner, member, role, at=LATER)
        assert member.role is role
        assert roles_told(changed) == ([] if role == name else [(member.profile_id, role, 1)])
        assert changed.changed == (() if role == name else (member,))

    @pytest.mark.parametrize("name", [ADMIN, MEMBER])
    def test_handing_over_makes_the_former_owner_an_admin(self, name: str) -> None:
        group = Group()
        member = group.one(name)
        assert member is not None
        changed = group.chat.appoint(group.owner, member, Role.OWNER, at=LATER)
        assert roles_told(changed) == [
            (member.profile_id, Role.OWNER, 1),
            (group.owner.profile_id, Role.ADMIN, 2),
        ]
        assert {event.by for event in changed.events if isinstance(event, RoleChanged)} == {
            group.owner.profile_id
        }
        assert changed.changed == (member, group.owner)
        assert group.chat.owner_id == member.profile_id
        assert [m.role for m in group.all].count(Role.OWNER) == 1

    @pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER])
    def test_the_owner_stays_one(self, role: Role) -> None:
        group = Group()
        before = group.state()
        assert outcome(lambda: group.chat.appoint(group.owner, group.owner, role, at=LATER)) is NotAllowed
        assert group.chat.appoint(group.owner, group.owner, Role.OWNER, at=LATER) == Decision()
        assert group.state() == before

    @pytest.mark.parametrize("name", [STRANGER, GONE])
    def test_nobody_is_appointed_who_is_not_there(self, name: str) -> None:
        group = Group()
        for role in Role:
            assert (
                outcome(lambda role=role: group.chat.appoint(group.owner, group.one(name), role, at=LATER))  # type: ignore[misc]
                is MemberNotFound
            )


class TestTooFrequent:
    @pytest.mark.parametrize(
        ("ago", "nonce", "wait"),
        [
            (0, None, 0.5),
            (0.4, None, 0.1),
            (0.499999, None, 0.000001),
            (0.5, None, None),
            (0.6, None, None),
            (0, "n", None),
            (-0.25, None, 0.75),
        ],
    )
    def test_the_same_again(self, ago: float, nonce: str | None, wait: float | None) -> None:
        group = Group()
        at = LATER + timedelta(seconds=ago)
        named = None if nonce is None else Nonce(nonce)

        def say() -> object:
            return group.chat.post(
                group.member,
                Body("Hello"),
                id=MessageId(uuid4()),
                nonce=named,
                at=at,
                just_said=LATER,
                interval=timedelta(seconds=0.5),
            )

        if wait is None:
            assert say()
            return
        with pytest.raises(TooFrequent) as refused:
            say()
        assert refused.value.wait == pytest.approx(wait)
        assert (group.chat.last_seq, group.chat.last_position) == (0, 0), "a refusal takes no number"
        posted = group.chat.post(group.member, Body("x"), id=MessageId(uuid4()), nonce=None, at=at)
        assert (posted.message.seq, posted.position) == (1, 1)

    def test_without_an_interval_nothing_is_too_frequent(self) -> None:
        group = Group()
        posted = group.chat.post(
            group.member, Body("x"), id=MessageId(uuid4()), nonce=None, at=LATER, just_said=LATER
        )
        assert posted.position == 1

    def test_whoever_may_not_post_hears_that_first(self) -> None:
        group = Group()
        for who, refusal in ((None, NotAMember), (group.gone, NotAMember)):
            with pytest.raises(refusal):
                group.chat.post(
                    who, Body("x"), id=MessageId(uuid4()), nonce=None, at=LATER, just_said=LATER,
                    interval=timedelta(seconds=1),
                )  # fmt: skip

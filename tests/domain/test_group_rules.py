from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chat import About, Chat
from domain.chat_errors import NotAcquainted, TooManyChats, TooManyMembers
from domain.group_rules import GroupRules, WhoMayAdd
from domain.ids import ChatId, ProfileId
from tests.domain.test_chat import opened
from tests.strategies import START

PEOPLE = [ProfileId(UUID(int=number)) for number in range(1, 9)]
people = st.lists(st.sampled_from(PEOPLE), unique=True)


@given(most=st.integers(0, 12), there=st.integers(0, 6), newcomers=st.integers(0, 6))
def test_a_group_never_grows_beyond_its_size(most: int, there: int, newcomers: int) -> None:
    rules = GroupRules(most_members=most)
    others = [ProfileId(uuid4()) for _ in range(there)]

    def open_group(rules: GroupRules) -> Chat:
        return Chat.open(
            id=ChatId(uuid4()), about=About("A"), owner_id=PEOPLE[0], others=others, at=START, rules=rules
        )[0]

    if most and 1 + there > most:
        with pytest.raises(TooManyMembers):
            open_group(rules)
    chat, (owner, *_) = opened(min(there, 2))
    before = chat.member_count
    wanted = [ProfileId(uuid4()) for _ in range(newcomers)]
    if most and wanted and before + newcomers > most:
        with pytest.raises(TooManyMembers):
            chat.add(owner, wanted, at=START, rules=rules)
        assert chat.member_count == before
    else:
        chat.add(owner, wanted, at=START, rules=rules)
        assert chat.member_count == before + newcomers


@given(newcomers=people, acquainted=people, full=people, rule=st.sampled_from(WhoMayAdd))
def test_who_may_be_added(
    newcomers: list[ProfileId], acquainted: list[ProfileId], full: list[ProfileId], rule: WhoMayAdd
) -> None:
    known = {WhoMayAdd.ANYONE: newcomers, WhoMayAdd.SHARED_CHAT: acquainted, WhoMayAdd.NOBODY: []}[rule]
    strangers = [who for who in newcomers if who not in known]
    crowded = [who for who in newcomers if who in full]
    rules = GroupRules(most_chats=7, who_may_add=rule)
    if strangers:
        with pytest.raises(NotAcquainted) as unknown:
            rules.check_newcomers(newcomers, acquainted=acquainted, full=full)
        assert unknown.value.profile_ids == strangers
    elif crowded:
        with pytest.raises(TooManyChats) as too_many:
            rules.check_newcomers(newcomers, acquainted=acquainted, full=full)
        assert (too_many.value.profile_ids, too_many.value.most) == (crowded, 7)
    else:
        rules.check_newcomers(newcomers, acquainted=acquainted, full=full)

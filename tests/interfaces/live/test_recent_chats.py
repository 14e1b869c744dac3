"""The chats of people whose last client has gone, for when they come back."""

from uuid import uuid4

from domain.ids import ChatId, ProfileId
from interfaces.live.recent_chats import OF_A_CHAT, OF_A_PROFILE, RecentChats


def profile() -> ProfileId:
    return ProfileId(uuid4())


def chats(count: int) -> list[ChatId]:
    return [ChatId(uuid4()) for _ in range(count)]


def test_the_last_chats_of_a_profile_are_found() -> None:
    recent, ann = RecentChats(10_000), profile()
    assert recent.find(ann) is None
    recent.note(ann, chats(3))
    later = chats(2)
    recent.note(ann, later)
    assert recent.find(ann) == later
    assert recent.find(profile()) is None
    assert recent.used == OF_A_PROFILE + 2 * OF_A_CHAT
    recent.clear()
    assert (recent.find(ann), recent.used, len(recent)) == (None, 0, 0)


def test_those_that_have_gone_first_are_forgotten_first() -> None:
    recent, people = RecentChats(3 * (OF_A_PROFILE + 10 * OF_A_CHAT)), [profile() for _ in range(4)]
    for person in people:
        recent.note(person, chats(10))
    assert [recent.find(person) is not None for person in people] == [False, True, True, True]
    recent.note(people[1], chats(9))
    recent.note(people[0], chats(10))
    assert [recent.find(person) is not None for person in people] == [True, True, False, True]
    recent.note(people[2], chats(1000))
    assert (len(recent), recent.used) == (0, 0), "who has more than there is room for is not remembered"


def test_each_is_remembered_from_one_to_two_ages() -> None:
    recent, ann, bob = RecentChats(10_000), profile(), profile()
    recent.note(ann, chats(1))
    recent.note(bob, chats(1))
    recent.age()
    recent.note(bob, chats(2))
    recent.age()
    assert (recent.find(ann), len(recent.find(bob) or ())) == (None, 2)
    recent.age()
    assert (len(recent), recent.used) == (0, 0)

"""A session that was live a moment ago is not read again for a socket; one that has ended is refused at once."""

from uuid import UUID

import pytest
from attrs import define, evolve

from application.accounts.recent_sessions import ENDED_REMEMBERED, RecentSessions
from application.actor import Actor
from application.views import ProfileView
from domain.ids import AccountId, ProfileId, SessionId

ACTOR = Actor(
    account_id=AccountId(UUID(int=1)),
    session_id=SessionId(UUID(int=2)),
    email="ann@example.com",
    profile=ProfileView(id=ProfileId(UUID(int=3))),
)


@define
class Hand:
    """A clock that is moved by hand."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def recent(hand: Hand) -> RecentSessions:
    return RecentSessions(hand)


def found(recent: RecentSessions) -> Actor | None:
    return recent.find(ACTOR.account_id, ACTOR.session_id)


class TestRecentSessions:
    def test_a_session_counts_as_seen_for_a_second(self, recent: RecentSessions, hand: Hand) -> None:
        recent.see(ACTOR)
        hand.at += 0.99
        assert found(recent) == ACTOR
        hand.at += 0.02
        assert found(recent) is None

    def test_the_second_begins_when_the_read_begins(self, recent: RecentSessions, hand: Hand) -> None:
        began = recent.moment()
        hand.at += 0.9
        recent.see(ACTOR, began)
        hand.at += 0.2
        assert found(recent) is None

    def test_a_session_that_has_ended_is_forgotten_at_once(self, recent: RecentSessions) -> None:
        recent.see(ACTOR)
        recent.end(ACTOR.session_id)
        assert found(recent) is None

    def test_a_session_that_ended_while_it_was_read_is_not_seen(self, recent: RecentSessions) -> None:
        began = recent.moment()
        recent.end(ACTOR.session_id)
        recent.see(ACTOR, began)
        assert found(recent) is None

    def test_a_socket_that_closes_because_its_session_ended_does_not_bring_it_back(
        self, recent: RecentSessions
    ) -> None:
        recent.see(ACTOR)
        recent.end(ACTOR.session_id)
        recent.see(ACTOR)
        assert found(recent) is None

    def test_it_belongs_to_one_account(self, recent: RecentSessions) -> None:
        recent.see(ACTOR)
        assert recent.find(AccountId(UUID(int=9)), ACTOR.session_id) is None

    def test_what_is_old_takes_no_room(self, recent: RecentSessions, hand: Hand) -> None:
        for number in range(10):
            recent.see(evolve(ACTOR, session_id=SessionId(UUID(int=number))))
        hand.at += 2
        recent.see(ACTOR)
        assert len(recent) == 1
        for number in range(ENDED_REMEMBERED + 5):
            recent.end(SessionId(UUID(int=number)))
        assert len(recent._ended) == ENDED_REMEMBERED

    def test_after_a_restore_nothing_is_known(self, recent: RecentSessions) -> None:
        recent.see(ACTOR)
        recent.clear()
        assert found(recent) is None

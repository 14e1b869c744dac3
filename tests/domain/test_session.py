from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.events import SessionEnd
from domain.ids import AccountId, ProfileId, SessionId
from domain.session import (
    Fingerprint,
    FingerprintTooLong,
    Lifetimes,
    Origin,
    Session,
    SessionOver,
    TokenExpired,
)
from domain.text import UnstorableText

NOW = datetime(2026, 1, 1, 12, 0, 0, 654321, tzinfo=UTC)
GRACE = timedelta(seconds=10)
DEVICE = Fingerprint("phone")
LIFETIMES = Lifetimes()


def opened(at: datetime = NOW) -> Session:
    return Session.open(
        id=SessionId(uuid4()),
        account_id=AccountId(uuid4()),
        profile_id=ProfileId(uuid4()),
        fingerprint=DEVICE,
        origin=Origin(),
        pair=LIFETIMES.pair(access_id="a0", refresh_id="r0", at=at),
        at=at,
    )


def refreshed(session: Session, token_id: str, number: int, at: datetime) -> None:
    fresh = LIFETIMES.pair(access_id=f"a{number}", refresh_id=f"r{number}", at=at)
    assert session.refresh(token_id, DEVICE, fresh, at=at, grace=GRACE) is None


def reused(session: Session, token_id: str, at: datetime) -> None:
    fresh = LIFETIMES.pair(access_id="a-reused", refresh_id="r-reused", at=at)
    ended = session.refresh(token_id, DEVICE, fresh, at=at, grace=GRACE)
    assert ended is not None
    assert ended.reason is session.ended_because is SessionEnd.REUSED


@pytest.mark.parametrize("text", [None, "", "   ", "\n"])
def test_no_fingerprint_is_one_that_all_share(text: str | None) -> None:
    assert Fingerprint(text).text == "NOT_SET"


def test_fingerprints_have_a_length() -> None:
    assert Fingerprint(" " + "f" * 40).text == "f" * 40
    with pytest.raises(FingerprintTooLong):
        Fingerprint("f" * 41)
    with pytest.raises(UnstorableText):
        Fingerprint("f\0")


@given(st.text(), st.text())
def test_an_origin_is_made_fit_to_be_shown(user_agent: str, address: str) -> None:
    origin = Origin(user_agent=user_agent, address=address)
    for text in (origin.user_agent, origin.address):
        assert text is None or (text.isprintable() and len(text) <= 200)


def test_tokens_tell_time_in_whole_seconds() -> None:
    pair = LIFETIMES.pair(access_id="a", refresh_id="r", at=NOW)
    assert pair.issued_at == NOW.replace(microsecond=0)
    assert pair.access_expires_at - pair.issued_at == timedelta(minutes=30)
    assert pair.refresh_expires_at - pair.issued_at == timedelta(days=60)


def test_a_session_may_have_a_last_day_however_often_it_is_refreshed() -> None:
    bounded = Lifetimes(longest=timedelta(days=90))
    session = opened()
    session.pair = bounded.pair(access_id="a0", refresh_id="r0", at=NOW, since=session.created_at)
    last_day = NOW.replace(microsecond=0) + timedelta(days=90)
    for number, days in enumerate((50, 89), start=1):
        at = NOW + timedelta(days=days, hours=23, minutes=45)
        fresh = bounded.pair(access_id=f"a{number}", refresh_id=f"r{number}", at=at, since=session.created_at)
        assert session.refresh(f"r{number - 1}", DEVICE, fresh, at=at, grace=GRACE) is None
        assert session.pair.refresh_expires_at == last_day
    assert session.pair.access_expires_at == last_day, "no token is good for longer than the session"
    fresh = bounded.pair(access_id="a3", refresh_id="r3", at=last_day, since=session.created_at)
    with pytest.raises(TokenExpired):
        session.refresh("r2", DEVICE, fresh, at=last_day, grace=GRACE)


def test_a_shorter_life_holds_for_sessions_that_are_open_already() -> None:
    session = opened()
    at = NOW + timedelta(days=10)
    fresh = Lifetimes(longest=timedelta(days=7)).pair(
        access_id="a1", refresh_id="r1", at=at, since=session.created_at
    )
    with pytest.raises(TokenExpired):
        session.refresh("r0", DEVICE, fresh, at=at, grace=GRACE)
    assert session.pair.refresh_id == "r0"


def test_an_earlier_access_token_is_accepted_unless_only_the_newest_is() -> None:
    only_newest = Lifetimes(one_access_token=True)
    assert all(each.accepts_access("a1", newest="a1") for each in (LIFETIMES, only_newest))
    assert LIFETIMES.accepts_access("a0", newest="a1")
    assert not only_newest.accepts_access("a0", newest="a1")


def test_a_refresh_token_is_exchanged_once() -> None:
    session = opened()
    refreshed(session, "r0", 1, NOW + timedelta(minutes=5))
    assert (session.pair.access_id, session.pair.refresh_id) == ("a1", "r1")
    assert session.last_used_at == NOW + timedelta(minutes=5)


def test_within_the_grace_the_last_exchange_is_repeated() -> None:
    session = opened()
    refreshed(session, "r0", 1, NOW)
    given_then = session.pair
    refreshed(session, "r0", 2, NOW + GRACE - timedelta(microseconds=1))
    assert session.pair == given_then
    reused(session, "r0", NOW + GRACE)
    assert session.pair == given_then


def test_the_grace_is_for_the_last_token_alone() -> None:
    session = opened()
    refreshed(session, "r0", 1, NOW)
    refreshed(session, "r1", 2, NOW)
    refreshed(session, "r1", 3, NOW)
    assert session.pair.refresh_id == "r2"
    reused(session, "r0", NOW)
    with pytest.raises(SessionOver):
        refreshed(session, "r2", 4, NOW)


def test_the_right_token_from_another_device_ends_the_session() -> None:
    session = opened()
    fresh = LIFETIMES.pair(access_id="a1", refresh_id="r1", at=NOW)
    ended = session.refresh("r0", Fingerprint("other"), fresh, at=NOW, grace=GRACE)
    assert ended is not None
    assert (ended.reason, ended.session_id, ended.profile_id) == (
        SessionEnd.MISMATCHED,
        session.id,
        session.profile_id,
    )
    assert session.pair.refresh_id == "r0"
    with pytest.raises(SessionOver):
        refreshed(session, "r0", 1, NOW)


def test_a_used_token_ends_the_session_from_whichever_device_it_comes() -> None:
    session = opened()
    refreshed(session, "r0", 1, NOW)
    fresh = LIFETIMES.pair(access_id="a2", refresh_id="r2", at=NOW)
    ended = session.refresh("r0", Fingerprint("other"), fresh, at=NOW + GRACE, grace=GRACE)
    assert ended is not None
    assert ended.reason is SessionEnd.REUSED


def test_a_refresh_token_lasts_60_days() -> None:
    session = opened(NOW.replace(microsecond=0))
    end = NOW.replace(microsecond=0) + timedelta(days=60)
    assert session.is_live(end - timedelta(microseconds=1))
    assert not session.is_live(end)
    with pytest.raises(TokenExpired):
        refreshed(session, "r0", 1, end)


def test_a_session_ends_once() -> None:
    session = opened()
    assert session.end(SessionEnd.SIGNED_OUT, at=NOW).reason is SessionEnd.SIGNED_OUT
    with pytest.raises(SessionOver):
        session.end(SessionEnd.REPLACED, at=NOW)
    assert session.ended_because is SessionEnd.SIGNED_OUT


class OneFamily(RuleBasedStateMachine):
    """Refresh tokens are presented in any order and at any time: one pair is valid, and only the token that it replaced gives it again."""

    def __init__(self) -> None:
        super().__init__()
        self.session = opened()
        self.now = NOW
        self.numbers = count(1)
        self.spent: list[tuple[str, datetime]] = []

    @rule(seconds=st.sampled_from([0, 1, 9, 10, 11, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.session.ended_at is None)
    @rule()
    def the_present_token_is_exchanged(self) -> None:
        token_id = self.session.pair.refresh_id
        refreshed(self.session, token_id, next(self.numbers), self.now)
        self.spent.append((token_id, self.now))

    @precondition(lambda self: self.spent and self.session.ended_at is None)
    @rule(data=st.data())
    def a_spent_token_is_presented(self, data: st.DataObject) -> None:
        token_id, at = data.draw(st.sampled_from(self.spent))
        before = self.session.pair
        in_grace = token_id == self.spent[-1][0] and self.now < at + GRACE
        if in_grace:
            refreshed(self.session, token_id, next(self.numbers), self.now)
        else:
            reused(self.session, token_id, self.now)
        assert self.session.pair == before

    @invariant()
    def no_spent_token_is_the_present_one(self) -> None:
        assert self.session.pair.refresh_id not in [token_id for token_id, _ in self.spent]


TestOneFamily = OneFamily.TestCase

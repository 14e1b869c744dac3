from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.account import Confirmation, Email, PasswordHash
from domain.ids import AccountId, ConfirmationId, LetterId
from domain.notification import LONGEST_PAUSE, Letter, Outcome, Template, pause_after

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)


@pytest.fixture
def letter() -> Letter:
    confirmation = Confirmation(
        id=ConfirmationId(uuid4()),
        account_id=AccountId(uuid4()),
        email=Email("new@example.com"),
        password_hash=PasswordHash("hash"),
        issued_at=NOW,
        expires_at=NOW + timedelta(days=2),
    )
    return Letter.confirming(confirmation, id=LetterId(uuid4()), at=NOW)


def test_a_new_letter_is_due(letter: Letter) -> None:
    assert letter.is_due(NOW)
    assert not letter.is_due(NOW - timedelta(seconds=1))


def test_who_claims_it_has_it_for_a_while(letter: Letter) -> None:
    assert letter.claim(at=NOW, lease=LEASE)
    assert not letter.is_due(NOW + LEASE - timedelta(seconds=1))
    assert letter.is_due(NOW + LEASE)


def test_sent_is_the_end_of_it(letter: Letter) -> None:
    letter.claim(at=NOW, lease=LEASE)
    letter.sent()
    assert letter.outcome is Outcome.SENT
    assert not letter.is_due(NOW + timedelta(days=1))


def test_a_failure_is_tried_again_after_growing_pauses(letter: Letter) -> None:
    at, pauses = NOW, []
    for _ in range(5):
        assert letter.is_due(at)
        letter.claim(at=at, lease=LEASE)
        letter.failed(letter.attempts, "no", for_good=False, at=at)
        pauses.append(letter.next_attempt_at - at)
        at = letter.next_attempt_at
    assert pauses == [timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 240)]
    assert (letter.outcome, letter.reason) == (Outcome.PREPARED, "no")


def test_some_failures_are_for_good(letter: Letter) -> None:
    letter.claim(at=NOW, lease=LEASE)
    letter.failed(1, "no such person" * 100, for_good=True, at=NOW)
    assert letter.outcome is Outcome.ERROR
    assert len(letter.reason or "") == 255
    assert not letter.is_due(NOW + timedelta(days=1))


def test_a_late_failure_says_nothing_about_a_later_attempt(letter: Letter) -> None:
    letter.claim(at=NOW, lease=LEASE)
    letter.claim(at=NOW + LEASE, lease=LEASE)
    letter.failed(1, "too late", for_good=True, at=NOW + LEASE)
    assert letter.outcome is Outcome.PREPARED
    letter.sent()
    letter.failed(2, "even later", for_good=True, at=NOW + LEASE)
    assert (letter.outcome, letter.reason) == (Outcome.SENT, None)


def test_a_letter_whose_link_has_expired_is_not_sent(letter: Letter) -> None:
    assert not letter.claim(at=NOW + timedelta(days=2), lease=LEASE)
    assert (letter.outcome, letter.reason, letter.attempts) == (Outcome.ERROR, "expired", 0)


def test_news_gets_old() -> None:
    news = Letter.reporting(
        Template.NEW_DEVICE,
        id=LetterId(uuid4()),
        account_id=AccountId(uuid4()),
        recipient=Email("one@example.com"),
        at=NOW,
    )
    assert news.link is None
    assert news.claim(at=NOW + timedelta(days=7) - timedelta(microseconds=1), lease=timedelta(0))
    assert not news.claim(at=NOW + timedelta(days=7), lease=LEASE)


def test_one_that_is_dropped_is_never_due(letter: Letter) -> None:
    letter.drop("nobody has this address")
    assert (letter.outcome, letter.reason) == (Outcome.ERROR, "nobody has this address")
    assert not letter.is_due(NOW)


def test_one_that_kills_its_sender_goes_behind_the_others(letter: Letter) -> None:
    letter.claim(at=NOW, lease=timedelta(0))
    assert letter.next_attempt_at > NOW


@given(st.integers(1, 10_000))
def test_pauses_grow_up_to_a_bound(attempts: int) -> None:
    assert pause_after(attempts) <= pause_after(attempts + 1) <= LONGEST_PAUSE

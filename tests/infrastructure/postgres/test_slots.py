"""The keys under which messages without a nonce are kept, see "The write path" in docs/storage.md."""

from uuid import uuid4

from hypothesis import example, given
from hypothesis import strategies as st

from application.ports.posting import EPOCH, MICROSECOND, Draft, Slots
from domain.ids import ChatId, MessageId, ProfileId
from domain.message import Body, Nonce
from infrastructure.postgres.posting import keys_of


def keys(microseconds: int, interval: int, nonce: str | None = None, text: str = "Hello") -> tuple[str, str]:
    draft = Draft(
        chat_id=ChatId(uuid4()),
        author_id=ProfileId(uuid4()),
        id=MessageId(uuid4()),
        body=Body(text),
        nonce=None if nonce is None else Nonce(nonce),
        at=EPOCH + microseconds * MICROSECOND,
    )
    return keys_of(draft, Slots(interval * MICROSECOND) if interval else None)


@given(st.integers(1, 10**10), st.integers(1, 2_000_000))
@example(5_303_030_303, 333_333)
def test_slots_begin_and_end_to_the_microsecond(slot: int, interval: int) -> None:
    if slot * interval > 10**16:
        slot = slot % 10**9
    first = slot * interval
    start, last, following = (keys(at, interval) for at in (first, first + interval - 1, first + interval))
    assert start == last
    assert following[1] == start[0], "the one before is read too"
    assert following[0] not in start


def test_what_has_a_nonce_or_no_interval_has_no_slot() -> None:
    assert keys(5, 7, nonce="n") == keys(500, 7, nonce="n")
    assert keys(5, 0)[0] != keys(5, 0)[0], "each is its own"
    assert keys(5, 7, text="a")[0] != keys(5, 7, text="b")[0]

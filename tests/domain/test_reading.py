from uuid import uuid4

import pytest

from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import NewlyRead, Reading
from tests.strategies import START

ANN, BOB = ProfileId(uuid4()), ProfileId(uuid4())
CHAT = ChatId(uuid4())


def reading(mark: int = 0, excluded: int = 0) -> Reading:
    return Reading(chat_id=CHAT, profile_id=ANN, mark=Seq(mark), excluded=excluded)


def test_unread_is_what_comes_after_the_mark_and_counts() -> None:
    assert reading().unread(Seq(0)) == 0
    assert reading(mark=3).unread(Seq(10)) == 7
    assert reading(mark=3, excluded=2).unread(Seq(10)) == 5


def test_reading_tells_what_was_read() -> None:
    one = reading(mark=2, excluded=4)
    id_ = MessageId(uuid4())
    read = one.advance(Seq(5), NewlyRead(message_ids=(id_,), by_author={BOB: 1}), at=START)
    assert read == MessagesRead(
        chat_id=CHAT,
        reader_id=ANN,
        from_seq=Seq(3),
        to_seq=Seq(5),
        at=START,
        message_ids=(id_,),
        count=1,
        by_author={BOB: 1},
    )
    assert (one.mark, one.excluded) == (5, 2), "two of the three that it passed did not count"


def test_what_is_read_already_is_not_read_again() -> None:
    one = reading(mark=5, excluded=1)
    for to in (5, 4, 0):
        assert one.advance(Seq(to), NewlyRead(message_ids=(), by_author={BOB: 3}), at=START) is None
    assert (one.mark, one.excluded) == (5, 1)


def test_passing_only_what_did_not_count_moves_the_mark_silently() -> None:
    one = reading(mark=1, excluded=3)
    assert one.advance(Seq(3), NewlyRead(message_ids=(), by_author={}), at=START) is None
    assert (one.mark, one.excluded) == (3, 1)
    assert one.unread(Seq(4)) == 0


class TestSingly:
    def test_one_message_beyond_the_mark(self) -> None:
        one = reading(mark=2, excluded=1)
        id_ = MessageId(uuid4())
        read = one.read_single(Seq(5), id_, BOB, is_covered=False, at=START)
        assert read == MessagesRead(
            chat_id=CHAT,
            reader_id=ANN,
            from_seq=Seq(5),
            to_seq=Seq(5),
            at=START,
            message_ids=(id_,),
            count=1,
            by_author={BOB: 1},
            is_single=True,
        )
        assert (one.mark, one.excluded) == (2, 2), "the mark stays where it is"

    @pytest.mark.parametrize(
        ("seq", "author", "is_covered"), [(2, BOB, False), (1, BOB, False), (5, ANN, False), (5, BOB, True)]
    )
    def test_nothing_to_it(self, seq: int, author: ProfileId, is_covered: bool) -> None:
        one = reading(mark=2, excluded=1)
        id_ = MessageId(uuid4())
        assert one.read_single(Seq(seq), id_, author, is_covered=is_covered, at=START) is None
        assert (one.mark, one.excluded) == (2, 1)

    def test_what_was_read_singly_is_not_counted_when_the_mark_passes_it(self) -> None:
        one = reading()
        one.read_single(Seq(3), MessageId(uuid4()), BOB, is_covered=False, at=START)
        assert one.unread(Seq(4)) == 3
        read = one.advance(Seq(4), NewlyRead(message_ids=(), by_author={BOB: 3}), at=START)
        assert read is not None
        assert (read.count, one.excluded, one.unread(Seq(4))) == (3, 0, 0)

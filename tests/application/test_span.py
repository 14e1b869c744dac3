"""Pages by arithmetic are the pages of a list."""

from hypothesis import given
from hypothesis import strategies as st

from application.ports.views import After, Around, Before, Newest, PageNumber, Where, span
from domain.ids import Seq
from tests.strategies import places

limits = st.integers(1, 7) | st.just(200)
lengths = st.integers(0, 12)


def naive(where: Where, limit: int, numbers: list[int]) -> list[int]:
    """The page, taken from a list of all there is."""
    match where:
        case Newest():
            return numbers[-limit:]
        case PageNumber(number):
            newest_first = numbers[::-1][(number - 1) * limit : number * limit]
            return newest_first[::-1]
        case Before(seq):
            return [number for number in numbers if number < seq][-limit:]
        case After(seq):
            return [number for number in numbers if number > seq][:limit]
        case Around(seq):
            wanted = range(seq - limit // 2, seq - limit // 2 + limit)
            return [number for number in numbers if number in wanted]


@given(where=places, limit=limits, last=lengths)
def test_a_page_is_what_a_list_says(where: Where, limit: int, last: int) -> None:
    numbers = list(range(1, last + 1))
    page = span(where, limit, Seq(last))
    assert list(page) == naive(where, limit, numbers)
    assert len(page) <= limit


@given(where=places, limit=limits, last=lengths)
def test_it_says_what_lies_on_either_side(where: Where, limit: int, last: int) -> None:
    page = span(where, limit, Seq(last))
    before, after = range(1, min(page.start, last + 1)), range(page.stop, last + 1)
    assert [*before, *page, *after] == list(range(1, last + 1)), (
        "an empty page lies on one side of everything"
    )


@given(limit=limits, last=lengths)
def test_pages_by_number_cover_everything_once(limit: int, last: int) -> None:
    pages = [list(span(PageNumber(number), limit, Seq(last))) for number in range(1, last // limit + 2)]
    assert [number for page in reversed(pages) for number in page] == list(range(1, last + 1))


@given(limit=limits, last=lengths)
def test_going_back_and_forth_covers_everything_once(limit: int, last: int) -> None:
    everything = list(range(1, last + 1))
    forward: list[int] = []
    while page := span(After(Seq(forward[-1] if forward else 0)), limit, Seq(last)):
        forward += page
    assert forward == everything
    back = list(span(Newest(), limit, Seq(last)))
    while back and (page := span(Before(Seq(back[0])), limit, Seq(last))):
        back = [*page, *back]
    assert back == everything

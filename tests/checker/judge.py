"""Whether a history keeps the guarantees D1 to D16."""

from collections.abc import Iterator

from tests.checker import marks, messages, readers
from tests.checker.history import Failure, History
from tests.checker.picture import Picture, Violation


def judge(history: History, *, grace: float = 1.0) -> list[Violation]:
    """
    All that is wrong with it.

    ``grace`` is how many seconds a node has to hear what was done on another one, or what nobody was told.
    """
    return list(_judge(Picture(history), grace))


def _judge(picture: Picture, grace: float) -> Iterator[Violation]:
    for rule in (
        messages.durable,
        messages.once,
        messages.no_phantom,
        messages.numbered,
        messages.one_order,
        messages.real_time,
        messages.sender_order,
        messages.answered_first,
        messages.times,
        readers.contiguous,
        readers.answered,
        marks.marks,
        marks.unread,
    ):
        yield from rule(picture)
    yield from readers.membership_cuts(picture, grace)
    for _, failure in picture.all(Failure):
        yield Violation("failure", failure.what, failure.at)

"""Whether a history keeps the guarantees D1 to D16."""

from collections.abc import Iterator

from tests.checker import all_chats, marks, messages, readers
from tests.checker.eras import crossings, eras
from tests.checker.history import Failure, History
from tests.checker.picture import PROMISED, Limits, Picture, Violation


def judge(history: History, limits: Limits = PROMISED) -> list[Violation]:
    """All that is wrong with it."""
    found = [violation for era in eras(history) for violation in _judge(Picture(era, limits))]
    return [*found, *crossings(history)]


def _judge(picture: Picture) -> Iterator[Violation]:
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
        messages.too_often,
        readers.contiguous,
        readers.whole,
        readers.answered,
        readers.membership_cuts,
        marks.marks,
        marks.unread,
        all_chats.known,
    ):
        yield from rule(picture)
    for _, failure in picture.all(Failure):
        yield Violation("failure", failure.what, failure.at)

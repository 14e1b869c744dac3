"""Turns the original's read marks, which are kept per message, into acts of reading."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import frozen

from domain.ids import MessageId, ProfileId, Seq


@frozen(kw_only=True)
class Said:
    """An imported message and its number in the chat."""

    seq: Seq
    id: MessageId
    author_id: ProfileId


@frozen(kw_only=True)
class Run:
    """One act of reading: everything up to a message, at one time."""

    to: Seq
    at: datetime


def runs(
    said: Sequence[Said], read: Mapping[MessageId, datetime], reader_id: ProfileId
) -> tuple[list[Run], list[Said]]:
    """
    Returns the acts of reading that cover the chat up to the first unread message, and the messages after it that were
    read singly. The reader's own messages count as neither read nor unread.
    """
    in_a_row: list[Run] = []
    singly: list[Said] = []
    is_in_a_row = True
    for one in said:
        if one.author_id == reader_id:
            continue
        at = read.get(one.id)
        if at is None:
            is_in_a_row = False
        elif not is_in_a_row:
            singly.append(one)
        elif in_a_row and in_a_row[-1].at == at:
            in_a_row[-1] = Run(to=one.seq, at=at)
        else:
            in_a_row.append(Run(to=one.seq, at=at))
    return in_a_row, singly

"""How far people have read, and what that leaves unread: D9, D10."""

from collections import defaultdict
from collections.abc import Iterator

from tests.checker.history import (
    Kept,
    MarkSeen,
    MarkStarted,
    ReadTold,
    Resumed,
    Said,
    UnreadRead,
)
from tests.checker.picture import NEVER, Picture, Violation, key_of

Reader = tuple[str, str]
"""A chat and who reads it."""

Steps = dict[Reader, list[tuple[int, int]]]
"""Places of the history, and how far somebody had read by then."""


def marks(picture: Picture) -> Iterator[Violation]:
    """D9: only forward, only as far as was asked, and one act of reading begins where the last one ended."""
    tried, sure = tried_marks(picture), sure_marks(picture)
    acts: dict[Reader, set[tuple[int, int]]] = defaultdict(set)
    heard: set[tuple[int, str, int, int]] = set()
    for place, told in picture.all(ReadTold):
        reader = picture.sockets[told.connection].opened.chat, told.reader
        acts[reader].add((told.from_seq, told.to_seq))
        if (act := (told.connection, told.reader, told.from_seq, told.to_seq)) in heard:
            yield Violation("D9", f"told twice: {told}", told.at)
        heard.add(act)
        if told.to_seq > before(tried, reader, place):
            yield Violation("D9", f"nobody read so far: {told}", told.at)
        kept = picture.kept.get(reader[0])
        if kept and told.count != foreign(kept, told.reader, told.from_seq, told.to_seq):
            yield Violation("D10", f"counts otherwise: {told}", told.at)
    for reader, ranges in acts.items():
        last = 0
        for start, end in sorted(ranges):
            if start <= last or end < start:
                yield Violation("D9", f"read twice or backwards by {reader}: {sorted(ranges)}", 0)
            last = end
    for place, seen in picture.all(MarkSeen):
        question = picture.questions[seen.ask]
        reader = question.asked.chat, question.asked.profile
        if seen.seq < before(sure, reader, question.place):
            yield Violation("D9", f"moved back to {seen.seq}: {question.asked}", seen.at)
        if seen.seq > before(tried, reader, place):
            yield Violation("D9", f"nobody read so far: {seen}", seen.at)
    yield from _others(picture, tried, sure)


def _others(picture: Picture, tried: Steps, sure: Steps) -> Iterator[Violation]:
    """A resuming client is told how far the others have read."""
    for place, resumed in picture.all(Resumed):
        socket = picture.sockets[resumed.connection]
        others = [
            reader
            for reader in {**tried, **sure}
            if reader[0] == socket.opened.chat and reader[1] != socket.opened.profile
        ]
        least = max((before(sure, reader, socket.place) for reader in others), default=0)
        most = max((before(tried, reader, place) for reader in others), default=0)
        if not least <= resumed.others_read_up_to <= most:
            yield Violation("D9", f"others have read {least} to {most}: {resumed}", resumed.at)


def unread(picture: Picture) -> Iterator[Violation]:
    """D10: what comes after the mark and is not one's own; at rest exactly, before that within what could be so."""
    tried, sure = tried_marks(picture), sure_marks(picture)
    known = picture.known
    final = final_marks(picture)
    for place, read in picture.all(UnreadRead):
        question = picture.questions[read.ask]
        chat, profile = reader = question.asked.chat, question.asked.profile
        kept = picture.kept.get(chat)
        if kept is None:
            continue
        if question.place > picture.quiet and reader in final:
            exact = foreign(kept, profile, final[reader] + 1, len(kept.messages))
            least, most = exact, exact
        else:
            maybe, surely = before(tried, reader, place), before(sure, reader, question.place)
            others = [said for said in kept.messages if said.author != profile]
            least = sum(said.seq > maybe and known.get(said.id, NEVER) < question.place for said in others)
            most = sum(said.seq > surely and _started(picture, said) < place for said in others)
        if not least <= read.count <= most:
            what = f"{read.count} unread, not {least} to {most}: {question.asked}"
            yield Violation("D10", what, read.at)


def foreign(kept: Kept, reader: str, first: int, last: int) -> int:
    return sum(first <= said.seq <= last and said.author != reader for said in kept.messages)


def _started(picture: Picture, said: Said) -> int:
    return min((one.place for one in picture.by_key.get(key_of(said), ())), default=0)


def tried_marks(picture: Picture) -> Steps:
    steps: Steps = defaultdict(list)
    for place, mark in picture.all(MarkStarted):
        steps[mark.chat, mark.profile].append((place, mark.up_to))
    return steps


def sure_marks(picture: Picture) -> Steps:
    steps: Steps = defaultdict(list)
    for place, told in picture.all(ReadTold):
        steps[picture.sockets[told.connection].opened.chat, told.reader].append((place, told.to_seq))
    for place, seen in picture.all(MarkSeen):
        asked = picture.questions[seen.ask].asked
        steps[asked.chat, asked.profile].append((place, seen.seq))
    return steps


def before(steps: Steps, reader: Reader, place: int) -> int:
    return max((mark for when, mark in steps.get(reader, ()) if when < place), default=0)


def final_marks(picture: Picture) -> dict[Reader, int]:
    marks: dict[Reader, int] = {}
    for _, seen in picture.all(MarkSeen):
        question = picture.questions[seen.ask]
        if question.place > picture.quiet:
            marks[question.asked.chat, question.asked.profile] = seen.seq
    return marks

"""What becomes of what is sent: D1 to D5, D7, D8, D16."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from tests.checker.history import (
    Acked,
    Asked,
    HistoryRead,
    Kept,
    Refused,
    Said,
    SendStarted,
    Told,
    TooOften,
)
from tests.checker.picture import Attempt, Key, Picture, Violation, key, key_of


def durable(picture: Picture) -> Iterator[Violation]:
    """D1, D3: what was acknowledged or shown is in every history that is asked for later, and at the end."""
    known: dict[str, int] = defaultdict(int)
    known_when_asked: dict[int, int] = {}
    for event in picture.history:
        match event:
            case Asked():
                known_when_asked[event.ask] = known[event.chat]
            case Acked():
                chat = picture.attempts[event.send].started.chat
                known[chat] = max(known[chat], event.seq)
            case Told(what=Said() as said):
                known[said.chat] = max(known[said.chat], said.seq)
            case HistoryRead():
                chat = picture.questions[event.ask].asked.chat
                if event.total < known_when_asked[event.ask]:
                    what = f"history of {event.total}, but {known_when_asked[event.ask]} was known before"
                    yield Violation("D1", what, event.at)
                wanted = _page(event)
                if [said.seq for said in event.messages] != wanted:
                    yield Violation("D4", f"a page shows {[said.seq for said in event.messages]}", event.at)
                known[chat] = max(known[chat], event.total)
            case _:
                pass
    ids = {chat: {said.id for said in kept.messages} for chat, kept in picture.kept.items()}
    for _, ack in picture.all(Acked):
        chat = picture.attempts[ack.send].started.chat
        if chat in ids and ack.id not in ids[chat]:
            yield Violation("D1", f"acknowledged and gone: {ack}", ack.at)
    for _, at, said in picture.shown():
        if said.chat in ids and said.id not in ids[said.chat]:
            yield Violation("D3", f"shown and gone: {said}", at)


def _page(read: HistoryRead) -> list[int]:
    first = read.total - read.page * read.size + 1
    return list(range(max(first, 1), max(min(first + read.size - 1, read.total), 0) + 1))


def once(picture: Picture) -> Iterator[Violation]:
    """D2: one message to a nonce, and every answer names it."""
    for name, attempts in picture.by_key.items():
        nonce = name[2]
        acks = [one.outcome for one in attempts if isinstance(one.outcome, Acked)]
        if nonce is not None:
            if len({(ack.id, ack.seq, ack.position) for ack in acks}) > 1:
                yield Violation("D2", f"one nonce, several messages: {acks}", acks[-1].at)
            if sum(not ack.duplicate for ack in acks) > 1:
                yield Violation("D2", f"the first of its nonce twice: {acks}", acks[-1].at)
            stored = {(ack.id, ack.seq) for ack in acks}
            for one in attempts:
                if isinstance(one.outcome, Refused) and one.outcome.first:
                    stored.add(one.outcome.first)
            if len(stored) > 1:
                yield Violation(
                    "D2", f"the first of a nonce is not the one: {stored}", attempts[0].started.at
                )
    for kept in picture.kept.values():
        for name, count in Counter(map(key_of, kept.messages)).items():
            attempts = picture.by_key.get(name, [])
            most = 1 if name[2] is not None else sum(not _is_refused(one) for one in attempts)
            if attempts and count > max(most, 1):
                yield Violation("D2", f"stored {count} times: {name}", kept.at)


def _is_refused(attempt: Attempt) -> bool:
    return isinstance(attempt.outcome, Refused)


def no_phantom(picture: Picture) -> Iterator[Violation]:
    """D3: whatever is shown was sent before, was not refused, and reads as it was written."""
    seen: set[Said] = set()
    for place, at, said in picture.shown():
        if said in seen:
            continue
        seen.add(said)
        attempts = [one for one in picture.by_key.get(key_of(said), ()) if one.place < place]
        if not attempts:
            yield Violation("D3", f"nobody sent {said}", at)
        elif all(_is_refused(one) for one in picture.by_key[key_of(said)]):
            yield Violation("D3", f"refused and stored: {said}", at)
        elif said.text not in {one.started.text.strip() for one in attempts}:
            yield Violation("D3", f"not what was written: {said}", at)


def numbered(picture: Picture) -> Iterator[Violation]:
    """D4: 1, 2, 3 ... both for messages and for all that stands in a chat's log."""
    for kept in picture.kept.values():
        seqs = [said.seq for said in kept.messages]
        if seqs != list(range(1, len(seqs) + 1)):
            yield Violation("D4", f"numbers {seqs}", kept.at)
        positions = [said.position for said in kept.messages]
        if positions != sorted(positions):
            yield Violation("D4", f"positions {positions}", kept.at)
        every = sorted([*positions, *kept.changes])
        if every != list(range(1, len(every) + 1)):
            yield Violation("D4", f"positions in all {every}", kept.at)


def one_order(picture: Picture) -> Iterator[Violation]:
    """D5: a number has one message and a message one number, in every answer and frame."""
    by_number: dict[tuple[str, str, int], object] = {}
    by_id: dict[str, object] = {}

    def differs(chat: str, id: str, seq: int, position: int) -> bool:
        whole = chat, id, seq, position
        known = (
            by_number.setdefault((chat, "seq", seq), whole),
            by_number.setdefault((chat, "position", position), whole),
            by_id.setdefault(id, whole),
        )
        return any(one != whole for one in known)

    whole: dict[str, Said] = {}
    for _, at, said in picture.shown():
        if differs(said.chat, said.id, said.seq, said.position) or whole.setdefault(said.id, said) != said:
            yield Violation("D5", f"another place or another text: {said}, {whole.get(said.id)}", at)
    for _, ack in picture.all(Acked):
        if differs(picture.attempts[ack.send].started.chat, ack.id, ack.seq, ack.position):
            yield Violation("D5", f"acknowledged at another place: {ack}", ack.at)
        elif ack.id in whole and key_of(whole[ack.id]) != picture.attempts[ack.send].key:
            yield Violation("D5", f"acknowledged for another message: {ack}, {whole[ack.id]}", ack.at)
    changes = {(chat, at): text for chat, kept in picture.kept.items() for at, text in kept.changes.items()}
    for _, told in picture.all(Told):
        if isinstance(told.what, str):
            chat = picture.sockets[told.connection].opened.chat
            if changes.setdefault((chat, told.position), told.what) != told.what:
                yield Violation("D5", f"another change: {told}", told.at)


def real_time(picture: Picture) -> Iterator[Violation]:
    """D7: what was known before a message was first sent has a smaller number."""
    known: dict[str, int] = defaultdict(int)
    floors: dict[object, int] = {}
    for event in picture.history:
        match event:
            case SendStarted():
                name = key(event.chat, event.profile, event.nonce, event.text)
                floors.setdefault(name, known[event.chat])
            case Acked():
                chat = picture.attempts[event.send].started.chat
                known[chat] = max(known[chat], event.seq)
            case Told(what=Said() as said):
                known[said.chat] = max(known[said.chat], said.seq)
            case HistoryRead():
                chat = picture.questions[event.ask].asked.chat
                known[chat] = max(known[chat], event.total)
            case _:
                pass
    for kept in picture.kept.values():
        for said in kept.messages:
            if said.seq <= floors.get(key_of(said), 0):
                what = f"{floors[key_of(said)]} was there before it was sent: {said}"
                yield Violation("D7", what, kept.at)


def sender_order(picture: Picture) -> Iterator[Violation]:
    """D8: what one socket sends is stored in that order, as far as that socket stored it, and is there when it asks."""
    seqs = {key_of(said): said.seq for kept in picture.kept.values() for said in kept.messages}
    sent: dict[tuple[int, str], list[tuple[int, Attempt]]] = defaultdict(list)
    for attempt in picture.attempts.values():
        connection, seq = attempt.started.connection, seqs.get(attempt.key)
        if connection is not None and seq is not None and _has_stored(attempt, picture):
            sent[connection, attempt.started.chat].append((seq, attempt))
    for stored in sent.values():
        for (before, _), (seq, attempt) in pairwise(stored):
            if seq < before:
                yield Violation("D8", f"{before} was sent before it: {attempt}", attempt.started.at)
    for _, read in picture.all(HistoryRead):
        question = picture.questions[read.ask]
        connection, chat = question.asked.connection, question.asked.chat
        if connection is None or read.is_snapshot:
            continue
        mine = [seq for seq, attempt in sent.get((connection, chat), ()) if attempt.place < question.place]
        if read.total < max(mine, default=0):
            yield Violation("D8", f"{mine} were sent before this was asked: {question.asked}", read.at)


def _has_stored(attempt: Attempt, picture: Picture) -> bool:
    """Tells whether this attempt was stored, and no other one under its nonce. Of two on one socket it is unknown which was answered."""
    alike = picture.by_key[attempt.key]
    if isinstance(attempt.outcome, Acked) and not attempt.outcome.duplicate:
        return sum(one.started.connection == attempt.started.connection for one in alike) == 1
    return len(alike) == 1


def answered_first(picture: Picture) -> Iterator[Violation]:
    """A sender has its answer before its own message comes back."""
    for place, told in picture.all(Told):
        if not isinstance(told.what, Said) or told.what.nonce is None:
            continue
        attempts = picture.by_key.get(key_of(told.what), [])
        on_this = {one.started.connection for one in attempts} == {told.connection}
        if on_this and all(one.outcome_place > place for one in attempts):
            yield Violation("answer", f"told before it was answered: {told}", told.at)


def times(picture: Picture) -> Iterator[Violation]:
    """D16: whatever the clocks did, no message seems older than the one before it."""
    for kept in picture.kept.values():
        yield from _times(kept)


def _times(kept: Kept) -> Iterator[Violation]:
    for before, after in pairwise(kept.messages):
        if datetime.fromisoformat(after.sent_at) < datetime.fromisoformat(before.sent_at):
            yield Violation("D16", f"sent before the one before it: {after}", kept.at)


def too_often(picture: Picture) -> Iterator[Violation]:
    """
    D16's exception: within the interval a text is not stored twice without a nonce, and a refused author had just said it.

    A refusal has no time of its own, and a message was stored at some moment before it was known; what could have been
    is right.
    """
    for kept in picture.kept.values():
        yield from _too_soon(kept, picture.limits.interval - picture.limits.clocks)
    for place, refused in picture.all(Refused):
        attempt = picture.attempts[refused.send]
        if refused.code == "too_frequent" and not _may_be_too_often(attempt, place, picture):
            yield Violation("too often", f"refused, and not just said: {attempt}", refused.at)
    refusals: dict[int, int] = defaultdict(int)
    for place, refusal in picture.all(TooOften):
        refusals[refusal.connection] += 1
        if refusals[refusal.connection] > _most_refused(refusal.connection, place, picture):
            yield Violation("too often", f"refused, and nothing just said: {refusal}", refusal.at)


def _too_soon(kept: Kept, interval: float) -> Iterator[Violation]:
    """
    ``interval`` is the shortest that clocks which differ may show: a message is never stored as older than the one before
    it, so that two by a clock that is behind can be stored closer to each other than they were sent.
    """
    said_at: dict[Key, datetime] = {}
    for said in kept.messages:
        if said.nonce is None:
            before, now = said_at.get(key_of(said)), datetime.fromisoformat(said.sent_at)
            if before and (now - before).total_seconds() < interval:
                yield Violation("too often", f"said at {before} as well: {said}", kept.at)
            said_at[key_of(said)] = now


def _may_be_too_often(attempt: Attempt, place: int, picture: Picture) -> bool:
    """Whether the same was said before ``place`` as well, and stored less than the interval before this attempt."""
    one, limits = attempt.started, picture.limits
    alike = sum(other.place < place for other in picture.by_key[attempt.key])
    if one.nonce is not None or not limits.interval or alike < 2:
        return False
    earliest = one.at - limits.interval - limits.clocks
    kept = picture.kept.get(one.chat)
    return kept is None or any(
        key_of(said) == attempt.key and picture.known_at(said) > earliest for said in kept.messages
    )


def _most_refused(connection: int, place: int, picture: Picture) -> int:
    """Counts what may have been refused: what was sent by then, without what is stored."""
    mine = [one for one in picture.attempts.values() if one.started.connection == connection]
    sent = Counter(one.key for one in mine if one.place < place and _may_be_too_often(one, place, picture))
    stored = Counter(key_of(said) for kept in picture.kept.values() for said in kept.messages)
    unrefused = {name: sum(not _is_refused(one) for one in picture.by_key[name]) for name in sent}
    return sum(min(count, unrefused[name] - stored[name]) for name, count in sent.items())

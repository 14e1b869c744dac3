"""What sockets are told: D6, D11 to D15."""

from collections.abc import Iterator
from typing import Final

from tests.checker.history import (
    Acked,
    Backlog,
    Cut,
    Entered,
    HistoryRead,
    Joined,
    Reset,
    Resumed,
    Said,
    Told,
)
from tests.checker.picture import NEVER, Attempt, Picture, Question, Socket, Violation, key_of

REPLAYED: Final = 1000
"""Events of a chat that `since` may lie back."""


def contiguous(picture: Picture) -> Iterator[Violation]:
    """D6, D13, D14, D15: from where it began without gap, repeat or inversion, until it visibly ends."""
    for socket in picture.sockets.values():
        yield from _run(socket, picture)
    for _, backlog in picture.all(Backlog):
        if backlog.frames > backlog.limit:
            yield Violation("D15", f"more waits than may: {backlog}", backlog.at)


def _run(socket: Socket, picture: Picture) -> Iterator[Violation]:
    since = socket.opened.since
    told: int | None = None
    """The position that was told last; None while a snapshot is awaited."""
    for place, event in socket.events:
        if place > socket.ended_place:
            yield Violation("D15", f"told after its end: {event}", event.at)
        match event:
            case Entered():
                told = since
            case Reset():
                told = None
                yield from _reset(socket, event)
            case HistoryRead():
                if told is not None:
                    yield Violation("D13", f"a snapshot without a reset: {event}", event.at)
                yield from _snapshot(socket, event, picture)
                told = socket.entered.position if socket.entered else None
            case Resumed():
                if told != event.position:
                    yield Violation("D13", f"resumed behind {told}: {event}", event.at)
            case Told():
                if told is None or event.position != told + 1 or event.after != told:
                    rule = "D13" if told is not None and since is not None and told < since else "D6"
                    yield Violation(rule, f"behind {told} comes {event}", event.at)
                told = event.position
            case _:
                pass
    yield from _reached(socket, told, picture)


def _reset(socket: Socket, reset: Reset) -> Iterator[Violation]:
    """Only where there is nothing to resume from."""
    opened, entered = socket.opened, socket.entered
    assert entered is not None, "a reset follows the entry"
    if opened.since is None or opened.epoch != entered.epoch or reset.reason in {"epoch", "malformed"}:
        return
    is_right = {
        "ahead": opened.since > entered.position,
        "too_far": entered.position - opened.since > REPLAYED,
    }
    if not is_right.get(reset.reason):
        yield Violation("D13", f"{reset} of {opened} at {entered}", reset.at)


def _snapshot(socket: Socket, read: HistoryRead, picture: Picture) -> Iterator[Violation]:
    entered = socket.entered
    if entered is None or read.total != entered.seq:
        yield Violation("D14", f"a snapshot of {read.total} messages at {entered}", read.at)
        return
    kept = picture.kept.get(socket.opened.chat)
    if kept and any(
        (said.position <= entered.position) != (said.seq <= entered.seq) for said in kept.messages
    ):
        yield Violation("D14", f"{entered} cuts the log elsewhere than its snapshot", read.at)


def _reached(socket: Socket, told: int | None, picture: Picture) -> Iterator[Violation]:
    """D12, D13: at the end whoever is there has everything."""
    if picture.quiet == NEVER or socket.ended_place < picture.quiet or socket.place > picture.quiet:
        return
    opened, at = socket.opened, picture.history[picture.quiet].at
    if socket.entered is None:
        yield Violation("D12", f"neither let in nor turned away: {opened}", at)
        return
    kept = picture.kept.get(opened.chat)
    if kept and not socket.is_detached and told != (last := len(kept.messages) + len(kept.changes)):
        yield Violation("D12", f"told up to {told} of {last}: {opened}", at)


def answered(picture: Picture) -> Iterator[Violation]:
    """D12: whoever asks on a socket that lives is answered."""
    if picture.quiet == NEVER:
        return
    at = picture.history[picture.quiet].at
    for attempt in picture.attempts.values():
        one = attempt.started
        if one.nonce is not None and attempt.outcome_place == NEVER and _lives(one.connection, picture):
            yield Violation("D12", f"never answered: {one}", at)
    for question in picture.questions.values():
        if question.answered_place == NEVER and _lives(question.asked.connection, picture):
            yield Violation("D12", f"never answered: {question.asked}", at)


def _lives(connection: int | None, picture: Picture) -> bool:
    return connection is not None and picture.sockets[connection].ended_place > picture.quiet


def membership_cuts(picture: Picture, grace: float) -> Iterator[Violation]:
    """D11: nothing sent after a removal, a deletion or a sign-out reaches who it concerns, or is taken from them."""
    for place, cut in picture.all(Cut):
        until = min((p for p, one in picture.all(Joined) if p > place and _rejoins(one, cut)), default=NEVER)
        yield from _leaks(picture, place, cut, until, grace)
        yield from _accepted(picture, place, cut, until, grace)
        yield from _still_open(picture, place, cut, until)


def _rejoins(joined: Joined, cut: Cut) -> bool:
    return cut.session is None and joined.chat == cut.chat and joined.profile == cut.profile


def _concerns(cut: Cut, chat: str, profile: str, session: str) -> bool:
    return cut.chat in {None, chat} and cut.profile in {None, profile} and cut.session in {None, session}


def _concerned(cut: Cut, socket: Socket) -> bool:
    return _concerns(cut, socket.opened.chat, socket.opened.profile, socket.opened.session)


def _since(cut: Cut, socket: Socket, grace: float) -> float:
    """From when on this socket's node knows of it."""
    return cut.at + (0 if socket.opened.node == cut.node else grace)


def _leaks(picture: Picture, place: int, cut: Cut, until: int, grace: float) -> Iterator[Violation]:
    for told_place, told in picture.all(Told):
        socket = picture.sockets[told.connection]
        if not place < told_place < until or not isinstance(told.what, Said) or not _concerned(cut, socket):
            continue
        first = min((one for one in picture.by_key.get(key_of(told.what), ())), key=_place, default=None)
        if first and first.place > place and first.started.at >= _since(cut, socket, grace):
            yield Violation("D11", f"{told} after {cut}", told.at)


def _place(attempt: Attempt) -> int:
    return attempt.place


def _accepted(picture: Picture, place: int, cut: Cut, until: int, grace: float) -> Iterator[Violation]:
    for attempt in picture.attempts.values():
        one, outcome = attempt.started, attempt.outcome
        if (
            place < attempt.place < until
            and isinstance(outcome, Acked)
            and not outcome.duplicate
            and _concerns(cut, one.chat, one.profile, one.session)
            and one.at >= _when(cut, one.connection, picture, grace)
        ):
            yield Violation("D11", f"accepted after {cut}: {one}", outcome.at)
    for read_place, read in picture.all(HistoryRead):
        question: Question = picture.questions[read.ask]
        asked = question.asked
        if (
            place < question.place
            and read_place < until
            and _concerns(cut, asked.chat, asked.profile, asked.session)
            and asked.at >= _when(cut, asked.connection, picture, grace)
        ):
            yield Violation("D11", f"read after {cut}: {asked}", read.at)


def _when(cut: Cut, connection: int | None, picture: Picture, grace: float) -> float:
    """Storage knows at once who is a member; that a session is over, each node must hear."""
    if cut.session is None or connection is None:
        return cut.at
    return _since(cut, picture.sockets[connection], grace)


def _still_open(picture: Picture, place: int, cut: Cut, until: int) -> Iterator[Violation]:
    for socket in picture.sockets.values():
        if not _concerned(cut, socket):
            continue
        if place < socket.place < until and socket.entered:
            yield Violation("D11", f"let in after {cut}: {socket.opened}", socket.opened.at)
        is_quiet = socket.place < picture.quiet < NEVER and picture.quiet < until
        if is_quiet and place < picture.quiet < socket.ended_place and socket.entered:
            yield Violation("D11", f"still open after {cut}: {socket.opened}", cut.at)

"""What sockets are told: D6, D11 to D15."""

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import Factory, define, frozen

from tests.checker.history import (
    Acked,
    AllConnecting,
    AllHeard,
    Backlog,
    Connecting,
    Cut,
    Ended,
    Entered,
    HistoryRead,
    Joined,
    Looked,
    Reset,
    Resumed,
    Said,
    Told,
)
from tests.checker.picture import NEVER, Attempt, Picture, Question, Socket, Violation, key_of


def contiguous(picture: Picture) -> Iterator[Violation]:
    """D6, D13, D14, D15: from where it began without gap, repeat or inversion, until it visibly ends."""
    for socket in picture.sockets.values():
        yield from _run(socket, picture)
    for _, backlog in picture.all(Backlog):
        if backlog.frames > backlog.limit:
            yield Violation("D15", f"more waits than may: {backlog}", backlog.at)


def _run(socket: Socket, picture: Picture) -> Iterator[Violation]:
    opened, entered = socket.opened, socket.entered
    told: int | None = None
    """The position that was told last; None while a snapshot is awaited."""
    due = "entry"
    """What must come before anything that is new: ``snapshot``, ``resumed`` or the reason of a reset; ``""``: nothing."""
    for place, event in socket.events:
        if place > socket.ended_place:
            yield Violation("D15", f"told after its end: {event}", event.at)
        match event:
            case Entered():
                told, due = opened.since, _due(opened, event, picture.limits.replayed)
            case Reset():
                if event.reason != due:
                    yield Violation("D13", f"{event} of {opened} at {entered}, not {due}", event.at)
                told, due = None, "snapshot"
            case HistoryRead():
                if due != "snapshot":
                    yield Violation("D13", f"a snapshot where {due or 'nothing'} was due: {event}", event.at)
                yield from _snapshot(socket, event, picture)
                told, due = entered.position if entered else None, ""
            case Resumed():
                if due != "resumed" or entered is None or not told == event.position == entered.position:
                    yield Violation("D13", f"behind {told} comes {event} of {opened} at {entered}", event.at)
                due = ""
            case Told():
                if told is None or event.position != told + 1 or event.after != told:
                    yield Violation(_BEFORE.get(due, "D13"), f"behind {told} comes {event}", event.at)
                elif due and entered and event.position > entered.position:
                    yield Violation("D13", f"told before {due}: {event}", event.at)
                told = event.position
            case _:
                pass
    yield from _reached(socket, told, due, picture)


NO_MEMBER: Final = 4403
"""The close code for who is no longer a member."""

_BEFORE: Final = {"": "D6", "entry": "D14", "snapshot": "D14"}
"""What a wrong beginning breaks, by what was still due."""


def _due(opened: Connecting, entered: Entered, replayed: int) -> str:
    """What answers its ``since``."""
    if opened.is_garbled:
        return "malformed"
    if opened.since is None:
        return "snapshot"
    if opened.epoch != entered.epoch:
        return "epoch"
    if opened.since > entered.position:
        return "ahead"
    return "too_far" if entered.position - opened.since > replayed else "resumed"


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


def _reached(socket: Socket, told: int | None, due: str, picture: Picture) -> Iterator[Violation]:
    """D12, D13: at the end every connected client has everything."""
    if picture.quiet == NEVER or socket.ended_place < picture.quiet or socket.place > picture.quiet:
        return
    opened, at = socket.opened, picture.history[picture.quiet].at
    if socket.entered is None:
        yield Violation("D12", f"neither let in nor turned away: {opened}", at)
        return
    if due:
        yield Violation("D13", f"{due} never came: {opened}", at)
    kept = picture.kept.get(opened.chat)
    if kept and not socket.is_detached and told != (last := len(kept.messages) + len(kept.changes)):
        yield Violation("D12", f"told up to {told} of {last}: {opened}", at)


@define(eq=False)
class _Book:
    """What a device has of a chat: a snapshot up to ``began``, or a claim that it knows so much, and what came behind it."""

    chat: str
    began: int
    told: list[Said | str] = Factory(list)

    @property
    def position(self) -> int:
        return self.began + len(self.told)


def whole(picture: Picture) -> Iterator[Violation]:
    """D13: what a device was told on all of its connections together is the log, from where it last began anew."""
    for book in _books(picture):
        log = picture.log(book.chat)
        if log is not None and book.told != log[book.began : book.position]:
            yield Violation("D13", f"told behind {book.began}: {book.told}, not {log[book.began :]}", 0)


def _books(picture: Picture) -> Iterator[_Book]:
    """All that devices ever had. One goes on where its device resumes from where it ends."""
    books: dict[_Book, None] = {}
    latest: dict[tuple[str, str], _Book] = {}
    for socket in picture.sockets.values():
        opened, entered = socket.opened, socket.entered
        if opened.device is None:
            continue
        device = opened.device, opened.chat
        book = latest.get(device)
        if book is None or book.position != opened.since:
            book = None if opened.since is None else _Book(opened.chat, opened.since)
        for _, event in socket.events:
            if isinstance(event, HistoryRead) and entered:
                book = _Book(opened.chat, entered.position)
            elif isinstance(event, Told) and book:
                book.told.append(event.what)
            if isinstance(event, HistoryRead | Told) and book:
                books[book] = None
                latest[device] = book
    return iter(books)


def answered(picture: Picture) -> Iterator[Violation]:
    """D12: every request on a socket that stays open is answered."""
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


@frozen
class _Heard:
    """A message that a client was told while it was connected, on either kind of socket."""

    place: int
    event: Told | AllHeard
    said: Said
    opened: Connecting | AllConnecting


def _all_heard(picture: Picture) -> Iterator[_Heard]:
    for place, told in picture.all(Told):
        if isinstance(told.what, Said):
            yield _Heard(place, told, told.what, picture.sockets[told.connection].opened)
    opened = {event.connection: event for _, event in picture.all(AllConnecting)}
    stored = {said.id: said for kept in picture.kept.values() for said in kept.messages}
    for place, heard in picture.all(AllHeard):
        if heard.frame["type"] == "new_message" and (said := stored.get(heard.frame["message"]["id"])):
            yield _Heard(place, heard, said, opened[heard.connection])


def membership_cuts(picture: Picture) -> Iterator[Violation]:
    """D11: nothing sent after a removal, a deletion or a sign-out reaches who it concerns, or is taken from them."""
    heard = [*_all_heard(picture)]
    for place, cut in picture.all(Cut):
        until = min((p for p, one in picture.all(Joined) if p > place and _rejoins(one, cut)), default=NEVER)
        yield from _leaks(picture, heard, place, cut, until)
        yield from _accepted(picture, place, cut, until)
        yield from _still_open(picture, place, cut, until)
    yield from _put_out(picture)


def _put_out(picture: Picture) -> Iterator[Violation]:
    """Only who was removed, and has not been let in again before coming."""
    for _, ended in picture.all(Ended):
        socket = picture.sockets[ended.connection]
        who = socket.opened.chat, socket.opened.profile
        joined = [p for p, one in picture.all(Joined) if (one.chat, one.profile) == who and p < socket.place]
        removed = [p for p, cut in picture.all(Cut) if (cut.chat, cut.profile) == who]
        if ended.code == NO_MEMBER and max(removed, default=-1) <= max(joined, default=-1):
            yield Violation("D11", f"put out, though a member: {socket.opened}", ended.at)


def _rejoins(joined: Joined, cut: Cut) -> bool:
    return cut.session is None and joined.chat == cut.chat and joined.profile == cut.profile


def _concerns(cut: Cut, chat: str, profile: str, session: str) -> bool:
    return cut.chat in {None, chat} and cut.profile in {None, profile} and cut.session in {None, session}


def _concerned(cut: Cut, socket: Socket) -> bool:
    return _concerns(cut, socket.opened.chat, socket.opened.profile, socket.opened.session)


def _knows(picture: Picture, cut: Cut, node: str | None, place: int, at: float) -> bool:
    """
    Whether a node knows of a cut at a place of the history: because it has had the time, or because it has looked. Storage
    (None) knows at once, and so does every node who is a member: a removal stands in the log of its chat, before all that is
    sent after it, and is told in that order. That a session is over, each node must hear.
    """
    if at < cut.at:
        return False
    is_known_at_once = cut.session is None or node in {None, cut.node}
    return (
        is_known_at_once
        or at >= cut.at + picture.limits.grace
        or any(
            looked.node == node and looked.since >= cut.at and when < place
            for when, looked in picture.all(Looked)
        )
    )


def _leaks(
    picture: Picture, heard: Sequence[_Heard], place: int, cut: Cut, until: int
) -> Iterator[Violation]:
    for each in heard:
        if not place < each.place < until or not _concerns(
            cut, each.said.chat, each.opened.profile, each.opened.session
        ):
            continue
        first = min((one for one in picture.by_key.get(key_of(each.said), ())), key=_place, default=None)
        if (
            first
            and first.place > place
            and _knows(picture, cut, each.opened.node, first.place, first.started.at)
        ):
            yield Violation("D11", f"{each.event} after {cut}", each.event.at)


def _place(attempt: Attempt) -> int:
    return attempt.place


def _accepted(picture: Picture, place: int, cut: Cut, until: int) -> Iterator[Violation]:
    for attempt in picture.attempts.values():
        one, outcome = attempt.started, attempt.outcome
        if (
            place < attempt.place
            and attempt.outcome_place < until
            and isinstance(outcome, Acked)
            and not outcome.duplicate
            and _concerns(cut, one.chat, one.profile, one.session)
            and _knows(picture, cut, _node(picture, one.connection), attempt.place, one.at)
        ):
            yield Violation("D11", f"accepted after {cut}: {one}", outcome.at)
    for read_place, read in picture.all(HistoryRead):
        question: Question = picture.questions[read.ask]
        asked = question.asked
        if (
            place < question.place
            and read_place < until
            and _concerns(cut, asked.chat, asked.profile, asked.session)
            and _knows(picture, cut, _node(picture, asked.connection), question.place, asked.at)
        ):
            yield Violation("D11", f"read after {cut}: {asked}", read.at)


def _node(picture: Picture, connection: int | None) -> str | None:
    """The node of a socket; None for a request without one."""
    return None if connection is None else picture.sockets[connection].opened.node


def _still_open(picture: Picture, place: int, cut: Cut, until: int) -> Iterator[Violation]:
    for socket in picture.sockets.values():
        if not _concerned(cut, socket):
            continue
        if place < socket.place and socket.entered_place < until:
            yield Violation("D11", f"let in after {cut}: {socket.opened}", socket.opened.at)
        is_quiet = socket.place < picture.quiet < NEVER and picture.quiet < until
        if is_quiet and place < picture.quiet < socket.ended_place and socket.entered:
            yield Violation("D11", f"still open after {cut}: {socket.opened}", cut.at)

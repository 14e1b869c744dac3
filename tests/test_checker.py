"""
The checker checked: it finds nothing in a good history, and every fault that is planted in it.

The history is told once, by hand; a plant changes it in one place.
"""

from collections.abc import Sequence

import pytest
from attrs import evolve

from tests.checker.history import (
    Acked,
    Answered,
    Asked,
    Backlog,
    Connecting,
    Cut,
    Detached,
    Ended,
    Entered,
    Event,
    Failure,
    History,
    HistoryRead,
    Joined,
    Kept,
    Looked,
    MarkSeen,
    MarkStarted,
    Quiet,
    ReadTold,
    Refused,
    Reset,
    Resumed,
    Said,
    SendStarted,
    Told,
    TooOften,
    Unknown,
    UnreadRead,
)
from tests.checker.judge import judge
from tests.checker.picture import Limits
from tests.planting import Plant, assert_found, behind, instead_of, together, without

CHAT, ANN, BOB, EVE = "chat", "ann", "bob", "eve"
RENAMED = '{"name": "new"}'


def said(seq: int, author: str, nonce: str | None = None, *, position: int | None = None) -> Said:
    return Said(
        id=f"m{seq}",
        chat=CHAT,
        seq=seq,
        position=position or seq,
        author=author,
        text=f"text of {nonce or seq}",
        nonce=nonce,
        sent_at=f"2026-11-23T03:32:{seq:02}",
    )


ONE, TWO, THREE = said(1, ANN, "a1"), said(2, BOB, "b1"), said(3, ANN)
FOUR, FIVE, SIX = said(4, BOB, "b2", position=5), said(5, ANN, "a2", position=6), said(6, BOB, position=7)
ALL = (ONE, TWO, THREE, FOUR, FIVE, SIX)
"""Position 4 is a change of the chat's name."""


def sending(at: float, send: int, what: Said, connection: int | None, text: str | None = None) -> SendStarted:
    return SendStarted(
        at=at,
        send=send,
        connection=connection,
        chat=CHAT,
        profile=what.author,
        session=f"{what.author}'s",
        text=f" {what.text}" if text is None else text,
        nonce=what.nonce,
    )


def acked(at: float, send: int, what: Said, *, duplicate: bool = False) -> Acked:
    return Acked(at=at, send=send, id=what.id, seq=what.seq, position=what.position, duplicate=duplicate)


def told(at: float, connection: int, what: Said) -> Told:
    return Told(at=at, connection=connection, position=what.position, after=what.position - 1, what=what)


def connecting(at: float, connection: int, profile: str, since: int | None = None) -> Connecting:
    return Connecting(
        at=at,
        connection=connection,
        chat=CHAT,
        profile=profile,
        session=f"{profile}'s",
        node="north",
        since=since,
        epoch=None if since is None else "first",
        device=f"{profile}'s phone",
    )


def entered(at: float, connection: int, seq: int, position: int) -> Entered:
    return Entered(at=at, connection=connection, epoch="first", seq=seq, position=position)


def asked(at: float, ask: int, profile: str, connection: int | None = None) -> Asked:
    return Asked(at=at, ask=ask, connection=connection, chat=CHAT, profile=profile, session=f"{profile}'s")


def snapshot(at: float, ask: int, messages: Sequence[Said]) -> HistoryRead:
    return HistoryRead(at=at, ask=ask, messages=messages, total=len(messages), size=10, is_snapshot=True)


def renamed(at: float, connection: int) -> Told:
    return Told(at=at, connection=connection, position=4, after=3, what=RENAMED)


LIMITS = Limits(interval=1.0)

KEPT = Kept(at=9.4, chat=CHAT, messages=ALL, changes={4: RENAMED})

GOOD: History = [
    connecting(0.0, 1, ANN),
    asked(0.0, 1, ANN, 1),
    entered(0.1, 1, 0, 0),
    snapshot(0.1, 1, ()),
    UnreadRead(at=0.1, ask=1, count=0),
    connecting(0.2, 2, BOB),
    asked(0.2, 2, BOB, 2),
    entered(0.3, 2, 0, 0),
    snapshot(0.3, 2, ()),
    sending(1.0, 1, ONE, 1),
    sending(1.0, 2, THREE, 1),
    acked(1.1, 1, ONE),
    told(1.1, 1, ONE),
    told(1.1, 2, ONE),
    sending(1.2, 3, TWO, 2),
    Unknown(at=1.3, send=3),
    told(1.3, 1, TWO),
    told(1.3, 2, TWO),
    sending(1.4, 4, TWO, None),
    acked(1.5, 4, TWO, duplicate=True),
    sending(1.5, 5, TWO, 2, "another text"),
    Refused(at=1.6, send=5, code="nonce_reused", first=("m2", 2)),
    sending(1.6, 6, said(50, EVE, "e1"), None),
    Refused(at=1.7, send=6, code="not_a_member"),
    told(1.7, 1, THREE),
    sending(1.75, 10, THREE, 1),
    sending(1.75, 11, THREE, None),
    TooOften(at=1.8, connection=1),
    Refused(at=1.8, send=11, code="too_frequent"),
    renamed(1.8, 1),
    MarkStarted(at=2.0, chat=CHAT, profile=ANN, up_to=2),
    ReadTold(at=2.1, connection=2, reader=ANN, from_seq=1, to_seq=2, count=1),
    asked(2.2, 3, ANN, 1),
    UnreadRead(at=2.3, ask=3, count=0),
    asked(2.3, 13, ANN),
    MarkSeen(at=2.4, ask=13, seq=2),
    Ended(at=3.0, connection=2, code=1013),
    Backlog(at=3.0, connection=2, frames=8, limit=8),
    sending(3.1, 7, FIVE, 1),
    connecting(3.2, 3, BOB, since=2),
    asked(3.2, 14, BOB, 3),
    entered(3.3, 3, 3, 4),
    told(3.3, 3, THREE),
    renamed(3.3, 3),
    Resumed(at=3.4, connection=3, position=4, others_read_up_to=2),
    MarkSeen(at=3.4, ask=14, seq=0),
    UnreadRead(at=3.4, ask=14, count=2),
    sending(3.5, 8, FOUR, 3),
    sending(3.5, 9, SIX, 3),
    acked(3.6, 8, FOUR),
    told(3.6, 3, FOUR),
    told(3.6, 1, FOUR),
    acked(3.7, 7, FIVE),
    told(3.7, 1, FIVE),
    told(3.7, 3, FIVE),
    told(3.8, 3, SIX),
    told(3.8, 1, SIX),
    connecting(4.0, 4, BOB, since=99),
    asked(4.0, 4, BOB, 4),
    entered(4.1, 4, 6, 7),
    Reset(at=4.1, connection=4, reason="ahead"),
    snapshot(4.1, 4, ALL),
    UnreadRead(at=4.1, ask=4, count=3),
    asked(4.2, 5, BOB, 4),
    HistoryRead(at=4.3, ask=5, messages=ALL[2:4], total=6, size=2, page=2),
    Detached(at=4.4, connection=4),
    asked(4.4, 6, BOB, 4),
    Answered(at=4.5, ask=6),
    Joined(at=5.0, chat=CHAT, profile=EVE),
    connecting(5.1, 5, EVE),
    asked(5.1, 7, EVE, 5),
    entered(5.2, 5, 6, 7),
    snapshot(5.2, 7, ALL),
    Cut(at=6.0, session="eve's", node="north"),
    Ended(at=6.1, connection=5, code=4401),
    Quiet(at=9.0),
    asked(9.1, 8, ANN),
    MarkSeen(at=9.2, ask=8, seq=2),
    asked(9.2, 9, ANN),
    UnreadRead(at=9.3, ask=9, count=2),
    KEPT,
]


def keeps(*messages: Said) -> Plant:
    return instead_of(KEPT, evolve(KEPT, messages=messages))


def swapped(one: Event, other: Event) -> Plant:
    def plant(history: list[Event]) -> None:
        here, there = history.index(one), history.index(other)
        history[here], history[there] = history[there], history[here]

    return plant


def entirely(old: Said, new: Said) -> Plant:
    """Another message in the same place, for everybody."""

    def plant(history: list[Event]) -> None:
        for at, event in enumerate(history):
            if isinstance(event, Told) and event.what == old:
                history[at] = evolve(event, what=new)
            elif isinstance(event, HistoryRead | Kept):
                messages = tuple(new if each == old else each for each in event.messages)
                history[at] = evolve(event, messages=messages)

    return plant


LATER = said(7, ANN, "a3", position=8)
"""Sent after everything."""

SENT_LATER = (sending(6.5, 20, LATER, 1), acked(6.6, 20, LATER), told(6.6, 1, LATER), told(6.6, 3, LATER))
KEPT_LATER = evolve(KEPT, messages=(*ALL, LATER))

QUIET = Quiet(at=9.0)
EVES_END = Ended(at=6.1, connection=5, code=4401)
SIGNED_OUT = Cut(at=6.0, session="eve's", node="north")
ANNS_ENTRY, BOBS_ENTRY = entered(0.1, 1, 0, 0), entered(3.3, 3, 3, 4)
BOBS_RETURN = connecting(3.2, 3, BOB, since=2)
RESUMED = Resumed(at=3.4, connection=3, position=4, others_read_up_to=2)
TOO_OFTEN = TooOften(at=1.8, connection=1)
RESET = Reset(at=4.1, connection=4, reason="ahead")
ANN_READ = ReadTold(at=2.1, connection=2, reader=ANN, from_seq=1, to_seq=2, count=1)


def later(*more: Event, before: Event = QUIET) -> Plant:
    """One more message, and what else comes with it."""
    return together(
        instead_of(before, *SENT_LATER, *more, before),
        instead_of(KEPT, KEPT_LATER),
    )


FAULTS: dict[str, tuple[str, Plant]] = {
    "an acknowledged message is gone": ("D1", keeps(*ALL[:-2])),
    "a later history does not know it": (
        "D1",
        instead_of(
            snapshot(5.2, 7, ALL),
            snapshot(5.2, 7, ALL[:-1]),
        ),
    ),
    "a nonce is stored twice": ("D2", keeps(*ALL, evolve(ONE, id="again", seq=7, position=8))),
    "a retry gets another message": (
        "D2",
        instead_of(acked(1.5, 4, TWO, duplicate=True), acked(1.5, 4, THREE, duplicate=True)),
    ),
    "a retry is the first as well": (
        "D2",
        together(
            behind(acked(1.1, 1, ONE), sending(1.1, 20, ONE, None), acked(1.1, 20, ONE)),
        ),
    ),
    "a reused nonce names another message": (
        "D2",
        instead_of(
            Refused(at=1.6, send=5, code="nonce_reused", first=("m2", 2)),
            Refused(at=1.6, send=5, code="nonce_reused", first=("m1", 1)),
        ),
    ),
    "nobody sent it": ("D3", without(sending(3.5, 9, SIX, 3))),
    "it was told before it was sent": (
        "D3",
        together(
            without(told(3.8, 1, SIX)),
            instead_of(sending(3.5, 9, SIX, 3), told(3.4, 1, SIX), sending(3.5, 9, SIX, 3)),
        ),
    ),
    "it was refused": ("D3", instead_of(acked(3.6, 8, FOUR), Refused(at=3.6, send=8, code="unavailable"))),
    "it vanished": ("D3", keeps(*ALL[:-1])),
    "its text is another": ("D3", entirely(FOUR, evolve(FOUR, text="altered"))),
    "its text is another for one reader": (
        "D5",
        instead_of(told(3.6, 1, FOUR), told(3.6, 1, evolve(FOUR, text="altered"))),
    ),
    "a number is left out": (
        "D4",
        keeps(*ALL[:-1], evolve(SIX, seq=7)),
    ),
    "a position is left out": ("D4", instead_of(KEPT, evolve(KEPT, changes={}))),
    "a page has a hole": (
        "D4",
        instead_of(
            HistoryRead(at=4.3, ask=5, messages=ALL[2:4], total=6, size=2, page=2),
            HistoryRead(at=4.3, ask=5, messages=(ALL[1], ALL[3]), total=6, size=2, page=2),
        ),
    ),
    "two have one number": ("D5", instead_of(told(3.7, 3, FIVE), told(3.7, 3, evolve(FIVE, id="other")))),
    "it is acknowledged at another place": (
        "D5",
        instead_of(acked(3.7, 7, FIVE), evolve(acked(3.7, 7, FIVE), seq=9, position=9)),
    ),
    "it is acknowledged for another message": (
        "D5",
        instead_of(acked(3.7, 7, FIVE), acked(3.7, 7, FOUR)),
    ),
    "a change is another for one reader": (
        "D5",
        instead_of(renamed(3.3, 3), evolve(renamed(3.3, 3), what="{}")),
    ),
    "one is left out": ("D6", without(told(3.7, 1, FIVE))),
    "one is told twice": ("D6", behind(told(3.7, 1, FIVE), told(3.7, 1, FIVE))),
    "two are told in the wrong order": ("D6", swapped(told(3.6, 1, FOUR), told(3.7, 1, FIVE))),
    "it says that another one was before it": (
        "D6",
        instead_of(told(3.7, 1, FIVE), evolve(told(3.7, 1, FIVE), after=4)),
    ),
    "it overtakes what was acknowledged": (
        "D7",
        together(
            without(sending(3.1, 7, FIVE, 1)),
            instead_of(acked(3.7, 7, FIVE), sending(3.7, 7, FIVE, 1), acked(3.7, 7, FIVE)),
            without(told(3.7, 1, FIVE)),
            without(told(3.8, 1, SIX)),
            instead_of(acked(3.6, 8, FOUR), acked(3.6, 8, FOUR), told(3.6, 3, SIX)),
        ),
    ),
    "one socket's are stored in another order": (
        "D8",
        swapped(sending(3.5, 8, FOUR, 3), sending(3.5, 9, SIX, 3)),
    ),
    "a question overtakes a send": (
        "D8",
        together(
            behind(sending(3.5, 8, FOUR, 3), asked(3.5, 21, BOB, 3)),
            behind(sending(3.5, 9, SIX, 3), HistoryRead(at=3.55, ask=21, messages=ALL[:3], total=3, size=10)),
        ),
    ),
    "it is told before it is answered": ("answer", swapped(acked(1.1, 1, ONE), told(1.1, 1, ONE))),
    "a mark moves back": (
        "D9",
        instead_of(MarkSeen(at=9.2, ask=8, seq=2), MarkSeen(at=9.2, ask=8, seq=1)),
    ),
    "a mark nobody set": (
        "D9",
        instead_of(MarkSeen(at=2.4, ask=13, seq=2), MarkSeen(at=2.4, ask=13, seq=3)),
    ),
    "what nobody read is told as read": (
        "D9",
        instead_of(ANN_READ, evolve(ANN_READ, to_seq=3)),
    ),
    "the same is read twice": (
        "D9",
        behind(ANN_READ, evolve(ANN_READ, from_seq=2)),
    ),
    "one act of reading is told twice": ("D9", behind(ANN_READ, ANN_READ)),
    "as many were read as were not": ("D10", instead_of(ANN_READ, evolve(ANN_READ, count=2))),
    "unread is wrong at rest": (
        "D10",
        instead_of(UnreadRead(at=9.3, ask=9, count=2), UnreadRead(at=9.3, ask=9, count=3)),
    ),
    "unread cannot be so": (
        "D10",
        instead_of(UnreadRead(at=2.3, ask=3, count=0), UnreadRead(at=2.3, ask=3, count=3)),
    ),
    "the signed out hears more": (
        "D11",
        later(told(6.7, 5, LATER), EVES_END, before=EVES_END),
    ),
    "a member is put out": ("D11", instead_of(EVES_END, evolve(EVES_END, code=4403))),
    "the signed out stays": ("D11", without(EVES_END)),
    "the signed out sends": (
        "D11",
        together(
            behind(
                EVES_END,
                sending(6.5, 20, said(7, EVE, "e2", position=8), None),
                acked(6.6, 20, said(7, EVE, "e2", position=8)),
            ),
            instead_of(KEPT, evolve(KEPT, messages=(*ALL, said(7, EVE, "e2", position=8)))),
        ),
    ),
    "the signed out reads": (
        "D11",
        behind(
            EVES_END,
            asked(6.5, 20, EVE),
            HistoryRead(at=6.6, ask=20, messages=ALL, total=6, size=10),
        ),
    ),
    "the signed out comes in": (
        "D11",
        behind(
            EVES_END, connecting(6.5, 6, EVE), entered(6.6, 6, 6, 7), Ended(at=6.7, connection=6, code=1000)
        ),
    ),
    "a deleted chat is read": (
        "D11",
        instead_of(
            SIGNED_OUT,
            SIGNED_OUT,
            Cut(at=6.0, chat=CHAT),
            asked(6.5, 20, ANN),
            HistoryRead(at=6.6, ask=20, messages=ALL, total=6, size=10),
        ),
    ),
    "the last one never comes": ("D12", without(told(3.8, 1, SIX))),
    "somebody is neither let in nor turned away": ("D12", instead_of(QUIET, connecting(6.0, 6, ANN), QUIET)),
    "a question is never answered": ("D12", without(Answered(at=4.5, ask=6))),
    "a send is never answered": ("D12", instead_of(QUIET, sending(6.0, 20, said(7, ANN, "a3"), 1), QUIET)),
    "a replay ends too soon": (
        "D13",
        together(
            without(renamed(3.3, 3)), instead_of(told(3.6, 3, FOUR), renamed(3.5, 3), told(3.6, 3, FOUR))
        ),
    ),
    "a replay begins too late": ("D13", without(told(3.3, 3, THREE))),
    "a replay begins too early": ("D13", behind(BOBS_ENTRY, told(3.3, 3, TWO))),
    "a replay tells one twice": ("D13", behind(told(3.3, 3, THREE), told(3.3, 3, THREE))),
    "a replay leaves one out": ("D13", without(renamed(3.3, 3))),
    "what is new comes before it has resumed": ("D13", swapped(RESUMED, told(3.6, 3, FOUR))),
    "it resumes, and is not told that it has": ("D13", without(RESUMED)),
    "it resumes elsewhere": ("D13", instead_of(RESUMED, evolve(RESUMED, position=5))),
    "it resumes twice": ("D13", behind(RESUMED, RESUMED)),
    "it resumes from what is not there yet": (
        "D13",
        together(
            instead_of(RESET, Resumed(at=4.1, connection=4, position=7, others_read_up_to=2)),
            without(snapshot(4.1, 4, ALL)),
        ),
    ),
    "it resumes another history": ("D13", instead_of(BOBS_RETURN, evolve(BOBS_RETURN, epoch="second"))),
    "it resumes from nonsense": ("D13", instead_of(BOBS_RETURN, evolve(BOBS_RETURN, is_garbled=True))),
    "it must begin anew and need not": (
        "D13",
        together(
            without(told(3.3, 3, THREE)),
            without(renamed(3.3, 3)),
            instead_of(
                RESUMED, Reset(at=3.4, connection=3, reason="too_far"), snapshot(3.4, 14, (ONE, TWO, THREE))
            ),
        ),
    ),
    "it hears what it missed, and must begin anew": ("D13", behind(RESUMED, evolve(RESET, connection=3))),
    "a reset has no snapshot": ("D13", without(snapshot(4.1, 4, ALL))),
    "a device missed something else than it is told": (
        "D13",
        instead_of(renamed(3.3, 3), evolve(renamed(3.3, 3), what=FOUR)),
    ),
    "a device was told something else before it came back": (
        "D13",
        instead_of(told(1.3, 2, TWO), evolve(told(1.3, 2, TWO), what=ONE)),
    ),
    "what one read is wrong where it resumes": (
        "D9",
        instead_of(MarkSeen(at=3.4, ask=14, seq=0), MarkSeen(at=3.4, ask=14, seq=1)),
    ),
    "what others read is wrong where it resumes": (
        "D9",
        instead_of(RESUMED, evolve(RESUMED, others_read_up_to=1)),
    ),
    "unread is wrong where it resumes": (
        "D10",
        instead_of(UnreadRead(at=3.4, ask=14, count=2), UnreadRead(at=3.4, ask=14, count=0)),
    ),
    "a reply to where it resumes never comes": (
        "D12",
        together(without(MarkSeen(at=3.4, ask=14, seq=0)), without(UnreadRead(at=3.4, ask=14, count=2))),
    ),
    "a reset without a reason": ("D13", instead_of(RESET, evolve(RESET, reason="too_far"))),
    "a snapshot instead of a replay": ("D13", without(RESET)),
    "a snapshot that ends elsewhere": ("D14", instead_of(entered(5.2, 5, 6, 7), entered(5.2, 5, 5, 7))),
    "a position that belongs to another moment": (
        "D14",
        instead_of(entered(4.1, 4, 6, 7), entered(4.1, 4, 6, 6)),
    ),
    "something is told before the snapshot": (
        "D14",
        together(without(told(1.1, 1, ONE)), behind(ANNS_ENTRY, told(0.1, 1, ONE))),
    ),
    "live begins too late": ("D6", together(without(told(1.1, 2, ONE)))),
    "told after the end": ("D15", behind(EVES_END, told(6.2, 5, LATER))),
    "too much waits": (
        "D15",
        instead_of(
            Backlog(at=3.0, connection=2, frames=8, limit=8),
            Backlog(at=3.0, connection=2, frames=9, limit=8),
        ),
    ),
    "sent before the one before it": (
        "D16",
        entirely(FIVE, evolve(FIVE, sent_at="2026-11-23T03:32:01.5")),
    ),
    "the same is said twice": (
        "too often",
        keeps(*ALL, evolve(THREE, id="again", seq=7, position=8, sent_at="2026-11-23T03:32:03.9")),
    ),
    "what has a nonce is refused as said just before": (
        "too often",
        instead_of(
            Refused(at=1.6, send=5, code="nonce_reused", first=("m2", 2)),
            Refused(at=1.6, send=5, code="too_frequent"),
        ),
    ),
    "what was said long ago is refused": (
        "too often",
        behind(RESET, sending(4.1, 20, THREE, None), Refused(at=4.1, send=20, code="too_frequent")),
    ),
    "what somebody else said is refused": (
        "too often",
        behind(
            TOO_OFTEN,
            sending(1.8, 20, evolve(THREE, author=BOB), None),
            sending(1.8, 21, evolve(THREE, author=BOB), None),
            Refused(at=1.8, send=20, code="too_frequent"),
        ),
    ),
    "what nobody said before is refused": (
        "too often",
        behind(
            sending(1.0, 2, THREE, 1),
            sending(1.0, 20, SIX, None),
            Refused(at=1.0, send=20, code="too_frequent"),
        ),
    ),
    "more is refused than was said again": ("too often", behind(TOO_OFTEN, TOO_OFTEN)),
    "refused is what was stored": ("too often", without(sending(1.75, 10, THREE, 1))),
    "an error in the log": ("failure", instead_of(QUIET, Failure(at=8.0, what="logged"), QUIET)),
}


def test_finds_nothing_in_a_good_history() -> None:
    assert judge(GOOD, LIMITS) == []


def test_finds_nothing_in_a_good_history_with_one_more_message() -> None:
    history = list(GOOD)
    later()(history)
    assert judge(history, LIMITS) == []


@pytest.mark.parametrize("name", FAULTS)
def test_finds(name: str) -> None:
    assert_found(GOOD, FAULTS[name], LIMITS)


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, _ in FAULTS.values()} >= {f"D{number}" for number in range(1, 17)}


def test_as_much_is_told_again_as_was_agreed() -> None:
    """A repetition beyond what was agreed is a fault."""
    assert judge(GOOD, evolve(LIMITS, replayed=2)) == []
    assert {violation.rule for violation in judge(GOOD, evolve(LIMITS, replayed=1))} == {"D13"}


def test_the_same_may_be_said_again_when_the_interval_is_over() -> None:
    again = evolve(THREE, id="again", seq=7, position=8, sent_at="2026-11-23T03:32:07")
    history = list(GOOD)
    together(
        instead_of(QUIET, sending(8.0, 20, again, None), acked(8.1, 20, again), QUIET), keeps(*ALL, again)
    )(history)
    at_rest = {"D12"}  # nobody was told of it
    assert {violation.rule for violation in judge(history, LIMITS)} == at_rest
    assert {violation.rule for violation in judge(history, evolve(LIMITS, interval=5.0))} == {
        *at_rest,
        "too often",
    }


def test_without_an_interval_nothing_is_said_too_often() -> None:
    assert {violation.rule for violation in judge(GOOD, evolve(LIMITS, interval=0.0))} == {"too often"}


def test_clocks_that_differ_allow_more_refusals() -> None:
    plant = FAULTS["what was said long ago is refused"][1]
    history = list(GOOD)
    plant(history)
    assert judge(history, evolve(LIMITS, clocks=2.0)) == []


def test_another_node_has_a_second_to_hear_of_it() -> None:
    """And no longer."""
    elsewhere = evolve(SIGNED_OUT, node="south")
    history = list(GOOD)
    together(instead_of(SIGNED_OUT, elsewhere), later(told(6.7, 5, LATER), before=EVES_END))(history)
    assert judge(history, LIMITS) == []
    assert {violation.rule for violation in judge(history, evolve(LIMITS, grace=0.2))} == {"D11"}


def test_a_node_that_has_looked_knows_of_it() -> None:
    """However little time it had."""
    elsewhere = evolve(SIGNED_OUT, node="south")
    leak = later(told(6.7, 5, LATER), before=EVES_END)
    for node, since, rules in (("north", 6.0, {"D11"}), ("north", 5.9, set()), ("south", 6.0, set())):
        looked = Looked(at=6.4, node=node, since=since)
        history = list(GOOD)
        together(instead_of(SIGNED_OUT, elsewhere, looked), leak)(history)
        assert {violation.rule for violation in judge(history, evolve(LIMITS, grace=60.0))} == rules


def test_a_removal_holds_at_once_on_every_node() -> None:
    removal = Cut(at=6.0, chat=CHAT, profile=EVE, node="south")
    history = list(GOOD)
    together(instead_of(SIGNED_OUT, removal), later(told(6.7, 5, LATER), before=EVES_END))(history)
    assert {violation.rule for violation in judge(history, evolve(LIMITS, grace=60.0))} == {"D11"}


def test_a_deletion_holds_at_once_on_every_node() -> None:
    deletion = Cut(at=6.0, chat=CHAT, node="south")
    history = list(GOOD)
    together(instead_of(SIGNED_OUT, SIGNED_OUT, deletion), later())(history)
    assert "D11" in {violation.rule for violation in judge(history, evolve(LIMITS, grace=60.0))}


def test_who_comes_back_may_hear_again() -> None:
    removal, return_ = (
        Cut(at=0.4, chat=CHAT, profile=BOB, node="north"),
        Joined(at=0.5, chat=CHAT, profile=BOB),
    )
    at = GOOD.index(sending(1.0, 1, ONE, 1))
    history = [*GOOD[:at], removal, return_, *GOOD[at:]]
    assert judge(history, LIMITS) == []
    assert "D11" in {violation.rule for violation in judge([*GOOD[:at], removal, *GOOD[at:]], LIMITS)}
    knock = GOOD.index(connecting(0.2, 2, BOB))
    early = [*GOOD[:knock], evolve(removal, at=0.15), *GOOD[knock : knock + 2], return_, *GOOD[knock + 2 :]]
    assert judge(early, LIMITS) == [], "whoever knocks too early may be let in late"

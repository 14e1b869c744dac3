"""
The checker checked where an earlier state is restored: it finds nothing in a good history, and every fault that is planted.

Ann sends three messages; a dump is taken after the first one. When it is restored, Bob is in the chat again, from which he had
been put out since. Ann comes back on both sockets, is reset, and sends the second message again, which has no answer yet.
"""

from typing import Any

import orjson
import pytest
from attrs import evolve

from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    Asked,
    Belongs,
    Connecting,
    Cut,
    Ended,
    Entered,
    Event,
    HistoryRead,
    Kept,
    Leaving,
    MarkSeen,
    Quiet,
    Reset,
    Restored,
    Resumed,
    Said,
    SendStarted,
    Told,
)
from tests.checker.judge import judge
from tests.checker.picture import Limits
from tests.planting import Plant, assert_found, before, behind, instead_of, without

CHAT, ANN, BOB, OLD, NEW = "chat", "ann", "bob", "e1", "e2"

LIMITS = Limits()


def said(seq: int, nonce: str, position: int | None = None) -> Said:
    return Said(
        id=f"{nonce} at {seq}",
        chat=CHAT,
        seq=seq,
        position=position or seq,
        author=ANN,
        text=f"text of {nonce}",
        nonce=nonce,
        sent_at=f"2026-11-23T03:32:{seq:02}",
    )


FIRST, LOST, AGAIN, LAST = said(1, "a"), said(2, "b"), said(2, "c"), said(3, "d")
"""The second message was acknowledged and lost; the one that was sent again took its place."""

REMOVED = orjson.dumps(
    {"type": "member_removed", "user_id": BOB, "by": ANN, "chat_id": CHAT, "position": 3, "after": 2},
    option=orjson.OPT_SORT_KEYS,
).decode()


def sends(at: float, send: int, what: Said, connection: int | None) -> SendStarted:
    return SendStarted(
        at=at,
        send=send,
        connection=connection,
        chat=CHAT,
        profile=ANN,
        session="s",
        text=what.text,
        nonce=what.nonce,
    )


def acked(at: float, send: int, what: Said) -> Acked:
    return Acked(at=at, send=send, id=what.id, seq=what.seq, position=what.position, duplicate=False)


def told(at: float, connection: int, what: Said) -> Told:
    return Told(at=at, connection=connection, position=what.position, after=what.position - 1, what=what)


def enters(at: float, connection: int, epoch: str, since: int | None, since_epoch: str | None) -> list[Event]:
    return [
        Connecting(
            at=at,
            connection=connection,
            chat=CHAT,
            profile=ANN,
            session="s",
            node="n",
            since=since,
            epoch=since_epoch,
            device="d",
        ),
        asked(at, 100 + connection, connection),
        Entered(at=at, connection=connection, epoch=epoch, seq=1, position=1),
    ]


def asked(at: float, ask: int, connection: int | None = None, profile: str = ANN) -> Asked:
    return Asked(at=at, ask=ask, connection=connection, chat=CHAT, profile=profile, session="s")


def history(at: float, ask: int, *messages: Said) -> HistoryRead:
    return HistoryRead(at=at, ask=ask, messages=messages, total=len(messages), size=10, is_snapshot=True)


def heard(at: float, connection: int, kind: str, **fields: Any) -> AllHeard:
    return AllHeard(at=at, connection=connection, frame={"type": kind, **fields})


def comes(at: float, connection: int, epoch: str | None, *, has_cursor: bool = True) -> AllConnecting:
    return AllConnecting(
        at=at,
        connection=connection,
        profile=ANN,
        session="s",
        node="n",
        device="all",
        has_cursor=has_cursor,
        epoch=epoch,
    )


def entry(last: Said) -> dict[str, Any]:
    return {
        "chat": {"id": CHAT, "name": "chat", "member_count": 2},
        "position": last.position,
        "seq": last.seq,
        "last_message": {"id": last.id},
        "read_up_to": 0,
        "unread_count": 0,
    }


def message(what: Said) -> dict[str, Any]:
    fields = {"id": what.id, "seq": what.seq, "sender_id": what.author, "text": what.text}
    return {"message": fields, "chat_id": CHAT, "position": what.position, "after": what.position - 1}


RESTORED = Restored(at=3.0, before=OLD, epoch=NEW, positions={CHAT: 1})
ACK_OF_FIRST, ACK_OF_LOST, ACK_AGAIN = acked(1.1, 1, FIRST), acked(1.3, 2, LOST), acked(4.3, 4, AGAIN)
RESET = Reset(at=4.1, connection=2, reason="epoch")
RESET_ALL = heard(4.2, 12, "reset", scope="all", reason="epoch")
SNAPSHOT = heard(4.2, 12, "snapshot", chats=[entry(FIRST)], next=None)
CUT = Cut(at=1.5, chat=CHAT, profile=BOB)
FORMER = Kept(at=3.0, chat=CHAT, messages=[FIRST, LOST], changes={3: REMOVED}, members=[ANN])
KEPT = Kept(at=9.0, chat=CHAT, messages=[FIRST, AGAIN], changes={}, members=[ANN, BOB])
ENDED = Ended(at=3.5, connection=1, code=1012)

GOOD: list[Event] = [
    *(Belongs(at=0.0, chat=CHAT, profile=each) for each in (ANN, BOB)),
    sends(1.0, 1, FIRST, None),
    ACK_OF_FIRST,
    *enters(1.1, 1, OLD, None, None),
    history(1.1, 101, FIRST),
    comes(1.1, 11, None, has_cursor=False),
    heard(1.1, 11, "auth_success", cursor="c1", epoch=OLD),
    heard(1.1, 11, "snapshot", chats=[entry(FIRST)], next=None),
    heard(1.1, 11, "resumed", cursor="c1"),
    sends(1.2, 2, LOST, 1),
    ACK_OF_LOST,
    told(1.3, 1, LOST),
    heard(1.3, 11, "new_message", **message(LOST)),
    Leaving(at=1.4, chat=CHAT, profile=BOB),
    CUT,
    sends(1.6, 3, AGAIN, 1),
    FORMER,
    RESTORED,
    *(Belongs(at=3.0, chat=CHAT, profile=each) for each in (ANN, BOB)),
    asked(3.0, 30, profile=BOB),
    MarkSeen(at=3.0, ask=30, seq=0),
    ENDED,
    AllEnded(at=3.5, connection=11, code=1012),
    *enters(4.0, 2, NEW, 2, OLD),
    RESET,
    history(4.1, 102, FIRST),
    comes(4.2, 12, OLD),
    heard(4.2, 12, "auth_success", cursor="c2", epoch=NEW),
    RESET_ALL,
    SNAPSHOT,
    heard(4.2, 12, "resumed", cursor="c2"),
    sends(4.2, 4, AGAIN, 2),
    ACK_AGAIN,
    told(4.3, 2, AGAIN),
    heard(4.3, 12, "new_message", **message(AGAIN)),
    Quiet(at=8.0),
    KEPT,
]


def former(*connections: Event) -> Plant:
    return behind(ENDED, *connections)


FAULTS: dict[str, tuple[str, Plant]] = {
    "what the dump had is lost": (
        "D1",
        instead_of(KEPT, evolve(KEPT, messages=[evolve(AGAIN, seq=1, position=1)])),
    ),
    "what the dump had is another": (
        "D1",
        instead_of(KEPT, evolve(KEPT, messages=[evolve(FIRST, text="another"), AGAIN])),
    ),
    "what was acknowledged after it is lost": ("D1", instead_of(KEPT, evolve(KEPT, messages=[FIRST]))),
    "what was acknowledged before it was never stored": (
        "D1",
        instead_of(FORMER, evolve(FORMER, messages=[FIRST], changes={2: REMOVED})),
    ),
    "what was lost is told": ("D13", before(Quiet(at=8.0), heard(7.0, 12, "new_message", **message(LOST)))),
    "what was lost is in the log again": (
        "D2",
        instead_of(
            KEPT, evolve(KEPT, messages=[FIRST, AGAIN, evolve(AGAIN, id="c again", seq=3, position=3)])
        ),
    ),
    "there is no reset": (
        "D13",
        instead_of(RESET, Resumed(at=4.1, connection=2, position=1, others_read_up_to=0)),
    ),
    "the reset has another reason": ("D13", instead_of(RESET, evolve(RESET, reason="ahead"))),
    "there is no reset of all chats": ("D13", without(RESET_ALL)),
    "the reset of all chats has another reason": (
        "D13",
        instead_of(RESET_ALL, heard(4.2, 12, "reset", scope="all", reason="malformed")),
    ),
    "a reset of all chats without need": (
        "D13",
        before(
            Quiet(at=8.0),
            AllEnded(at=7.0, connection=12, code=1012),
            comes(7.1, 13, NEW),
            heard(7.1, 13, "auth_success", cursor="c3", epoch=NEW),
            heard(7.1, 13, "reset", scope="all", reason="epoch"),
            heard(7.1, 13, "snapshot", chats=[entry(AGAIN)], next=None),
            heard(7.1, 13, "resumed", cursor="c3"),
        ),
    ),
    "somebody enters what is no more": (
        "D13",
        former(*enters(3.6, 5, OLD, None, None), Ended(at=3.7, connection=5, code=1012)),
    ),
    "somebody stays in what is no more": ("D13", without(ENDED)),
    "a member of the restored state is turned away": (
        "D11",
        before(
            Quiet(at=8.0),
            evolve(Connecting(at=5.0, connection=6, chat=CHAT, profile=BOB, session="t", node="n")),
            Ended(at=5.1, connection=6, code=4403),
        ),
    ),
    "who was let in after the dump still enters": (
        "D11",
        instead_of(
            Belongs(at=3.0, chat=CHAT, profile=BOB),
            Cut(at=3.0, chat=CHAT, profile=BOB),
            Connecting(at=5.0, connection=6, chat=CHAT, profile=BOB, session="t", node="n"),
            Entered(at=5.0, connection=6, epoch=NEW, seq=1, position=1),
            Ended(at=5.1, connection=6, code=1006),
        ),
    ),
    "a mark of the restored state moves back": (
        "D9",
        instead_of(
            MarkSeen(at=3.0, ask=30, seq=0),
            MarkSeen(at=3.0, ask=30, seq=1),
            asked(5.0, 31, profile=BOB),
            MarkSeen(at=5.1, ask=31, seq=0),
        ),
    ),
}


def test_finds_nothing_in_a_good_history() -> None:
    assert judge(GOOD, LIMITS) == []


def test_an_answer_that_was_on_its_way_may_come_later() -> None:
    history = [event for event in GOOD if event not in (ACK_OF_LOST, told(1.3, 1, LOST))]
    assert judge([*history[:-1], evolve(ACK_OF_LOST, at=8.5), KEPT], LIMITS) == []


@pytest.mark.parametrize("name", FAULTS)
def test_finds(name: str) -> None:
    assert_found(GOOD, FAULTS[name], LIMITS)

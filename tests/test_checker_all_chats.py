"""
The checker of `/ws` checked: it finds nothing in a good history, and every fault that is planted in it.

Ann listens to all chats, loses the connection, comes back with her cursor, and is asked to leave; Bob comes and goes. Eve is
in no chat with them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from attrs import evolve

from tests.checker.all_chats import FURTHER_PAGE
from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    AllWatching,
    Asked,
    Belongs,
    Cut,
    Event,
    Joined,
    Kept,
    Leaving,
    MarkSeen,
    MarkStarted,
    Quiet,
    Said,
    SendStarted,
)
from tests.checker.judge import judge
from tests.checker.picture import Limits
from tests.planting import Plant, assert_found, before, instead_of, together, without

CHAT, OLD, ANN, BOB, CID, EVE = "chat", "old", "ann", "bob", "cid", "eve"

LIMITS = Limits(replayed=3, typing=1.0)


def said(seq: int, author: str = BOB) -> Said:
    return Said(
        id=f"m{seq}",
        chat=CHAT,
        seq=seq,
        position=seq if seq < 3 else seq + 1,
        author=author,
        text=f"text of {seq}",
        nonce=f"n{seq}",
        sent_at=f"2026-11-23T03:32:{seq:02}",
    )


MESSAGES = [said(seq) for seq in range(1, 9)]
"""Between the second and the third the chat is renamed."""

RENAMED: Mapping[str, Any] = {
    "type": "chat_changed",
    "chat_id": CHAT,
    "position": 3,
    "after": 2,
    "name": "new",
}


def stored(at: float, message: Said) -> list[Event]:
    send = 10 + message.seq
    return [
        SendStarted(
            at=at,
            send=send,
            connection=None,
            chat=CHAT,
            profile=message.author,
            session="s",
            text=message.text,
            nonce=message.nonce,
        ),
        Acked(at=at, send=send, id=message.id, seq=message.seq, position=message.position, duplicate=False),
    ]


def connecting(at: float, connection: int, profile: str, **more: Any) -> AllConnecting:
    return AllConnecting(
        at=at,
        connection=connection,
        profile=profile,
        session="s",
        node="north",
        device=f"{profile}'s",
        **{"has_cursor": False, **more},
    )


def heard(at: float, connection: int, type: str, **fields: Any) -> AllHeard:
    return AllHeard(at=at, connection=connection, frame={"type": type, **fields})


def told(at: float, connection: int, message: Said) -> AllHeard:
    fields = {
        "id": message.id,
        "seq": message.seq,
        "sender_id": message.author,
        "text": message.text,
    }
    return heard(
        at,
        connection,
        "new_message",
        chat_id=CHAT,
        position=message.position,
        after=message.position - 1,
        message=fields,
    )


def entry(
    message: Said | None, *, chat: str = CHAT, name: str = "chat", mark: int = 0, **more: Any
) -> dict[str, Any]:
    seq = message.seq if message else 0
    return {
        "chat": {"id": chat, "name": name, "member_count": 3},
        "last_message": message and {"id": message.id},
        "read_up_to": mark,
        "unread_count": seq - mark,
        "seq": seq,
        "position": message.position if message else 0,
        **more,
    }


ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT = MESSAGES

SUCCESS = heard(1.0, 1, "auth_success", cursor="c0")
PAGE = heard(1.1, 1, "snapshot", chats=[entry(ONE), entry(None, chat=OLD)], next=None)
RESUMED = heard(1.2, 1, "resumed", cursor="c1")
WATCHING = heard(1.4, 1, "answer", id="r1", watching=[{"user_id": BOB, "online": True, "last_seen_at": None}])
TYPES = heard(1.6, 1, "typing", chat_id=CHAT, user_id=BOB, is_typing=True)
TYPES_NO_MORE = heard(1.8, 1, "typing", chat_id=CHAT, user_id=BOB, is_typing=False)
NEW_NAME = heard(2.1, 1, **RENAMED)
GONE = heard(2.4, 1, "presence", user_id=BOB, online=False, last_seen_at="2026-11-23T03:32:02")
REMOVED = heard(3.1, 1, "chat_removed", chat_id=OLD, reason="removed")
GOAWAY = heard(3.4, 1, "goaway", within=1)
LEFT = AllEnded(at=3.5, connection=1, code=1012)
MARKED = MarkStarted(at=4.1, chat=CHAT, profile=ANN, up_to=6)
SEEN_AT_FIRST = MarkSeen(at=4.3, ask=8, seq=6)
BACK = connecting(5.0, 3, ANN, has_cursor=True)
GAP = heard(5.2, 3, "gap", chat_id=CHAT, after=4, before=9, state=entry(SEVEN, name="new"))
MARK = heard(5.3, 3, "read_up_to", chat_id=CHAT, seq=6, unread_count=1, last_seq=7)
BACK_AGAIN = heard(5.4, 3, "resumed", cursor="c2")
WATCHING_AGAIN = heard(
    5.6, 3, "answer", id="r2", watching=[{"user_id": CID, "online": False, "last_seen_at": None}]
)
LEAVES = (
    Leaving(at=6.0, chat=CHAT, profile=CID),
    Cut(at=6.1, chat=CHAT, profile=CID, node="north"),
)
END_OF_WATCH = heard(6.3, 3, "presence_ended", user_id=CID)
LAST = told(7.1, 3, EIGHT)
QUIET = Quiet(at=12.0)
KEPT = Kept(
    at=12.1,
    chat=CHAT,
    messages=MESSAGES,
    changes={3: orjson.dumps(RENAMED, option=orjson.OPT_SORT_KEYS).decode()},
    members=[ANN, BOB, "dan"],
)
KEPT_OLD = Kept(at=12.1, chat=OLD, messages=[], changes={}, members=[CID])
SEEN = MarkSeen(at=12.3, ask=9, seq=6)

GOOD: Sequence[Event] = [
    *(Belongs(at=0.0, chat=CHAT, profile=profile) for profile in (ANN, BOB)),
    *(Belongs(at=0.0, chat=OLD, profile=profile) for profile in (ANN, CID)),
    *stored(0.1, ONE),
    connecting(0.5, 2, BOB),
    connecting(0.9, 1, ANN),
    SUCCESS,
    PAGE,
    RESUMED,
    AllWatching(at=1.3, connection=1, request="r1", profiles=[BOB, EVE, ANN]),
    WATCHING,
    TYPES,
    TYPES_NO_MORE,
    *stored(1.9, TWO),
    told(2.0, 1, TWO),
    NEW_NAME,
    *stored(2.2, THREE),
    told(2.2, 1, THREE),
    AllEnded(at=2.3, connection=2, code=1006),
    GONE,
    Leaving(at=3.0, chat=OLD, profile=ANN),
    Cut(at=3.0, chat=OLD, profile=ANN, node="north"),
    REMOVED,
    Joined(at=3.2, chat=CHAT, profile=CID),
    Belongs(at=3.2, chat=CHAT, profile=CID),
    GOAWAY,
    LEFT,
    *(event for message in (FOUR, FIVE, SIX, SEVEN) for event in stored(4.0, message)),
    MARKED,
    Asked(at=4.2, ask=8, connection=None, chat=CHAT, profile=ANN, session="s"),
    SEEN_AT_FIRST,
    BACK,
    heard(5.1, 3, "auth_success", cursor="c1"),
    GAP,
    MARK,
    BACK_AGAIN,
    AllWatching(at=5.5, connection=3, request="r2", profiles=[CID]),
    WATCHING_AGAIN,
    *LEAVES,
    END_OF_WATCH,
    *stored(7.0, EIGHT),
    LAST,
    QUIET,
    KEPT,
    KEPT_OLD,
    Asked(at=12.2, ask=9, connection=None, chat=CHAT, profile=ANN, session="s"),
    SEEN,
]


def changed(event: AllHeard, **fields: Any) -> Plant:
    return instead_of(event, evolve(event, frame={**event.frame, **fields}))


def message_of(event: AllHeard, **fields: Any) -> AllHeard:
    return evolve(event, frame={**event.frame, "message": {**event.frame["message"], **fields}})


STATE = GAP.frame["state"]

FORGETS = (
    AllEnded(at=8.0, connection=3, code=1006),
    connecting(8.1, 5, ANN),
    heard(8.2, 5, "auth_success", cursor="c3"),
    AllEnded(at=8.3, connection=5, code=1006),
    connecting(8.4, 6, ANN),
    AllEnded(at=8.5, connection=6, code=1006),
)
"""Ann begins anew, twice, and each time loses the connection before she has read a page."""
RETURNS = connecting(9.0, 7, ANN, has_cursor=True)
RETURNED = (heard(9.1, 7, "auth_success", cursor="c2"), heard(9.2, 7, "resumed", cursor="c3"))

FAULTS: dict[str, tuple[str, Plant]] = {
    "a message is not told": ("D13", without(told(2.0, 1, TWO))),
    "the last message is not told": ("D12", without(LAST)),
    "a message is told twice": ("D6", before(NEW_NAME, told(2.05, 1, TWO))),
    "two are told the other way round": (
        "D6",
        together(
            without(told(2.0, 1, TWO), NEW_NAME),
            before(told(2.2, 1, THREE), NEW_NAME, told(2.0, 1, TWO)),
        ),
    ),
    "a message has another text": ("D13", instead_of(LAST, message_of(LAST, text="another"))),
    "a message that is not stored": ("D13", before(QUIET, told(8.0, 3, said(9)))),
    "another name is told": ("D13", changed(NEW_NAME, name="another")),
    "something is told after the end": ("D15", before(BACK, told(4.5, 1, FOUR))),
    "a chat is told of after its removal": (
        "D11",
        before(GOAWAY, heard(3.3, 1, "typing", chat_id=OLD, user_id=CID, is_typing=False)),
    ),
    "a page shows a chat after its removal": (
        "D11",
        before(GOAWAY, heard(3.3, 1, "snapshot", id="r9", chats=[entry(None, chat=OLD)], next=None)),
    ),
    "a further page shows a chat that was left long before": (
        "D11",
        before(
            BACK_AGAIN, heard(5.35, 3, "snapshot", id=FURTHER_PAGE, chats=[entry(None, chat=OLD)], next=None)
        ),
    ),
    "the removal of a chat is not told": ("D11", without(REMOVED)),
    "who was put out hears more": (
        "D11",
        before(END_OF_WATCH, Cut(at=6.2, chat=CHAT, profile=ANN, node="south")),
    ),
    "a chat is not on the page": ("D13", changed(PAGE, chats=[entry(None, chat=OLD)])),
    "a page is not read": ("D12", changed(PAGE, next="more")),
    "it never resumes": ("D12", without(BACK_AGAIN)),
    "the gap is not told": ("D13", without(GAP)),
    "a gap begins behind what is known": ("D13", changed(GAP, after=5)),
    "a gap ends elsewhere": ("D13", changed(GAP, before=10)),
    "a gap of nothing": ("D13", before(QUIET, evolve(GAP, frame={**GAP.frame, "after": 8}))),
    "a gap has an older state": ("D13", changed(GAP, before=8, state={**STATE, "position": 7, "seq": 6})),
    "a gap has another name": ("D12", changed(GAP, state={**STATE, "chat": {**STATE["chat"], "name": "no"}})),
    "a gap has other members": (
        "D12",
        changed(GAP, state={**STATE, "chat": {**STATE["chat"], "member_count": 4}}),
    ),
    "a reset without a reason": (
        "D13",
        before(GAP, heard(5.1, 3, "reset", scope="all", reason="epoch")),
    ),
    "it resumes from nonsense": ("D13", instead_of(BACK, evolve(BACK, is_garbled=True))),
    "it comes back with a cursor and knows nothing": ("D13", before(QUIET, *FORGETS, RETURNS, *RETURNED)),
    "it knows nothing in the end": ("D12", before(QUIET, *FORGETS, RETURNS, *RETURNED)),
    "the own mark is not told": ("D9", without(MARK)),
    "a mark that nobody set": ("D9", changed(MARK, seq=7, unread_count=0)),
    "too much is unread": ("D10", changed(MARK, unread_count=2)),
    "a stranger is watched": (
        "presence",
        changed(
            WATCHING,
            watching=[*WATCHING.frame["watching"], {"user_id": EVE, "online": False, "last_seen_at": None}],
        ),
    ),
    "somebody is watched whom nobody asked for": (
        "presence",
        changed(WATCHING, watching=[{"user_id": CID, "online": False, "last_seen_at": None}]),
    ),
    "one watches oneself": (
        "presence",
        changed(WATCHING, watching=[{"user_id": ANN, "online": True, "last_seen_at": None}]),
    ),
    "somebody is left out": ("presence", changed(WATCHING, watching=[])),
    "the presence of a stranger is told": (
        "presence",
        before(GOAWAY, heard(3.3, 1, "presence", user_id=EVE, online=True, last_seen_at=None)),
    ),
    "a state is told twice": ("presence", before(REMOVED, evolve(GONE, at=2.5))),
    "a state is told after the end": (
        "presence",
        before(QUIET, heard(8.0, 3, "presence", user_id=CID, online=True, last_seen_at=None)),
    ),
    "the end of a watch is not told": ("presence", without(END_OF_WATCH)),
    "a watch ends though they share a chat": (
        "presence",
        before(GOAWAY, heard(3.3, 1, "presence_ended", user_id=BOB)),
    ),
    "coming is not told": (
        "presence",
        together(
            without(END_OF_WATCH, *LEAVES),
            before(QUIET, connecting(8.0, 4, CID)),
        ),
    ),
    "typing does not end": (
        "typing",
        before(QUIET, heard(8.0, 3, "typing", chat_id=CHAT, user_id=BOB, is_typing=True)),
    ),
    "one is told of the own typing": (
        "typing",
        before(GOAWAY, heard(3.3, 1, "typing", chat_id=CHAT, user_id=ANN, is_typing=False)),
    ),
    "a node does not do what it said": (
        "goaway",
        before(QUIET, heard(5.0, 3, "goaway", within=1)),
    ),
}


def test_finds_nothing_in_a_good_history() -> None:
    assert judge(GOOD, LIMITS) == []


def test_a_client_that_begins_with_its_storage_knows_again_what_it_had_forgotten() -> None:
    """The storage held the former cursor and its chats, because there was no new one to replace them."""
    history = list(GOOD)
    before(QUIET, *FORGETS, evolve(RETURNS, is_restored=True), *RETURNED)(history)
    assert judge(history, LIMITS) == []


def test_a_further_page_may_show_a_chat_that_is_joined_again_before_that_is_told() -> None:
    history = list(GOOD)
    changes = [
        event(at=5.01, chat=OLD, profile=profile)
        for profile, *events in ((CID, Leaving, Cut), (ANN, Joined, Belongs))
        for event in events
    ]
    page = heard(5.35, 3, "snapshot", id=FURTHER_PAGE, chats=[entry(None, chat=OLD)], next=None)
    together(
        before(BACK_AGAIN, *changes, page),
        instead_of(KEPT_OLD, evolve(KEPT_OLD, members=[ANN, "dan", "eli"])),
    )(history)
    assert judge(history, LIMITS) == []


@pytest.mark.parametrize(("author", "rules"), [(ANN, set()), (BOB, {"D9", "D10"})])
def test_a_mark_that_passes_only_own_messages_need_not_be_told(author: str, rules: set[str]) -> None:
    seven = evolve(SEVEN, author=author)
    messages = [seven if each is SEVEN else each for each in MESSAGES]
    history = list(GOOD)
    for event, other in (
        *zip(stored(4.0, SEVEN), stored(4.0, seven), strict=True),
        (KEPT, evolve(KEPT, messages=messages)),
        (MARKED, evolve(MARKED, up_to=7)),
        (SEEN_AT_FIRST, evolve(SEEN_AT_FIRST, seq=7)),
        (SEEN, evolve(SEEN, seq=7)),
    ):
        history[history.index(event)] = other
    changed(MARK, unread_count=int(author == BOB))(history)
    assert {violation.rule for violation in judge(history, LIMITS)} == rules


@pytest.mark.parametrize("name", FAULTS)
def test_finds(name: str) -> None:
    assert_found(GOOD, FAULTS[name], LIMITS)

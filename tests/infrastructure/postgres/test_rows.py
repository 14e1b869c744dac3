"""What goes into a row or a payload comes out again, equal in every field."""

import json
from typing import Any

from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from domain.chat import Chat
from domain.events import ChatChanged, MemberAdded, MessageSent, MessagesRead, PersonalEvent
from domain.ids import MessageId
from domain.member import Member
from domain.message import Nonce
from domain.reading import Reading
from infrastructure.postgres import chat_rows as rows
from infrastructure.postgres.places import Place
from infrastructure.stored_events import (
    CHAT_EVENTS,
    PERSONAL_EVENTS,
    chat_event,
    kind_of,
    payload_of,
    personal_event,
)
from tests.strategies import (
    chat_changes,
    chats,
    member_additions,
    members,
    message_ids,
    nonces,
    personal_events,
    readings,
    reads,
    sent,
)

from_row: Any = lambda row: row  # noqa: E731  # a row is read by its names, as a dictionary is


@given(chats)
def test_chats(chat: Chat) -> None:
    back = rows.chat_from(from_row(rows.chat_row(chat)), from_row(rows.head_row(chat)))
    assert asdict(back) == asdict(chat)


@given(members)
def test_members(member: Member) -> None:
    assert asdict(rows.member_from(from_row(rows.member_row(member)))) == asdict(member)


@given(sent)
def test_messages(event: MessageSent) -> None:
    assert rows.message_from(from_row(rows.message_row(event))) == event


@given(readings)
def test_readings(reading: Reading) -> None:
    assert asdict(rows.reading_from(from_row(rows.reading_row(reading)))) == asdict(reading)


@given(reads)
def test_receipts_keep_the_range(read: MessagesRead) -> None:
    row = rows.receipt_row(read, early=True)
    assert [row[name] for name in ("chat_id", "profile_id", "from_seq", "to_seq", "read_at")] == [
        read.chat_id,
        read.reader_id,
        read.from_seq,
        read.to_seq,
        read.at,
    ]


@given(nonce=nonces, id=message_ids, other=message_ids)
def test_a_nonce_is_never_taken_for_the_key_of_a_message_without_one(
    nonce: Nonce, id: MessageId, other: MessageId
) -> None:
    key, none = rows.nonce_key(nonce, id), rows.nonce_key(None, id)
    assert key == rows.nonce_key(nonce, other) != none
    assert (rows.nonce_from(key), rows.nonce_from(none)) == (nonce, None)
    assert (rows.nonce_key(None, other) == none) == (id == other)


@given(chat_changes | member_additions)
def test_events_of_chats(event: ChatChanged | MemberAdded) -> None:
    stored = json.loads(json.dumps(payload_of(event, "chat_id", "position")))
    assert stored["v"] == 1
    assert stored.keys().isdisjoint({"chat_id", "position"})
    assert chat_event(kind_of(event), stored, chat_id=event.chat_id, position=event.position) == event


@given(personal_events)
def test_events_of_people(event: PersonalEvent) -> None:
    chat_id = getattr(event, "chat_id", None)
    columns = ["profile_id", "chat_id"] if chat_id else ["profile_id"]
    stored = json.loads(json.dumps(payload_of(event, *columns)))
    back = personal_event(kind_of(event), stored, profile_id=event.profile_id, chat_id=chat_id)
    assert back == event
    assert type(back) is type(event)


@given(chat_changes)
def test_a_payload_of_a_later_version_that_says_more_can_be_read(event: ChatChanged) -> None:
    stored = payload_of(event, "chat_id", "position") | {"v": 2, "colour": "red"}
    assert chat_event(kind_of(event), stored, chat_id=event.chat_id, position=event.position) == event


def test_the_numbers_of_kinds_are_for_ever() -> None:
    assert {number: event.__name__ for number, event in CHAT_EVENTS.items()} == {
        2: "ChatChanged",
        3: "MemberAdded",
        4: "MemberRemoved",
        5: "RoleChanged",
    }
    assert {number: event.__name__ for number, event in PERSONAL_EVENTS.items()} == {
        1: "ChatAdded",
        2: "ChatRemoved",
        3: "SessionEnded",
    }


def test_a_payload_written_by_the_first_version_can_be_read() -> None:
    by = "00000000-0000-0000-0000-000000000001"
    changed = chat_event(
        2,
        {"v": 1, "name": "A", "description": None, "by": by, "at": "2026-01-01T00:00:00+00:00"},
        chat_id="00000000-0000-0000-0000-000000000002",
        position=3,
    )
    assert isinstance(changed, ChatChanged)
    assert (str(changed.by), changed.position, changed.at.isoformat()) == (by, 3, "2026-01-01T00:00:00+00:00")


@given(st.integers(0, 2**62), st.frozensets(st.integers(0, 2**62), max_size=5))
def test_places(next_tx: int, running: frozenset[int]) -> None:
    place = Place(next_tx, frozenset(number for number in running if number < next_tx))
    assert Place.read(place.written()) == place

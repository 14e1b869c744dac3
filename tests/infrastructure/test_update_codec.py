"""Updates arrive as they were sent, whatever is in them, and strangers do no harm."""

from collections.abc import Sequence
from functools import cache
from typing import get_args

import orjson
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from application.ports.updates import (
    AttendingThere,
    ChatUpdate,
    LimitUsed,
    Moved,
    NewMessage,
    OnlineThere,
    Typing,
    Update,
    WhoIsThere,
)
from domain.events import ChatAdded, ChatRemoved, MessagesRead, SessionEnded
from infrastructure.update_codec import KINDS, OF_A_CHAT, VERSION, Packing, Unreadable, encoded, read_envelope
from tests.strategies import updates

ABOUT_A_CHAT = ChatUpdate | MessagesRead | Typing | Moved | AttendingThere

PACKING = Packing("one", 100_000)


@cache
def a_message() -> bytes:
    """Returns the form of a message that has a nonce."""

    def is_one(update: Update) -> bool:
        return isinstance(update, NewMessage) and update.view.message.nonce is not None

    return encoded(find(updates, is_one))


def all_are_wanted(_publisher: str, _epoch: str) -> bool:
    return True


@given(st.lists(updates, max_size=5))
def test_updates_arrive_as_they_were_sent(sent: Sequence[Update]) -> None:
    (envelope,) = PACKING.pack("epoch", map(encoded, sent))
    found = read_envelope(envelope, all_are_wanted)
    assert found is not None
    assert (found.publisher, found.epoch, list(found.updates)) == ("one", "epoch", list(sent))


def test_every_kind_of_update_has_a_number_and_is_tried() -> None:
    kinds = set(get_args(Update))
    assert set(KINDS.values()) == kinds
    for kind in kinds:
        find(updates, lambda update, kind=kind: type(update) is kind)  # type: ignore[misc]


@given(st.lists(updates, min_size=1, max_size=30), st.integers(500, 8000))
def test_envelopes_have_at_most_the_size_that_is_asked_for(sent: Sequence[Update], most: int) -> None:
    packing = Packing("one", most)
    fitting = [update for update in sent if len(encoded(update)) <= packing.room("epoch")]
    envelopes = packing.pack("epoch", map(encoded, fitting))
    assert all(len(envelope) <= most for envelope in envelopes)
    found = [read_envelope(envelope, all_are_wanted) for envelope in envelopes]
    assert [update for each in found if each for update in each.updates] == fitting
    together = len(b"".join(map(encoded, fitting)))
    assert len(envelopes) <= 1 + 2 * together // packing.room("epoch")


def test_envelopes_of_others_are_not_decoded() -> None:
    damaged = orjson.dumps({"v": VERSION, "from": "one", "epoch": "then", "updates": [[1, "nonsense"]]})
    assert read_envelope(damaged, lambda publisher, epoch: (publisher, epoch) != ("one", "then")) is None


def test_an_update_of_an_unknown_kind_is_left_out() -> None:
    newer = orjson.dumps({"v": VERSION, "from": "one", "epoch": "", "updates": [[max(KINDS) + 1, {}]]})
    found = read_envelope(newer, all_are_wanted)
    assert found is not None
    assert not found.updates


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"v":1}',
        b'{"v":2,"from":"one","epoch":"","updates":[]}',
        b'{"v":1,"from":"one","epoch":"","updates":[[1,{}]]}',
        b'{"v":1,"from":"one","epoch":"","updates":[[11,{"chat_id":"no","position":null}]]}',
        b'{"v":1,"from":"one","epoch":"","updates":7}',
    ],
)
def test_what_is_damaged_or_of_another_version_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_envelope(data, all_are_wanted)


@pytest.mark.parametrize(
    "place",
    [
        "position",
        "view position",
        "view message seq",
        "view message id",
        "view message body text",
        "view message nonce value",
        "view message sent_at",
        "view sender id",
        "view sender username",
    ],
)
def test_a_message_with_a_value_of_another_type_is_refused(place: str) -> None:
    fields = orjson.loads(a_message())[1]
    inner, (*names, last) = fields, place.split()
    for name in names:
        inner = inner[name]
    inner[last] = 7.5
    damaged = orjson.dumps({"v": VERSION, "from": "one", "epoch": "", "updates": [[1, fields]]})
    with pytest.raises(Unreadable):
        read_envelope(damaged, all_are_wanted)


@given(st.lists(updates, max_size=8))
def test_updates_of_chats_to_which_nobody_listens_are_left_out(sent: Sequence[Update]) -> None:
    chats = sorted({each.chat_id for each in sent if isinstance(each, ABOUT_A_CHAT)})
    listened_to = set(chats[::2])
    (envelope,) = PACKING.pack("epoch", map(encoded, sent))
    found = read_envelope(envelope, all_are_wanted, listened_to.__contains__)
    assert found is not None
    assert list(found.updates) == [
        each for each in sent if not isinstance(each, ABOUT_A_CHAT) or each.chat_id in listened_to
    ]


def test_what_concerns_people_is_never_left_out() -> None:
    assert {KINDS[number] for number in OF_A_CHAT} == set(get_args(ABOUT_A_CHAT))
    assert not {ChatAdded, ChatRemoved, SessionEnded, OnlineThere, WhoIsThere, LimitUsed} & set(
        get_args(ABOUT_A_CHAT)
    )

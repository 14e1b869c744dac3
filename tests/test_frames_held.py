"""The plug-in that holds frames to the registry finds what is wrong with them."""

from typing import Any

import orjson
import pytest
from attrs import define

from interfaces.http import events
from interfaces.wire.frames import Frame
from interfaces.wire.registry import Channel
from tests.frames_held import WATCH, Talk, Watch
from tests.interfaces.live.ear import Ear
from tests.interfaces.ws.every_frame import of_one_chat
from tests.interfaces.ws.test_connection import ANN, CHAT

Json = dict[str, Any]


@define(eq=False)
class Held:
    """One connection, whose faults are kept from the plug-in's own."""

    channel: Channel

    def faults(self, *said: Json, heard: Json | None = None) -> list[str]:
        watch, talk = Watch(), Talk(self.channel)
        if heard:
            watch.hear(talk, orjson.dumps(heard))
        for fields in said:
            watch.tell(talk, orjson.dumps(fields))
        return [fault.partition(": ")[2].partition(": ")[0] for fault in watch.faults]


CHAT_SOCKET, ALL = Held(Channel.CHAT), Held(Channel.ALL_CHATS)
NOT_AS_ROW = "a frame that is not as its row says"
PONG: Json = {"type": "pong", "id": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "nothing"},
        {"type": "pong"},
        PONG | {"more": 1},
        {"type": "snapshot", "chats": [], "next": None},
        {"type": "unread_count", "chat_id": str(CHAT), "count": -1},
        {"type": "unread_count", "chat_id": "no uuid", "count": 1},
    ],
)
def test_a_frame_of_another_shape_or_socket(wrong: Json) -> None:
    assert CHAT_SOCKET.faults(wrong) == [NOT_AS_ROW]
    assert CHAT_SOCKET.faults(PONG) == []


def test_a_part_of_a_frame_counts_too() -> None:
    told = next(fields for fields in map(decoded, of_one_chat()) if fields["type"] == "new_message")
    assert CHAT_SOCKET.faults(told) == ALL.faults(told) == []
    del told["message"]["sender"]["username"]
    assert CHAT_SOCKET.faults(told) == ALL.faults(told) == [NOT_AS_ROW]


def decoded(frame: Frame) -> Json:
    fields: Json = orjson.loads(frame.data)
    return fields


def test_an_answer_is_that_of_its_request() -> None:
    asked = {"type": "get_readers", "id": 1, "chat_id": str(CHAT), "message_id": str(CHAT)}
    answer: Json = {"type": "answer", "id": 1, "readers": []}
    assert ALL.faults(answer, heard=asked) == []
    assert ALL.faults({"type": "answer", "id": 1, "members": []}, heard=asked) == [
        "an answer that is not as the row of its request says"
    ]
    assert ALL.faults(answer | {"id": 2}, heard=asked) == [
        "an answer that is not as the row of its request says"
    ]


def test_an_error_is_one_of_its_request() -> None:
    asked = {"type": "get_readers", "id": 1, "chat_id": str(CHAT), "message_id": str(CHAT)}

    def faults(code: str, **more: Any) -> list[str]:
        return ALL.faults({"type": "error", "id": 1, "message": "", "code": code}, **more)

    assert faults("message_not_found", heard=asked) == []
    assert faults("nonce_reused", heard=asked) == ["an error code that the row of its request does not have"]
    assert faults("made_up") == ["an error code that the registry does not have"]
    assert faults("malformed", heard=asked) == ["a frame that fits its row was refused"]
    assert faults("malformed", heard=asked | {"chat_id": 1}) == []
    assert CHAT_SOCKET.faults({"type": "auth_error", "message": "", "code": "made_up"}) == [
        "a code of a refused entry that the registry does not have"
    ]


@pytest.mark.frames_unheld
def test_connections_are_watched() -> None:
    connection = Ear().connection(CHAT, ANN)
    before = WATCH.held
    connection.outbox.put(Frame(b'{"type":"made_up"}'))
    assert WATCH.held == before + 1
    (fault,) = WATCH.faults
    assert "made_up" in fault


@pytest.mark.frames_unheld
def test_streams_are_watched() -> None:
    frame = Frame(b'{"type":"end","code":1012,"reason":"","come_back":true}')
    before = WATCH.held
    assert events.event_of(frame) == b"data: " + frame.data + b"\n\n"
    assert WATCH.held == before + 1
    assert WATCH.faults == []
    events.event_of(Frame(b'{"type":"pong","id":1}'))
    assert [NOT_AS_ROW in fault for fault in WATCH.faults] == [True]

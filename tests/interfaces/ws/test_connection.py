import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.errors import NotAuthenticated, OutcomeUnknown, Overloaded, Unavailable
from application.messages.send import NonceReused, SendMessage, Sent
from application.ports.posting import Interrupted
from application.ports.updates import NewMessage
from application.ports.views import Newest, PageNumber
from application.receipts.mark_read import MarkRead
from application.updates.typing import ShowTyping
from application.views import HistoryPage, MessageView, Snapshot
from domain.chat_errors import ChatNotFound, NotAMember
from domain.events import MessageSent
from domain.ids import ChatId, MessageId, Position, Seq
from domain.message import Body, Message, Nonce
from domain.profile import ProfileNotFound
from interfaces.wire import frames
from interfaces.ws.chat_connection import ChatConnection
from interfaces.ws.chat_frames import CountUnread, Leave, Ping, ReadHistory
from interfaces.ws.connection import Authenticate
from interfaces.ws.states import State
from tests.contracts.talk import actor
from tests.interfaces.json_values import json_values
from tests.interfaces.live.ear import Ear
from tests.strategies import START

CHAT = ChatId(uuid4())
ANN = actor("Ann")
BOB = actor("Bob")
EMPTY = HistoryPage.of(CHAT, range(1, 1), 0)
SNAPSHOT = Snapshot(
    epoch="e",
    seq=Seq(3),
    position=Position(5),
    unread_count=2,
    read_up_to=Seq(1),
    others_read_up_to=Seq(2),
    member_count=2,
    history=EMPTY,
)


def is_open() -> tuple[ChatConnection, Ear]:
    ear = Ear()
    connection = ear.connection(CHAT, ANN)
    connection.welcome(SNAPSHOT)
    connection.opened()
    ear.take()
    return connection, ear


def say(connection: ChatConnection, **fields: Any) -> Any:
    return connection.hear(json.dumps(fields))


def posted(author: Any = ANN, seq: int = 1, nonce: str | None = None, text: str = "Hello") -> MessageSent:
    message = Message(
        id=MessageId(uuid4()),
        chat_id=CHAT,
        seq=Seq(seq),
        author_id=author.profile_id,
        body=Body(text),
        nonce=None if nonce is None else Nonce(nonce),
        sent_at=START,
    )
    return MessageSent(chat_id=CHAT, position=Position(seq), message=message)


def told(event: MessageSent) -> NewMessage:
    view = MessageView(message=event.message, position=event.position, sender=ANN.profile)
    return NewMessage(chat_id=CHAT, position=event.position, view=view)


def tell(connection: ChatConnection, event: MessageSent) -> None:
    update = told(event)
    connection.tell(frames.told(update), update)


class TestGreeting:
    def test_who_says_who_it_is(self) -> None:
        connection = Ear().connection(CHAT)
        assert say(connection, type="auth", token="t", more=1) == Authenticate("t")
        assert connection.is_entering

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ('{"type": "ping"}', "token_invalid"),
            ('{"type": "auth"}', "token_invalid"),
            ('{"type": "auth", "token": 1}', "token_invalid"),
            ("hello", "malformed"),
            ("[]", "malformed"),
            ("", "malformed"),
            ('{"type": "auth"', "malformed"),
        ],
    )
    def test_anything_else_is_refused(self, text: str, code: str) -> None:
        ear = Ear()
        connection = ear.connection(CHAT)
        assert connection.hear(text) is None
        assert ear.frames == [{"type": "auth_error", "message": "Authentication failed", "code": code}]
        assert ear.close == (1008, "Authentication failed")
        assert connection.is_closed

    def test_a_binary_frame_is_refused(self) -> None:
        ear = Ear()
        ear.connection(CHAT).hear_binary()
        assert ear.close == (1008, "Authentication failed")

    def test_welcome(self) -> None:
        ear = Ear()
        connection = ear.connection(CHAT, ANN)
        connection.welcome(SNAPSHOT)
        connection.begin(SNAPSHOT, None)
        success, history = ear.frames
        assert success == {
            "type": "auth_success",
            "user_id": str(ANN.profile_id),
            "chat_id": str(CHAT),
            "session_id": str(ANN.session_id),
            "epoch": "e",
            "seq": 3,
            "position": 5,
            "heartbeat_interval": 25.0,
            "limits": {"text": 4000, "frame": 65536},
        }
        assert history == {"type": "chat_history", "messages": [], "total_count": 0, "unread_count": 2}

    @pytest.mark.parametrize(
        ("error", "answer", "close"),
        [
            (
                NotAuthenticated("token_expired"),
                ("Authentication failed", "token_expired"),
                (1008, "Authentication failed"),
            ),
            (ChatNotFound(), ("Chat not found", "chat_not_found"), (1008, "Chat not found")),
            (NotAMember(), ("You are not a member of this chat", "not_a_member"), (1008, "Access denied")),
            pytest.param(
                ProfileNotFound(),
                ("Authentication failed", "profile_not_found"),
                (1008, "Authentication failed"),
                marks=pytest.mark.frames_unheld,
            ),
            (Unavailable(), None, (1013, "try again in 1 s")),
        ],
    )
    def test_who_may_not_enter(
        self, error: Any, answer: tuple[str, str] | None, close: tuple[int, str]
    ) -> None:
        ear = Ear()
        ear.connection(CHAT, ANN).refuse(error)
        assert [(frame["message"], frame["code"]) for frame in ear.frames] == ([answer] if answer else [])
        assert ear.close == close

    def test_nothing_is_heard_from_a_closed_socket(self) -> None:
        connection, ear = is_open()
        connection.close(1008, "over")
        assert say(connection, type="ping", id=1) is None
        connection.hear_binary()
        connection.opened()
        assert (ear.frames, connection.state) == ([], State.CLOSED)


class TestNoise:
    @given(st.text() | st.binary().map(repr) | json_values.map(json.dumps))
    def test_noise_is_answered_never_fatal(self, noise: str) -> None:
        connection, ear = is_open()
        answer_to(connection, noise)
        assert connection.state is State.OPEN
        assert all(frame["type"] in {"error", "pong"} for frame in ear.frames)

    @given(
        st.dictionaries(
            st.sampled_from(["text", "nonce", "last_read_message_id", "is_typing", "limit", "offset", "id"]),
            json_values,
        ),
        st.sampled_from(
            ["send_message", "mark_read", "typing", "get_chat_history", "get_unread_count", "ping"]
        ),
    )
    def test_whatever_stands_in_a_request(self, fields: dict[str, Any], kind: str) -> None:
        connection, ear = is_open()
        answer_to(connection, json.dumps({**fields, "type": kind}))
        assert connection.state is State.OPEN
        assert all(frame["type"] in {"error", "pong"} for frame in ear.frames)

    @pytest.mark.parametrize(
        "kind", ["ping", "send_message", "typing", "mark_read", "get_chat_history", None]
    )
    def test_depth(self, kind: str | None) -> None:
        """The parser goes deeper than the writer, and deeper than Python's own text of a list."""
        for depth in (100, 300, 1000, 5000):
            deep = "[" * depth + "]" * depth
            for field in ("id", "text", "nonce", "is_typing", "limit", "last_read_message_id"):
                connection, ear = is_open()
                named = f'"type": "{kind}", "{field}": {deep}' if kind else f'"type": {deep}'
                answer_to(connection, "{" + named + "}")
                assert connection.state is State.OPEN
                assert all(frame["type"] in {"error", "pong"} for frame in ear.frames)

    @pytest.mark.parametrize("text", ["hello", "[]", "null", '{"type": NaN}', '{"type": "\ud800"}', '"ping"'])
    def test_what_is_no_object_is_malformed(self, text: str) -> None:
        connection, ear = is_open()
        assert connection.hear(text) is None
        assert ear.frames == [
            {"type": "error", "message": "Failed to process message: invalid message", "code": "malformed"}
        ]

    def test_a_binary_frame_is_malformed(self) -> None:
        connection, ear = is_open()
        connection.hear_binary()
        assert [frame["code"] for frame in ear.frames] == ["malformed"]

    @pytest.mark.parametrize(
        ("kind", "shown"),
        [("dance", "dance"), (None, "None"), (7, "7"), ("x" * 1000, "x" * 100), ("auth", "auth")],
    )
    def test_an_unknown_type(self, kind: object, shown: str) -> None:
        connection, ear = is_open()
        assert say(connection, type=kind) is None
        assert ear.frames == [
            {"type": "error", "message": f"Unknown message type: {shown}", "code": "unknown_type"}
        ]


def answer_to(connection: ChatConnection, text: str) -> None:
    """Answers a request as the exchange does."""
    request = connection.hear(text)
    if isinstance(request, Ping):
        connection.answer_ping(request)


class TestRequests:
    def test_all_of_them(self) -> None:
        connection, ear = is_open()
        id_ = uuid4()
        assert say(connection, type="get_unread_count") == CountUnread()
        assert say(connection, type="leave_chat") == Leave()
        assert say(connection, type="mark_read", last_read_message_id=str(id_)) == MarkRead(
            chat_id=CHAT, up_to=MessageId(id_)
        )
        assert say(connection, type="ping", id=7) == Ping(7)
        assert ear.frames == []

    @pytest.mark.parametrize("wrong", [None, 7, "x", "", [], {}])
    def test_a_mark_that_names_no_message_is_ignored(self, wrong: object) -> None:
        connection, ear = is_open()
        assert say(connection, type="mark_read", last_read_message_id=wrong) is None
        assert ear.frames == []

    @pytest.mark.parametrize("id_", [1, "x", None, [1], {"a": 1.5}])
    def test_ping(self, id_: object) -> None:
        connection, ear = is_open()
        answer_to(connection, json.dumps({"type": "ping", "id": id_}))
        assert ear.frames == [{"type": "pong", "id": id_}]

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, ReadHistory(Newest(), 10)),
            ({"limit": 5}, ReadHistory(Newest(), 5)),
            ({"limit": None, "offset": None}, ReadHistory(Newest(), 10)),
            ({"limit": 0}, ReadHistory(Newest(), 0)),
            ({"limit": 1000}, ReadHistory(Newest(), 100)),
            ({"offset": 0}, ReadHistory(Newest(), 10)),
            ({"offset": 1}, ReadHistory(Newest(), 10)),
            ({"offset": 3, "limit": 2}, ReadHistory(PageNumber(3), 2)),
            ({"offset": 2**63, "limit": 2**63}, ReadHistory(PageNumber(2**63), 100)),
        ],
    )
    def test_history(self, asked: dict[str, Any], expected: ReadHistory) -> None:
        connection, _ = is_open()
        assert say(connection, type="get_chat_history", **asked) == expected

    @pytest.mark.parametrize("wrong", [-1, "5", 1.5, True, [], {}])
    @pytest.mark.parametrize("name", ["limit", "offset"])
    def test_history_by_what_is_no_number(self, name: str, wrong: object) -> None:
        connection, ear = is_open()
        assert say(connection, type="get_chat_history", **dict[str, Any]({name: wrong})) is None
        assert [(frame["message"], frame["code"]) for frame in ear.frames] == [
            ("Failed to load chat history", "malformed")
        ]

    def test_typing(self) -> None:
        connection, _ = is_open()
        assert say(connection, type="typing", is_typing=True) == ShowTyping(chat_id=CHAT, is_typing=True)
        assert say(connection, type="typing") == ShowTyping(chat_id=CHAT, is_typing=False)


class TestSending:
    def test_a_message(self) -> None:
        connection, _ = is_open()
        sending = say(connection, type="send_message", text=" Hello ")
        assert sending.command == SendMessage(chat_id=CHAT, body=Body("Hello"), nonce=None)
        sending = say(connection, type="send_message", text="Hello", nonce="n")
        assert sending.command == SendMessage(chat_id=CHAT, body=Body("Hello"), nonce=Nonce("n"))

    @pytest.mark.parametrize("text", ["", None, "   ", "\u200b"])
    def test_nothing_said_is_ignored_without_a_nonce_and_an_error_with_one(self, text: str | None) -> None:
        connection, ear = is_open()
        assert say(connection, type="send_message", text=text) is None
        assert ear.frames == []
        assert say(connection, type="send_message", text=text, nonce="n") is None
        assert ear.frames == [
            {"type": "error", "message": "Failed to send message", "code": "message_empty", "nonce": "n"}
        ]

    @pytest.mark.parametrize(
        ("fields", "code", "nonce"),
        [
            ({"text": "x" * 4001, "nonce": "n"}, "message_too_long", "n"),
            ({"text": "x" * 4001}, "message_too_long", None),
            ({"text": "nul\0", "nonce": "n"}, "unstorable_text", "n"),
            ({"text": 7, "nonce": "n"}, "malformed", "n"),
            ({"text": ["x"]}, "malformed", None),
            ({"text": "x", "nonce": ""}, "bad_nonce", ""),
            ({"text": "x", "nonce": "n" * 65}, "bad_nonce", "n" * 65),
            ({"text": "x", "nonce": "n" * 101}, "bad_nonce", None),
            ({"text": "x", "nonce": "\0"}, "bad_nonce", "\0"),
            ({"text": "x", "nonce": 7}, "malformed", None),
            ({"text": "x", "nonce": {}}, "malformed", None),
        ],
    )
    def test_what_cannot_be_sent(self, fields: dict[str, Any], code: str, nonce: str | None) -> None:
        connection, ear = is_open()
        assert say(connection, type="send_message", **fields) is None
        (frame,) = ear.frames
        assert (frame["type"], frame["code"], frame.get("nonce")) == ("error", code, nonce)
        tell(connection, posted(nonce="n"))
        assert ear.types == ["error", "new_message"], "nothing is held back for what was refused"

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (NotAMember(), {"code": "not_a_member"}),
            (OutcomeUnknown(), {"code": "outcome_unknown"}),
            (Unavailable(retry_after=2.0), {"code": "unavailable", "retry_after": 2.0}),
            (Interrupted(), {"code": "unavailable", "retry_after": 1.0}),
            (Overloaded(), {"code": "overloaded", "retry_after": 1.0}),
        ],
    )
    def test_what_was_not_stored(self, error: Any, expected: dict[str, object]) -> None:
        connection, ear = is_open()
        command = say(connection, type="send_message", text="Hello", nonce="n")
        connection.answer_not_sent(command, error)
        assert ear.take() == [
            {"type": "error", "message": "Failed to send message", "nonce": "n", **expected}
        ]
        connection.answer_not_sent(say(connection, type="send_message", text="x"), error)
        assert ear.frames == [{"type": "error", "message": "Failed to send message", **expected}]

    def test_a_conflict_names_the_first(self) -> None:
        connection, ear = is_open()
        first = posted(seq=4, nonce="n")
        command = say(connection, type="send_message", text="Other", nonce="n")
        connection.answer_not_sent(command, NonceReused(first))
        (frame,) = ear.frames
        assert (frame["code"], frame["id"], frame["seq"]) == ("nonce_reused", str(first.message.id), 4)

    def test_an_acknowledgement(self) -> None:
        connection, ear = is_open()
        command = say(connection, type="send_message", text="Hello", nonce="n")
        event = posted(seq=4, nonce="n")
        connection.answer_sent(command, Sent(event, duplicate=True))
        assert ear.frames == [
            {
                "type": "message_ack",
                "nonce": "n",
                "id": str(event.message.id),
                "seq": 4,
                "position": 4,
                "sent_at": "2026-01-01T00:00:00",
                "duplicate": True,
            }
        ]

    def test_without_a_nonce_the_new_message_is_the_answer(self) -> None:
        connection, ear = is_open()
        command = say(connection, type="send_message", text="Hello")
        event = posted()
        connection.answer_sent(command, Sent(event))
        tell(connection, event)
        assert ear.types == ["new_message"]


class TestOwnMessages:
    def test_they_are_held_until_they_are_acknowledged(self) -> None:
        connection, ear = is_open()
        command = say(connection, type="send_message", text="Hello", nonce="n")
        own, later = posted(seq=2, nonce="n"), posted(BOB, seq=3)
        tell(connection, posted(BOB, seq=1))
        tell(connection, own)
        tell(connection, later)
        assert ear.positions == [1], "what follows an own message waits with it"
        connection.answer_sent(command, Sent(own))
        assert ear.types == ["new_message", "message_ack", "new_message", "new_message"]
        assert ear.positions == [1, 2, 3]

    def test_several_are_let_go_one_after_the_other(self) -> None:
        connection, ear = is_open()
        commands = [say(connection, type="send_message", text="x", nonce=name) for name in "ab"]
        events = [posted(seq=1, nonce="a"), posted(seq=2, nonce="b"), posted(BOB, seq=3)]
        for event in events:
            tell(connection, event)
        connection.answer_sent(commands[0], Sent(events[0]))
        assert ear.types == ["message_ack", "new_message"]
        connection.answer_sent(commands[1], Sent(events[1]))
        assert ear.types == ["message_ack", "new_message", "message_ack", "new_message", "new_message"]

    def test_answers_are_written_in_the_order_of_their_frames(self) -> None:
        connection, ear = is_open()
        commands = [say(connection, type="send_message", text="x", nonce=name) for name in "ab"]
        events = [posted(seq=1, nonce="a"), posted(seq=2, nonce="b")]
        for event in events:
            tell(connection, event)
        connection.answer_sent(commands[1], Sent(events[1]))
        assert ear.types == []
        connection.answer_sent(commands[0], Sent(events[0]))
        assert ear.types == ["message_ack", "new_message", "message_ack", "new_message"]
        assert ear.positions == [1, 2]

    @pytest.mark.parametrize(
        "refused",
        [
            '{"type": "send_message", "text": "", "nonce": "n"}',
            '{"type": "send_message", "text": 7, "nonce": "n"}',
            '{"type": "get_chat_history", "limit": -1}',
            '{"type": "dance"}',
            "noise",
        ],
    )
    @pytest.mark.parametrize("nonce", ["a", None])
    def test_what_is_refused_at_once_waits_for_the_answers_before_it(
        self, refused: str, nonce: str | None
    ) -> None:
        connection, ear = is_open()
        sending = say(connection, type="send_message", text="x", nonce=nonce)
        assert connection.hear(refused) is None
        connection.hear_binary()
        assert ear.types == []
        event = posted(seq=1, nonce=nonce)
        connection.answer_sent(sending, Sent(event))
        assert ear.types == ["message_ack", "error", "error"][nonce is None :]
        assert say(connection, type="dance") is None
        assert ear.types[-1] == "error", "with nothing under way an answer is written at once"

    def test_a_message_sent_twice_under_one_nonce_is_told_after_both_answers(self) -> None:
        """The first try may be refused and the second stored: its echo comes after the answer that names it."""
        connection, ear = is_open()
        tries = [say(connection, type="send_message", text="x", nonce="n") for _ in range(2)]
        connection.answer_not_sent(tries[0], Unavailable())
        event = posted(seq=1, nonce="n")
        tell(connection, event)
        connection.answer_sent(tries[1], Sent(event))
        assert ear.types == ["error", "message_ack", "new_message"]

    def test_what_is_held_back_is_bounded(self) -> None:
        connection, ear = is_open()
        say(connection, type="send_message", text="x", nonce="n")
        tell(connection, posted(seq=1, nonce="n"))
        size = 0
        while ear.close is None:
            update = told(posted(BOB, text="x" * 4000))
            frame = frames.told(update)
            connection.tell(frame, update)
            size += frame.size
            assert size < 2 * 256 * 1024
        assert size > 256 * 1024 - 1000
        assert ear.close == (1013, "too much waits for an answer; resume in 1 s")

    def test_a_refusal_lets_go_too(self) -> None:
        connection, ear = is_open()
        command = say(connection, type="send_message", text="x", nonce="n")
        tell(connection, posted(seq=1, nonce="n"))
        connection.answer_not_sent(command, OutcomeUnknown())
        assert ear.types == ["error", "new_message"]

    def test_somebody_elses_message_under_the_same_nonce_is_not_held(self) -> None:
        connection, ear = is_open()
        say(connection, type="send_message", text="x", nonce="n")
        tell(connection, posted(BOB, seq=1, nonce="n"))
        assert ear.positions == [1]

    def test_it_is_heard_no_more_after_it_left(self) -> None:
        connection, _ = is_open()
        connection.detach()
        assert connection.state is State.DETACHED
        assert say(connection, type="get_unread_count") == CountUnread(), "it may still ask"

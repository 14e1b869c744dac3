"""The core of the Python client, row by row of the table of states in docs/clients.md."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import Factory, define

from messenger_client import Chat, Ended, OutcomeUnknown, Presence, Refused, State
from messenger_client.core import Close, Connect, Core, Options, Refresh, Settle, SignIn, Tell, Write
from tests.python_client.model_server import ME, ModelChat

EPOCH = "e"


@define(eq=False)
class Driven:
    """A core, a clock and everything that the core has wished so far."""

    core: Core
    now: float = 1000.0
    wishes: list[Any] = Factory(list)

    def take(self, kind: type[Any]) -> list[Any]:
        """The wishes of a kind since the last look."""
        self.wishes += self.core.wishes()
        found = [wish for wish in self.wishes if isinstance(wish, kind)]
        self.wishes = [wish for wish in self.wishes if not isinstance(wish, kind)]
        return found

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(wish.text) for wish in self.take(Write)]

    def changes(self) -> list[Any]:
        return [wish.change for wish in self.take(Tell) if wish.change is not None]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.core.tick(self.now)

    def hear(self, kind: str, **fields: Any) -> None:
        self.core.heard(self.now, json.dumps({"type": kind, **fields}))

    def start(self) -> None:
        self.core.start(self.now)

    def welcome(self, epoch: str = EPOCH) -> None:
        self.hear(
            "auth_success",
            user_id=ME,
            epoch=epoch,
            cursor="c0",
            heartbeat_interval=25,
            limits={"text": 4000, "frame": 65536},
        )

    def connect(self) -> None:
        assert self.take(Connect)
        self.core.connected(self.now)
        self.welcome()

    def go_live(self, *chats: ModelChat) -> None:
        """From the first token on."""
        self.start()
        assert self.take(Refresh) or self.take(SignIn)
        self.core.obtained(self.now, "token", 1000)
        self.connect()
        self.hear("snapshot", chats=[chat.entry() for chat in chats], next=None)
        self.hear("resumed", cursor="c1")
        assert self.core.state is State.LIVE
        self.take(Write)
        self.take(Tell)

    def come_back(self) -> None:
        self.wait(100)
        self.connect()
        self.hear("resumed", cursor="c2")


def half(low: float, high: float) -> float:
    return (low + high) / 2


@pytest.fixture
def make() -> Callable[..., Driven]:
    def make(*, has_session: bool = True, has_password: bool = False, **options: Any) -> Driven:
        return Driven(Core(half, Options(**options), has_session=has_session, has_password=has_password))

    return make


@pytest.fixture
def driven(make: Callable[..., Driven]) -> Driven:
    return make()


class TestTokens:
    def test_a_session_is_refreshed_before_connecting(self, driven: Driven) -> None:
        driven.start()
        assert driven.core.state is State.REFRESHING
        assert len(driven.take(Refresh)) == 1
        driven.core.obtained(driven.now, "token", 1000)
        assert driven.core.state.value == "connecting"
        driven.connect()
        assert driven.written() == [{"type": "auth", "token": "token"}]

    def test_without_a_session_the_password_is_used(self, make: Callable[..., Driven]) -> None:
        driven = make(has_session=False, has_password=True)
        driven.start()
        assert driven.take(SignIn)

    def test_without_either_it_ends(self, make: Callable[..., Driven]) -> None:
        driven = make(has_session=False)
        driven.start()
        assert (driven.core.state, driven.core.why_ended) == (State.ENDED, "signed out")

    def test_a_refused_session_is_replaced_once(self, make: Callable[..., Driven]) -> None:
        driven = make(has_password=True)
        driven.start()
        assert driven.take(Refresh)
        driven.core.obtain_refused("used twice")
        assert driven.take(SignIn)
        driven.core.obtain_refused("wrong password")
        assert (driven.core.state, driven.core.why_ended) == (State.ENDED, "wrong password")
        driven.start()
        assert driven.take(SignIn), "the application may have changed something"

    def test_an_unreachable_server_is_asked_again(self, driven: Driven) -> None:
        driven.start()
        driven.take(Refresh)
        driven.core.obtain_failed(driven.now, "429", retry_after=7)
        assert driven.core.state is State.WAITING
        driven.wait(6.9)
        assert not driven.take(Refresh)
        driven.wait(2)
        assert driven.take(Refresh)

    def test_a_token_is_refreshed_before_it_ends_and_once(self, driven: Driven) -> None:
        driven.go_live()
        driven.hear("pong")
        driven.wait(899)
        assert not driven.take(Refresh)
        driven.wait(2)
        driven.core.want_token()
        driven.core.want_token()
        assert len(driven.take(Refresh)) == 1
        driven.core.obtained(driven.now, "next", 1000)
        assert driven.core.token == "next"

    def test_an_expired_token_is_refreshed(self, driven: Driven) -> None:
        driven.start()
        driven.take(Refresh)
        driven.core.obtained(driven.now, "token", 1000)
        driven.take(Connect)
        driven.core.connected(driven.now)
        driven.hear("auth_error", code="token_expired", message="")
        driven.core.disconnected(driven.now, 1008)
        assert driven.core.state is State.REFRESHING
        assert driven.take(Refresh)

    def test_an_invalid_token_is_refreshed_once(self, driven: Driven) -> None:
        driven.start()
        for _ in range(2):
            assert driven.take(Refresh)
            driven.core.obtained(driven.now, "token", 1000)
            driven.take(Connect)
            driven.core.connected(driven.now)
            driven.hear("auth_error", code="token_invalid", message="no")
            driven.core.disconnected(driven.now, 1008)
        assert (driven.core.state, driven.core.why_ended) == (State.ENDED, "token_invalid: no")

    def test_a_session_that_ended_is_replaced_by_the_password(self, make: Callable[..., Driven]) -> None:
        driven = make(has_password=True)
        driven.go_live()
        driven.core.disconnected(driven.now, 4401, "session ended")
        assert driven.take(Refresh)
        driven.core.obtain_refused("revoked")
        assert driven.take(SignIn)
        driven.core.obtained(driven.now, "new", 1000)
        driven.connect()
        assert driven.written()[0]["token"] == "new"


class TestConnections:
    @pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013, 3000])
    def test_it_comes_back_with_its_cursor(self, driven: Driven, code: int) -> None:
        driven.go_live()
        driven.core.disconnected(driven.now, code)
        assert driven.core.state is State.WAITING
        driven.wait(1)
        driven.connect()
        assert driven.written()[0]["since"] == {"cursor": "c1"}

    @pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 4403])
    def test_it_stays_away(self, driven: Driven, code: int) -> None:
        driven.go_live()
        driven.core.disconnected(driven.now, code, "for a reason")
        assert driven.core.state is State.ENDED
        assert driven.core.why_ended == f"closed with {code} for a reason"
        assert driven.core.next_at is None

    @pytest.mark.parametrize(
        ("status", "state"), [(503, State.WAITING), (429, State.WAITING), (404, State.ENDED)]
    )
    def test_a_refused_handshake(self, driven: Driven, status: int, state: State) -> None:
        driven.start()
        driven.core.obtained(driven.now, "token", 1000)
        driven.core.disconnected(driven.now, status=status)
        assert driven.core.state is state

    def test_pauses_grow_and_begin_anew(self, driven: Driven) -> None:
        driven.go_live()
        pauses = []
        for _ in range(9):
            driven.core.disconnected(driven.now, 1006)
            assert driven.core._timers["pause"] is not None
            pauses.append(driven.core._timers["pause"] - driven.now)
            driven.wait(pauses[-1])
            driven.core.obtained(driven.now, "token", 1000)
            assert driven.take(Connect)
        assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        driven.core.connected(driven.now)
        driven.welcome()
        driven.hear("resumed", cursor="c2")
        driven.core.disconnected(driven.now, 1006)
        assert driven.core._timers["pause"] - driven.now == 0.5

    @pytest.mark.parametrize(
        ("code", "reason", "more", "least"),
        [
            (1013, "try again in 5 s", {}, 5.0),
            (1006, "", {"status": 503, "retry_after": 9.0}, 9.0),
            (1011, "failed 500 times", {}, 0.0),
        ],
    )
    def test_a_demanded_pause_is_kept(
        self, driven: Driven, code: int, reason: str, more: dict[str, Any], least: float
    ) -> None:
        driven.go_live()
        driven.core.disconnected(driven.now, code, reason, **more)
        assert driven.core._timers["pause"] - driven.now == least + 0.5

    def test_a_silent_connection_is_pinged_and_then_dropped(self, driven: Driven) -> None:
        driven.go_live()
        driven.wait(24)
        assert driven.written() == []
        driven.wait(1)
        assert [frame["type"] for frame in driven.written()] == ["ping"]
        driven.hear("pong")
        driven.wait(25)
        assert [frame["type"] for frame in driven.written()] == ["ping"]
        driven.wait(15)
        assert driven.take(Close) == [Close(1006)]
        assert driven.core.state is State.WAITING

    def test_it_leaves_when_it_is_told_to_and_comes_back_at_once(self, driven: Driven) -> None:
        driven.go_live()
        driven.hear("goaway", within=20)
        driven.wait(8)
        assert driven.take(Close) == []
        driven.wait(1)
        assert driven.take(Close) == [Close(1000)]
        driven.core.disconnected(driven.now, 1000)
        assert driven.take(Connect)

    def test_an_unanswered_greeting(self, driven: Driven) -> None:
        driven.start()
        driven.core.obtained(driven.now, "token", 1000)
        driven.take(Connect)
        driven.core.connected(driven.now)
        driven.wait(30)
        assert driven.take(Close) == [Close(1006)]
        assert driven.core.state is State.WAITING

    def test_a_frame_that_cannot_be_read_ends_the_connection(self, driven: Driven) -> None:
        driven.go_live()
        driven.hear("resumed")
        assert driven.take(Close) == [Close(1006)]
        assert driven.core.state is State.WAITING

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"type": 5}', '{"type": "later", "x": 1}'])
    def test_what_it_does_not_know_is_ignored(self, driven: Driven, text: str) -> None:
        driven.go_live()
        driven.core.heard(driven.now, text)
        assert driven.core.state is State.LIVE
        assert driven.changes() == []

    def test_stopping_says_goodbye(self, driven: Driven) -> None:
        driven.go_live()
        driven.core.stop()
        assert driven.take(Close) == [Close(1000)]
        assert driven.core.next_at is None
        driven.core.disconnected(driven.now, 1000)
        assert driven.core.state is State.STOPPED


class TestRequests:
    def test_an_answer(self, driven: Driven) -> None:
        driven.go_live()
        id = driven.core.ask(driven.now, "get_history", {"chat_id": "a"})
        assert driven.written() == [{"type": "get_history", "id": id, "chat_id": "a"}]
        driven.hear("answer", id=id, messages=[])
        assert driven.take(Settle) == [Settle(id, {"messages": []})]

    def test_a_refusal(self, driven: Driven) -> None:
        driven.go_live()
        id = driven.core.ask(driven.now, "delete_chat", {"chat_id": "a"})
        driven.hear("error", id=id, code="not_allowed", message="no", more=1)
        ((settled),) = driven.take(Settle)
        assert isinstance(settled.outcome, Refused)
        assert (settled.outcome.code, settled.outcome.fields) == ("not_allowed", {"more": 1})

    def test_a_busy_server_is_asked_again(self, driven: Driven) -> None:
        driven.go_live()
        id = driven.core.ask(driven.now, "delete_chat", {"chat_id": "a"})
        driven.take(Write)
        driven.hear("error", id=id, code="overloaded", message="", retry_after=3)
        driven.wait(2.9)
        assert driven.written() == []
        driven.wait(0.2)
        assert [frame["id"] for frame in driven.written()] == [id]

    def test_what_does_no_harm_is_repeated_after_a_break_and_the_rest_is_not(self, driven: Driven) -> None:
        driven.go_live()
        read = driven.core.ask(driven.now, "get_history", {"chat_id": "a"})
        change = driven.core.ask(driven.now, "change_chat", {"chat_id": "a", "name": "b"})
        driven.take(Write)
        driven.core.disconnected(driven.now, 1006)
        (settled,) = driven.take(Settle)
        assert settled.id == change
        assert isinstance(settled.outcome, OutcomeUnknown)
        driven.come_back()
        assert [frame.get("id") for frame in driven.written()][1:] == [read]

    def test_the_end_fails_what_waits(self, driven: Driven) -> None:
        driven.go_live()
        id = driven.core.ask(driven.now, "get_history", {"chat_id": "a"})
        driven.core.disconnected(driven.now, 4403)
        (settled,) = driven.take(Settle)
        assert settled.id == id
        assert isinstance(settled.outcome, Ended)
        with pytest.raises(Ended):
            driven.core.ask(driven.now, "get_history", {"chat_id": "a"})


class TestOutbox:
    def say(self, driven: Driven, chat: str, text: str) -> None:
        driven.core.stored(driven.now, driven.core.outbox.add(chat, text, f"n {text}"))

    def test_one_message_of_each_chat_is_under_way(self, driven: Driven) -> None:
        driven.go_live()
        for chat, text in [("a", "1"), ("a", "2"), ("b", "3")]:
            self.say(driven, chat, text)
        first, third = driven.written()
        assert (first["text"], third["text"]) == ("1", "3")
        message = {"id": "m", "seq": 1, "position": 1, "nonce": "n 1"}
        driven.hear("answer", id=first["id"], chat_id="a", message=message, duplicate=False)
        assert [frame["text"] for frame in driven.written()] == ["2"]

    def test_what_is_not_stored_yet_is_not_sent_and_holds_up_what_follows(self, driven: Driven) -> None:
        driven.go_live()
        entry = driven.core.outbox.add("a", "1", "n 1")
        self.say(driven, "a", "2")
        assert driven.written() == []
        driven.core.stored(driven.now, entry)
        assert [frame["text"] for frame in driven.written()] == ["1"]

    @pytest.mark.parametrize("code", ["overloaded", "unavailable", "outcome_unknown"])
    def test_a_passing_refusal_repeats_the_message_before_the_next(self, driven: Driven, code: str) -> None:
        driven.go_live()
        self.say(driven, "a", "1")
        self.say(driven, "a", "2")
        (first,) = driven.written()
        driven.hear("error", id=first["id"], code=code, message="", nonce=first["nonce"], retry_after=2)
        driven.wait(1.9)
        assert driven.written() == []
        driven.wait(0.2)
        assert driven.written() == [first]

    def test_a_final_refusal_is_told_and_does_not_hold_up_the_next(self, driven: Driven) -> None:
        driven.go_live()
        self.say(driven, "a", "1")
        self.say(driven, "a", "2")
        (first,) = driven.written()
        driven.hear("error", id=first["id"], code="message_empty", message="no", nonce=first["nonce"])
        assert [frame["text"] for frame in driven.written()] == ["2"]
        (change,) = driven.changes()
        assert (change.kind, change.text, change.code) == ("refused", "1", "message_empty")

    def test_a_break_repeats_it_under_its_nonce(self, driven: Driven) -> None:
        driven.go_live()
        self.say(driven, "a", "1")
        (first,) = driven.written()
        driven.core.disconnected(driven.now, 1006)
        driven.come_back()
        assert driven.written()[1:] == [first]

    def test_it_survives_the_client(self, driven: Driven, make: Callable[..., Driven]) -> None:
        entries = [driven.core.outbox.add("a", text, f"n {text}") for text in "12"]
        later = make()
        later.core.load({entry.name: entry.to_text() for entry in entries})
        later.go_live()
        assert [entry.text for entry in later.core.outbox] == ["1", "2"]


class TestPresence:
    def test_it_is_asked_for_again_after_a_break(self, driven: Driven) -> None:
        driven.go_live()
        id = driven.core.ask(driven.now, "watch_presence", {"profile_ids": ["p", "q"]})
        driven.hear("answer", id=id, watching=[])
        driven.hear("presence_ended", user_id="q")
        driven.core.disconnected(driven.now, 1006)
        driven.take(Tell)
        driven.take(Write)
        driven.come_back()
        _, asked = driven.written()
        assert asked["profile_ids"] == ["p"]
        driven.take(Tell)
        fields = {"user_id": "p", "online": False, "last_seen_at": "2026-01-01T00:00:00"}
        driven.hear("answer", id=asked["id"], watching=[fields])
        (change,) = driven.changes()
        assert isinstance(change, Presence)
        assert (change.profile_id, change.is_online) == ("p", False)
        assert change.last_seen_at is not None


class TestChats:
    def test_a_gap_beyond_the_limit_is_left_to_the_history(self, make: Callable[..., Driven]) -> None:
        driven, chat = make(gap_most=5), ModelChat("a")
        driven.go_live(chat)
        for number in range(6):
            chat.say("other", str(number))
        driven.hear("gap", chat_id="a", after=0, before=7, state=chat.entry())
        assert driven.written() == []
        gap = driven.changes()[-1]
        assert (gap.kind, gap.is_read) == ("gap", False)
        assert driven.core.held.chats["a"].position == 6

    def test_how_far_others_have_read_is_taken_over_behind_a_gap(self, make: Callable[..., Driven]) -> None:
        driven, chat = make(gap_most=None), ModelChat("a")
        driven.go_live(chat)
        for number in range(6):
            chat.say(ME, str(number))
        driven.hear("gap", chat_id="a", after=0, before=7, state=chat.entry())
        driven.hear("read_up_to", chat_id="a", seq=0, unread_count=0, last_seq=6, others_read_up_to=4)
        assert driven.changes()[-1].kind == "read"
        held = driven.core.held.chats["a"]
        assert (held.position, held.others_read_up_to, held.unread_count) == (0, 4, 0)

    def test_a_hole_is_read(self, driven: Driven) -> None:
        chat = ModelChat("a")
        driven.go_live(chat)
        first, second, third = (chat.say("other", str(number)) for number in range(3))
        driven.hear(**{"kind": second["type"], **{k: v for k, v in second.items() if k != "type"}})
        (asked,) = driven.written()
        assert (asked["type"], asked["after"]) == ("catch_up", 0)
        driven.hear("answer", id=asked["id"], events=[first, second], position=2, has_more=False)
        assert [change.message.text for change in driven.changes()] == ["0", "1"]
        driven.hear(**{"kind": third["type"], **{k: v for k, v in third.items() if k != "type"}})
        assert [change.message.text for change in driven.changes()] == ["2"]

    def test_what_is_missing_before_a_cursor_is_stored_with_it(
        self, driven: Driven, make: Callable[..., Driven]
    ) -> None:
        chat, stored = ModelChat("a"), dict[str, str]()
        driven.go_live(chat)
        _, second = chat.say("other", "0"), chat.say("other", "1")
        driven.hear(**{"kind": second["type"], **{k: v for k, v in second.items() if k != "type"}})
        driven.hear("cursor", cursor="c2")
        for tell in driven.take(Tell):
            stored.update(
                {
                    name: value.to_text() if isinstance(value, Chat) else value
                    for name, value in tell.saves.items()
                }
            )
        later = make()
        later.core.load(stored)
        later.start()
        later.core.obtained(later.now, "token", 1000)
        later.connect()
        later.hear("resumed", cursor="c2")
        assert [frame["type"] for frame in later.written()] == ["auth", "catch_up"]

    def test_old_messages_are_forgotten_beyond_the_limit(self, make: Callable[..., Driven]) -> None:
        driven, chat = make(messages_most=2), ModelChat("a")
        driven.go_live(chat)
        for number in range(4):
            frame = chat.say("other", str(number))
            driven.hear(**{"kind": frame["type"], **{k: v for k, v in frame.items() if k != "type"}})
        assert [message.text for message in driven.core.held.messages["a"].values()] == ["2", "3"]

    def test_a_failed_resume_of_the_same_epoch_keeps_what_is_true_and_reads_the_rest(
        self, driven: Driven
    ) -> None:
        kept, gone = ModelChat("a"), ModelChat("b")
        driven.go_live(kept, gone)
        missed = kept.say("other", "missed")
        driven.core.disconnected(driven.now, 1006)
        driven.wait(1)
        driven.connect()
        driven.hear("reset", scope="all", reason="malformed")
        driven.hear("snapshot", chats=[kept.entry()], next=None)
        driven.hear("resumed", cursor="c2")
        assert list(driven.core.held.chats) == ["a"]
        _, asked = driven.written()
        assert (asked["type"], asked["after"]) == ("catch_up", 0)
        driven.take(Tell)
        driven.hear("answer", id=asked["id"], events=[missed], position=1, has_more=False)
        (change,) = driven.changes()
        assert change.message.text == "missed"
        assert change.chat.unread_count == 1

    def test_a_chat_of_a_later_page_is_not_given_up_before_it(self, driven: Driven) -> None:
        first, second, third = ModelChat("a"), ModelChat("b"), ModelChat("c")
        driven.go_live(first, second, third)
        driven.core.disconnected(driven.now, 1006)
        driven.wait(1)
        driven.connect()
        driven.hear("reset", scope="all", reason="malformed")
        driven.hear("snapshot", chats=[first.entry()], next="2")
        driven.hear("resumed", cursor="c2")
        assert list(driven.core.held.chats) == ["a", "b", "c"]
        _, asked = driven.written()
        assert (asked["type"], asked["next"]) == ("more", "2")
        second.say("other", "missed")
        driven.hear("snapshot", id=asked["id"], chats=[second.entry()], next=None)
        assert list(driven.core.held.chats) == ["a", "b"]
        assert [(frame["type"], frame["chat_id"]) for frame in driven.written()] == [("catch_up", "b")]

    def test_another_epoch_forgets_everything(self, driven: Driven) -> None:
        chat = ModelChat("a")
        driven.go_live(chat)
        driven.core.disconnected(driven.now, 1012)
        driven.wait(1)
        driven.take(Connect)
        driven.core.connected(driven.now)
        driven.welcome(epoch="another")
        driven.hear("reset", scope="all", reason="epoch")
        assert driven.core.held.chats == {}
        forgotten = [
            name for tell in driven.take(Tell) for name, value in tell.saves.items() if value is None
        ]
        assert forgotten == ["place", "chat:a"]

    def test_a_connection_that_breaks_before_the_new_list_begins_it_anew(self, driven: Driven) -> None:
        driven.go_live(ModelChat("a"))
        driven.core.disconnected(driven.now, 1006)
        driven.wait(1)
        driven.connect()
        driven.hear("reset", scope="all", reason="malformed")
        driven.core.disconnected(driven.now, 1006)
        driven.take(Write)
        driven.wait(2)
        driven.connect()
        assert driven.written() == [{"type": "auth", "token": "token"}]

    def test_a_client_that_ended_within_the_list_reads_it_anew(self, driven: Driven) -> None:
        place = {"epoch": EPOCH, "cursor": "c", "next": "2", "profile_id": ME}
        driven.core.load({"place": json.dumps(place)})
        driven.start()
        driven.core.obtained(driven.now, "token", 1000)
        driven.connect()
        assert driven.written() == [{"type": "auth", "token": "token"}]

    def test_the_storage_of_another_person_is_not_used(self, driven: Driven) -> None:
        chat = ModelChat("a")
        entry = json.dumps(
            {"entry": chat.entry(), "position": 0, "told": 0, "counted": 0, "others_read_up_to": 0}
        )
        place = json.dumps({"epoch": EPOCH, "cursor": "c", "next": None, "profile_id": "another"})
        driven.core.load({"chat:a": entry, "place": place})
        driven.start()
        driven.core.obtained(driven.now, "token", 1000)
        driven.connect()
        assert driven.core.held.chats == {}

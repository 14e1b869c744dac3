"""
The core of the Python client against a model of the server, whatever happens to the connection and to the client.

The application handles changes when it likes, and the client may end at any moment: the next one begins with what was stored
when the application had handled a change. What is said of the storage is said of `Tell.saves`.
"""

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from messenger_client.changes import ChatAdded, ChatRemoved, Gap, MessageRefused, NewMessage, Reset
from messenger_client.core import Close, Connect, Core, Options, Refresh, Settle, Tell, Write
from messenger_client.model import Chat
from messenger_client.states import ABNORMAL, State
from tests.python_client.model_server import ME, OTHER, ModelChat, ModelConnection, ModelServer

CHATS = ("a", "b", "c", "d", "e")
LASTING = ("overloaded", "unavailable", "outcome_unknown", "outcome_unknown+")
FINAL = ("message_empty",)


class Conversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.server = ModelServer()
        self.stored: dict[str, str] = {}
        self.to_handle: list[Tell] = []
        self.handled: dict[str, int] = {}
        """By chat, the position of the last message that the application handled, or from which it knew the chat."""
        self.of_before = 0
        """Changes to handle that were told before the database was restored: the log does not know of them any more."""
        self.said: dict[str, list[str]] = {}
        """By chat, the texts in the order in which they were said; those that were refused are taken out."""
        self.wire: ModelConnection | None = None
        self.inbound: list[str] = []
        """Frames on their way to the server."""
        self.is_dialling = False
        self.numbers = 0
        self.core = self.begin()

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    # The shell

    def begin(self) -> Core:
        core = Core(
            lambda low, high: (low + high) / 2,
            Options(messages_most=None),
            has_session=True,
        )
        core.load(self.stored)
        core.start(self.now)
        self.core = core
        self.obey()
        return core

    def obey(self) -> None:
        while wishes := self.core.wishes():
            for wish in wishes:
                match wish:
                    case Connect():
                        self.is_dialling = True
                    case Write(text):
                        self.inbound.append(text)
                    case Close(code):
                        self.hang_up()
                        if code != ABNORMAL:
                            self.core.disconnected(self.now, code)
                    case Refresh():
                        self.core.obtained(self.now, f"token {self.number()}", 3600)
                    case Tell():
                        self.to_handle.append(wish)
                    case Settle(_, outcome):
                        raise AssertionError(f"nobody asked: {outcome}")
                    case _:
                        raise AssertionError(wish)

    def hang_up(self) -> None:
        self.wire, self.server.connection, self.is_dialling = None, None, False
        self.inbound.clear()

    def tick_to(self, at: float) -> None:
        self.now = max(self.now, at)
        self.core.tick(self.now)
        self.obey()

    # The world

    @initialize(count=st.integers(1, 5), is_live=st.booleans())
    def some_chats(self, count: int, is_live: bool) -> None:
        for id in CHATS[:count]:
            self.server.chats[id] = ModelChat(id)
        if is_live:
            self.comes_to_rest(twice=False)

    @rule(id=st.sampled_from(CHATS), kinds=st.lists(st.sampled_from(["say", "name", "new"]), min_size=1))
    def some_things_happen(self, id: str, kinds: list[str]) -> None:
        for kind in kinds:
            self.something_happens(id, kind)

    def something_happens(self, id: str, kind: str) -> None:
        chat = self.server.chats.get(id)
        if chat is None:
            return
        match kind:
            case "say":
                self.server.log(chat.say(OTHER, f"t{self.number()}"))
            case "name":
                chat.name = f"n{self.number()}"
                self.server.log(
                    chat.write("chat_changed", name=chat.name, description=None, by=OTHER, timestamp="")
                )
            case _:
                self.server.log(chat.write("something_new", what=1))

    @rule(id=st.sampled_from(CHATS), count=st.integers(7, 15))
    def much_happens(self, id: str, count: int) -> None:
        for _ in range(count):
            self.something_happens(id, "say")

    @rule(id=st.sampled_from(CHATS))
    def is_added(self, id: str) -> None:
        self.server.join(id)

    @rule(id=st.sampled_from(CHATS))
    def is_removed(self, id: str) -> None:
        if id in self.server.chats:
            self.server.leave(id)

    @rule(id=st.sampled_from(CHATS), back=st.integers(0, 3), later=st.integers(0, 2))
    def reads(self, id: str, back: int, later: int) -> None:
        """The mark is told behind messages that came after it was counted."""
        chat = self.server.chats.get(id)
        if chat is None:
            return
        reading = self.server.mark(id, len(chat.messages) - back)
        for _ in range(later):
            self.something_happens(id, "say")
        if reading is not None:
            self.server.tell(reading)

    @rule()
    def is_restored(self) -> None:
        self.server.restore()
        self.said.clear()  # what was lost cannot be told from what was not
        self.of_before = len(self.to_handle)
        if self.wire is not None:
            self.hang_up()
            self.core.disconnected(self.now, 1012, "history changed")
            self.obey()

    # The application

    @rule(id=st.sampled_from(CHATS))
    def says(self, id: str) -> None:
        if id in self.server.chats:
            text = f"t{self.number()}"
            entry = self.core.outbox.add(id, text, f"nonce of {text}")
            self.stored[entry.name] = entry.to_text()
            self.said.setdefault(id, []).append(text)
            self.core.stored(self.now, entry)
            self.obey()

    @rule(id=st.sampled_from(CHATS), count=st.integers(2, 4))
    def says_much(self, id: str, count: int) -> None:
        for _ in range(count):
            self.says(id)

    @rule(count=st.integers(1, 20))
    def handles(self, count: int) -> None:
        todo, self.to_handle = self.to_handle[:count], self.to_handle[count:]
        for tell in todo:
            if self.of_before:
                self.of_before -= 1
            else:
                self.handle(tell.change)
            for name, value in tell.saves.items():
                if value is None:
                    self.stored.pop(name, None)
                else:
                    self.stored[name] = value.to_text() if isinstance(value, Chat) else value

    def handle(self, change: Any) -> None:
        match change:
            case ChatAdded(chat):
                self.handled[chat.id] = chat.position
            case ChatRemoved(chat_id):
                self.handled.pop(chat_id, None)
            case Reset(None, _, is_forgotten=True):
                self.handled.clear()
            case Reset(str() as chat_id):
                self.handled[chat_id] = self.core.held.chats[chat_id].position
            case Gap(chat_id, is_read=False):
                raise AssertionError("every gap is read")
            case NewMessage(chat, message):
                last = self.handled.get(chat.id)
                if last is not None:
                    log = self.server.chats[chat.id].log
                    between = [
                        frame["position"]
                        for frame in log
                        if frame["type"] == "new_message" and last < frame["position"] < message.position
                    ]
                    assert not between, f"{chat.id}: handled up to {last}, then {message.position}"
                    assert message.position > last, f"{chat.id}: {message.position} after {last}"
                self.handled[chat.id] = message.position
            case MessageRefused(chat_id, _, text):
                if text in self.said.get(chat_id, ()):
                    self.said[chat_id].remove(text)
            case _:
                pass

    @rule()
    def ends_and_begins_again(self) -> None:
        """Without a farewell: what was not handled is lost."""
        note(f"begins again with {sorted(self.stored)}")
        self.hang_up()
        self.to_handle.clear()
        self.of_before = 0
        self.begin()

    # The connection

    @precondition(lambda self: self.is_dialling)
    @rule(
        back=st.integers(0, 4),
        fails=st.booleans(),
        refuses=st.lists(st.sampled_from([*LASTING, *FINAL]), max_size=2),
    )
    def gets_through(self, back: int, fails: bool, refuses: list[str]) -> None:
        self.is_dialling = False
        self.wire = self.server.connect()
        self.wire.back, self.wire.fails_resume, self.wire.refuses = back, fails, refuses
        self.core.connected(self.now)
        self.obey()

    @precondition(lambda self: self.is_dialling)
    @rule(status=st.sampled_from([None, 429, 503]))
    def does_not_get_through(self, status: int | None) -> None:
        self.is_dialling = False
        self.core.disconnected(self.now, status=status, retry_after=1.0 if status else None)
        self.obey()

    @precondition(lambda self: self.inbound)
    @rule(count=st.integers(1, 3))
    def server_hears(self, count: int) -> None:
        for _ in range(count):
            if self.inbound and self.wire is not None:
                self.wire.hear(self.inbound.pop(0))

    @precondition(lambda self: self.wire is not None and self.wire.out)
    @rule(count=st.integers(1, 8), twice=st.booleans())
    def client_hears(self, count: int, twice: bool) -> None:
        for _ in range(count):
            if self.wire is None or not self.wire.out:
                return
            text = self.wire.out.pop(0)
            frame = json.loads(text)
            is_repeated = twice and "after" in frame and frame["type"] != "gap"
            for _ in range(1 + is_repeated):
                self.core.heard(self.now, text)
            self.obey()

    @precondition(lambda self: self.wire is not None)
    @rule(code=st.sampled_from([1000, 1006, 1011, 1012, 1013]))
    def is_cut_off(self, code: int) -> None:
        self.hang_up()
        self.core.disconnected(self.now, code)
        self.obey()

    @precondition(lambda self: self.wire is not None)
    @rule()
    def is_told_to_go(self) -> None:
        self.server.tell({"type": "goaway", "within": 4})

    @precondition(lambda self: self.wire is not None)
    @rule(place=st.integers(0, 20))
    def a_frame_is_lost(self, place: int) -> None:
        """No server does that. A client notices it at the next frame of the chat."""
        assert self.wire is not None
        out = [json.loads(text) for text in self.wire.out]
        if place < len(out) and "after" in out[place] and out[place]["type"] != "gap":
            chat_id = out[place]["chat_id"]
            kinds = [frame["type"] for frame in out[place + 1 :] if frame.get("chat_id") == chat_id]
            if kinds and kinds[0] in {"new_message", "something_new"}:
                del self.wire.out[place]

    @rule(
        refuses=st.lists(st.sampled_from([*LASTING, *FINAL]), max_size=3),
        fails=st.booleans(),
        most=st.integers(2, 30),
        twice=st.booleans(),
    )
    def goes_on(self, refuses: list[str], fails: bool, most: int, twice: bool) -> None:
        """Everything on its way arrives, until the client is live or something is left on its way."""
        for _ in range(most):
            if self.core.state is State.LIVE:
                return
            if self.is_dialling:
                self.gets_through(0, fails, refuses)
            elif self.inbound:
                self.server_hears(1)
            elif self.wire is not None and self.wire.out:
                self.client_hears(1, twice)
            elif self.core.next_at is not None:
                self.tick_to(self.core.next_at)

    @precondition(lambda self: self.wire is not None)
    @rule(
        gone=st.sampled_from(CHATS),
        kind=st.sampled_from(["leaves", "joins", "says", "is restored"]),
        ends=st.booleans(),
        fails=st.booleans(),
        most=st.integers(2, 30),
    )
    def is_away(self, gone: str, kind: str, ends: bool, fails: bool, most: int) -> None:
        if ends:
            self.ends_and_begins_again()
        else:
            self.is_cut_off(1006)
        match kind:
            case "leaves":
                self.is_removed(gone)
            case "joins":
                self.is_added(gone)
            case "is restored":
                self.is_restored()
            case _:
                self.much_happens(gone, 8)
        self.goes_on([], fails, most, twice=False)

    @rule(seconds=st.sampled_from([0.5, 5.0, 20.0, 50.0]))
    def time_passes(self, seconds: float) -> None:
        self.tick_to(self.now + seconds)

    # At rest everything is so

    @rule(twice=st.booleans())
    def comes_to_rest(self, twice: bool) -> None:
        for _ in range(400):
            if self.is_at_rest:
                break
            if self.is_dialling:
                self.gets_through(0, fails=False, refuses=[])
            self.server_hears(100)
            if self.wire is not None and self.wire.out:
                self.client_hears(100, twice)
            elif not self.inbound and self.core.next_at is not None:
                self.tick_to(self.core.next_at)
            self.handles(1000)
        assert self.is_at_rest, (self.core.state, self.core.held.chats, len(self.core.outbox))
        self.everything_is_known()

    @property
    def is_at_rest(self) -> bool:
        if self.core.state is not State.LIVE or self.wire is None:
            return False
        waiting = len(self.inbound) + len(self.wire.out) + len(self.core.outbox) + len(self.to_handle)
        return not waiting and not any(chat.is_behind for chat in self.core.held.chats.values())

    def everything_is_known(self) -> None:
        theirs = {id: chat for id, chat in self.server.chats.items() if chat.is_in}
        ours = self.core.held.chats
        assert ours.keys() == theirs.keys()
        for id, chat in theirs.items():
            entry, known = chat.entry(), ours[id]
            assert (known.position, known.seq, known.name) == (chat.position, entry["seq"], chat.name)
            assert known.member_count == chat.members
            assert (known.read_up_to, known.unread_count) == (chat.mark, chat.unread)
            kept = self.core.held.messages.get(id, {})
            for position, message in kept.items():
                frame = chat.log[position - 1]
                assert (frame["type"], frame["message"]["id"]) == ("new_message", message.id)
        for id, texts in self.said.items():
            stored = [each["text"] for each in self.server.chats[id].messages if each["sender_id"] == ME]
            assert [text for text in stored if text in texts] == [text for text in texts if text in stored]
            assert len(stored) == len(set(stored))
            if self.server.chats[id].is_in:
                assert set(texts) <= set(stored)
        assert not [name for name in self.stored if name.startswith("send:")]


TestConversation = Conversation.TestCase

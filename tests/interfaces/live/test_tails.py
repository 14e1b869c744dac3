"""What is kept of logs in memory: a run without a gap, of one line of history, within its limit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from application.ports.updates import ChatUpdate
from domain.events import ChatChanged
from domain.ids import ChatId, Position, ProfileId
from interfaces.live.tails import LogEntry, Tails
from interfaces.wire import frames
from tests.strategies import START

CHATS = [ChatId(UUID(int=number)) for number in (1, 2, 3)]
SOMEBODY = ProfileId(UUID(int=9))

chats = st.integers(0, len(CHATS) - 1)


def update(chat_id: ChatId, position: int, name: str = "a name") -> ChatUpdate:
    return ChatChanged(
        chat_id=chat_id, position=Position(position), name=name, description=None, by=SOMEBODY, at=START
    )


def add(tails: Tails, *updates: ChatUpdate) -> None:
    for each in updates:
        tails.add(each, frames.told(each))


def positions(entries: Sequence[LogEntry]) -> list[int]:
    return [entry.position for entry in entries]


WEIGHT = LogEntry.of(update(CHATS[0], 1)).weight


def tails(limit: int = 1000 * WEIGHT) -> Tails:
    made = Tails(limit)
    made.begin("epoch")
    return made


class Storage(RuleBasedStateMachine):
    """Logs in storage, what of them a node is told, and the tails that it keeps: whatever is served is what the logs say."""

    def __init__(self) -> None:
        super().__init__()
        self.tails = Tails(40 * WEIGHT)
        self.epoch = 0
        self.logs: list[list[ChatUpdate]] = [[] for _ in CHATS]
        self.stands: list[int | None] = [None for _ in CHATS]
        """The positions up to which listeners were told; None without listeners."""
        self.tails.begin("0")

    @rule(chat=chats, size=st.integers(0, 2000), is_heard=st.booleans())
    def commit(self, chat: int, size: int, is_heard: bool) -> None:
        log = self.logs[chat]
        log.append(update(CHATS[chat], len(log) + 1, f"{self.epoch} {'x' * size}"))
        if is_heard:
            self.hear(chat, len(log))

    @rule(chat=chats, back=st.integers(0, 5))
    def hear_late(self, chat: int, back: int) -> None:
        if position := max(0, len(self.logs[chat]) - back):
            self.hear(chat, position)

    def hear(self, chat: int, position: int) -> None:
        """Does what `Channels.advance` does. Listeners are told everything in order."""
        stand = self.stands[chat]
        if stand is None or position <= stand:
            self.tails.follow(self.logs[chat][position - 1])
        else:
            add(self.tails, *self.logs[chat][stand:position])
            self.stands[chat] = position

    @rule(chat=chats)
    def come(self, chat: int) -> None:
        if self.stands[chat] is None:
            self.stands[chat] = len(self.logs[chat])

    @rule(chat=chats)
    def leave(self, chat: int) -> None:
        if (stand := self.stands[chat]) is not None:
            self.tails.watch(CHATS[chat], Position(stand))
            self.stands[chat] = None

    @rule(chat=chats, after=st.integers(0, 30), size=st.integers(1, 10), is_old=st.booleans())
    def read_from_the_log(self, chat: int, after: int, size: int, is_old: bool) -> None:
        found = [LogEntry.of(each) for each in self.logs[chat][after : after + size]]
        if is_old:  # a read that began before the history changed
            found = [LogEntry.of(update(CHATS[chat], entry.position, "of old")) for entry in found]
        self.tails.found(str(self.epoch - is_old), CHATS[chat], found)

    @rule()
    def age(self) -> None:
        self.tails.age()

    @rule(lost=st.integers(0, 5))
    def restore(self, lost: int) -> None:
        self.epoch += 1
        self.logs = [log[: max(0, len(log) - lost)] for log in self.logs]
        self.stands = [None for _ in CHATS]
        self.tails.begin(str(self.epoch))

    @invariant()
    def what_is_served_is_what_the_log_says(self) -> None:
        for chat, log in zip(CHATS, self.logs, strict=True):
            for after in range(len(log)):
                served = self.tails.read(str(self.epoch), chat, Position(after), Position(len(log)))
                expected = [frames.told(each).data for each in log[after : after + len(served)]]
                assert [entry.frame.data for entry in served] == expected
                assert self.tails.read(str(self.epoch - 1), chat, Position(after), Position(len(log))) == ()

    @invariant()
    def it_takes_what_it_says(self) -> None:
        kept = [tail for tail in self.tails._by_chat.values() if tail.entries]
        assert self.tails.used == sum(entry.weight for tail in kept for entry in tail.entries)
        assert self.tails.used <= self.tails.limit
        classes = {
            tail.chat_id: number
            for number, group in enumerate(self.tails._by_size)
            for tail in group.values()
        }
        assert classes == {tail.chat_id: tail.weight.bit_length() for tail in kept}


TestStorage = Storage.TestCase
TestStorage.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


class TestWhatIsKept:
    def test_what_a_chat_is_told_is_served_from_any_position_in_it(self) -> None:
        kept = tails()
        add(kept, *(update(CHATS[0], position) for position in (4, 5, 6)))
        served = {
            after: positions(kept.read("epoch", CHATS[0], Position(after), Position(6))) for after in range(8)
        }
        assert served == {0: [], 1: [], 2: [], 3: [4, 5, 6], 4: [5, 6], 5: [6], 6: [], 7: []}

    def test_nothing_is_served_beyond_what_the_client_may_read(self) -> None:
        kept = tails()
        add(kept, *(update(CHATS[0], position) for position in (1, 2, 3)))
        assert positions(kept.read("epoch", CHATS[0], Position(0), Position(2))) == [1, 2]

    def test_a_chat_without_listeners_is_followed_from_where_they_stood(self) -> None:
        kept = tails()
        kept.watch(CHATS[0], Position(7))
        kept.follow(update(CHATS[0], 8))
        kept.follow(update(CHATS[0], 10))  # the announcement of 9 was lost
        kept.follow(update(CHATS[1], 1))  # nobody listened there
        assert positions(kept.read("epoch", CHATS[0], Position(7), Position(10))) == [8]
        assert not kept.read("epoch", CHATS[1], Position(0), Position(1))

    def test_an_update_behind_a_gap_begins_the_tail_anew(self) -> None:
        kept = tails()
        add(kept, update(CHATS[0], 1), update(CHATS[0], 3))
        assert not kept.read("epoch", CHATS[0], Position(0), Position(3))
        assert positions(kept.read("epoch", CHATS[0], Position(2), Position(3))) == [3]

    def test_a_read_page_goes_before_the_tail(self) -> None:
        kept = tails()
        add(kept, update(CHATS[0], 4))
        kept.found("epoch", CHATS[0], [LogEntry.of(update(CHATS[0], position)) for position in (2, 3)])
        assert positions(kept.read("epoch", CHATS[0], Position(1), Position(4))) == [2, 3, 4]
        kept.found("epoch", CHATS[0], [LogEntry.of(update(CHATS[0], 7))])
        assert positions(kept.read("epoch", CHATS[0], Position(1), Position(9))) == [2, 3, 4]

    @pytest.mark.parametrize("epoch", ["another", None])
    def test_nothing_is_served_in_another_line_of_history(self, epoch: str | None) -> None:
        kept = tails()
        add(kept, update(CHATS[0], 1))
        assert not kept.read(epoch, CHATS[0], Position(0), Position(1))

    def test_another_line_of_history_begins_without_what_was_kept(self) -> None:
        """Its logs may have other entries at the same positions."""
        kept = tails()
        add(kept, *(update(CHATS[0], position) for position in (1, 2)))
        kept.begin("restored")
        assert not kept.read("restored", CHATS[0], Position(0), Position(2))
        assert (len(kept), kept.used) == (0, 0)
        newer = update(CHATS[0], 2, "another name")
        add(kept, newer)
        (entry,) = kept.read("restored", CHATS[0], Position(1), Position(2))
        assert entry.update == newer
        assert not kept.read("epoch", CHATS[0], Position(1), Position(2))

    def test_a_read_that_began_in_the_former_line_of_history_is_not_kept(self) -> None:
        kept = tails()
        kept.begin("restored")
        add(kept, update(CHATS[0], 2))
        kept.found("epoch", CHATS[0], [LogEntry.of(update(CHATS[0], 1))])
        kept.found("epoch", CHATS[1], [LogEntry.of(update(CHATS[1], 1))])
        assert positions(kept.read("restored", CHATS[0], Position(1), Position(2))) == [2]
        for chat_id in CHATS[:2]:
            assert not kept.read("restored", chat_id, Position(0), Position(2))

    def test_nothing_is_served_before_the_line_of_history_is_known(self) -> None:
        kept = Tails(1000 * WEIGHT)
        add(kept, update(CHATS[0], 1))
        assert not kept.read(None, CHATS[0], Position(0), Position(1))

    def test_with_no_room_nothing_is_kept(self) -> None:
        kept = tails(limit=0)
        add(kept, update(CHATS[0], 1))
        kept.watch(CHATS[1], Position(1))
        kept.found("epoch", CHATS[2], [LogEntry.of(update(CHATS[2], 1))])
        assert len(kept) == 0


class TestRoom:
    def test_a_busy_chat_makes_room_in_its_own_tail(self) -> None:
        kept = tails(limit=20 * WEIGHT)
        add(kept, *(update(CHATS[0], position) for position in range(1, 4)))
        add(kept, *(update(CHATS[1], position) for position in range(1, 200)))
        assert positions(kept.read("epoch", CHATS[0], Position(0), Position(3))) == [1, 2, 3]
        assert positions(kept.read("epoch", CHATS[1], Position(190), Position(199))) == list(range(191, 200))

    def test_an_entry_greater_than_all_room_is_not_kept(self) -> None:
        kept = tails(limit=2 * WEIGHT)
        add(kept, update(CHATS[0], 1, "x" * 10_000))
        assert kept.used == 0
        assert not kept.read("epoch", CHATS[0], Position(0), Position(1))

    def test_what_is_old_goes(self) -> None:
        kept = tails()
        kept.watch(CHATS[1], Position(3))
        add(kept, update(CHATS[0], 1))
        kept.age()
        add(kept, update(CHATS[0], 2))
        assert positions(kept.read("epoch", CHATS[0], Position(0), Position(2))) == [1, 2]
        kept.age()
        assert not kept.read("epoch", CHATS[0], Position(0), Position(2))
        assert positions(kept.read("epoch", CHATS[0], Position(1), Position(2))) == [2]
        kept.age()
        kept.age()
        assert (len(kept), kept.used) == (0, 0)


@given(st.lists(st.tuples(chats, st.integers(0, 3000)), max_size=60), st.integers(0, 30))
@settings(deadline=None)
def test_all_tails_together_stay_within_the_limit(said: Any, room: int) -> None:
    kept, stands = tails(limit=room * WEIGHT), [0, 0, 0]
    for chat, size in said:
        stands[chat] += 1
        add(kept, update(CHATS[chat], stands[chat], "x" * size))
        assert kept.used <= kept.limit

"""What returning clients missed is read once for all who ask at that moment, and each gets what it asked for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from application.errors import Unavailable
from application.ports.updates import ChatUpdate
from application.ports.views import LogSpan
from domain.ids import ChatId, Position
from interfaces.live.replays import Replays
from interfaces.live.tails import LogEntry, Tails
from tests.interfaces.live.test_tails import CHATS, add, tails, update

KEEPS_NOTHING = 0


@define(eq=False)
class Logs:
    """Logs that grow, read as storage does it: everything that is committed when the read begins."""

    length: dict[ChatId, int]
    reads: list[Sequence[LogSpan]] = field(factory=list)
    is_down: bool = False

    async def read(self, spans: Sequence[LogSpan]) -> Sequence[ChatUpdate]:
        self.reads.append(spans)
        found = [
            update(span.chat_id, position)
            for span in spans
            for position in range(span.after + 1, min(span.last, self.length[span.chat_id]) + 1)
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        if self.is_down:
            raise Unavailable
        return found


def span(after: int, last: int, chat: int = 0) -> LogSpan:
    return LogSpan(CHATS[chat], Position(after), Position(last))


def told(entries: Sequence[LogEntry]) -> list[tuple[ChatId, int]]:
    return [(entry.update.chat_id, entry.position) for entry in entries]


async def read_all(replays: Replays, *wanted: LogSpan) -> list[tuple[ChatId, int]]:
    """Reads until everything wanted is there, as a client does."""
    reached = {span.chat_id: span.after for span in wanted}
    got: list[tuple[ChatId, int]] = []
    while spans := [
        LogSpan(span.chat_id, reached[span.chat_id], span.last)
        for span in wanted
        if reached[span.chat_id] < span.last
    ]:
        entries = await replays.read("epoch", spans)
        assert entries, "the log has them"
        for entry in entries:
            assert entry.position == reached[entry.update.chat_id] + 1
            reached[entry.update.chat_id] = entry.position
        got += told(entries)
    return got


async def test_one_read_answers_all_who_ask_at_that_moment() -> None:
    logs = Logs({CHATS[0]: 9})
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    answers = await asyncio.gather(
        *(replays.read("epoch", [span(after, last)]) for after, last in [(2, 9), (2, 9), (5, 8), (8, 9)])
    )
    assert [[entry.position for entry in answer] for answer in answers] == [
        [3, 4, 5, 6, 7, 8, 9],
        [3, 4, 5, 6, 7, 8, 9],
        [6, 7, 8],
        [9],
    ]
    assert logs.reads == [[span(2, 9)]]


async def test_who_knows_of_more_does_not_rely_on_an_earlier_read() -> None:
    logs = Logs({CHATS[0]: 3})
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    early = asyncio.create_task(replays.read("epoch", [span(1, 3)]))
    await asyncio.sleep(0)
    logs.length[CHATS[0]] = 4
    late = await replays.read("epoch", [span(3, 4)])
    assert [entry.position for entry in late] == [4]
    assert [entry.position for entry in await early] == [2, 3]


async def test_who_missed_more_does_not_rely_on_a_read_of_less() -> None:
    logs = Logs({CHATS[0]: 9})
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    _, more = await asyncio.gather(replays.read("epoch", [span(7, 9)]), replays.read("epoch", [span(1, 9)]))
    assert [entry.position for entry in more] == [2, 3, 4, 5, 6, 7, 8, 9]


async def test_a_read_of_another_line_of_history_is_not_shared() -> None:
    logs = Logs({CHATS[0]: 9})
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    await asyncio.gather(replays.read("old", [span(7, 9)]), replays.read("new", [span(7, 9)]))
    assert len(logs.reads) == 2


async def test_what_fails_fails_for_all_who_wait_and_is_tried_again_by_the_next() -> None:
    logs = Logs({CHATS[0]: 9}, is_down=True)
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    answers = await asyncio.gather(
        *(replays.read("epoch", [span(7, 9)]) for _ in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert len(logs.reads) == 1
    logs.is_down = False
    assert len(await replays.read("epoch", [span(7, 9)])) == 2


async def test_whoever_reads_for_others_may_be_cancelled() -> None:
    logs = Logs({CHATS[0]: 9})
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    first, second = (asyncio.create_task(replays.read("epoch", [span(7, 9)])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(Unavailable):  # not an empty answer, which would say that there is nothing
        await second


async def test_whoever_waits_may_be_cancelled_without_harm_to_the_others() -> None:
    logs = Logs({CHATS[0]: 9})
    replays = Replays(logs.read, Tails(KEEPS_NOTHING))
    first, second, third = (asyncio.create_task(replays.read("epoch", [span(7, 9)])) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    assert len(await first) == len(await third) == 2


async def test_what_was_read_is_kept_for_the_next() -> None:
    logs = Logs({CHATS[0]: 9})
    replays = Replays(logs.read, tails())
    await replays.read("epoch", [span(2, 9)])
    assert [entry.position for entry in await replays.read("epoch", [span(4, 9)])] == [5, 6, 7, 8, 9]
    assert len(logs.reads) == 1


async def test_only_what_is_not_kept_is_read() -> None:
    logs = Logs({CHATS[0]: 4, CHATS[1]: 4})
    replays = Replays(logs.read, tails())
    add(replays.tails, update(CHATS[0], 3), update(CHATS[0], 4))
    got = await read_all(replays, span(2, 4), span(2, 4, chat=1))
    assert got == [(CHATS[0], 3), (CHATS[0], 4), (CHATS[1], 3), (CHATS[1], 4)]
    assert logs.reads == [[span(2, 4, chat=1)]]


async def test_nothing_is_found_in_a_chat_that_was_purged() -> None:
    replays = Replays(Logs({CHATS[0]: 0}).read, tails())
    assert not await replays.read("epoch", [span(2, 9)])


steps = st.one_of(
    st.tuples(st.just("commit"), st.integers(0, 2), st.integers(1, 4)),
    st.tuples(st.just("resume"), st.sets(st.integers(0, 2), min_size=1), st.integers(0, 12)),
    st.tuples(st.just("go on"), st.integers(1, 4)),
)


@given(st.lists(steps, max_size=40), st.booleans())
@settings(deadline=None)
def test_everybody_gets_exactly_what_it_missed(steps: list[tuple[Any, ...]], keeps: bool) -> None:
    async def run() -> None:
        logs = Logs(dict.fromkeys(CHATS, 1))
        replays = Replays(logs.read, tails() if keeps else Tails(KEEPS_NOTHING))
        clients: list[tuple[list[LogSpan], asyncio.Task[list[tuple[ChatId, int]]]]] = []
        for step in steps:
            match step:
                case "commit", int(chat), int(count):
                    logs.length[CHATS[chat]] += count
                case "resume", chats, int(back):
                    wanted = [
                        span(max(0, logs.length[CHATS[n]] - back), logs.length[CHATS[n]], n) for n in chats
                    ]
                    clients.append((wanted, asyncio.create_task(read_all(replays, *wanted))))
                case "go on", int(turns):
                    for _ in range(turns):
                        await asyncio.sleep(0)
        for wanted, client in clients:
            expected = [(w.chat_id, p) for w in wanted for p in range(w.after + 1, w.last + 1)]
            assert sorted(await client) == sorted(expected)

    asyncio.run(run())

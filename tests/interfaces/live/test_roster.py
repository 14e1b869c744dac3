"""Who listens where, with listeners of many chats beside those of one."""

import tracemalloc
from uuid import uuid4

from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st

from application.ports.updates import ChatUpdate
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.live.listener import End, Run
from interfaces.live.roster import Audience, Roster
from interfaces.wire.frames import Frame

FRAME = Frame(b"{}")

CHATS = 5


@define(eq=False)
class Listens:
    """A listener that notes what it is told; of any number of chats."""

    profile_id: ProfileId = Factory(lambda: ProfileId(uuid4()))
    session_id: SessionId = Factory(lambda: SessionId(uuid4()))
    is_present: bool = True
    heard: list[Frame] = Factory(list)
    ends: list[tuple[End, ChatId | None]] = Factory(list)

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        self.heard.append(frame)

    def tell_run(self, run: Run) -> None:
        self.heard.extend(run.frames)

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        self.ends.append((why, chat_id))


def audiences(count: int) -> list[Audience]:
    return [Audience(ChatId(uuid4()), opened_at=0.0) for _ in range(count)]


acts = st.lists(
    st.tuples(
        st.sampled_from(["join", "go live", "step aside", "leave"]),
        st.integers(0, 6),
        st.integers(0, CHATS - 1),
    ),
    max_size=80,
)


@given(acts)
def test_exactly_those_who_are_live_are_told(script: list[tuple[str, int, int]]) -> None:
    roster, chats, everybody = Roster(), audiences(CHATS), [Listens() for _ in range(7)]
    seated: dict[tuple[int, int], bool] = {}
    for act, who, where in script:
        listener, audience, pair = everybody[who], chats[where], (who, where)
        match act:
            case "join" if pair not in seated:
                roster.join(listener, audience)
                seated[pair] = False
            case "go live" if seated.get(pair) is False:
                roster.go_live(listener, audience)
                seated[pair] = True
            case "step aside" if seated.get(pair):
                roster.step_aside(listener, audience)
                seated[pair] = False
            case "leave":
                left = roster.leave(listener)
                gone = {chat: live for (one, chat), live in seated.items() if one == who}
                assert {(chats.index(audience), live) for audience, live in left} == set(gone.items())
                seated = {pair: live for pair, live in seated.items() if pair[0] != who}
            case _:
                continue
        for number, audience in enumerate(chats):
            live = {one for (one, chat), is_live in seated.items() if chat == number and is_live}
            roster.tell(audience, FRAME)
            assert {one for one, each in enumerate(everybody) if each.heard} == live
            assert all(len(everybody[one].heard) == 1 for one in live), "nobody is told twice"
            for each in everybody:
                each.heard.clear()
            there = {one for (one, chat) in seated if chat == number}
            assert {everybody.index(each) for each in roster.everybody(audience)} == there  # type: ignore[arg-type]
    for listener in everybody:
        roster.leave(listener)
    assert roster.is_empty
    assert all(audience.is_empty for audience in chats)


def test_an_ended_session_ends_each_of_its_listeners_once_however_many_chats_they_hear() -> None:
    roster, listener, other = Roster(), Listens(), Listens()
    for audience in audiences(3):
        roster.join(listener, audience)
        roster.join(other, audience)
    roster.end_session(listener.session_id)
    assert (listener.ends, other.ends) == ([(End.SESSION_ENDED, None)], [])


def test_a_listener_of_a_thousand_chats_costs_some_bytes_for_each() -> None:
    chats = audiences(1000)
    roster = Roster()
    for audience in chats:
        first = Listens()
        roster.join(first, audience)
        roster.go_live(first, audience)
    listener = Listens()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for audience in chats:
            roster.join(listener, audience)
            roster.go_live(listener, audience)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    print(f"{used / len(chats):.0f} bytes for each chat of a listener")
    assert used < 16 * len(chats)

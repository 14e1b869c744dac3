"""The three tables of a socket: its states, its close codes, and what is said of errors."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.errors import ApplicationError
from domain.chat_errors import NotAMember
from domain.errors import DomainError
from interfaces.live.listener import End
from interfaces.ws.closing import ENDS, CloseCode
from interfaces.ws.refusals import REFUSALS, refusal_of
from interfaces.ws.states import TRANSITIONS, State, Step
from tests.interfaces.live.ear import Ear
from tests.interfaces.ws.test_connection import ANN, CHAT, SNAPSHOT, is_open


def test_every_state_is_reached_and_every_one_can_end() -> None:
    reached = {State.GREETING}
    while new := {after for state in reached for after in TRANSITIONS[state].values()} - reached:
        reached |= new
    assert reached == set(State)
    assert all(TRANSITIONS[state][Step.ENDED] is State.CLOSED for state in State)
    assert set(TRANSITIONS[State.CLOSED].values()) == {State.CLOSED}, "nothing opens a socket again"


def test_what_is_not_in_the_table_cannot_be_done() -> None:
    connection, _ = is_open()
    with pytest.raises(KeyError):
        connection.opened()
    with pytest.raises(KeyError):
        Ear().connection(CHAT).detach()


def test_a_life_goes_through_the_table() -> None:
    connection = Ear().connection(CHAT, ANN)
    states = [connection.state]
    connection.welcome(SNAPSHOT)
    for step in (
        connection.opened,
        connection.detach,
        connection.detach,
        lambda: connection.end(End.SESSION_ENDED),
    ):
        step()
        states.append(connection.state)
    assert states == [State.ENTERING, State.OPEN, State.DETACHED, State.DETACHED, State.CLOSED]
    assert all(after in TRANSITIONS[before].values() for before, after in itertools.pairwise(states))


def test_every_end_of_the_live_side_closes_with_a_code_that_is_listed() -> None:
    assert set(ENDS) == set(End)
    assert all(close.code in list(CloseCode) for close in ENDS.values())


def test_close_codes_are_sendable_and_say_what_they_mean() -> None:
    """The page for clients has the same codes, and tells the same about coming back. 1006 is never sent."""
    page = Path("docs/protocol.md").read_text().partition("### Close codes")[2].partition("###")[0]
    told = {
        int(code): comes_back.strip().startswith("Yes")
        for codes, _, comes_back in re.findall(r"^\| ([0-9, ]+) \| (.*) \| (.*) \|$", page, re.MULTILINE)
        for code in codes.split(",")
    }
    assert told == {code.value: code.comes_back for code in CloseCode if code is not CloseCode.ABNORMAL}
    assert all(code.meaning for code in CloseCode)


def kinds_of(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds_of(kind)


@pytest.mark.parametrize("kind", [*kinds_of(DomainError), *kinds_of(ApplicationError)])
def test_every_error_that_there_is_has_a_refusal(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    nearest = next(base for base in kind.__mro__ if base in REFUSALS)
    assert refusal_of(error) is REFUSALS[nearest]  # type: ignore[arg-type]


@pytest.mark.frames_unheld
def test_an_error_without_an_entry_of_its_own_is_told_as_its_nearest_ancestor() -> None:
    class NotHere(NotAMember):
        code = "not_here"

    ear = Ear()
    ear.connection(CHAT, ANN).refuse(NotHere())
    (frame,) = ear.frames
    assert (frame["message"], frame["code"]) == ("You are not a member of this chat", "not_here")
    assert ear.close == (1008, "Access denied")

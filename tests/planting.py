"""Faults planted in a good history, which a checker must find."""

from collections.abc import Callable, Sequence

from tests.checker.history import Event
from tests.checker.judge import judge
from tests.checker.picture import Limits

Plant = Callable[[list[Event]], None]


def without(*gone: Event) -> Plant:
    def plant(history: list[Event]) -> None:
        for event in gone:
            history.remove(event)

    return plant


def instead_of(event: Event, *others: Event) -> Plant:
    def plant(history: list[Event]) -> None:
        place = history.index(event)
        history[place : place + 1] = others

    return plant


def before(event: Event, *others: Event) -> Plant:
    return instead_of(event, *others, event)


def behind(event: Event, *others: Event) -> Plant:
    return instead_of(event, event, *others)


def together(*plants: Plant) -> Plant:
    def plant(history: list[Event]) -> None:
        for each in plants:
            each(history)

    return plant


def assert_found(good: Sequence[Event], fault: tuple[str, Plant], limits: Limits) -> None:
    """The checker names the rule that a fault breaks."""
    rule, plant = fault
    history = list(good)
    plant(history)
    assert history != list(good)
    assert rule in {violation.rule for violation in judge(history, limits)}

"""What every free text shares."""

import unicodedata

import pytest

from domain.text import BLANK, DEFAULT_IGNORABLE, DIRECTION_CONTROLS, has_something_visible, is_nameable
from tests.unicode import every_character, having


def test_ignorables_are_those_of_unicode() -> None:
    assert having("Default_Ignorable_Code_Point") == DEFAULT_IGNORABLE


def test_direction_controls_are_those_of_unicode() -> None:
    classes = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    explicit = {each for each in every_character() if unicodedata.bidirectional(each) in classes}
    assert explicit == DIRECTION_CONTROLS


INVISIBLE = [
    "",
    " \u00a0\u3000",
    "\u200b\u200b",
    "\u2060\u200d \ufeff",
    "\u202e",
    "\x07",
    "\ue000",
    "\u3164" * 3,
    "\uffa0",
    "\u115f\u1160",
    "\u2800" * 3,
    "\ufe0f",
    "\U000e0041\U000e007f",
    "\u034f\u00ad",
    "\U0001d159",
]


@pytest.mark.parametrize("text", INVISIBLE)
def test_nothing_to_see(text: str) -> None:
    assert not has_something_visible(text)
    assert not is_nameable(text)


@pytest.mark.parametrize(
    "text", ["a", "Ж", "🙂", "👩‍👩‍👧‍👦", "ש\u200fלום", "\u200bhidden\u200b", "❤\ufe0f", "कि", "\u0301"]
)
def test_something_to_see(text: str) -> None:
    assert has_something_visible(text)
    assert is_nameable(text)


@pytest.mark.parametrize("control", sorted(DIRECTION_CONTROLS))
def test_a_name_does_not_turn_the_line_around(control: str) -> None:
    assert has_something_visible(f"Anna{control}txt")
    assert not is_nameable(f"Anna{control}txt")


def test_blanks_are_drawn_by_nothing_that_is_ignorable_already() -> None:
    assert BLANK.isdisjoint(DEFAULT_IGNORABLE)

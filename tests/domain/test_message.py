import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.message import (
    BODY_LIMIT,
    NONCE_LIMIT,
    BadNonce,
    Body,
    BodyTooLong,
    EmptyBody,
    Nonce,
)
from domain.text import UnstorableText, has_something_visible
from tests.strategies import bodies, characters


@given(st.text(characters, max_size=40))
def test_a_body_is_trimmed_or_refused(text: str) -> None:
    if has_something_visible(text):
        assert Body(text).text == text.strip()
        assert Body(f"\t {text}\n") == Body(text)
    else:
        with pytest.raises(EmptyBody):
            Body(text)


@given(bodies)
def test_a_body_is_a_body_of_itself(body: Body) -> None:
    assert Body(body.text) == body


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b", "\u2060\u200d \ufeff", "\u202e", "\x07", "\u3164"])
def test_nothing_to_see_is_nothing_said(text: str) -> None:
    with pytest.raises(EmptyBody):
        Body(text)


@pytest.mark.parametrize(
    "text", ["a", "Ж", "🙂", "👩‍👩‍👧‍👦", "ש\u200fלום", "\u200bhidden\u200b", "two\nlines\tand a tab"]
)
def test_what_people_write(text: str) -> None:
    assert Body(text).text == text


def test_a_body_has_at_most_4000_characters_after_trimming() -> None:
    assert len(Body("я" * BODY_LIMIT + "   ").text) == BODY_LIMIT == 4000
    with pytest.raises(BodyTooLong):
        Body("я" * (BODY_LIMIT + 1))


@pytest.mark.parametrize("text", ["nul\0nul", "lone\ud800one", "\udfff"])
def test_what_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(UnstorableText):
        Body(text)
    with pytest.raises(BadNonce):
        Nonce(text)


def test_a_nonce_has_1_to_64_characters_and_is_taken_as_it_is() -> None:
    assert Nonce(" ").value == " "
    assert len(Nonce("x" * NONCE_LIMIT).value) == NONCE_LIMIT == 64
    for wrong in ("", "x" * (NONCE_LIMIT + 1)):
        with pytest.raises(BadNonce):
            Nonce(wrong)

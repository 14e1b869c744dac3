from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import AccountId, SessionId
from infrastructure.crypto.access_tokens import PREFIX, RandomAccessTokens
from infrastructure.system.chance import unguessable

TOKENS = RandomAccessTokens(unguessable)
ACCOUNT, SESSION = AccountId(uuid4()), SessionId(uuid4())


def test_what_was_made_is_read() -> None:
    made = TOKENS.new(ACCOUNT, SESSION)
    read = TOKENS.read(made.text)
    assert read is not None
    assert (read.account_id, read.session_id) == (ACCOUNT, SESSION)
    assert read.fits(made.digest)
    assert not read.fits(TOKENS.new(ACCOUNT, SESSION).digest)
    assert made.text.startswith(PREFIX)
    assert made.text.isascii()


def test_none_is_made_twice_and_none_is_shown() -> None:
    made = [TOKENS.new(ACCOUNT, SESSION) for _ in range(20)]
    assert len({each.text for each in made}) == len({each.digest for each in made}) == 20
    assert made[0].text not in repr(made[0])
    assert made[0].digest not in made[0].text


@given(
    st.text() | st.text().map(PREFIX.__add__) | st.text(max_size=90).map(lambda text: f"{PREFIX}{text:A<86}")
)
def test_anything_else_is_read_without_an_error(text: str) -> None:
    read = TOKENS.read(text)
    assert read is None or not read.fits("")


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: f"{text}A", lambda text: f" {text}"])
def test_a_token_has_one_length(change: object) -> None:
    assert callable(change)
    assert TOKENS.read(change(TOKENS.new(ACCOUNT, SESSION).text)) is None


def test_tokens_of_sessions_are_left_to_others() -> None:
    assert TOKENS.read("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl") is None
    assert TOKENS.read("") is None

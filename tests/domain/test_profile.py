import re
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.ids import AccountId, ProfileId
from domain.profile import UNCHANGED, Name, NameUnfit, Phone, PhoneUnfit, Profile, Username, UsernameUnfit
from domain.text import UnstorableText


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u200b", "\ufe0f", "\u2800", "Anna\u202e", "a" * 101])
def test_not_a_name(text: str) -> None:
    with pytest.raises(NameUnfit):
        Name(text)


def test_names_are_trimmed() -> None:
    assert Name("  Анна-Мария ").text == "Анна-Мария"
    assert Name("a" * 100).text == "a" * 100


@pytest.mark.parametrize("text", ["ab", "a" * 51, "two words", "tab\tbed", "zero\u200bwidth", "new\nline"])
def test_not_a_username(text: str) -> None:
    with pytest.raises(UsernameUnfit):
        Username(text)


def test_usernames_compare_without_case() -> None:
    assert Username("Ёжик").folded == Username("ёЖИК").folded
    assert Username("и\u0306огурт").folded == Username("йогурт").folded, "composed or not, it reads the same"


@pytest.mark.parametrize("value", [Name, Username])
@pytest.mark.parametrize("text", ["nul\0nul", "lone\ud800one"])
def test_what_cannot_be_stored_is_refused(value: type[Name] | type[Username], text: str) -> None:
    with pytest.raises(UnstorableText):
        value(text)


@given(st.text("+0123456789٣ ", max_size=18))
def test_a_phone_is_a_plus_and_8_to_15_digits(text: str) -> None:
    try:
        Phone(text)
    except PhoneUnfit:
        is_phone = False
    else:
        is_phone = True
    assert is_phone == bool(re.fullmatch(r"\+[1-9][0-9]{7,14}", text.strip()))


@given(st.text())
def test_nothing_but_a_refusal_comes_of_any_text(text: str) -> None:
    for value in (Name, Username, Phone):
        try:
            value(text)
        except Invalid:
            continue


def test_an_edit_changes_what_it_names_and_clears_with_nothing() -> None:
    profile = Profile(
        id=ProfileId(uuid4()),
        account_id=AccountId(uuid4()),
        first_name=Name("Анна"),
        phone=Phone("+79991234567"),
    )
    profile.edit(username=Username("anna"), phone=None, first_name=UNCHANGED)
    assert profile.first_name == Name("Анна")
    assert profile.username == Username("anna")
    assert profile.phone is None

import re
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.ids import AccountId, ProfileId
from domain.profile import Name, NameUnfit, Phone, PhoneUnfit, Profile, Username, UsernameUnfit
from domain.text import UnstorableText
from domain.unchanged import UNCHANGED


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


@pytest.mark.parametrize(
    "text",
    [
        "\u3164" * 3,
        "\u2800" * 3,
        "bo\ufe0fris",
        "bo\u00adris",
        "bo\U000e0041ris",
        "anna\u202e",
        "сat",
        "аnna",
        "αlpha",
        "a\u0661\u06f1",
        "l·l·l",
        "\u2460\u2461\u2462",
        "🙂🙂🙂",
        "ab\u2044c",
        "אבa",
        "1אב",
    ],
)
def test_characters_and_mixtures_that_no_username_has(text: str) -> None:
    with pytest.raises(UsernameUnfit):
        Username(text)


@pytest.mark.parametrize(
    "text",
    [
        "anna",
        "Ёжик",
        "anna.b-c_d+e",
        "Ωμέγα",
        "straße",
        "李小龙",
        "日本語カナかな",
        "김철수kim",
        "שלום",
        "عمر٢٠٢",
        "ไทย1",
    ],
)
def test_usernames_of_people(text: str) -> None:
    assert Username(text).text == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anton", "ａnton"),
        ("ANTON", "ａｎｔｏｎ"),
        ("ｶﾀｶﾅ", "カタカナ"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("οδυσσευσ", "οδυσσευς"),
        ("STRASSE", "straße"),
        ("paypal", "paypa1"),
        ("paypal", "paypaI"),
        ("PAYPAL", "paypaI"),
        ("coco", "сосо"),
        ("COCO", "СОСО"),
        ("modern", "modem"),
        ("Ёжик", "ё\u0436ик".upper()),
    ],
)
def test_only_one_of_these_can_be_taken(one: str, other: str) -> None:
    assert not Username(one).claims.isdisjoint(Username(other).claims)


@pytest.mark.parametrize(
    ("one", "other"), [("anna", "hanna"), ("anna", "ann4"), ("анна", "инна"), ("ёж1", "ёж2")]
)
def test_these_are_different_people(one: str, other: str) -> None:
    assert Username(one).claims.isdisjoint(Username(other).claims)


def test_a_claim_is_kept_in_the_form_of_others() -> None:
    assert Username("Anna").claims == {"anna"}
    assert Username("АННА").claims >= {"анна", Username("AHHA").folded}


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

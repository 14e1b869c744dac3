"""PRECIS identifiers and the tables behind them, compared with data that is independent of them."""

import unicodedata
from collections import Counter, defaultdict

from hypothesis import given

from domain.identifiers import _PROTOTYPES, folded, is_identifier, normal_width, script_of, skeleton
from tests.strategies import texts
from tests.unicode import every_character, having

SCRIPTS = {
    "Arab": "Arabic",
    "Armn": "Armenian",
    "Cyrl": "Cyrillic",
    "Deva": "Devanagari",
    "Ethi": "Ethiopic",
    "Geor": "Georgian",
    "Grek": "Greek",
    "Hang": "Hangul",
    "Hani": "Han",
    "Hebr": "Hebrew",
    "Hira": "Hiragana",
    "Kana": "Katakana",
    "Latn": "Latin",
    "Thai": "Thai",
}


def test_scripts_are_those_of_unicode() -> None:
    assigned = {each for each in every_character() if unicodedata.category(each) != "Cn"}
    ours: defaultdict[str | None, set[str]] = defaultdict(set)
    for each in assigned:
        ours[script_of(each)].add(each)
    for code, name in SCRIPTS.items():
        assert ours[code] == having(f"Script={name}", assigned), name
    common = having("Script=Common", assigned) | having("Script=Inherited", assigned)
    assert {each for each in common if script_of(each)} == set()


def test_every_prototype_stands_for_itself() -> None:
    assert len(_PROTOTYPES) == 2196
    prototypes = Counter(_PROTOTYPES.values())
    assert {each for each in prototypes if skeleton(each) != unicodedata.normalize("NFD", each)} == set()
    assert {point for point, prototype in _PROTOTYPES.items() if chr(point) == prototype} == set()


def test_the_examples_of_the_standard() -> None:
    # UTS #39, section 4: "paypal" in Latin, and with Cyrillic letters in it; "scope" in Cyrillic alone.
    assert skeleton("paypal") == skeleton("рaypal") == skeleton("ρaypal")
    assert skeleton("scope") == skeleton("ѕсоре")
    assert skeleton("hidden\u200bword") == skeleton("hiddenword")


@given(texts)
def test_a_skeleton_is_its_own(text: str) -> None:
    assert skeleton(skeleton(text)) == skeleton(text)


@given(texts)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_widths() -> None:
    assert normal_width("ａ－１ ｶ ￦") == "a-1 カ ₩"
    assert normal_width("①ﬁ²") == "①ﬁ²", "compatibility characters of other kinds stay, and are refused"
    assert not any(map(is_identifier, "①ﬁ²"))


def test_what_is_allowed_is_letters_digits_and_ascii() -> None:
    allowed = {each for each in every_character() if is_identifier(each)}
    categories = Counter(unicodedata.category(each) for each in allowed if not each.isascii())
    assert set(categories) <= {"Ll", "Lu", "Lo", "Nd", "Lm", "Mn", "Mc", "So", "Nl", "Po"}
    assert having("Default_Ignorable_Code_Point").isdisjoint(allowed)
    assert allowed >= set(map(chr, range(0x21, 0x7F)))

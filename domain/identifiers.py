"""
Rules for names that identify a person: which characters they may consist of, and when two of them are the same or look
the same. They follow RFC 8264 and 8265 (PRECIS) and UTS #39 (Unicode Security Mechanisms).
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Final

import idna

from domain.text import DEFAULT_IGNORABLE
from domain.unicode_data import CONFUSABLES, SCRIPTS

# RFC 8264, section 9: letters and digits, with the exceptions of section 9.6. Those that the RFC allows in certain
# contexts only (the Catalan middle dot, Hebrew punctuation, joiners) are refused.
LETTERS_AND_DIGITS: Final = frozenset({"Ll", "Lu", "Lo", "Nd", "Lm", "Mn", "Mc"})
ALSO_ALLOWED: Final = frozenset("\u06fd\u06fe\u0f0b\u3007")
REFUSED: Final = frozenset("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b")
OLD_HANGUL: Final = frozenset(
    map(chr, (*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800)))
)

TOGETHER: Final = (
    frozenset({"Latn", "Hani", "Hira", "Kana"}),
    frozenset({"Latn", "Hani", "Bopo"}),
    frozenset({"Latn", "Hani", "Hang"}),
)
"""Scripts that one word may mix: the level Highly Restrictive of UTS #39, section 5.2."""


def _ranges() -> Iterator[tuple[int, int, str]]:
    for line in SCRIPTS.replace("\n    ", " ").strip().splitlines():
        script, *ranges = line.split()
        for each in ranges:
            first, _, last = each.partition("-")
            yield int(first, 16), int(last or first, 16), script


def _prototypes() -> Iterator[tuple[int, str]]:
    for word in CONFUSABLES.split():
        prototype, _, characters = word.partition("=")
        text = "".join(chr(int(each, 16)) for each in prototype.split("+"))
        for each in characters.split(","):
            yield int(each, 16), text


_RANGES: Final = sorted(_ranges())
_STARTS: Final = [first for first, _, _ in _RANGES]
_PROTOTYPES: Final[Mapping[int, str]] = dict(_prototypes())


def script_of(character: str) -> str | None:
    """The ISO 15924 code of the character's script; None if several scripts use it, or if it is unassigned."""
    point = ord(character)
    _, last, script = _RANGES[max(bisect_right(_STARTS, point) - 1, 0)]
    return script if _STARTS[0] <= point <= last else None


def normal_width(text: str) -> str:
    """Replaces full-width and half-width characters by their ordinary forms (RFC 8265, section 3.3.2)."""
    if text.isascii():
        return text
    return "".join(map(_normal_width, text))


def _normal_width(character: str) -> str:
    kind, _, points = unicodedata.decomposition(character).partition(" ")
    return chr(int(points, 16)) if kind in {"<wide>", "<narrow>"} else character


def folded(text: str) -> str:
    """``text`` as it is compared and searched: of ordinary width, without case, in Normalization Form C."""
    return unicodedata.normalize("NFC", normal_width(text).casefold())


def skeleton(text: str) -> str:
    """Two texts with the same skeleton look alike (UTS #39, section 4). It is for comparing, not for showing."""
    decomposed = unicodedata.normalize("NFD", text)
    visible = "".join(each for each in decomposed if each not in DEFAULT_IGNORABLE)
    return unicodedata.normalize("NFD", visible.translate(_PROTOTYPES))


def is_identifier(text: str) -> bool:
    """
    Tells whether ``text`` belongs to the IdentifierClass of RFC 8264, obeys the Bidi Rule of RFC 5893, and mixes neither
    scripts beyond `TOGETHER` nor digits of different number systems.
    """
    return (
        all(map(_is_allowed, text))
        and _has_one_direction(text)
        and _is_of_one_script(text)
        and _is_of_one_number_system(text)
    )


def _is_allowed(character: str) -> bool:
    if character.isascii():
        return "!" <= character <= "~"
    if character in ALSO_ALLOWED:
        return True
    if character in REFUSED or character in OLD_HANGUL or character in DEFAULT_IGNORABLE:
        return False
    if unicodedata.category(character) not in LETTERS_AND_DIGITS:
        return False
    return unicodedata.normalize("NFKC", character) == character


def _has_one_direction(text: str) -> bool:
    try:
        return idna.check_bidi(text)
    except idna.IDNAError:
        return False


def _is_of_one_script(text: str) -> bool:
    scripts = {script for character in text if (script := script_of(character))}
    return len(scripts) <= 1 or any(scripts <= allowed for allowed in TOGETHER)


def _is_of_one_number_system(text: str) -> bool:
    zeros = {ord(each) - unicodedata.decimal(each) for each in text if each.isdecimal()}
    return len(zeros) <= 1

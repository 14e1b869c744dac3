"""
Rules that every free text shares: what can be stored, what a reader can see, and what must not stand in a name.

The character sets are Unicode properties that the standard library does not offer. They are written down from version
17.0.0 of the Unicode Character Database; a test compares them with an independent copy of that data.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from domain.errors import Invalid


class UnstorableText(Invalid):
    """The text holds NUL, which PostgreSQL cannot store, or a lone surrogate, which UTF-8 cannot encode."""

    code = "unstorable_text"


def _expand(ranges: Iterable[tuple[int, int]]) -> Iterator[str]:
    for first, last in ranges:
        yield from map(chr, range(first, last + 1))


DEFAULT_IGNORABLE: Final = frozenset(
    _expand(
        (
            (0x00AD, 0x00AD),
            (0x034F, 0x034F),
            (0x061C, 0x061C),
            (0x115F, 0x1160),
            (0x17B4, 0x17B5),
            (0x180B, 0x180F),
            (0x200B, 0x200F),
            (0x202A, 0x202E),
            (0x2060, 0x206F),
            (0x3164, 0x3164),
            (0xFE00, 0xFE0F),
            (0xFEFF, 0xFEFF),
            (0xFFA0, 0xFFA0),
            (0xFFF0, 0xFFF8),
            (0x1BCA0, 0x1BCA3),
            (0x1D173, 0x1D17A),
            (0xE0000, 0xE0FFF),
        )
    )
)
"""
The property Default_Ignorable_Code_Point (UAX #44): characters that are not displayed, such as zero-width spaces, Hangul
fillers, variation selectors and tags.
"""

BLANK: Final = frozenset("\u2800\U0001d159\U00013441\U00013442")
"""Characters that count as symbols or letters although their glyph is empty: the Braille, musical and Egyptian blanks."""

DIRECTION_CONTROLS: Final = frozenset(_expand(((0x202A, 0x202E), (0x2066, 0x2069))))
"""Explicit embeddings, overrides and isolates of the bidirectional algorithm (UAX #9, section 2)."""


def refuse_unstorable(text: str) -> None:
    """
    Raises:
        UnstorableText: ``text`` holds NUL or a lone surrogate.
    """
    if "\0" in text:
        raise UnstorableText
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnstorableText from None


def has_something_visible(text: str) -> bool:
    """
    Tells whether a reader would see anything. White space, control and format characters, unassigned and private
    characters, `DEFAULT_IGNORABLE` and `BLANK` show nothing.
    """
    return any(map(_is_visible, text))


def _is_visible(character: str) -> bool:
    if character in DEFAULT_IGNORABLE or character in BLANK:
        return False
    return unicodedata.category(character)[0] not in "CZ"


def is_nameable(text: str) -> bool:
    """
    Tells whether ``text`` can be the name of a person or a chat: something in it is visible, and no character changes the
    direction of the text around it, which would let a name rearrange the line that it is shown in.
    """
    return has_something_visible(text) and DIRECTION_CONTROLS.isdisjoint(text)


def trimmed(text: str) -> str:
    return text.strip()

"""
Sets of characters by Unicode property, from a source that is independent of the product's own tables: the regular
expressions of Rust, which `jsonschema_rs` compiles patterns with.
"""

from collections.abc import Collection
from functools import cache

import jsonschema_rs


@cache
def every_character() -> list[str]:
    return [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]


def having(unicode_property: str, among: Collection[str] = ()) -> set[str]:
    """All characters with this property, named as in ``Script=Greek``, or those ``among`` some."""
    pattern = jsonschema_rs.validator_for({"pattern": rf"^\p{{{unicode_property}}}\z"})
    return set(filter(pattern.is_valid, among or every_character()))

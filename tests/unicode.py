"""
Sets of characters by Unicode property, from a source that is independent of the product's own tables: the regular
expressions of Rust, which `jsonschema_rs` compiles patterns with.
"""

from typing import Final

import jsonschema_rs

EVERY_CHARACTER: Final = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]


def having(unicode_property: str) -> set[str]:
    """All characters with this property, named as in ``Script=Greek``."""
    pattern = jsonschema_rs.validator_for({"pattern": rf"^\p{{{unicode_property}}}\z"})
    return set(filter(pattern.is_valid, EVERY_CHARACTER))

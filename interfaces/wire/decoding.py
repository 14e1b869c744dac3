"""
Decodes the JSON that clients send, over HTTP and sockets alike.

The decoder accepts JSON as RFC 8259 defines it, except what two parsers may read differently (RFC 7493, I-JSON): NaN and
infinities, repeated names within an object, numbers that do not fit into 64 bits, and lone surrogates.
"""

import json
import re
from typing import Any, Final

import orjson

DEPTH_LIMIT: Final = 100
"""Levels of nested arrays and objects. orjson can read deeper values, but cannot write them."""

INTEGERS: Final = range(-(2**63), 2**64)

_NO_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)', re.DOTALL)
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")


class NotJson(Exception):
    """
    A text is not JSON, or is JSON that this decoder refuses.

    ``position`` is the character at which the text stops being JSON; it is None for JSON that is refused.
    """

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def decode(text: str) -> object:
    """
    Raises:
        NotJson: The text is not JSON, or parsers could read it as different values.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _decode_strictly(text)  # it knows the position of the error
    return value if _is_plain(text, value) else _decode_strictly(text)


def _is_plain(text: str, value: object) -> bool:
    """
    Returns whether ``text`` is a flat object that certainly keeps the rules of this module.

    Nearly every frame is, and this check takes a microsecond: as many colons as names means that no name repeats, and a
    number that does not fit into 64 bits would have become a float.
    """
    return (
        isinstance(value, dict)
        and text.count(":") == len(value)
        and text.count("{") == 1
        and "[" not in text
        and float not in map(type, value.values())
    )


def _decode_strictly(text: str) -> object:
    try:
        value: object = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(error.msg, error.pos) from error
    except RecursionError as error:
        raise NotJson("nested too deeply") from error
    except _NoNumber as error:
        found = next((each.start() for each in _NO_NUMBER.finditer(text) if each[1]), 0)
        raise NotJson("not a number", found) from error
    _check(value)
    return value


def _check(value: object) -> None:
    """Checks a value level by level, without recursion, because its depth is not bounded yet."""
    layer = [value]
    for _ in range(DEPTH_LIMIT + 1):
        within: list[Any] = []
        for each in layer:
            match each:
                case str():
                    _check_text(each)
                case list():
                    within.append(each)
                case dict():
                    _check_text("".join(each))
                    within.append(each.values())
        if not within:
            return
        layer = [each for inner in within for each in inner]
    raise NotJson("nested too deeply")


def _check_text(text: str) -> None:
    if _HALF_PAIR.search(text):
        raise NotJson("half of a surrogate pair")


class _NoNumber(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJson("a name repeats")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or (number := int(digits)) not in INTEGERS:
        raise NotJson("an integer of more than 64 bits")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise NotJson("a number of more than 64 bits")
    return number


def _constant(name: str) -> float:
    raise _NoNumber(name)


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)

"""Reads and writes single JSON values: timestamps, identifiers, numbers and texts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

from domain.text import refuse_unstorable
from interfaces.wire.faults import (
    INTEGER_TOO_LONG,
    MEMBERS_REPEATED,
    NOT_A_BOOLEAN,
    NOT_A_LIST,
    NOT_A_STRING,
    NOT_AN_IDENTITY,
    NOT_AN_INTEGER,
    InvalidValue,
    ValueFault,
    less_than,
    not_an_identity,
    too_long,
    too_short,
)
from interfaces.wire.schema import IDENTITY, Moment, Schema, ValueReader, or_null, taken_by, takes

T = TypeVar("T")

GREATEST: Final = 2**63 - 1
"""Greater numbers are read as this one: no sequence number or position reaches it."""

FINDINGS_LIMIT: Final = 100
"""The greatest number of faults in one answer: a body of one megabyte has room for 350 000."""

_DIGITS_LIMIT: Final = 4300
_INTEGER: Final = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*(?:\.0+)?")
_SIMPLE: Final = re.compile(r"[0-9a-fA-F]{32}")
_GROUPS: Final = (8, 4, 4, 4, 12)
_HYPHENATED: Final = re.compile("-".join(f"[0-9a-fA-F]{{{length}}}" for length in _GROUPS))
_URN: Final = "urn:uuid:"
_UTC_OFFSET: Final = "+00:00"


def moment(at: datetime) -> Moment:
    """Formats a timestamp as clients of the original parse it: ISO 8601 in UTC, without an offset, without a zero fraction."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return Moment(at.isoformat()[: -len(_UTC_OFFSET)])


def is_count(value: object) -> bool:
    """Tells whether a value is an integer that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def text(least: int = 0, most: int | None = None) -> ValueReader[str]:
    """Makes a reader of strings that can be stored and have from ``least`` to ``most`` characters."""
    bounds = {"minLength": least or None, "maxLength": most}
    schema: Schema = {
        "type": "string",
        **{name: bound for name, bound in bounds.items() if bound is not None},
    }

    @takes(schema)
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise InvalidValue(ValueFault(NOT_A_STRING, value))
        if len(value) < least:
            raise InvalidValue(ValueFault(too_short(least), value))
        if most is not None and len(value) > most:
            raise InvalidValue(ValueFault(too_long(most), value))
        refuse_unstorable(value)
        return value

    return read


@takes({"type": "boolean"})
def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(ValueFault(NOT_A_BOOLEAN, value))
    return value


def nullable(read: Callable[[object], T]) -> ValueReader[T | None]:
    return ValueReader(lambda value: None if value is None else read(value), or_null(taken_by(read)))


def integer(least: int) -> ValueReader[int]:
    """
    Makes a reader of whole numbers in a query, in the spellings of the original: ``1``, ``+1``, `` 1``, ``1.0``, ``1_0``.

    The reader refuses ``1.5``, ``1e1`` and digits of other scripts. It reads numbers above `GREATEST` as `GREATEST`.
    """

    @takes({"type": "integer", "minimum": least})
    def read(value: object) -> int:
        if not isinstance(value, str):
            raise InvalidValue(ValueFault(NOT_AN_INTEGER, value))
        if len(value) > _DIGITS_LIMIT:
            raise InvalidValue(ValueFault(INTEGER_TOO_LONG, value))
        if not _INTEGER.fullmatch(digits := value.strip()):
            raise InvalidValue(ValueFault(NOT_AN_INTEGER, value))
        number = int(digits.partition(".")[0])
        if number < least:
            raise InvalidValue(ValueFault(less_than(least), value))
        return min(number, GREATEST)

    return read


@takes(IDENTITY)
def identity(value: object) -> UUID:
    """Reads a UUID in any spelling that the original accepted: hyphenated, plain, in braces or as a URN, in either case."""
    if not isinstance(value, str):
        raise InvalidValue(ValueFault(NOT_AN_IDENTITY, value))
    if _SIMPLE.fullmatch(value):
        return UUID(value)
    start, bare = _unwrapped(value)
    if _HYPHENATED.fullmatch(bare):
        return UUID(bare)
    raise InvalidValue(ValueFault(not_an_identity(_why_no_identity(value, start, bare)), value))


def _unwrapped(value: str) -> tuple[int, str]:
    """Returns the length of the prefix before the UUID, and the UUID without braces or prefix."""
    if len(value) > 1 and value[0] == "{" and value[-1] == "}":
        return 1, value[1:-1]
    if value.startswith(_URN):
        return len(_URN), value[len(_URN) :]
    return 0, value


def _why_no_identity(value: str, start: int, bare: str) -> str:
    for index, character in enumerate(bare):
        if character not in "0123456789abcdefABCDEF-":
            # counted in bytes and from one, as the original's texts were
            place = start + len(bare[:index].encode(errors="replace")) + 1
            shown = character.encode(errors="replace").decode()
            return (
                "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], "
                f"found `{shown}` at {place}"
            )
    groups = bare.split("-")
    if len(groups) == 1 and start == 0:
        return f"invalid length: expected length 32 for simple format, found {len(value)}"
    if len(groups) != len(_GROUPS):
        return f"invalid group count: expected {len(_GROUPS)}, found {len(groups)}"
    number, expected, found = next(
        (number, expected, len(group))
        for number, (expected, group) in enumerate(zip(_GROUPS, groups, strict=True))
        if len(group) != expected
    )
    return f"invalid group length in group {number}: expected {expected}, found {found}"


@takes({"type": ["array", "null"], "items": IDENTITY, "uniqueItems": True})
def members(value: object) -> tuple[UUID, ...]:
    """Reads a list of distinct UUIDs. Null means an empty list; the original failed on it."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidValue(ValueFault(NOT_A_LIST, value))
    read: list[UUID] = []
    findings: list[ValueFault] = []
    for index, item in enumerate(value):
        try:
            read.append(identity(item))
        except InvalidValue as refused:
            findings += [
                ValueFault(found.fault, found.input, (index, *found.at)) for found in refused.findings
            ]
            if len(findings) == FINDINGS_LIMIT:
                break
    if findings:
        raise InvalidValue(*findings)
    if len(set(read)) != len(read):
        raise InvalidValue(ValueFault(MEMBERS_REPEATED, value))
    return tuple(read)

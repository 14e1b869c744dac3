"""Single values between JSON and ours: moments, identities, numbers, texts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

from domain.text import refuse_unstorable
from interfaces.wire.faults import (
    INTEGER_TOO_LONG,
    MEMBERS_REPEATED,
    NOT_A_LIST,
    NOT_A_STRING,
    NOT_AN_IDENTITY,
    NOT_AN_INTEGER,
    Finding,
    Refused,
    less_than,
    not_an_identity,
    too_long,
    too_short,
)
from interfaces.wire.schema import IDENTITY, Moment, Reader, Schema, or_null, taken_by, takes

T = TypeVar("T")

GREATEST: Final = 2**63 - 1
"""What a client may count to. Beyond it a number means the same: further than anything there is."""

FINDINGS_LIMIT: Final = 100
"""A body of a megabyte has room for 350 000 faults; nobody reads more than the first hundred."""

_DIGITS_LIMIT: Final = 4300
_INTEGER: Final = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*(?:\.0+)?")
_SIMPLE: Final = re.compile(r"[0-9a-fA-F]{32}")
_GROUPS: Final = (8, 4, 4, 4, 12)
_HYPHENATED: Final = re.compile("-".join(f"[0-9a-fA-F]{{{length}}}" for length in _GROUPS))
_URN: Final = "urn:uuid:"


def moment(at: datetime) -> Moment:
    """ISO 8601 in UTC without an offset, the fraction left out when it is zero: what clients of the original parse."""
    return Moment(at.astimezone(UTC).replace(tzinfo=None).isoformat())


def text(least: int = 0, most: int | None = None) -> Reader[str]:
    """A string that can be stored, of so many characters."""
    bounds = {"minLength": least or None, "maxLength": most}
    schema: Schema = {
        "type": "string",
        **{name: bound for name, bound in bounds.items() if bound is not None},
    }

    @takes(schema)
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Refused(Finding(NOT_A_STRING, value))
        if len(value) < least:
            raise Refused(Finding(too_short(least), value))
        if most is not None and len(value) > most:
            raise Refused(Finding(too_long(most), value))
        refuse_unstorable(value)
        return value

    return read


def nullable(read: Callable[[object], T]) -> Reader[T | None]:
    return Reader(lambda value: None if value is None else read(value), or_null(taken_by(read)))


def integer(least: int) -> Reader[int]:
    """
    A whole number as the original messenger read it from a query: ``1``, ``+1``, `` 1``, ``1.0``, ``1_0``.

    Not ``1.5``, ``1e1`` or digits of other scripts. What is greater than `GREATEST` becomes that.
    """

    @takes({"type": "integer", "minimum": least})
    def read(value: object) -> int:
        if not isinstance(value, str):
            raise Refused(Finding(NOT_AN_INTEGER, value))
        if len(value) > _DIGITS_LIMIT:
            raise Refused(Finding(INTEGER_TOO_LONG, value))
        if not _INTEGER.fullmatch(digits := value.strip()):
            raise Refused(Finding(NOT_AN_INTEGER, value))
        number = int(digits.partition(".")[0])
        if number < least:
            raise Refused(Finding(less_than(least), value))
        return min(number, GREATEST)

    return read


@takes(IDENTITY)
def identity(value: object) -> UUID:
    """Hyphenated, plain, in braces or as a URN, in either case: the five spellings that the original accepted."""
    if not isinstance(value, str):
        raise Refused(Finding(NOT_AN_IDENTITY, value))
    if _SIMPLE.fullmatch(value):
        return UUID(value)
    start, bare = _unwrapped(value)
    if _HYPHENATED.fullmatch(bare):
        return UUID(bare)
    raise Refused(Finding(not_an_identity(_why_no_identity(value, start, bare)), value))


def _unwrapped(value: str) -> tuple[int, str]:
    """How much stands before the identity itself, and that."""
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
    """A list of identities, none twice. Null is no list at all, which the original could not take."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Refused(Finding(NOT_A_LIST, value))
    read: list[UUID] = []
    findings: list[Finding] = []
    for index, item in enumerate(value):
        try:
            read.append(identity(item))
        except Refused as refused:
            findings += [Finding(found.fault, found.input, (index, *found.at)) for found in refused.findings]
            if len(findings) == FINDINGS_LIMIT:
                break
    if findings:
        raise Refused(*findings)
    if len(set(read)) != len(read):
        raise Refused(Finding(MEMBERS_REPEATED, value))
    return tuple(read)

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.wire.faults import InvalidValue
from interfaces.wire.values import FINDINGS_LIMIT, GREATEST, identity, integer, members, moment, text

ID = UUID("4d47a20c-8e8c-4dac-8c17-a089dbd1a570")


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (datetime(2026, 11, 23, 3, 34, 9, 900840, UTC), "2026-11-23T03:34:09.900840"),
        (datetime(2026, 11, 23, 3, 34, 9, tzinfo=UTC), "2026-11-23T03:34:09"),
        (datetime(2026, 11, 23, 3, 34, 9, tzinfo=timezone(timedelta(hours=3))), "2026-11-23T00:34:09"),
    ],
)
def test_moments_are_told_in_utc_without_an_offset(at: datetime, told: str) -> None:
    assert moment(at) == told


@pytest.mark.parametrize(
    "spelling",
    [
        str(ID),
        ID.hex,
        str(ID).upper(),
        ID.hex.upper(),
        f"urn:uuid:{ID}",
        f"{{{ID}}}",
    ],
)
def test_an_identity_in_every_spelling_of_the_original(spelling: str) -> None:
    assert identity(spelling) == ID


@pytest.mark.parametrize(
    ("spelling", "why"),
    [
        (
            "nope",
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `n` at 1",
        ),
        ("abc", "invalid length: expected length 32 for simple format, found 3"),
        ("", "invalid length: expected length 32 for simple format, found 0"),
        ("a-b-c", "invalid group count: expected 5, found 3"),
        (f"{{{ID.hex}}}", "invalid group count: expected 5, found 1"),
        (str(ID) + "0", "invalid group length in group 4: expected 12, found 13"),
        ("4d47a20c8-e8c-4dac-8c17-a089dbd1a570", "invalid group length in group 0: expected 8, found 9"),
        (
            "{x}",
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `x` at 2",
        ),
        (
            f" {ID}",
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found ` ` at 1",
        ),
    ],
)
def test_what_is_no_identity_is_told_why(spelling: str, why: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        identity(spelling)
    (found,) = refused.value.findings
    assert (found.fault.code, found.fault.text) == ("uuid_parsing", f"Input should be a valid UUID, {why}")
    assert found.input == spelling


@given(st.text() | st.text("0123456789abcdefABCDEF-{}urn:", max_size=50))
def test_no_text_makes_identity_fail_otherwise(spelling: str) -> None:
    with suppress(InvalidValue):
        assert identity(spelling).hex in spelling.replace("-", "").lower()


@pytest.mark.parametrize(
    ("spelling", "number"),
    [
        ("1", 1),
        ("+1", 1),
        (" 1", 1),
        ("1 ", 1),
        ("1.0", 1),
        ("1.00", 1),
        ("1_0", 10),
        ("007", 7),
        ("9" * 30, GREATEST),
    ],
)
def test_integers_as_the_original_read_them(spelling: str, number: int) -> None:
    assert integer(0)(spelling) == number


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("", "int_parsing"),
        ("1.5", "int_parsing"),
        ("1.", "int_parsing"),
        ("1e1", "int_parsing"),
        ("٣", "int_parsing"),
        ("1__0", "int_parsing"),
        ("_1", "int_parsing"),
        ("+ 1", "int_parsing"),
        ("0x1", "int_parsing"),
        ("1" * 4301, "int_parsing_size"),
        ("0", "greater_than_equal"),
        ("-1", "greater_than_equal"),
    ],
)
def test_what_is_no_integer(spelling: str, code: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        integer(1)(spelling)
    assert refused.value.findings[0].fault.code == code


@given(st.text() | st.from_regex(r"[+-]?[0-9_.]+"))
def test_no_text_makes_an_integer_fail_otherwise(spelling: str) -> None:
    with suppress(InvalidValue):
        assert 0 <= integer(0)(spelling) <= GREATEST


def test_members_are_a_list_of_identities_none_twice() -> None:
    other = UUID(int=7)
    assert members([str(ID), other.hex]) == (ID, other)
    assert members([]) == members(None) == ()
    with pytest.raises(InvalidValue) as refused:
        members([str(ID), ID.hex.upper()])
    assert refused.value.findings[0].fault.text == "Value error, Список участников содержит дубликаты"


def test_every_wrong_member_is_named_up_to_a_hundred() -> None:
    with pytest.raises(InvalidValue) as refused:
        members([str(ID), "abc", None])
    assert [(found.at, found.fault.code) for found in refused.value.findings] == [
        ((1,), "uuid_parsing"),
        ((2,), "uuid_type"),
    ]
    with pytest.raises(InvalidValue) as refused:
        members([""] * 350_000)
    assert len(refused.value.findings) == FINDINGS_LIMIT


def test_texts_have_bounds() -> None:
    assert text(1, 3)("abc") == "abc"
    for value, told in (
        ("", "String should have at least 1 character"),
        ("abcd", "String should have at most 3 characters"),
        (5, "Input should be a valid string"),
    ):
        with pytest.raises(InvalidValue) as refused:
            text(1, 3)(value)
        assert refused.value.findings[0].fault.text == told

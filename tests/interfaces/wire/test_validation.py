import json
from contextlib import suppress

import orjson
import pytest
from attrs import field, frozen
from hypothesis import example, given
from hypothesis import strategies as st

from interfaces.wire.validation import (
    FieldFault,
    FieldSpec,
    RequestInvalid,
    Unreadable,
    as_object,
    echo,
    read_json,
    shape,
    trimmed,
)
from interfaces.wire.values import identity, nullable, text
from tests.interfaces.json_values import json_values


@frozen(kw_only=True)
class Register:
    room_id: object
    first_name: str
    nick: str | None = "nobody"
    password: str = field(repr=False)
    address: str | None = None


REGISTER = shape(
    Register,
    room_id=FieldSpec(identity),
    first_name=FieldSpec(text(1, 10)),
    nick=FieldSpec(nullable(text()), name="nickName"),
    password=FieldSpec(text(4), secret=True),
)
ROOM = {"room_id": "4d47a20c8e8c4dac8c17a089dbd1a570"}


def faults(body: dict[str, object], path: dict[str, str] = ROOM) -> list[FieldFault]:
    with pytest.raises(RequestInvalid) as invalid:
        REGISTER.decode(body, within="body", path=path)
    return list(invalid.value.faults)


@pytest.mark.parametrize("name", ["firstName", "first_name"])
def test_camel_and_snake_case_and_unknown_members(name: str) -> None:
    body = {name: "Ann", "password": "12345", "chatId": 3, "address": "forged"}
    read = REGISTER.decode(body, within="body", path=ROOM, known={"address": "here"})
    assert (read.first_name, read.nick, read.address) == ("Ann", "nobody", "here")


def test_a_name_of_its_own_is_the_only_one() -> None:
    body: dict[str, object] = {"firstName": "Ann", "password": "12345", "nick": "x", "nick_name": "y"}
    assert REGISTER.decode(body, within="body", path=ROOM).nick == "nobody"
    assert REGISTER.decode(body | {"nickName": None}, within="body", path=ROOM).nick is None


def test_a_body_never_speaks_for_the_path() -> None:
    (fault,) = faults(
        {"firstName": "Ann", "password": "12345", "roomId": ROOM["room_id"]}, {"room_id": "abc"}
    )
    assert fault.field == ("path", "room_id")


def test_all_faults_at_once_in_the_order_of_the_command() -> None:
    found = faults({"nickName": 3, "password": "abc"}, {"room_id": "x"})
    assert [(fault.field, fault.fault.code, fault.input) for fault in found] == [
        (("path", "room_id"), "uuid_parsing", "x"),
        (("body", "firstName"), "missing", None),
        (("body", "nickName"), "string_type", 3),
        (("body", "password"), "string_too_short", None),
    ]


@pytest.mark.parametrize("unstorable", ["a\0b", "a\ud800b"])
def test_what_cannot_be_stored_is_refused_by_the_field(unstorable: str) -> None:
    (fault,) = faults({"firstName": unstorable, "password": "12345"})
    assert (fault.field, fault.fault.code) == (("body", "firstName"), "value_error")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{"a": "я"}'.encode("utf-16"), {"a": "я"}),
        ('{"a": "я"}'.encode("utf-8-sig"), {"a": "я"}),
        (b"null", None),
    ],
)
def test_json_that_is_taken(body: bytes, value: object) -> None:
    assert read_json(body) == value


@pytest.mark.parametrize(("body", "at"), [(b"{", 1), (b'{"a":}', 5), (b"\xff\xfe", 0), (b"nope", 0)])
def test_what_is_no_json_is_told_where(body: bytes, at: int) -> None:
    with pytest.raises(RequestInvalid) as invalid:
        read_json(body)
    (fault,) = invalid.value.faults
    assert (fault.field, fault.fault.text, fault.input) == (("body", at), "JSON decode error", {})


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"[" * 1_000_000, b"1" * 5000, b'"\\ud800"', b"1e999"])
def test_what_no_parser_should_take(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(body)


@pytest.mark.parametrize("body", [None, [1], "x", 3, b"form=1"])
def test_bodies_that_are_no_objects(body: object) -> None:
    with pytest.raises(RequestInvalid) as invalid:
        as_object(body)
    (fault,) = invalid.value.faults
    assert fault.field == ("body",)
    assert fault.input is None
    assert fault.fault.code == ("missing" if body is None else "model_attributes_type")


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"password": NaN, "firstName": [[[[[]]]]]}')
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with suppress(RequestInvalid, Unreadable):
        REGISTER.decode(trimmed(as_object(read_json(body))), within="body", path=ROOM)


@given(
    st.dictionaries(
        st.sampled_from(["roomId", "firstName", "first_name", "nickName", "password"]), json_values
    ),
    st.text(),
)
def test_whatever_the_members_are(body: dict[str, object], room: str) -> None:
    faults: tuple[FieldFault, ...] = ()
    try:
        read = REGISTER.decode(trimmed(body), within="body", path={"room_id": room})
        assert 1 <= len(read.first_name) <= 10
    except RequestInvalid as invalid:
        faults = invalid.faults
    orjson.dumps([echo(fault.input) for fault in faults])
    assert {fault.field[0] for fault in faults} <= {"body", "path"}
    assert not any(fault.input for fault in faults if fault.field[1] == "password")


def test_an_echo_is_json_and_bounded() -> None:
    deep: object = []
    for _ in range(500):
        deep = [deep]
    assert [echo(value) for value in (deep, "\ud800", 2**80, "x" * 5000)] == [None] * 4

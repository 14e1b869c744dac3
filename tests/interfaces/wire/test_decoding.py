"""One rule for JSON: over HTTP, over sockets, and on the way that is taken when nothing can be wrong."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interfaces.wire import frames
from interfaces.wire.decoding import DEPTH_LIMIT, NotJson, _decode_strictly, decode
from interfaces.wire.frames import Malformed
from interfaces.wire.validation import RequestInvalid, Unreadable, read_json
from tests.interfaces.json_values import json_values

REFUSED = [
    '{"a": NaN}',
    '{"a": Infinity}',
    '{"a": -Infinity}',
    '{"a": 1, "a": 1}',
    '{"a": {"b": 1, "c": 2, "b": 3}}',
    '{"a": 1, "\\u0061": 2}',
    '{"a": 18446744073709551616}',
    '{"a": -9223372036854775809}',
    '{"a": 123456789012345678901234567890}',
    '{"a": [[123456789012345678901234567890]]}',
    '{"a": ' + "1" * 5000 + "}",
    '{"a": 1e400}',
    '{"a": [-1.5E999]}',
    '{"a": "\\ud800"}',
    '{"\\udc00": 1}',
    '{"a": ["\\ud800x"]}',
    '{"a": ' + "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT + "}",
    '{"a": ' * 5000 + "1" + "}" * 5000,
    '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"a": 1',
    '{"a": 01}',
    "{'a': 1}",
    '{"a": "\x00"}',
    '{"a": 1}}',
    "",
]

TAKEN = [
    {},
    {"type": "ping", "id": 2**64 - 1},
    {"id": -(2**63)},
    {"id": 1.5e300, "x": 1e-400},
    {"id": "a: b: c", "x": {"id": 1}},
    {"text": "12345678901234567890 NaN Infinity :::"},
    {"a": [{"a": 1}, {"a": 2}]},
    {"a": "\U0001f600", "b": "\x00"},
    {"a": json.loads("[" * (DEPTH_LIMIT - 1) + "]" * (DEPTH_LIMIT - 1))},
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_is_refused_is_refused_alike(text: str) -> None:
    with pytest.raises(NotJson):
        decode(text)
    with pytest.raises(Malformed):
        frames.read(text)
    with pytest.raises((RequestInvalid, Unreadable)):
        read_json(text.encode())


@pytest.mark.parametrize("value", TAKEN, ids=lambda value: str(value)[:30])
def test_what_is_taken_is_taken_alike_and_comes_back_as_it_was_given(value: dict[str, Any]) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, separators=(",", ":"))):
        assert frames.read(text) == read_json(text.encode()) == value
    assert json.loads(frames.pong(value).text)["id"] == value


@given(json_values)
@example({"a": 2**64})
@example({"a": float("nan")})
def test_the_quick_way_agrees_with_the_strict_one(value: object) -> None:
    text = json.dumps({"value": value, "more": 1})
    try:
        strict = _decode_strictly(text)
    except NotJson:
        with pytest.raises(NotJson):
            decode(text)
    else:
        assert decode(text) == strict
        assert orjson.loads(orjson.dumps(strict)) == strict, "it can be said back"


@given(st.text(alphabet='{}[]":,\\ud8c01eE+-.aNI', max_size=30))
def test_whatever_is_said(text: str) -> None:
    outcomes = []
    for read in (decode, _decode_strictly):
        try:
            outcomes.append(read(text))
        except NotJson as error:
            outcomes.append((error.reason, error.position))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("text", "position"), [('{"a": NaN}', 6), ('{"NaN": "Infinity", "b": -Infinity}', 25), ('{"a" 1}', 5)]
)
def test_it_says_where(text: str, position: int) -> None:
    with pytest.raises(RequestInvalid) as refused:
        read_json(text.encode())
    (fault,) = refused.value.faults
    assert fault.field == ("body", position)

"""The registry of frames is complete and true: every frame that is encoded or decoded has a row, and fits it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, get_args
from uuid import UUID

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.http.events import last_event
from interfaces.wire import all_chats, frames
from interfaces.wire import server_frames as told
from interfaces.wire.frames import Frame
from interfaces.wire.registry import (
    ENTRY_CODES,
    ERRORS,
    FROM_CLIENTS,
    FROM_SERVER,
    Channel,
    ClientFrame,
    Row,
    ServerFrame,
    error_codes,
    example,
    of_clients,
    of_server,
    rows,
    server_types,
)
from interfaces.wire.schema import Schema
from interfaces.ws import all_chats_frames, chat_frames
from interfaces.ws.chat_frames import Unacceptable
from interfaces.ws.closing import Close, CloseCode
from tests.frame_schemas import closed, of_client_frames, of_server_frames
from tests.interfaces.live.ear import Ear
from tests.interfaces.ws.every_frame import of_all_chats, of_one_chat
from tests.interfaces.ws.recording import recording
from tests.interfaces.ws.test_connection import CHAT

Json = dict[str, Any]

ROWS: Final = list(rows())


def name_of(row: Row) -> str:
    return row.key


def schema_of_row(row: Row) -> tuple[Json, dict[str, Json]]:
    """The schema as it stands in the document, and those that it refers to."""
    named: dict[str, Schema] = {}
    written = orjson.loads(orjson.dumps(row.schema(named)))
    return written, orjson.loads(orjson.dumps(named))


class TestOfTheServer:
    def test_every_type_that_can_be_written_has_one_row(self) -> None:
        described = [row.fields for row in FROM_SERVER]
        assert len(described) == len(set(described))
        assert {*described, told.Answer} == server_types()

    def test_every_answer_belongs_to_a_request(self) -> None:
        answers = {row.answer for row in FROM_CLIENTS if row.answer}
        assert set(get_args(told.AnswerFields)) == answers - server_types()

    def test_a_frame_that_is_no_answer_is_not_named_twice_on_a_channel(self) -> None:
        for channel in Channel:
            described: list[Row] = [*of_server(channel), *of_clients(channel)]
            keys = [row.key for row in described]
            assert len(keys) == len(set(keys))

    @pytest.mark.parametrize("channel", Channel)
    def test_every_frame_is_encoded_as_its_row_says(self, channel: Channel) -> None:
        """With all the fields that it can have, so that none is described that is never sent."""
        seen: dict[str, set[str]] = {}
        types = {row.type for row in of_server(channel)}
        encoders: Mapping[Channel, Callable[[], Iterator[Frame]]] = {
            Channel.CHAT: of_one_chat,
            Channel.ALL_CHATS: both_kinds,
            Channel.EVENTS: over_events,
        }
        for frame in encoders[channel]():
            fields = orjson.loads(frame.data)
            if fields["type"] in types and of_server_frames(channel, fields["type"]).is_valid(fields):
                seen.setdefault(fields["type"], set()).update(fields)
        described: dict[str, set[str]] = {}
        for row in of_server(channel):
            described.setdefault(row.type, set()).update(schema_of_row(row)[0]["properties"])
        assert seen == described

    def test_no_way_to_make_a_frame_is_forgotten(self) -> None:
        source = Path("tests/interfaces/ws/every_frame.py").read_text()
        missing = [
            f"{module.__name__}.{name}"
            for module in (frames, all_chats)
            for name in makers(module)
            if f"{module.__name__.rpartition('.')[2]}.{name}(" not in source
        ]
        assert missing == []


def both_kinds() -> Iterator[Frame]:
    yield from of_one_chat()
    yield from of_all_chats()


def over_events() -> Iterator[Frame]:
    yield from both_kinds()
    yield Frame(last_event(Close(CloseCode.RESTART, "")).removeprefix(b"data: ").strip())


def makers(module: ModuleType) -> Iterator[str]:
    """The functions of a module that make frames. Answers are made of what requests return; `snapshot` is a part of another."""
    for name, made in vars(module).items():
        returned = getattr(made, "__annotations__", {}).get("return")
        if (
            returned is Frame
            and made.__module__ == module.__name__
            and not name.startswith("_")
            and name not in {"write", "answer", "snapshot"}
        ):
            yield name


READERS: Final[Mapping[Channel, set[str]]] = {
    Channel.CHAT: {"auth", *chat_frames.READERS},
    Channel.ALL_CHATS: {"auth", "ping", *all_chats_frames.READERS},
    Channel.EVENTS: set(),
}

DECODERS: Final[Mapping[Channel, Callable[[Any], object]]] = {
    Channel.CHAT: lambda fields: chat_frames.read_request(CHAT, fields),
    Channel.ALL_CHATS: all_chats_frames.read_request,
}


def decode(row: ClientFrame, fields: Any) -> None:
    """
    Decodes as the socket does.

    Raises:
        Unacceptable: The frame is refused.
    """
    if row.type == "auth":
        ear = Ear()
        ear.connection(CHAT)._hear_greeting(fields)
        assert ear.closes == []
    else:
        DECODERS[row.on](fields)


def refusal(row: ClientFrame, fields: Any) -> str | None:
    """The code with which a frame is refused."""
    try:
        decode(row, fields)
    except Unacceptable as refused:
        return refused.code
    return None


def is_idle_field(row: ClientFrame, fields: Json, name: str) -> bool:
    """Whether a frame means the same without a field."""
    without = {each: value for each, value in fields.items() if each != name}
    return refusal(row, without) is None and DECODERS[row.on](without) == DECODERS[row.on](fields)


class TestOfClients:
    @pytest.mark.parametrize("channel", Channel)
    def test_every_type_that_is_decoded_has_one_row(self, channel: Channel) -> None:
        types = [row.type for row in of_clients(channel)]
        assert sorted(types) == sorted(READERS[channel])

    @pytest.mark.parametrize("row", FROM_CLIENTS, ids=name_of)
    def test_its_example_is_decoded_and_every_field_is_read(self, row: ClientFrame) -> None:
        frame = recording(**example(row))
        assert refusal(row, frame) is None
        if row.named:  # a shape, which reads a copy
            unread = {name for name in frame if name != "id" and is_idle_field(row, frame, name)}
        else:
            unread = frame.keys() - frame.read - {"type"}
        assert unread == set()

    @pytest.mark.parametrize("row", FROM_CLIENTS, ids=name_of)
    def test_a_frame_that_fits_its_row_is_never_malformed(self, row: ClientFrame) -> None:
        schema, named = schema_of_row(row)

        @settings(max_examples=25)
        @given(values(schema, named))
        def hold(fields: Json) -> None:
            assert of_client_frames(row.on, row.type).is_valid(fields)
            assert refusal(row, orjson.loads(orjson.dumps(fields))) != "malformed"

        hold()


def values(schema: Json, named: dict[str, Json]) -> st.SearchStrategy[Any]:
    """Values that a schema accepts, as far as schemas of frames go."""
    match schema:
        case {"const": constant}:
            return st.just(constant)
        case {"enum": list(some)}:
            return st.sampled_from(some)
        case {"$ref": str(reference)}:
            return values(named[reference.rpartition("/")[2]], named)
        case {"anyOf": list(some)}:
            return st.one_of([values(each, named) for each in some])
        case {"type": "object", "properties": dict(properties)}:
            required = set(schema["required"])
            optional = {name: each for name, each in properties.items() if name not in required}
            alone = [name for pair in schema.get("not", {}).get("anyOf", []) for name in pair["required"]]
            kept = {name: values(each, named) for name, each in optional.items() if name not in alone[1:]}
            return st.fixed_dictionaries(
                {name: values(properties[name], named) for name in required}, optional=kept
            )
        case {"type": list(kinds)}:
            return st.one_of([values({**schema, "type": kind}, named) for kind in kinds])
        case {"type": "object", "additionalProperties": dict(inner)}:
            return st.dictionaries(st.uuids().map(str), values(inner, named), max_size=3)
        case {"type": "array", "items": dict(items)}:
            unique = schema.get("uniqueItems", False)
            return st.lists(values(items, named), max_size=3, unique=unique)
        case {"format": "uuid"}:
            return st.uuids().map(str)
        case {"type": "string"}:
            return st.text(
                st.characters(codec="utf-8", exclude_characters="\0"),
                min_size=schema.get("minLength", 0),
                max_size=schema.get("maxLength", 20),
            ).filter(lambda text: bool(text.strip()) or not schema.get("minLength"))
        case {"type": "integer"}:
            return st.integers(schema.get("minimum", -(2**63)), 2**63)
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "null"}:
            return st.none()
    assert "type" not in schema, schema
    return st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8"))


class TestOfBoth:
    @pytest.mark.parametrize("row", ROWS, ids=name_of)
    def test_its_example_fits(self, row: Row) -> None:
        schema, named = schema_of_row(row)
        made = orjson.loads(orjson.dumps(example(row)))
        whole = {**closed(schema), "components": {"schemas": closed(named)}}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(made)
        assert made["type"] == row.type
        alone = row.at_most_one[1:] if isinstance(row, ClientFrame) else ()
        assert made.keys() == schema["properties"].keys() - set(alone), "every field is shown"

    @pytest.mark.parametrize("row", ROWS, ids=name_of)
    def test_it_says_what_it_means_and_so_does_every_field(self, row: Row) -> None:
        schema, named = schema_of_row(row)
        assert row.meaning.endswith(".")
        if isinstance(row, ServerFrame):
            assert row.do.endswith(".")
        else:
            assert row.answer or row.then
        schemas = {"": schema, **named}
        silent = [
            f"{name}.{field}"
            for name, each in schemas.items()
            for field, inner in each["properties"].items()
            if field != "type" and not inner.get("description")
        ]
        assert silent == []
        assert [name for name, each in named.items() if not each.get("description")] == []

    def test_every_error_code_is_explained_and_no_other(self) -> None:
        sent = {code for channel in Channel for code in (*error_codes(channel), *ENTRY_CODES[channel])}
        assert sent == set(ERRORS)
        assert all(error.meaning.endswith(".") and error.do.endswith(".") for error in ERRORS.values())

    def test_ids_in_examples_are_those_of_the_example_people(self) -> None:
        for row in ROWS:
            for name, value in example(row).items():
                if name.endswith("_id"):
                    assert UUID(str(value)).version == 5 or name == "session_id"

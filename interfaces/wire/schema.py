"""
Describes JSON by JSON Schema (2020-12, the dialect of OpenAPI 3.1).

The schema of a request comes from the readers of its values. The schema of an answer comes from the type that its encoder
returns, which mypy checks. Nothing is described twice.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from inspect import cleandoc
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NewType,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from attrs import frozen

T = TypeVar("T")

Schema = Mapping[str, object]

IDENTITY: Final[Schema] = {"type": "string", "format": "uuid"}

Moment = NewType("Moment", str)

MOMENT: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?$",
    "description": "ISO 8601 in UTC, without an offset",
    "examples": ["2026-11-23T03:34:09.900840"],
}

FrameFields = NewType("FrameFields", object)
"""One frame of a socket as JSON. docs/protocol.md lists the frames and their fields."""

WebAuthnJson = NewType("WebAuthnJson", object)
"""An object of WebAuthn as JSON. Its specification lists the members."""

FRAME: Final[Schema] = {
    "type": "object",
    "description": "A frame: its `type` says which other fields it has",
    "required": ["type"],
    "additionalProperties": True,
    "examples": [
        {"type": "chat_removed", "chat_id": "21d79d31-3705-5068-a48b-18a2cdd3b0ae", "reason": "left"}
    ],
}

NO_EXAMPLE: Final = object()


@frozen
class FieldDoc:
    """
    The documentation of a field: a description and an example.

    A field without an example is an object or a list of objects, whose example is made of those of its fields. Written
    into a type as ``Annotated[str, FieldDoc("The name of the chat", "Book club")]``.
    """

    description: str
    example: object = NO_EXAMPLE

    def added_to(self, schema: Schema) -> Schema:
        examples = {} if self.example is NO_EXAMPLE else {"examples": [self.example]}
        return {**schema, "description": self.description, **examples}


class Bounds:
    """Limits of a field as JSON Schema keywords, such as ``Annotated[int, FieldDoc(...), Bounds(minimum=0)]``."""

    def __init__(self, **keywords: int) -> None:
        self.keywords = keywords

    def added_to(self, schema: Schema) -> Schema:
        return {**schema, **self.keywords}


@frozen
class ValueReader(Generic[T]):
    """A function that reads one JSON value, together with the schema of the values that it accepts."""

    read: Callable[[object], T]
    schema: Schema

    def __call__(self, value: object) -> T:
        return self.read(value)


def takes(schema: Schema) -> Callable[[Callable[[object], T]], ValueReader[T]]:
    """A decorator that makes a `ValueReader` of a function and the schema of what it accepts."""
    return lambda read: ValueReader(read, schema)


def taken_by(read: Callable[..., object]) -> Schema:
    """Returns the schema of a reader. A plain function has the schema that accepts everything."""
    return read.schema if isinstance(read, ValueReader) else {}


def or_null(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return schema if isinstance(kind, list) else {"anyOf": [schema, {"type": "null"}]}


SIMPLE: Final[Mapping[object, Schema]] = {
    Any: {},
    None: {"type": "null"},
    NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    UUID: IDENTITY,
    Moment: MOMENT,
    FrameFields: FRAME,
    WebAuthnJson: {"type": "object"},
}


def schema_of(kind: Any, named: dict[str, Schema]) -> Schema:
    """
    Returns the schema of a type that an encoder returns.

    The schema of a TypedDict is added to ``named``, and a reference to it is returned.
    """
    if get_origin(kind) is Annotated:
        annotated, *notes = get_args(kind)
        schema = schema_of(annotated, named)
        for note in notes:
            if isinstance(note, FieldDoc | Bounds):
                schema = note.added_to(schema)
        return schema
    if kind in SIMPLE:
        return SIMPLE[kind]
    if supertype := getattr(kind, "__supertype__", None):
        return schema_of(supertype, named)
    if is_typeddict(kind):
        return _named(kind, named)
    match get_origin(kind):
        case origin if origin is list or origin is Sequence:
            (item,) = get_args(kind)
            return {"type": "array", "items": schema_of(item, named)}
        case origin if origin is Mapping:
            _, value = get_args(kind)
            return {"type": "object", "additionalProperties": schema_of(value, named)}
        case origin if origin is Literal:
            first, *others = get_args(kind)
            return {"enum": [first, *others]} if others else {"const": first}
        case origin if origin is Union or origin is UnionType:
            some = [schema_of(one, named) for one in get_args(kind) if one is not NoneType]
            one: Schema = some[0] if len(some) == 1 else {"anyOf": some}
            return or_null(one) if NoneType in get_args(kind) else one
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    raise TypeError(f"{kind} has no JSON")


def _named(kind: Any, named: dict[str, Schema]) -> Schema:
    name = kind.__name__
    if name not in named:
        named[name] = {}  # a placeholder, which ends the recursion of a type that refers to itself
        hints = get_type_hints(kind, include_extras=True)
        properties = {each: schema_of(_without_notice(hint), named) for each, hint in hints.items()}
        required = [each for each in properties if each in kind.__required_keys__]
        described = {"description": cleandoc(kind.__doc__)} if kind.__doc__ else {}
        named[name] = {"type": "object", **described, "properties": properties, "required": required}
    return {"$ref": f"#/components/schemas/{name}"}


def _without_notice(hint: Any) -> Any:
    """Returns the type inside ``NotRequired``."""
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def example_of(schema: Schema, named: Mapping[str, Schema]) -> Any:
    """
    Returns a value that the schema describes: its own example, or one made of the examples of its parts. ``named`` holds
    the schemas that references point to.
    """
    match dict[str, Any](schema):
        case {"examples": [example, *_]}:
            return example
        case {"$ref": str(reference)}:
            return example_of(named[reference.rpartition("/")[2]], named)
        case {"const": constant}:
            return constant
        case {"enum": [first, *_]}:
            return first
        case {"anyOf": [first, *_]}:
            return example_of(first, named)
        case {"properties": properties}:
            return {name: example_of(inner, named) for name, inner in properties.items()}
        case {"items": items}:
            return [example_of(items, named)]
    kind = schema.get("type")
    return _BY_TYPE.get(kind[0] if isinstance(kind, list) else kind)


_BY_TYPE: Final[Mapping[object, object]] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True}
"""Examples for fields of added modules that give none."""

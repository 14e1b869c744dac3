"""
What JSON looks like, in the words of JSON Schema (2020-12, as OpenAPI 3.1 has it).

Requests are described by the readers that read them, answers by the types that their encoders return, which mypy holds
them to: nothing is described twice.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Generic,
    Literal,
    NewType,
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


@frozen
class Reader(Generic[T]):
    """Reads one value, and says what it takes."""

    read: Callable[[object], T]
    schema: Schema

    def __call__(self, value: object) -> T:
        return self.read(value)


def takes(schema: Schema) -> Callable[[Callable[[object], T]], Reader[T]]:
    """Said of a function that reads a value."""
    return lambda read: Reader(read, schema)


def taken_by(read: Callable[..., object]) -> Schema:
    """Anything at all where a function says nothing."""
    return read.schema if isinstance(read, Reader) else {}


def or_null(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return schema if isinstance(kind, list) else {"anyOf": [schema, {"type": "null"}]}


SIMPLE: Final[Mapping[object, Schema]] = {
    None: {"type": "null"},
    NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    UUID: IDENTITY,
    Moment: MOMENT,
}


def schema_of(kind: Any, named: dict[str, Schema]) -> Schema:
    """Of values of a type that an encoder returns. What has a name of its own is put into ``named``, and referred to."""
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
        case origin if origin is Literal:
            return {"enum": list(get_args(kind))}
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
        named[name] = {}  # holds the place, should it speak of itself
        properties = {each: schema_of(hint, named) for each, hint in get_type_hints(kind).items()}
        required = [each for each in properties if each in kind.__required_keys__]
        named[name] = {"type": "object", "properties": properties, "required": required}
    return {"$ref": f"#/components/schemas/{name}"}

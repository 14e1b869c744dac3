"""
Turns requests into commands: cattrs reads JSON bodies, path and query values straight into attrs classes.

A refusal lists everything that is wrong with the request. It repeats the values that the client sent, except secrets and
whole bodies, which may contain secrets.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, Generic, Literal, TypeVar

import orjson
from attrs import AttrsInstance, fields_dict, frozen
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from domain.errors import Invalid
from interfaces.wire.decoding import NotJson, decode
from interfaces.wire.faults import MISSING, NOT_AN_OBJECT, NOT_JSON, UNFIT, Fault, InvalidValue, ValueFault
from interfaces.wire.schema import FieldDoc, Schema, taken_by

C = TypeVar("C", bound=AttrsInstance)

ECHO_LIMIT: Final = 4096
"""Bytes of JSON. A refusal does not repeat longer values."""


class Unreadable(Exception):
    """A body is not text in a Unicode encoding, or is JSON that `interfaces.wire.decoding` refuses."""


@frozen
class FieldFault:
    """``field`` is the path to the value, such as ``("body", "members", 3)``."""

    field: tuple[str | int, ...]
    fault: Fault
    input: object = None


class RequestInvalid(Exception):
    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults


def echo(value: object) -> object:
    """Returns ``value``, or None if it is too long, too deep or cannot be encoded as JSON in UTF-8."""
    try:
        encoded = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return None
    return orjson.Fragment(encoded) if len(encoded) <= ECHO_LIMIT else None


def read_json(body: bytes) -> object:
    """
    Decodes a body in UTF-8, UTF-16 or UTF-32, as the original messenger did.

    Raises:
        RequestInvalid: The body is not JSON; ``field`` holds the position of the error.
        Unreadable: The body is not text, or is JSON that the decoder refuses.
    """
    try:
        return decode(body.decode(json.detect_encoding(body)))
    except NotJson as error:
        if error.position is None:
            raise Unreadable from error
        raise RequestInvalid((FieldFault(("body", error.position), NOT_JSON, {}),)) from error
    except UnicodeDecodeError as error:
        raise Unreadable from error


def as_object(value: object) -> dict[str, object]:
    """
    Raises:
        RequestInvalid: There is no body, or it is not a JSON object.
    """
    if isinstance(value, dict):
        return value
    raise RequestInvalid((FieldFault(("body",), MISSING if value is None else NOT_AN_OBJECT),))


def trimmed(given: Mapping[str, object]) -> dict[str, object]:
    """Trims the texts of a JSON body, which happens before they are validated. Queries and forms are not trimmed."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}


@cache
def in_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


REQUIRED: Final = object()


@frozen
class FieldSpec:
    """How one attribute of a command is read from a request."""

    read: Callable[[Any], Any]
    name: str = ""
    """The only name on the wire. Without it, the attribute's own name is accepted, in camelCase or in snake_case."""
    secret: bool = False
    absent: object = REQUIRED
    """The value to read if the client sent none, for an attribute without a default."""
    unless: str = ""
    """The attribute that a client may send in place of this one. If it sends neither, this one is missing."""
    doc: FieldDoc | None = None

    @property
    def schema(self) -> Schema:
        """The schema of the values that are accepted, with the description and the example of the field."""
        schema = taken_by(self.read)
        return self.doc.added_to(schema) if self.doc else schema

    def find(self, attribute: str, given: Mapping[str, object]) -> object:
        for name in (self.name,) if self.name else (in_camel_case(attribute), attribute):
            if name in given:
                return given[name]
        return self.absent


@frozen
class Shape(Generic[C]):
    """The attributes that a request for one command has, and how they are read."""

    command: type[C]
    fields: Mapping[str, FieldSpec]
    structure: Callable[[Mapping[str, Any], Any], C]

    def decode(
        self,
        given: Mapping[str, object],
        *,
        within: Literal["body", "query"],
        path: Mapping[str, str] | None = None,
        known: Mapping[str, object] | None = None,
    ) -> C:
        """
        Reads a request into a command.

        ``path`` holds the path parameters of the route, by attribute. ``known`` holds attributes that the server itself
        supplies; they are not validated.

        Raises:
            RequestInvalid: At least one value is invalid; the error lists all faults.
        """
        places: dict[str, tuple[str, str]] = {}
        values: dict[str, object] = {}
        for attribute, spec in self.fields.items():
            if path and attribute in path:
                places[attribute], values[attribute] = ("path", attribute), path[attribute]
            else:
                places[attribute] = within, spec.name or in_camel_case(attribute)
                values[attribute] = spec.find(attribute, given)
        sent = {
            attribute: value
            for attribute, value in values.items()
            if value is not REQUIRED or _is_missing(self.fields[attribute], values)
        }
        try:
            return self.structure(sent | dict(known or {}), self.command)
        except ClassValidationError as group:
            noted, others = group.group_exceptions()
            faults = [
                FieldFault(
                    (*places[note.name], *finding.at),
                    finding.fault,
                    None if self.fields[note.name].secret else finding.input,
                )
                for error, note in noted
                for finding in _findings(error, values.get(note.name))
            ]
            if faults:
                raise RequestInvalid(tuple(faults)) from None
            raise (*others, *(error for error, _ in noted))[0] from None


def shape(command: type[C], **fields: FieldSpec) -> Shape[C]:
    """Makes a `Shape`. Attributes that are not in ``fields`` can only be passed to `Shape.decode` as ``known``."""
    hooks: dict[str, Any] = {
        name: override(struct_hook=_hook(fields[name].read if name in fields else _as_it_is))
        for name in fields_dict(command)
    }
    return Shape(command, fields, make_dict_structure_fn(command, _converter, **hooks))


_converter: Final = Converter(detailed_validation=True)


def _is_missing(spec: FieldSpec, values: Mapping[str, object]) -> bool:
    """Tells whether the client sent nothing in place of an attribute either that it did not send."""
    return bool(spec.unless) and not values[spec.unless]


def _hook(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def structured(value: object, _: object) -> object:
        if value is REQUIRED:
            raise InvalidValue(ValueFault(MISSING, None))
        return read(value)

    return structured


def _as_it_is(value: object) -> object:
    return value


def _findings(error: Exception, value: object) -> Iterator[ValueFault]:
    match error:
        case InvalidValue():
            yield from error.findings
        case KeyError():  # from cattrs, for a value that was not sent
            yield ValueFault(MISSING, None)
        case Invalid():
            yield ValueFault(next(UNFIT[kind] for kind in type(error).__mro__ if kind in UNFIT), value)

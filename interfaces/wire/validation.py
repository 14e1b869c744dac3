"""
Requests become commands: JSON bodies, path and query values are read straight into attrs classes by cattrs.

A request is refused with everything that is wrong with it at once. What a client sent is repeated to it, except
secrets, and except whole bodies, which may hold some.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, Literal, TypeVar

import orjson
from attrs import AttrsInstance, fields_dict, frozen
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from domain.errors import Invalid
from interfaces.wire.decoding import NotJson, decode
from interfaces.wire.faults import MISSING, NOT_AN_OBJECT, NOT_JSON, UNFIT, Fault, Finding, Refused

C = TypeVar("C", bound=AttrsInstance)

ECHO_LIMIT: Final = 4096
"""Bytes of JSON. A longer value is not repeated to the client: it knows what it sent."""


class Unreadable(Exception):
    """A body that is not even text, or JSON that is not taken (see `interfaces.wire.decoding`)."""


@frozen
class FieldFault:
    """``field`` leads to the value: ``("body", "members", 3)``."""

    field: tuple[str | int, ...]
    fault: Fault
    input: object = None


class RequestInvalid(Exception):
    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults


def echo(value: object) -> object:
    """``value``, or null where it is long, deep or nothing that JSON in UTF-8 can say."""
    try:
        encoded = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return None
    return orjson.Fragment(encoded) if len(encoded) <= ECHO_LIMIT else None


def read_json(body: bytes) -> object:
    """
    Any of UTF-8, UTF-16 and UTF-32 is read, as in the original messenger.

    Raises:
        RequestInvalid: Not JSON; ``field`` says at which character.
        Unreadable: Not text, or JSON that is not taken.
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
        RequestInvalid: There is no body, or it is no JSON object.
    """
    if isinstance(value, dict):
        return value
    raise RequestInvalid((FieldFault(("body",), MISSING if value is None else NOT_AN_OBJECT),))


def trimmed(given: Mapping[str, object]) -> dict[str, object]:
    """Texts of JSON bodies are trimmed before anything else looks at them; those of queries and forms are not."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}


def in_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


REQUIRED: Final = object()


@frozen
class Reads:
    """How one attribute of a command is read."""

    read: Callable[[Any], Any]
    name: str = ""
    """On the wire, and only so. Where nothing is said it is the attribute's own, in camelCase or as it is."""
    secret: bool = False
    absent: object = REQUIRED
    """Read in its place when it was not sent, where the command has no default of its own."""

    def find(self, attribute: str, given: Mapping[str, object]) -> object:
        for name in (self.name,) if self.name else (in_camel_case(attribute), attribute):
            if name in given:
                return given[name]
        return self.absent


@frozen
class Shape(Generic[C]):
    """What a request for one command looks like."""

    command: type[C]
    reads: Mapping[str, Reads]
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
        ``path`` holds what the route took from the path, under the names of attributes; ``known`` what did not come
        from the client's hand.

        Raises:
            RequestInvalid: With every fault there is.
        """
        places: dict[str, tuple[str, str]] = {}
        values: dict[str, object] = {}
        for attribute, reads in self.reads.items():
            if path and attribute in path:
                places[attribute], values[attribute] = ("path", attribute), path[attribute]
            else:
                places[attribute] = within, reads.name or in_camel_case(attribute)
                values[attribute] = reads.find(attribute, given)
        sent = {attribute: value for attribute, value in values.items() if value is not REQUIRED}
        try:
            return self.structure(sent | dict(known or {}), self.command)
        except ClassValidationError as group:
            noted, others = group.group_exceptions()
            faults = [
                FieldFault(
                    (*places[note.name], *finding.at),
                    finding.fault,
                    None if self.reads[note.name].secret else finding.input,
                )
                for error, note in noted
                for finding in _findings(error, values.get(note.name))
            ]
            if faults:
                raise RequestInvalid(tuple(faults)) from None
            raise (*others, *(error for error, _ in noted))[0] from None


def shape(command: type[C], **reads: Reads) -> Shape[C]:
    """``reads`` by attribute. Attributes that are not among them can only be ``known`` to `Shape.decode`."""
    hooks: dict[str, Any] = {
        name: override(struct_hook=_hook(reads[name].read if name in reads else _as_it_is))
        for name in fields_dict(command)
    }
    return Shape(command, reads, make_dict_structure_fn(command, _converter, **hooks))


_converter: Final = Converter(detailed_validation=True)


def _hook(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: read(value)


def _as_it_is(value: object) -> object:
    return value


def _findings(error: Exception, value: object) -> Iterator[Finding]:
    match error:
        case Refused():
            yield from error.findings
        case KeyError():  # cattrs, of what was not sent
            yield Finding(MISSING, None)
        case Invalid():
            yield Finding(next(UNFIT[kind] for kind in type(error).__mro__ if kind in UNFIT), value)

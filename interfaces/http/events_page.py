"""The page about every frame of the sockets, for people: the registry of frames with the examples and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from attrs import frozen
from markupsafe import Markup, escape

from interfaces.http.look import Places
from interfaces.http.pages import render
from interfaces.wire.registry import (
    CHANNELS,
    ENTRY_CODES,
    ERRORS,
    ORDER,
    Channel,
    ChannelDoc,
    ClientFrame,
    ServerFrame,
    example,
    of_clients,
    of_server,
)
from interfaces.wire.schema import Schema, example_of
from interfaces.ws.closing import CloseCode


@frozen
class Field:
    name: str
    kind: Markup
    meaning: str
    is_required: bool


@frozen(kw_only=True)
class Shown:
    """A frame or an answer, as the page shows it."""

    id: str
    type: str
    meaning: str
    fields: Sequence[Field]
    example: str
    is_own: bool = False
    """Whether an answer has no section of its own."""


@frozen(kw_only=True)
class ShownRequest(Shown):
    answer: Shown | None
    then: str
    refusals: Sequence[str]


@frozen(kw_only=True)
class ShownFrame(Shown):
    do: str
    feature: str
    is_durable: bool
    scope: str
    """Tells frames of one type apart."""


@frozen(kw_only=True)
class ShownChannel:
    id: str
    doc: ChannelDoc
    address: str
    client: Sequence[ShownRequest]
    server: Sequence[ShownFrame]


@frozen
class Part:
    id: str
    name: str
    meaning: str
    fields: Sequence[Field]


def events_page(title: str, places: Places, prefix: str, document: str) -> str:
    """Renders the page. ``document`` is the address of the AsyncAPI document."""
    named: dict[str, Schema] = {}
    channels = [_channel(channel, prefix, named) for channel in Channel]
    parts = [
        Part(f"part-{name}", name, str(schema["description"]), _fields(schema))
        for name, schema in sorted(named.items())
    ]
    return render(
        "events.html",
        places=places,
        here="events",
        title=title,
        docs=places.docs,
        document=document,
        order=ORDER,
        channels=channels,
        parts=parts,
        errors=ERRORS,
        closes=list(CloseCode),
    )


def _channel(channel: Channel, prefix: str, named: dict[str, Schema]) -> ShownChannel:
    return ShownChannel(
        id=channel,
        doc=CHANNELS[channel],
        address=f"{prefix}{CHANNELS[channel].path}",
        client=[_request(row, named) for row in of_clients(channel)],
        server=[_frame(row, channel, named) for row in of_server(channel)],
    )


def _request(row: ClientFrame, named: dict[str, Schema]) -> ShownRequest:
    return ShownRequest(
        id=f"{row.on}-{row.type}-request",
        type=row.type,
        meaning=row.meaning,
        fields=_fields(row.schema(named)),
        example=_json(example(row)),
        answer=_answer(row, named),
        then=row.then,
        refusals=ENTRY_CODES[row.on] if row.type == "auth" else row.refusals,
    )


def _answer(row: ClientFrame, named: dict[str, Schema]) -> Shown | None:
    schema = row.answer_schema(named)
    if schema is None or row.answer is None:
        return None
    is_own = row.answer_key != row.answer.__name__
    return Shown(
        id=f"{row.on}-{row.answer_key}",
        type="answer" if is_own else str(_constant(schema, "type")),
        meaning=str(schema["description"]),
        fields=[field for field in _fields(schema) if field.name != "id"],
        example=_json(example_of(schema, named)),
        is_own=is_own,
    )


def _frame(row: ServerFrame, channel: Channel, named: dict[str, Schema]) -> ShownFrame:
    schema = row.schema(named)
    scope = _constant(schema, "scope")
    return ShownFrame(
        id=f"{channel}-{row.key}",
        type=row.type,
        meaning=row.meaning,
        fields=_fields(schema),
        example=_json(example(row)),
        do=row.do,
        feature=row.feature,
        is_durable=row.is_durable,
        scope=f"with scope {scope}" if scope else "",
    )


def _properties(schema: Schema) -> Mapping[str, Schema]:
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    return properties


def _constant(schema: Schema, name: str) -> object:
    return _properties(schema).get(name, {}).get("const")


def _fields(schema: Schema) -> Sequence[Field]:
    """The fields of an object besides its type."""
    required = schema.get("required", [])
    assert isinstance(required, list)
    return [
        Field(name, _kind(field), str(field.get("description", "")), name in required)
        for name, field in _properties(schema).items()
        if name != "type"
    ]


def _kind(schema: Schema) -> Markup:
    """Describes the values of a field: their type, limits, and the part that they are."""
    match dict[str, Any](schema):
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return Markup('<a href="#part-{0}">{0}</a>').format(name)
        case {"anyOf": list(some)}:
            return Markup(" or ").join(dict.fromkeys(_kind(each) for each in some))
        case {"const": constant}:
            return Markup("<code>{}</code>").format(_json(constant))
        case {"enum": list(some)}:
            return Markup(", ").join(Markup("<code>{}</code>").format(_json(each)) for each in some)
        case {"type": list(kinds)}:
            return Markup(" or ").join(_kind({**schema, "type": kind}) for kind in kinds)
        case {"type": "array", "items": items}:
            return Markup("list of {}").format(_kind(items))
        case {"type": "object"}:
            return escape("object of positions by id")
        case {"type": "string", "format": "uuid"}:
            return escape("UUID")
        case {"type": "string", "pattern": _}:
            return escape("time")
        case {"type": "string"}:
            least, most = schema.get("minLength"), schema.get("maxLength")
            return escape("text" + _range(least, most, " characters"))
        case {"type": "integer" | "number" as kind}:
            name = "integer" if kind == "integer" else "number"
            return escape(name + _range(schema.get("minimum"), schema.get("maximum")))
        case {"type": kind}:
            return escape(kind)
    return escape("any JSON value")


def _range(least: object, most: object, unit: str = "") -> str:
    if least is not None and most is not None:
        return f", {least} to {most}{unit}"
    if least is not None:
        return f", at least {least}{unit}"
    return f", at most {most}{unit}" if most is not None else ""


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if isinstance(value, dict) else 0).decode()

"""What the registry of frames says, to hold frames to: nothing may be sent that it does not name, not a field."""

from functools import cache
from typing import Any, Final

import jsonschema_rs
import orjson

from interfaces.wire.registry import Channel, ClientFrame, of_clients, of_server
from interfaces.wire.schema import Schema

Json = dict[str, Any]

Validator = jsonschema_rs.Draft202012Validator

NO_ROW: Final = Validator(False)


def closed(node: Any) -> Any:
    """The same schema, without room for more fields than it names."""
    if isinstance(node, dict):
        shut = {each: closed(child) for each, child in node.items()}
        is_object = node.get("type") == "object" and "properties" in node
        return {**shut, "additionalProperties": False} if is_object else shut
    return [closed(child) for child in node] if isinstance(node, list) else node


def validator(schemas: list[Schema], named: dict[str, Schema]) -> Validator:
    """Accepts what fits one of the schemas. Formats such as ``uuid`` are checked."""
    whole = {"anyOf": closed(schemas), "components": {"schemas": closed(named)}}
    in_json = orjson.loads(orjson.dumps(whole))  # where enums and ids are texts
    return Validator(in_json, validate_formats=True)


@cache
def of_server_frames(channel: Channel, kind: str) -> Validator:
    """The validator of frames of this type that the server sends on a channel."""
    named: dict[str, Schema] = {}
    rows = [row.schema(named) for row in of_server(channel) if row.type == kind]
    if kind == "answer":
        rows = [schema for row in of_clients(channel) if (schema := row.answer_schema(named))]
    return validator(rows, named) if rows else NO_ROW


@cache
def of_answers(row: ClientFrame) -> Validator:
    """The validator of the frame that answers a request."""
    named: dict[str, Schema] = {}
    schema = row.answer_schema(named)
    return validator([schema], named) if schema else NO_ROW


@cache
def of_client_frames(channel: Channel, kind: str) -> Validator:
    """The validator of frames of this type that clients send."""
    named: dict[str, Schema] = {}
    rows = [row.schema(named) for row in of_clients(channel) if row.type == kind]
    return validator(rows, named) if rows else NO_ROW

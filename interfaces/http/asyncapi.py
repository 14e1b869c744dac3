"""
The sockets as an AsyncAPI 3.0 document, generated from the registry of frames (`interfaces.wire.registry`) and the table of
close codes, so that nothing is written down twice.

In the words of AsyncAPI the described application is the server: it *receives* the frames of clients, and *sends* its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from interfaces.http.options import HttpOptions
from interfaces.wire import codec, examples, server_frames
from interfaces.wire.codec import Json
from interfaces.wire.registry import (
    CHANNELS,
    ENTRY_CODES,
    ERRORS,
    Channel,
    ClientFrame,
    ServerFrame,
    error_codes,
    example,
    of_clients,
    of_server,
)
from interfaces.wire.schema import IDENTITY, FieldDoc, Schema, example_of
from interfaces.ws.closing import CloseCode

VERSION: Final = "3.0.0"

WEBSOCKET, HTTP = "websocket", "http"
SERVERS: Final = ((WEBSOCKET, "wss", "ws"), (HTTP, "https", "http"))
"""The name of each server of the document, and its protocol with TLS and without."""

SCHEME: Final = "accessToken"

REFUSALS: Final[Mapping[Channel, type]] = {
    Channel.CHAT: server_frames.Error,
    Channel.ALL_CHATS: server_frames.Refused,
}
"""The frame with which each channel refuses a frame."""


def document(options: HttpOptions) -> Json:
    return _Writer(options).write()


@define
class _Writer:
    options: HttpOptions
    messages: dict[str, Json] = field(factory=dict)
    schemas: dict[str, Schema] = field(factory=dict)

    def write(self) -> Json:
        channels = {str(channel): self._channel(channel) for channel in Channel}
        operations: dict[str, Json] = {}
        for channel in Channel:
            operations |= self._operations(channel)
        about = self.options.about
        contact = {"name": about.contact_name, "email": about.contact_email}
        contact = {name: text for name, text in contact.items() if text}
        return {
            "asyncapi": VERSION,
            "info": {
                "title": about.title,
                "version": about.version,
                "description": about.description or "The frames of the messenger's sockets",
                **({"contact": contact} if contact else {}),
                "tags": [{"name": "sockets", "description": "WebSockets: live updates and requests"}],
                "externalDocs": {"description": "The same as a page", "url": self._page("events")},
            },
            "defaultContentType": "application/json",
            "servers": {name: self._server(secure, plain) for name, secure, plain in SERVERS},
            "channels": channels,
            "operations": operations,
            "components": {
                "schemas": {name: _in_draft_7(schema) for name, schema in sorted(self.schemas.items())},
                "messages": dict(sorted(self.messages.items())),
                "securitySchemes": {
                    SCHEME: {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "The access token of `POST /accounts/sign-in/`. On sockets it is not sent as a header,"
                        " but as `token` of the first frame, `auth`; for the event stream it is a header",
                    }
                },
            },
            "x-error-codes": {
                code: {"meaning": error.meaning, "whatToDo": error.do} for code, error in ERRORS.items()
            },
        }

    def _page(self, name: str) -> str:
        return f"{self._public}{self.options.prefix}{self.options.docs_path}/{name}"

    @property
    def _public(self) -> str:
        """The address of the server. AsyncAPI has no relative ones."""
        return self.options.public_url or f"http://localhost{self.options.public_path}"

    def _server(self, secure: str, plain: str) -> Json:
        address = urlsplit(self._public)
        return {
            "host": address.netloc,
            "protocol": secure if address.scheme == "https" else plain,
            **({"pathname": address.path} if address.path else {}),
            "description": "The messenger",
            "security": [_reference("components/securitySchemes", SCHEME)],
        }

    def _channel(self, channel: Channel) -> Json:
        doc = CHANNELS[channel]
        heard = {row.key: self._message(row) for row in of_clients(channel)}
        sent = {row.key: self._message(row) for row in of_server(channel)}
        answers = {row.answer_key: self._answer(row) for row in of_clients(channel) if row.answer}
        messages = {
            **answers,
            **heard,
            **sent,
        }  # an answer with a type of its own is among the frames of the server
        self.messages |= messages
        return {
            "address": f"{self.options.prefix}{doc.path}",
            "title": doc.title,
            "summary": doc.summary,
            "description": doc.description,
            "servers": [_reference("servers", HTTP if channel is Channel.EVENTS else WEBSOCKET)],
            **({"parameters": {"chat_id": _CHAT_ID}} if "{chat_id}" in doc.path else {}),
            "messages": {key: _reference("components/messages", key) for key in sorted(messages)},
            **({} if channel is Channel.EVENTS else {"bindings": _OVER_WEBSOCKET}),
            "x-close-codes": [
                {
                    "code": code.value,
                    "name": code.name,
                    "meaning": code.meaning,
                    "comeBack": code.comes_back,
                }
                for code in CloseCode
            ],
        }

    def _operations(self, channel: Channel) -> dict[str, Json]:
        tells: Json = {
            "action": "send",
            "channel": _reference("channels", channel),
            "title": f"{CHANNELS[channel].title}: what the server tells",
            "summary": "The frames of the server",
            "description": "Those that answer a frame of the client are the reply of that operation too.",
            **({"bindings": _OVER_HTTP} if channel is Channel.EVENTS else {}),
            "messages": [_reference(f"channels/{channel}/messages", row.key) for row in of_server(channel)],
        }
        return {
            f"{channel}.tell": tells,
            **{f"{channel}.{row.type}": self._request(row) for row in of_clients(channel)},
        }

    def _request(self, row: ClientFrame) -> Json:
        refusal = server_frames.AuthError if row.type == "auth" else REFUSALS[row.on]
        replies = [row.answer_key] if row.answer else []
        codes = ENTRY_CODES[row.on] if row.type == "auth" else row.refusals
        channel = _reference("channels", row.on)
        answered = f"Answered by `{row.answer_key}`." if row.answer else ""
        return {
            "action": "receive",
            "channel": channel,
            "title": row.type,
            "summary": row.meaning,
            "description": " ".join(filter(None, (answered, row.then))) or f"Refused as `{row.codes[0]}`.",
            "messages": [_reference(f"channels/{row.on}/messages", row.key)],
            "reply": {
                "channel": channel,
                "messages": [
                    _reference(f"channels/{row.on}/messages", key) for key in (*replies, refusal.__name__)
                ],
            },
            "x-error-codes": [*codes],
        }

    def _message(self, row: ServerFrame | ClientFrame) -> Json:
        schema = dict(row.schema(self.schemas))
        if isinstance(row, ServerFrame):
            description = f"What to do: {row.do}"
            if row.feature:
                description += (
                    f" A socket of one chat is sent it only if its `auth` named the feature `{row.feature}`."
                )
            schema = self._with_codes(row, schema)
        else:
            description = row.then
        return self._made(row.type, row.meaning, description, schema, example(row))

    def _with_codes(self, row: ServerFrame, schema: dict[str, Any]) -> dict[str, Any]:
        """Lists the codes that an error may have."""
        if row.fields is server_frames.AuthError:
            codes: Iterable[str] = (code for channel in row.on for code in ENTRY_CODES[channel])
        elif row.fields in REFUSALS.values():
            codes = (code for channel in row.on for code in error_codes(channel))
        else:
            return schema
        properties = schema["properties"]
        code = {**properties["code"], "enum": [*dict.fromkeys(codes)]}
        return {**schema, "properties": {**properties, "code": code}}

    def _answer(self, row: ClientFrame) -> Json:
        schema = row.answer_schema(self.schemas)
        assert schema is not None, "only frames with an answer are asked for it"
        description = schema["description"]
        assert isinstance(description, str)
        return self._made("answer", description, "", schema, example_of(schema, self.schemas))

    def _made(self, name: str, summary: str, description: str, schema: Schema, shown: object) -> Json:
        return {
            "name": name,
            "title": name,
            "summary": summary,
            **({"description": description} if description else {}),
            "contentType": "application/json",
            "payload": _in_draft_7(schema),
            "examples": [{"payload": shown}],
        }


_CHAT_ID: Final[Json] = {
    "description": FieldDoc("The id of the chat").added_to(IDENTITY)["description"],
    "examples": [examples.CHAT],
}


_OVER_WEBSOCKET: Final[Json] = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}

_OVER_HTTP: Final[Json] = {
    "http": {
        "method": "GET",
        "query": {
            "type": "object",
            "properties": {name: dict(codec.EVENTS.fields[name].schema) for name in codec.EVENTS.fields},
        },
        "bindingVersion": "0.3.0",
    }
}


def _reference(place: str, name: str) -> Json:
    return {"$ref": f"#/{place}/{name}"}


def _in_draft_7(node: Any) -> Any:
    """
    Returns a schema as AsyncAPI has it, whose dialect is a superset of draft 7 of JSON Schema: a reference has nothing beside
    it there.
    """
    if isinstance(node, Mapping):
        inner = {name: _in_draft_7(each) for name, each in node.items()}
        if "$ref" in inner and len(inner) > 1:
            return {"allOf": [{"$ref": inner.pop("$ref")}], **inner}
        return inner
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_in_draft_7(each) for each in node]
    return node

"""
The interface as an OpenAPI 3.1 document, generated from the descriptions of endpoints, the decoders of requests, the
types of answers and the table of errors, so that nothing is written down twice.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from attrs import NOTHING, define, field, fields_dict

from application.errors import NotAuthenticated, OutcomeUnknown, Unavailable
from application.keys import KeyReused
from application.messages.send import NonceReused
from application.ports.keys import KeyUse, Operation
from application.ports.limiter import Allowance, TooManyRequests
from domain.account import AlreadyConfirmed
from domain.chat_errors import MembersNotFound, TooFrequent
from domain.events import MessageSent
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq
from domain.message import Body, Message
from interfaces.http.described import Described
from interfaces.http.envelope import Refusal
from interfaces.http.errors import SINGLE_ERRORS, UNKNOWN_PATH, UNREADABLE, refusal_of, validation_status
from interfaces.http.limits import RATE_LIMIT, RATE_LIMIT_POLICY
from interfaces.http.middleware import SYSTEM_ERROR, BodyTooLarge
from interfaces.http.options import HttpOptions
from interfaces.http.problem import MEDIA_TYPE as PROBLEM
from interfaces.http.routes import Endpoint
from interfaces.wire.codec import KEY, Json
from interfaces.wire.faults import CODES
from interfaces.wire.schema import IDENTITY, Schema, or_null, schema_of, taken_by
from interfaces.wire.validation import REQUIRED, FieldSpec, Shape, in_camel_case

JSON: Final = "application/json"

VALIDATION: Final = "UNEXPECTED_VALIDATION_ERROR"

BEFORE_LIMITS: Final = (VALIDATION, SINGLE_ERRORS[BodyTooLarge].code)
"""Codes of errors that are raised before a use case, and with it a limiter, is called."""

LIMITS: Final[Mapping[str, str]] = {
    RATE_LIMIT: "What is left of each limit that applies: `r` requests at once, and one more after `t` seconds",
    RATE_LIMIT_POLICY: "The same limits in full: `q` requests at once, then as many again evenly over `w` seconds",
}
"""Descriptions of headers. A limit that is switched off is not in them."""

NOBODY: Final = UUID(int=0)

SAMPLES: Final[Mapping[type[Exception], Exception]] = {
    type(error): error
    for error in (
        AlreadyConfirmed(AccountId(NOBODY)),
        KeyReused(
            KeyUse(
                operation=Operation.CREATE_CHAT,
                digest=NOBODY,
                subject_id=NOBODY,
                used_at=datetime.min.replace(tzinfo=UTC),
            )
        ),
        MembersNotFound([ProfileId(NOBODY)]),
        NonceReused(
            MessageSent(
                chat_id=ChatId(NOBODY),
                position=Position(1),
                message=Message(
                    id=MessageId(NOBODY),
                    chat_id=ChatId(NOBODY),
                    seq=Seq(1),
                    author_id=ProfileId(NOBODY),
                    body=Body("Hello"),
                    nonce=None,
                    sent_at=datetime(2026, 1, 1, tzinfo=UTC),
                ),
            )
        ),
        TooFrequent(1.0),
        TooManyRequests(1.0, Allowance("sign-in", 10, timedelta(minutes=1))),
    )
}
"""An instance of each error that cannot be created without arguments, to look up in the table of errors."""

EXTRA_MEMBERS: Final[Mapping[str, Schema]] = {
    "id": IDENTITY,
    "seq": {"type": "integer"},
    "operation": {"type": "string", "enum": [operation.value for operation in Operation]},
    "subject": or_null(IDENTITY),
    "requestId": {"type": "string"},
    "retryAfter": {"type": "integer"},
}
"""Schemas of the members of errors besides ``code`` and ``message``."""

FIELDS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "field": {
                "type": "array",
                "items": {"type": ["string", "integer"]},
                "description": "The location: `body`, `path` or `query`, then names and indexes",
                "examples": [["body", "members", 3]],
            },
            "code": {"type": "string", "enum": sorted(CODES)},
            "text": {"type": "string"},
            "input": {"description": "The value that was sent, unless it is secret or long"},
        },
        "required": ["field", "code", "text", "input"],
    },
}

PROBLEM_SCHEMA: Final[Schema] = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "A page that explains the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "format": "json-pointer"},
                    "code": {"type": "string", "enum": sorted(CODES)},
                    "detail": {"type": "string"},
                },
                "required": ["pointer", "code", "detail"],
            },
        },
        "id": IDENTITY,
        "seq": {"type": "integer"},
        "operation": {"type": "string", "enum": [operation.value for operation in Operation]},
        "subject": or_null(IDENTITY),
    },
    "required": ["type", "title", "status", "detail", "code", "requestId"],
}

SCHEME: Final = "OAuth2PasswordBearer"


def document(endpoints: Iterable[Endpoint], options: HttpOptions) -> Json:
    return _Writer(options).write(endpoints)


def refusals_of(
    endpoint: Endpoint, described: Described, *, original_statuses: bool = False
) -> list[Refusal]:
    """Return every refusal that this endpoint may answer with, the internal error included."""
    kinds: list[type[Exception]] = list(described.refuses)
    if not described.is_public:
        kinds.append(NotAuthenticated)
    if described.body:
        kinds.append(BodyTooLarge)
    if described.is_stored:
        kinds.append(Unavailable)
        if endpoint.method != "GET":
            kinds.append(OutcomeUnknown)
    refusals = [refusal_of(sample(kind), endpoint.refusals) for kind in dict.fromkeys(kinds)]
    if described.body or described.query:
        refusals.append(
            Refusal(
                validation_status(original_statuses=original_statuses), VALIDATION, "", extra={"fields": []}
            )
        )
    if described.is_by_name and not original_statuses:
        refusals.append(UNKNOWN_PATH)
    return [*refusals, SYSTEM_ERROR.with_extra(requestId="")]


def sample(kind: type[Exception]) -> Exception:
    return SAMPLES[kind] if kind in SAMPLES else kind()


@define
class _Writer:
    options: HttpOptions
    schemas: dict[str, Schema] = field(factory=dict)

    def write(self, endpoints: Iterable[Endpoint]) -> Json:
        self.schemas["Problem"] = PROBLEM_SCHEMA
        paths: dict[str, dict[str, object]] = {}
        tags: dict[str, None] = {}
        for endpoint in endpoints:
            if described := endpoint.described:
                paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = self._operation(
                    endpoint, described
                )
                tags[described.tag] = None
        about = self.options.about
        contact = {"name": about.contact_name, "email": about.contact_email}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": about.title,
                "description": about.description,
                "version": about.version,
                **_unless_empty(contact={name: text for name, text in contact.items() if text}),
            },
            "servers": [{"url": self.options.public_path or "/"}],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self.schemas.items())),
                "securitySchemes": {
                    SCHEME: {
                        "type": "oauth2",
                        "flows": {
                            "password": {
                                "tokenUrl": f"{self.options.base}/accounts/sign-in/swagger/",
                                "scopes": {},
                            }
                        },
                    }
                },
            },
            "tags": [{"name": tag} for tag in tags],
        }

    def _operation(self, endpoint: Endpoint, described: Described) -> Json:
        shape = described.body or described.query
        return {
            "operationId": re.sub(r"\W+", "_", endpoint.name_of_handler).lower(),
            "summary": described.summary,
            **_unless_empty(description=described.description),
            "tags": [described.tag],
            **_unless_empty(parameters=list(self._parameters(endpoint, described, shape))),
            **({"requestBody": self._body(endpoint, described.body)} if described.body else {}),
            "responses": self._responses(endpoint, described),
            "security": [] if described.is_public else [{SCHEME: []}],
        }

    def _parameters(
        self, endpoint: Endpoint, described: Described, shape: Shape[Any] | None
    ) -> Iterable[Json]:
        for attribute, spec in shape.fields.items() if shape else ():
            name = _name(attribute, spec)
            schema = taken_by(spec.read)
            if attribute in endpoint.param_convertors:
                yield {"name": attribute, "in": "path", "required": True, "schema": schema}
            elif name == KEY:
                yield {
                    "name": KEY,
                    "in": "header",
                    "description": "Identifies this request: a repeat under the same key is not carried out again",
                    "schema": schema,
                }
            elif described.query and shape:
                yield {
                    "name": name,
                    "in": "query",
                    "required": _is_required(shape, attribute, spec),
                    "schema": schema,
                }
        for name in endpoint.param_convertors:
            if shape is None or name not in shape.fields:
                yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        if described.is_polled:
            yield {
                "name": "If-None-Match",
                "in": "header",
                "description": "The `ETag` of the version that the client has",
                "schema": {"type": "string"},
            }
        if described.needs_cookie:
            yield {
                "name": "refresh_token",
                "in": "cookie",
                "schema": {"type": "string"},
            }

    def _body(self, endpoint: Endpoint, shape: Shape[Any]) -> Json:
        inside = {
            attribute: spec
            for attribute, spec in shape.fields.items()
            if attribute not in endpoint.param_convertors and spec.name != KEY
        }
        properties: dict[str, Schema] = {}
        for attribute, spec in inside.items():
            secret = {"format": "password", "writeOnly": True} if spec.secret else {}
            properties[_name(attribute, spec)] = {**taken_by(spec.read), **secret}
        required = [
            _name(attribute, spec)
            for attribute, spec in inside.items()
            if _is_required(shape, attribute, spec)
        ]
        name = shape.command.__name__
        self.schemas[name] = {
            "type": "object",
            "properties": properties,
            **_unless_empty(required=required),
        }
        return {"required": True, "content": {JSON: {"schema": _reference(name)}}}

    def _responses(self, endpoint: Endpoint, described: Described) -> Json:
        data = schema_of(described.answer, self.schemas)
        good: dict[str, object] = {
            "description": "Done",
            "content": {JSON: {"schema": _object(status={"const": "success"}, data=data)}},
        }
        limits = {
            name: _header(name, required=False) for name in LIMITS if TooManyRequests in described.refuses
        }
        headers: dict[str, object] = {**limits}
        if described.is_polled:
            headers["ETag"] = {"schema": {"type": "string"}, "required": True}
        if described.has_next:
            headers["Link"] = {
                "schema": {"type": "string"},
                "description": 'The next page as `rel="next"`, if there is one',
            }
        responses: dict[str, object] = {"200": good | _unless_empty(headers=headers)}
        if described.is_polled:
            responses["304"] = {"description": "Nothing has changed since the version with that `ETag`"}
        refusals: dict[int, dict[str, Refusal]] = {}
        for refusal in refusals_of(endpoint, described, original_statuses=self.options.original_statuses):
            refusals.setdefault(refusal.status, {})[refusal.code] = refusal
        bare = dict(described.otherwise)
        if described.is_by_name and self.options.original_statuses:
            bare[404] = _object(detail={"const": UNKNOWN_PATH.message})
        if described.body:
            bare[400] = _object(detail={"const": UNREADABLE.message})
        for status in sorted({*refusals, *bare}):
            some = list(refusals.get(status, {}).values())
            outside = [bare[status]] if status in bare else []
            was_understood = any(refusal.code not in BEFORE_LIMITS for refusal in some)
            responses[str(status)] = self._refusal(status, some, outside, limits if was_understood else {})
        return responses

    def _refusal(
        self,
        status: int,
        refusals: Sequence[Refusal],
        outside: Sequence[Schema],
        limits: Mapping[str, Schema],
    ) -> Json:
        schemas = [*(self._error(refusal) for refusal in refusals), *outside]
        codes = ", ".join(f"`{refusal.code}`" for refusal in refusals)
        headers: dict[str, object] = {**limits}
        for name in dict.fromkeys(name for refusal in refusals for name in refusal.headers):
            in_all = not outside and all(name in refusal.headers for refusal in refusals)
            headers[name] = _header(name, required=in_all)
        return {
            "description": codes or HTTPStatus(status).phrase,
            **_unless_empty(headers=headers),
            "content": {
                JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}},
                PROBLEM: {"schema": _reference("Problem")},
            },
        }

    def _error(self, refusal: Refusal) -> Schema:
        name = f"Error.{refusal.code}"
        described = {each: FIELDS if each == "fields" else EXTRA_MEMBERS[each] for each in refusal.extra}
        message: Schema = {"type": "string", **_unless_empty(examples=[refusal.message])}
        error = _object(code={"const": refusal.code}, message=message, **described)
        self.schemas.setdefault(name, _object(status={"const": "error"}, error=error))
        return _reference(name)


def _name(attribute: str, spec: FieldSpec) -> str:
    return spec.name or in_camel_case(attribute)


def _is_required(shape: Shape[Any], attribute: str, spec: FieldSpec) -> bool:
    return spec.absent is REQUIRED and fields_dict(shape.command)[attribute].default is NOTHING


def _header(name: str, *, required: bool) -> Schema:
    return {
        "schema": {"type": "string"},
        **_unless_empty(description=LIMITS.get(name, "")),
        "required": required,
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _unless_empty(**what: Any) -> dict[str, Any]:
    return {name: value for name, value in what.items() if value not in ("", [], {}, [""])}

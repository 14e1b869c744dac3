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

from application.errors import NotAuthenticated, OutcomeUnknown, Overloaded, SecondFactorNeeded, Unavailable
from application.keys import KeyReused
from application.messages.send import NonceReused
from application.ports.keys import KeyUse, Operation
from application.ports.limiter import Allowance, TooManyRequests
from domain.account import AlreadyConfirmed
from domain.chat_errors import MembersNotFound, NotAcquainted, TooFrequent, TooManyChats, TooManyMembers
from domain.events import MessageSent
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq
from domain.message import Body, Message
from domain.scope import ScopeMissing
from interfaces.browsers import ForeignPage
from interfaces.http.described import TAGS, Described
from interfaces.http.envelope import Refusal
from interfaces.http.errors import SINGLE_ERRORS, UNKNOWN_PATH, UNREADABLE, refusal_of, validation_status
from interfaces.http.limits import RATE_LIMIT, RATE_LIMIT_POLICY
from interfaces.http.middleware import SYSTEM_ERROR, BodyTooLarge
from interfaces.http.options import HttpOptions
from interfaces.http.problem import MEDIA_TYPE as PROBLEM
from interfaces.http.routes import Endpoint
from interfaces.wire import examples
from interfaces.wire.codec import KEY, Json
from interfaces.wire.faults import CODES
from interfaces.wire.registry import Channel, of_server
from interfaces.wire.schema import IDENTITY, FieldDoc, Schema, example_of, or_null, schema_of
from interfaces.wire.validation import REQUIRED, FieldSpec, Shape, in_camel_case
from interfaces.ws.crowds import TooManySockets

JSON: Final = "application/json"

VALIDATION: Final = "UNEXPECTED_VALIDATION_ERROR"

BEFORE_LIMITS: Final = (VALIDATION, SINGLE_ERRORS[BodyTooLarge].code)
"""Codes of errors that are raised before a use case, and with it a limiter, is called."""

LIMITS: Final = (RATE_LIMIT, RATE_LIMIT_POLICY)
"""Headers about limits. A limit that is switched off is not in them."""

HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    RATE_LIMIT: (
        "What is left of each limit that applies: `r` requests at once, and one more after `t` seconds",
        '"wrong passwords";r=29;t=120',
    ),
    RATE_LIMIT_POLICY: (
        "The same limits in full: `q` requests at once, then as many again evenly over `w` seconds",
        '"wrong passwords";q=30;w=3600',
    ),
    "ETag": ("The version of the answer, for `If-None-Match`", '"5b3c9f6e0d1a4c7f8e2b9a6d3c0f1e4b"'),
    "Link": (
        'The next page as `rel="next"`, if there is one',
        '</chats/?cursor=AAECAwQFBgcICQoLDA0OD3sifQ&limit=2>; rel="next"',
    ),
    "Retry-After": ("Seconds after which to repeat the request", "3"),
    "WWW-Authenticate": ("How to authenticate", "Bearer"),
}
"""A description and an example of each header of answers."""

IF_NONE_MATCH: Final = FieldDoc(
    "The `ETag` of the version that the client has: if it is still the newest one, the answer is 304",
    HEADERS["ETag"][1],
).added_to({"type": "string"})

EVENT_STREAM: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"
LAST_EVENT: Final = FieldDoc(
    "The `id` of the last event that the client handled: the stream goes on behind it, and `since` does not count",
    "AAECAwQFBgcICQoLDA0OD3sifQ",
).added_to({"type": "string"})

REFRESH_TOKEN: Final = FieldDoc(
    "The refresh token, as signing in set it. A browser behind HTTPS has it in `__Host-refresh_token`, or in "
    "`__Secure-refresh_token` if the messenger has a path of its own",
    examples.TOKEN,
).added_to({"type": "string"})

VISIT: Final = FieldDoc(
    "The visit to a provider, as coming back from it set it", "q83vEjRWeJqrze8SNFZ4mg"
).added_to({"type": "string"})

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
        NotAcquainted([ProfileId(NOBODY)]),
        SecondFactorNeeded(examples.TOKEN, 300),
        TooFrequent(1.0),
        TooManyChats(10_000, [ProfileId(NOBODY)]),
        TooManyMembers(10_000),
        TooManySockets("session", 256),
        TooManyRequests(1.0, Allowance("sign-in", 10, timedelta(minutes=1))),
    )
}
"""An instance of each error that cannot be created without arguments, to look up in the table of errors."""

EXTRA_MEMBERS: Final[Mapping[str, Schema]] = {
    "id": FieldDoc("The id of the first message with this nonce", examples.MESSAGE).added_to(IDENTITY),
    "seq": FieldDoc("The `seq` of the first message with this nonce", 16).added_to({"type": "integer"}),
    "operation": FieldDoc("What the key was used for first", Operation.CREATE_CHAT.value).added_to(
        {"type": "string", "enum": [operation.value for operation in Operation]}
    ),
    "subject": FieldDoc(
        "The id of what the first request created or asked for; null for letters", examples.CHAT
    ).added_to(or_null(IDENTITY)),
    "profiles": FieldDoc("The profiles in question", [examples.MIKHAIL]).added_to(
        {"type": "array", "items": IDENTITY}
    ),
    "pendingToken": FieldDoc(
        "The token to finish signing in with, together with a code", examples.TOKEN
    ).added_to({"type": "string"}),
    "expiresIn": FieldDoc("For how many seconds `pendingToken` is good", 300).added_to({"type": "integer"}),
    "requestId": FieldDoc("The id of the request, under which it is in the log", "0f3c2a9be14d").added_to(
        {"type": "string"}
    ),
    "retryAfter": FieldDoc("Seconds after which to repeat the request", 3).added_to({"type": "integer"}),
}
"""Schemas of the members of errors besides ``code`` and ``message``."""

_CODE_OF_FIELD: Final = FieldDoc("What is wrong with the value, as a stable code", "missing").added_to(
    {"type": "string", "enum": sorted(CODES)}
)
_TEXT_OF_FIELD: Final = FieldDoc("What is wrong with the value, for people", "Field required").added_to(
    {"type": "string"}
)

FIELDS: Final[Schema] = {
    "type": "array",
    "description": "Everything that is wrong with the request",
    "items": {
        "type": "object",
        "properties": {
            "field": {
                "type": "array",
                "items": {"type": ["string", "integer"]},
                "description": "The location: `body`, `path` or `query`, then names and indexes",
                "examples": [["body", "members", 3]],
            },
            "code": _CODE_OF_FIELD,
            "text": _TEXT_OF_FIELD,
            "input": {
                "description": "The value that was sent; null if it is secret or long, or if none was sent",
                "examples": [None],
            },
        },
        "required": ["field", "code", "text", "input"],
    },
}

PROBLEM_SCHEMA: Final[Schema] = {
    "type": "object",
    "description": "An error for clients that accept `application/problem+json` (RFC 9457)",
    "properties": {
        "type": FieldDoc("The path of a page that explains the code", "/errors/NOT_FOUND").added_to(
            {"type": "string", "format": "uri-reference"}
        ),
        "title": FieldDoc("The phrase of the status", "Not Found").added_to({"type": "string"}),
        "status": FieldDoc("The status of the answer", 404).added_to({"type": "integer"}),
        "detail": FieldDoc("What went wrong, for people", "Chat not found").added_to({"type": "string"}),
        "code": FieldDoc("What went wrong, as a stable code", "NOT_FOUND").added_to({"type": "string"}),
        "requestId": EXTRA_MEMBERS["requestId"],
        "errors": {
            "type": "array",
            "description": "Everything that is wrong with an invalid request",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": FieldDoc("The location of the value (RFC 6901)", "/email").added_to(
                        {"type": "string", "format": "json-pointer"}
                    ),
                    "code": _CODE_OF_FIELD,
                    "detail": _TEXT_OF_FIELD,
                },
                "required": ["pointer", "code", "detail"],
            },
        },
        **{
            name: EXTRA_MEMBERS[name]
            for name in ("id", "seq", "operation", "subject", "profiles", "pendingToken", "expiresIn")
        },
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
        kinds += [NotAuthenticated, ScopeMissing, Overloaded]
    if described.needs_own_page:
        kinds.append(ForeignPage)
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
            **_unless_empty(externalDocs=self._protocol_page()),
            "servers": [
                {
                    "url": self.options.public_url or self.options.public_path or "/",
                    "description": "The messenger",
                }
            ],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self.schemas.items())),
                "securitySchemes": {
                    SCHEME: {
                        "type": "oauth2",
                        "description": "The access token of `POST /accounts/sign-in/`, as `Authorization: Bearer ...`",
                        "flows": {
                            "password": {
                                "tokenUrl": f"{self.options.base}/accounts/sign-in/swagger/",
                                "scopes": {},
                            }
                        },
                    }
                },
            },
            "tags": [{"name": tag, **_unless_empty(description=TAGS.get(tag, ""))} for tag in tags],
        }

    def _protocol_page(self) -> Json:
        if not self.options.docs:
            return {}
        options = self.options
        return {
            "description": "Tokens, paging, keys, and the socket frame by frame",
            "url": f"{options.public_url or options.public_path}{options.prefix}{options.docs_path}/protocol",
        }

    def _operation(self, endpoint: Endpoint, described: Described) -> Json:
        shape = described.body or described.query
        return {
            "operationId": re.sub(r"\W+", "_", endpoint.name_of_handler).lower(),
            "summary": described.summary,
            **_unless_empty(description=described.description),
            "tags": [described.tag],
            **_unless_empty(parameters=list(self._parameters(endpoint, described, shape))),
            **({"requestBody": self._body(endpoint, described, described.body)} if described.body else {}),
            "responses": self._responses(endpoint, described),
            "security": [] if described.is_public else [{SCHEME: []}],
        }

    def _parameters(
        self, endpoint: Endpoint, described: Described, shape: Shape[Any] | None
    ) -> Iterable[Json]:
        for attribute, spec in shape.fields.items() if shape else ():
            name = _name(attribute, spec)
            if attribute in endpoint.param_convertors:
                yield _parameter(attribute, "path", spec.schema, required=True)
            elif name == KEY:
                yield _parameter(KEY, "header", spec.schema)
            elif described.query and shape:
                yield _parameter(name, "query", spec.schema, required=_is_required(shape, attribute, spec))
        for name in endpoint.param_convertors:
            if shape is None or name not in shape.fields:
                doc = described.path.get(name, FieldDoc(""))
                yield _parameter(name, "path", doc.added_to({"type": "string"}), required=True)
        if described.is_polled:
            yield _parameter("If-None-Match", "header", IF_NONE_MATCH)
        if described.stream:
            yield _parameter(LAST_EVENT_ID, "header", LAST_EVENT)
        if described.needs_cookie:
            yield _parameter("refresh_token", "cookie", REFRESH_TOKEN)
        if described.needs_visit:
            yield _parameter(f"{self.options.cookie_prefix}provider_visit", "cookie", VISIT)

    def _body(self, endpoint: Endpoint, described: Described, shape: Shape[Any]) -> Json:
        inside = {
            attribute: spec
            for attribute, spec in shape.fields.items()
            if attribute not in endpoint.param_convertors and spec.name != KEY
        }
        properties: dict[str, Schema] = {}
        for attribute, spec in inside.items():
            secret = {"format": "password", "writeOnly": True} if spec.secret else {}
            properties[_name(attribute, spec)] = {**spec.schema, **secret}
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
        is_required = not described.may_lack_body
        return {"required": is_required, "content": {JSON: self._content(_reference(name))}}

    def _content(self, schema: Schema) -> Json:
        return {"schema": schema, "example": example_of(schema, self.schemas)}

    def _responses(self, endpoint: Endpoint, described: Described) -> Json:
        data = schema_of(described.answer, self.schemas)
        answer = _object(
            status={"const": "success", "description": "Always `success`: errors have another envelope"},
            data={
                **data,
                "description": "The answer" if described.answer else "Always null: nothing is answered",
            },
        )
        good: dict[str, object] = {"description": "Done", "content": {JSON: self._content(answer)}}
        if described.stream:
            types = ", ".join(f"`{row.type}`" for row in of_server(Channel.EVENTS))
            events = {
                "type": "string",
                "description": "Server-sent events without names. The `data` of each is one frame in JSON; their types are"
                f" {types}. `/asyncapi.json` has the fields of each, in the channel `{Channel.EVENTS}`.",
                "examples": [described.stream],
            }
            good = {"description": "The events", "content": {EVENT_STREAM: self._content(events)}}
        limits = {
            name: _header(name, required=False) for name in LIMITS if TooManyRequests in described.refuses
        }
        headers: dict[str, object] = {**limits}
        if described.is_polled:
            headers["ETag"] = _header("ETag", required=not described.may_lack_tag)
        if described.has_next:
            headers["Link"] = _header("Link", required=False)
        responses: dict[str, object] = {"200": good | _unless_empty(headers=headers)}
        if described.is_polled:
            responses["304"] = {
                "description": "Nothing has changed since the version with that `ETag`",
                **_unless_empty(headers=limits),
            }
        refusals: dict[int, dict[str, Refusal]] = {}
        for refusal in refusals_of(endpoint, described, original_statuses=self.options.original_statuses):
            refusals.setdefault(refusal.status, {})[refusal.code] = refusal
        bare = dict(described.otherwise)
        if described.is_by_name and self.options.original_statuses:
            bare[404] = _object(detail={"const": UNKNOWN_PATH.message, "description": "What went wrong"})
        if described.body:
            bare[400] = _object(detail={"const": UNREADABLE.message, "description": "What went wrong"})
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
                JSON: self._content(schemas[0] if len(schemas) == 1 else {"anyOf": schemas}),
                PROBLEM: self._content(_reference("Problem")),
            },
        }

    def _error(self, refusal: Refusal) -> Schema:
        name = f"Error.{refusal.code}"
        described = {each: FIELDS if each == "fields" else EXTRA_MEMBERS[each] for each in refusal.extra}
        message = FieldDoc("What went wrong, for people", refusal.message or "1 errors in schema")
        error = _object(
            code={"const": refusal.code, "description": "What went wrong, as a stable code"},
            message=message.added_to({"type": "string"}),
            **described,
        )
        envelope = _object(
            status={"const": "error", "description": "Always `error`"},
            error={**error, "description": "What went wrong"},
        )
        self.schemas.setdefault(name, {**envelope, "description": f"The error `{refusal.code}`"})
        return _reference(name)


def _name(attribute: str, spec: FieldSpec) -> str:
    return spec.name or in_camel_case(attribute)


def _is_required(shape: Shape[Any], attribute: str, spec: FieldSpec) -> bool:
    return spec.absent is REQUIRED and fields_dict(shape.command)[attribute].default is NOTHING


def _header(name: str, *, required: bool) -> Schema:
    description, example = HEADERS[name]
    return {
        "schema": {"type": "string", "examples": [example]},
        "description": description,
        "required": required,
    }


def _parameter(name: str, within: str, schema: Schema, *, required: bool = False) -> Json:
    """
    Return a parameter. Only a required one has an ``example`` outside its schema: Swagger UI would send those of optional
    ones unasked.
    """
    schema = dict(schema)
    description = schema.pop("description", "")
    examples = schema.get("examples")
    return {
        "name": name,
        "in": within,
        "required": required,
        **_unless_empty(description=description),
        "schema": schema,
        **({"example": examples[0]} if required and isinstance(examples, list) else {}),
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _unless_empty(**what: Any) -> dict[str, Any]:
    return {name: value for name, value in what.items() if value not in ("", [], {}, [""])}

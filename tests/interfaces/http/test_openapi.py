"""Every documented answer comes, in the shape that is documented: errors too, each on each endpoint that may give it."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from attrs import evolve, fields, frozen
from starlette.applications import Starlette

from application.errors import (
    NotAuthenticated,
    OutcomeUnknown,
    Overloaded,
    ProviderUnavailable,
    SecondFactorNeeded,
    Unavailable,
)
from application.messenger import Messenger
from domain.errors import DomainError
from interfaces.app import create_app
from interfaces.http.described import Described
from interfaces.http.errors import refusal_of
from interfaces.http.explanations import EXPLANATIONS
from interfaces.http.middleware import Cors
from interfaces.http.openapi import document, refusals_of, sample
from interfaces.http.options import ApiInfo, HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.wire.codec import dumps
from interfaces.wire.commands import REFUSALS, VALUES
from interfaces.wire.registry import FROM_CLIENTS, WRITES, Channel, ClientFrame, of_clients
from interfaces.wire.validation import Shape
from tests.interfaces.http.conftest import HttpWorld, make_world
from tests.interfaces.http.promises import Promises, promises_of

Json = dict[str, Any]

HIDDEN = {
    ("GET", "/app/"),
    ("GET", "/app/manifest.webmanifest"),
    ("GET", "/app/worker.js"),
    ("GET", "/app/{digest}/{path:path}"),
    ("GET", "/chats/ui/"),
    ("POST", "/accounts/sign-in/swagger/"),
    ("GET", "/accounts/sign-in/provider/callback/{provider}/"),
    ("GET", "/confirm-email"),
    ("POST", "/confirm-email"),
    ("GET", "/setup-new-password"),
    ("POST", "/setup-new-password"),
    ("GET", "/errors/{code}"),
    ("GET", "/"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/protocol"),
    ("GET", "/docs/events"),
    ("GET", "/asyncapi.json"),
    ("GET", "/docs/swagger-ui.css"),
    ("GET", "/docs/swagger-ui-bundle.js"),
    ("GET", "/docs/look.css"),
    ("GET", "/docs/start.js"),
    ("GET", "/app/"),
    ("GET", "/app/manifest.webmanifest"),
    ("GET", "/app/worker.js"),
    ("GET", "/app/{digest}/{path:path}"),
    ("GET", "/chats/ui/"),
}
"""Pages for people, addresses to which other services send them, and what the original messenger hid. Everything else says what it is."""

PROBLEM = "application/problem+json"
IDENTITY = re.compile("[0-9a-f]{8}-[0-9a-f-]{27}")


def endpoints_of(messenger: Messenger) -> list[Endpoint]:
    return promises_of(messenger, HttpOptions()).endpoints


def documented() -> list[tuple[Endpoint, Described]]:
    found = endpoints_of(make_world().messenger)
    return [(endpoint, endpoint.described) for endpoint in found if endpoint.described]


def name(case: object) -> str:
    if isinstance(case, Endpoint):
        return f"{case.method} {case.path}"
    return case.__name__ if isinstance(case, type) else ""


DOCUMENTED = documented()


@frozen
class Requests:
    """The examples of the document, with every parameter that may be sent together with the others."""

    promises: Promises

    def request(self, endpoint: Endpoint) -> tuple[str, Json]:
        """A path, and what to send there, that make sense."""
        operation = self.promises.operation(endpoint)
        path, query = endpoint.path, {}
        for parameter in operation.get("parameters", []):
            value = parameter["schema"]["examples"][0]
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", value)
            if parameter["in"] == "query" and parameter["name"] not in {
                "before",
                "after",
                "around",
                "cursor",
                "next",
            }:
                query[parameter["name"]] = value
        sent: Json = {"params": query}
        if "requestBody" in operation:
            sent["json"] = operation["requestBody"]["content"]["application/json"]["example"]
        return path, sent


@frozen
class Failing:
    here: Any
    chats_of: Any
    since: Any


def failing(messenger: Messenger, error: Exception) -> Messenger:
    """The same, of which nothing works but knowing who asks."""

    async def fail(*_: object) -> None:
        raise error

    def broken(part: Any) -> Any:
        return evolve(part, **{each.name: fail for each in fields(type(part)) if each.name != "authenticate"})

    parts = {
        each.name: broken(getattr(messenger, each.name))
        for each in fields(Messenger)
        if each.name not in {"feed", "probe"}
    }
    feed = evolve(
        broken(messenger.feed),
        own_changes=Failing(fail, fail, fail),
        sync=messenger.feed.sync,
        connect=messenger.feed.connect,
    )
    return evolve(messenger, probe=fail, feed=feed, **parts)


@pytest.fixture(scope="module")
def promises() -> Promises:
    return promises_of(make_world().messenger, HttpOptions())


@pytest.fixture(scope="module")
def requests(promises: Promises) -> Requests:
    return Requests(promises)


def document_of(messenger: Messenger, **options: Any) -> Json:
    return promises_of(messenger, HttpOptions(**options)).document


@frozen
class Settled:
    """A world that tests share because nothing is done in it: all that is asked is refused."""

    messenger: Messenger
    app: Starlette
    token: str
    """Ann's, who is signed in."""


@pytest.fixture(scope="module")
def settled() -> Settled:
    world = make_world()
    ann = asyncio.run(world.person("ann@example.com"))
    return Settled(world.messenger, app_of(world.messenger), ann.token)


def app_of(messenger: Messenger) -> Starlette:
    return create_app(messenger, HttpOptions(), new_request_id=lambda: "made-here")


def client(app: Starlette, token: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://server", headers=headers)


def refusing() -> Iterator[tuple[Endpoint, type[Exception]]]:
    for endpoint, said in DOCUMENTED:
        of_storage = [Unavailable, *([] if endpoint.method == "GET" else [OutcomeUnknown])]
        for kind in (*said.refuses, *(of_storage if said.is_stored else [])):
            yield endpoint, kind
        if said.is_stored or said.otherwise:  # what asks nothing cannot fail
            yield endpoint, RuntimeError


@pytest.mark.parametrize(("endpoint", "kind"), list(refusing()), ids=name)
async def test_what_a_use_case_raises_is_answered_as_documented(
    settled: Settled,
    promises: Promises,
    requests: Requests,
    endpoint: Endpoint,
    kind: type[Exception],
) -> None:
    path, sent = requests.request(endpoint)
    messenger = failing(settled.messenger, sample(kind))
    if endpoint.path == "/accounts/me/":
        useless: Any = messenger.accounts.sign_up
        accounts = evolve(messenger.accounts, authenticate=useless)  # the only one that it calls
        messenger = evolve(messenger, accounts=accounts)
    asking = client(app_of(messenger), settled.token)
    for media_type in ("application/json", PROBLEM):
        answer = await asking.request(endpoint.method, path, headers={"Accept": media_type}, **sent)
        assert answer.headers["content-type"] == media_type
        promises.assert_kept(endpoint, answer)
        if issubclass(kind, RuntimeError):
            assert answer.status_code == 500
        else:
            assert answer.status_code == refusal_of(sample(kind), endpoint.refusals).status


@pytest.mark.parametrize(("endpoint", "said"), DOCUMENTED, ids=name)
async def test_what_is_wrong_with_a_request_is_answered_as_documented(
    settled: Settled,
    promises: Promises,
    requests: Requests,
    endpoint: Endpoint,
    said: Described,
) -> None:
    path, sent = requests.request(endpoint)
    wrong: list[tuple[int, str, Json, str | None]] = []
    if not said.is_public:
        wrong.append((401, path, sent, None))
    if said.body:
        spoilt = {key: value for key, value in sent.items() if key != "json"}
        wrong += [
            (422, path, spoilt | {"json": [1]}, settled.token),
            (400, path, spoilt | {"content": b'{"a": "\xff"}'}, settled.token),
            (413, path, spoilt | {"content": b" " * 2**21}, settled.token),
        ]
    if IDENTITY.search(path):
        wrong.append((422, IDENTITY.sub("nobody", path), sent, settled.token))
    for status, there, content, token in wrong:
        for media_type in ("application/json", PROBLEM):
            answer = await client(settled.app, token).request(
                endpoint.method, there, headers={"Accept": media_type}, **content
            )
            assert (answer.status_code, answer.headers["content-type"]) == (status, media_type)
            promises.assert_kept(endpoint, answer)


def test_everything_else_is_hidden_on_purpose() -> None:
    found = endpoints_of(make_world().messenger)
    assert {(each.method, each.path) for each in found if not each.described} == HIDDEN


def test_everything_read_says_what_it_takes(promises: Promises) -> None:
    schemas = promises.document["components"]["schemas"]
    silent = [
        (where, each)
        for where, schema in schemas.items()
        for each, inner in schema.get("properties", {}).items()
        if not inner
    ]
    parameters = [
        (path, parameter["name"])
        for path, operations in promises.document["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if not parameter["schema"]
    ]
    assert (silent, parameters) == ([], [])


def test_operations_have_names_of_their_own(promises: Promises) -> None:
    ids = [
        operation["operationId"]
        for operations in promises.document["paths"].values()
        for operation in operations.values()
    ]
    assert len(set(ids)) == len(ids)


async def test_every_code_has_a_page(world: HttpWorld) -> None:
    codes = {refusal.code for endpoint, said in DOCUMENTED for refusal in refusals_of(endpoint, said)} | {
        "METHOD_NOT_ALLOWED",
        "NOT_FOUND",
        "UNREADABLE_BODY",
    }
    assert codes <= EXPLANATIONS.keys()
    for code in codes:
        page = await world.client().get(f"/errors/{code}")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert code in page.text
    assert (await world.client().get("/errors/NOTHING_LIKE_IT")).status_code == 404


def test_refusals_of_a_use_case_are_kinds_that_the_table_knows() -> None:
    strange = [
        (name(endpoint), kind)
        for endpoint, said in DOCUMENTED
        for kind in said.refuses
        if not issubclass(
            kind, DomainError | NotAuthenticated | SecondFactorNeeded | Overloaded | ProviderUnavailable
        )
    ]
    assert strange == []


SAME_AS_FRAMES = {
    ("POST", "/chats/{chat_id}/messages/"): "send_message",
    ("GET", "/chats/{chat_id}/history/"): "get_history",
    ("GET", "/chats/{chat_id}/messages/{message_id}/readers/"): "get_readers",
}
"""The frames of requests that HTTP has too, but whose fields are another shape there. The others share a shape."""


def frames_of(endpoint: Endpoint, said: Described) -> list[ClientFrame]:
    named = SAME_AS_FRAMES.get((endpoint.method, endpoint.path))
    shapes = [shape for shape in (said.body, said.query) if shape is not None]
    return [
        row
        for row in of_clients(Channel.ALL_CHATS)
        if row.type == named or any(row.fields is each for each in shapes)
    ]


def test_a_command_is_refused_alike_over_http_and_sockets() -> None:
    """But for values that cannot be: HTTP names them among the fields of a 422."""
    compared = 0
    for endpoint, said in DOCUMENTED:
        for row in frames_of(endpoint, said):
            of_frame = set(row.refuses) - {*WRITES, *VALUES.get(row.type, ())}
            assert of_frame == set(said.refuses), row.type
            compared += 1
    assert compared == len(SAME_AS_FRAMES) + sum(isinstance(row.fields, Shape) for row in FROM_CLIENTS)


def test_each_command_of_the_table_is_one_of_an_interface() -> None:
    of_endpoints = {id(said.refuses) for _, said in DOCUMENTED}
    of_frames = {row.type for row in FROM_CLIENTS}
    unused = [name for name, errors in REFUSALS.items() if id(errors) not in of_endpoints]
    assert set(unused) <= of_frames
    assert VALUES.keys() <= REFUSALS.keys()


def test_an_old_front_end_finds_its_statuses_in_the_document(world: HttpWorld) -> None:
    written = document_of(world.messenger, original_statuses=True)
    responses = written["paths"]["/accounts/sign-up/"]["post"]["responses"]
    assert "501" in responses
    assert "422" not in responses


def test_it_introduces_itself(world: HttpWorld) -> None:
    about = ApiInfo(
        title="Ours",
        description="A messenger",
        version="v2",
        contact_name="Team",
        contact_email="t@example.com",
    )
    assert document_of(world.messenger, about=about, prefix="/api")["info"] == {
        "title": "Ours",
        "description": "A messenger",
        "version": "v2",
        "contact": {"name": "Team", "email": "t@example.com"},
    }
    scheme = document_of(world.messenger, prefix="/api")["components"]["securitySchemes"]
    assert scheme == {
        "OAuth2PasswordBearer": {
            "type": "oauth2",
            "description": "The access token of `POST /accounts/sign-in/`, as `Authorization: Bearer ...`",
            "flows": {"password": {"tokenUrl": "/api/accounts/sign-in/swagger/", "scopes": {}}},
        }
    }


def test_the_envelope_is_part_of_it(promises: Promises) -> None:
    answer = promises.document["paths"]["/accounts/me/"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema["properties"]["status"]["const"] == "success"
    assert schema["properties"]["data"]["$ref"] == "#/components/schemas/Me"
    assert (schema["type"], schema["required"]) == ("object", ["status", "data"])


def test_scripts_of_allowed_origins_may_read_every_documented_header(world: HttpWorld) -> None:
    readable = {name.lower() for name in Cors(world.app(), origins=()).exposed}
    written = document(endpoints_of(world.messenger), HttpOptions())
    paths: Json = json.loads(dumps(written))["paths"]
    named = {
        name.lower()
        for operations in paths.values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for name in answer.get("headers", {})
    }
    assert named
    assert named <= readable

"""
What `/openapi.json` promises, and what the running server does: whatever schemathesis thinks of, sensible and not, is
answered with a documented status in the documented shape, without a field more.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
import requests
from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from tests.system.client import PASSWORD, data
from tests.system.server import Server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # other people's, on import
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]

SELDOMER = 50
"""How many times fewer examples of each kind an operation gets than a property: 2 in `make test`, 6 in `make explore`."""

EVENT_STREAM = "text/event-stream"

PROBLEM = {"Accept": "application/problem+json"}


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """
    The same document, in which answers have no field that it does not name. Clients must not mind new ones; here each
    of them is a lie.
    """
    asked = {name for name, _ in references(document, within="requestBody")}
    components = document["components"]["schemas"]
    for name, schema in components.items():
        if name not in asked:
            close(schema)
    for operations in document["paths"].values():
        for operation in operations.values():
            close(operation["responses"])
    return document


def references(node: Any, *, within: str, inside: bool = False) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if inside and "$ref" in node:
            yield node["$ref"].rpartition("/")[2], node
        for name, child in node.items():
            yield from references(child, within=within, inside=inside or name == within)
    elif isinstance(node, list):
        for child in node:
            yield from references(child, within=within, inside=inside)


def close(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node["additionalProperties"] = False
        for child in node.values():
            close(child)
    elif isinstance(node, list):
        for child in node:
            close(child)


@frozen
class Ground:
    """Somebody signed in, and a chat of theirs in which something was said."""

    server: Server
    http: httpx.Client
    session: requests.Session
    stranger: requests.Session
    """For what needs nobody: signing out would end the session of everything that comes after."""
    other_id: str

    def path_parameters(self) -> Mapping[str, str]:
        """Makes new things and returns their ids, because the requests that are tried may remove them."""
        chat = data(self.http.post("/chats/", json={"name": "Trial", "members": [self.other_id]}))
        message = data(self.http.post(f"/chats/{chat['id']}/messages/", json={"text": "Hello"}))
        return {"chat_id": chat["id"], "message_id": message["id"], "profile_id": self.other_id}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own: passwords are set, chats are deleted, whatever comes to mind."""
    with Server(tmp_path_factory.mktemp("victim"), is_new=False).running() as server:
        yield server


@pytest.fixture(scope="module")
def ground(victim: Server) -> Iterator[Ground]:
    with (
        httpx.Client(base_url=victim.url) as http,
        requests.Session() as session,
        requests.Session() as stranger,
    ):
        other_id = sign_in(http, "user2@example.com")
        sign_in(http, "user1@example.com")
        session.headers["Authorization"] = http.headers["Authorization"]
        yield Ground(victim, http, session, stranger, other_id)


def sign_in(http: httpx.Client, email: str) -> str:
    tokens = data(http.post("/accounts/sign-in/", json={"email": email, "password": PASSWORD}))
    http.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
    return str(data(http.get("/accounts/me/"))["profileId"])


@pytest.fixture(scope="module")
def promised(victim: Server) -> schemathesis.BaseSchema:
    document = without_examples(closed(httpx.get(f"{victim.url}/openapi.json").raise_for_status().json()))
    flow = document["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]
    assert flow["tokenUrl"] == "/accounts/sign-in/swagger/"
    flow["tokenUrl"] = victim.url + flow["tokenUrl"]  # valid to the letter; as in the original it is relative
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    return schema


def without_examples(node: Any) -> Any:
    """
    The same document without examples, which schemathesis would mix into what it sends: they work, so that one of them
    closes the account that asks. `tests/interfaces/http/test_examples.py` sends them.
    """
    if isinstance(node, dict):
        return {
            name: without_examples(each) for name, each in node.items() if name not in {"example", "examples"}
        }
    return [without_examples(each) for each in node] if isinstance(node, list) else node


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.explored(by="seed")
def test_every_answer_is_a_documented_one(
    ground: Ground, promised: schemathesis.BaseSchema, mode: schemathesis.GenerationMode
) -> None:
    seen = {}
    for found in promised.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if EVENT_STREAM not in operation.definition.raw["responses"]["200"]["content"]:
            seen[f"{operation.method} {operation.path}"] = sorted(answered(ground, operation, mode))
    print(seen)
    if mode is schemathesis.GenerationMode.POSITIVE:
        assert [name for name, statuses in seen.items() if not statuses] == []


def test_a_stream_begins_as_documented_and_is_refused_as_documented(
    ground: Ground, promised: schemathesis.BaseSchema
) -> None:
    """Such an answer has no end that `test_every_answer_is_a_documented_one` could wait for."""
    operation = promised["/events/"]["GET"]
    with ground.session.get(f"{ground.server.url}/events/", stream=True, timeout=60) as stream:
        assert stream.status_code == 200
        assert {stream.headers["Content-Type"]} == set(
            operation.definition.raw["responses"]["200"]["content"]
        )
        first = next(line for line in stream.iter_lines() if line.startswith(b"data:"))
        assert json.loads(first.removeprefix(b"data:"))["type"] == "auth_success"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, PROBLEM):
        refusal = requests.get(f"{ground.server.url}/events/", headers=headers, stream=True, timeout=60)
        assert refusal.status_code == 401
        operation.validate_response(refusal)


def answered(ground: Ground, operation: Operation, mode: schemathesis.GenerationMode) -> set[int]:
    """The statuses that came."""
    session = ground.session if operation.definition.raw["security"] else ground.stranger
    statuses = set()

    @settings(
        max_examples=settings().max_examples // SELDOMER,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), exists=st.booleans(), as_problem=st.booleans())
    def check(case: Case, exists: bool, as_problem: bool) -> None:
        if exists and case.path_parameters:
            known = ground.path_parameters()
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        headers = dict(PROBLEM) if as_problem else {}  # schemathesis adds to it
        answer = case.call(base_url=ground.server.url, session=session, headers=headers)
        case.validate_response(answer, checks=CHECKS)
        statuses.add(answer.status_code)

    try:
        check()
    except Unsatisfiable:  # nothing about it can be wrong
        assert mode is schemathesis.GenerationMode.NEGATIVE
    return statuses

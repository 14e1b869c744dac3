"""Errors as RFC 9457 has them, for those who ask."""

import pytest
from starlette.datastructures import Headers

from interfaces.http.problem import pointer, prefers_problem
from tests.interfaces.http.conftest import HttpWorld

PROBLEM = {"Accept": "application/problem+json"}


async def test_an_error(world: HttpWorld) -> None:
    answer = await world.client().get("/chats/", headers=PROBLEM)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["vary"] == "Accept"
    assert answer.json() == {
        "type": "/errors/AUTH_ERROR",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Not authenticated",
        "code": "AUTH_ERROR",
        "requestId": "made-here",
    }


async def test_every_fault_of_a_request(world: HttpWorld) -> None:
    person = await world.person("ann@example.com")
    answer = await person.client.post("/chats/", json={"members": ["x"]}, headers=PROBLEM)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "UNEXPECTED_VALIDATION_ERROR")
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [
        ("/body/name", "missing"),
        ("/body/members/0", "uuid_parsing"),
    ]
    assert "fields" not in problem


async def test_what_an_error_says_beside(world: HttpWorld) -> None:
    person = await world.person("ann@example.com")
    headers = PROBLEM | {"Idempotency-Key": "one"}
    first = await person.client.post("/chats/", json={"name": "A"}, headers=headers)
    other = await person.client.post("/chats/", json={"name": "B"}, headers=headers)
    assert first.headers["content-type"] == "application/json"
    assert (other.status_code, other.json()["code"]) == (409, "KEY_REUSED")
    assert other.json()["operation"] == "create_chat"
    assert other.json()["subject"] == first.json()["data"]["id"]


async def test_under_a_prefix_its_type_leads_to_the_page(world: HttpWorld) -> None:
    client = world.client(prefix="/api")
    problem = (await client.get("/api/nothing", headers=PROBLEM)).json()
    assert problem["type"] == "/api/errors/NOT_FOUND"
    assert (await client.get(problem["type"])).status_code == 200


async def test_bodies_that_are_no_text(world: HttpWorld) -> None:
    answer = await world.client().post("/accounts/sign-in/", content=b'{"a": "\xff"}', headers=PROBLEM)
    assert (answer.status_code, answer.json()["code"]) == (400, "UNREADABLE_BODY")


@pytest.mark.parametrize(
    ("accept", "wished"),
    [
        ("application/problem+json", True),
        ("application/json, application/problem+json", True),
        ("application/json;q=0.5, application/problem+json;q=0.5", True),
        ("application/problem+json;q=0.9, application/json;q=0.8", True),
        ("application/problem+json;q=0.3, text/html", True),
        ("application/problem+json, */*", True),
        ("application/problem+json;q=0.5, application/*;q=0.1, */*", True),
        ("application/json, application/problem+json;q=0.5", False),
        ("application/problem+json;q=0.5, */*", False),
        ("application/problem+json;q=x", False),
        ("application/problem+json;q=1.5", False),
        ("Application/Problem+JSON", True),
        ("application/json, application/problem+json;q=0", False),
        ("application/problem+json;q=0.0", False),
        ("application/json", False),
        ("*/*", False),
        ("application/*", False),
        ("", False),
    ],
)
def test_only_who_names_it_gets_it(accept: str, wished: bool) -> None:
    assert prefers_problem(Headers({"accept": accept})) is wished


def test_pointers_are_escaped() -> None:
    assert pointer(("body", "a/b~c", 3)) == "/body/a~1b~0c/3"

"""
What the original messenger was recorded to answer to requests that make no sense, and how ours differs: statuses are
422 unless the old ones are asked for, and secrets and whole bodies are not repeated.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interfaces.http.conftest import HttpWorld, make_world
from tests.interfaces.json_values import json_values

UNKNOWN = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
TWICE = ["47503d40-257e-43f2-a1ef-76a2b75f3ec8"] * 2
NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"
NO_LETTER = (
    "Input should be a valid UUID, invalid character: expected an optional prefix of `urn:uuid:` "
    "followed by [0-9a-fA-F-], "
)
NO_UUID = "Input should be a valid UUID, invalid length: expected length 32 for simple format, found "

Field = tuple[list[str | int], str, str, object]


def body(name: str, code: str, text: str, value: object) -> Field:
    return ["body", name], code, text, value


def missing(name: str) -> Field:
    return body(name, "missing", "Field required", None)


BODIES: list[tuple[str, object, list[Field]]] = [
    ("/accounts/sign-up/", {"email": "not-an-email", "password": "Password1"},
     [body("email", "value_error", "Value error, Email incorrect", "not-an-email")]),
    ("/accounts/sign-up/", {"email": "a@localhost", "password": "Password1"},
     [body("email", "value_error", "Value error, Email incorrect", "a@localhost")]),
    ("/accounts/sign-up/", {"email": "x1@example.com", "password": "password1"},
     [body("password", "value_error", "Value error, Password invalid", None)]),
    ("/accounts/sign-up/", {"email": "x1@example.com"}, [missing("password")]),
    ("/accounts/sign-up/", {}, [missing("email"), missing("password")]),
    ("/accounts/sign-up/", None, [(["body"], "missing", "Field required", None)]),
    ("/accounts/sign-up/", [1], [(["body"], "model_attributes_type", NOT_AN_OBJECT, None)]),
    ("/accounts/sign-up/", {"email": 123, "password": ["a"]},
     [body("email", "string_type", "Input should be a valid string", 123),
      body("password", "string_type", "Input should be a valid string", None)]),
    ("/accounts/sign-up/", {"email": "x5@example.com", "password": "Pass\0word1"},
     [body("password", "value_error", "Value error, NUL and lone surrogates cannot be kept", None)]),
    ("/accounts/sign-in/", {"email": "bad", "password": "admin"},
     [body("email", "value_error", "Value error, Email incorrect", "bad")]),
    ("/accounts/sign-in/", {"emial": "a@example.com", "password": "my-secret"}, [missing("email")]),
    ("/accounts/sign-in/", "x", [(["body"], "model_attributes_type", NOT_AN_OBJECT, None)]),
    ("/accounts/sign-in/", {"email": "a@example.com", "password": "x", "fingerprint": 5},
     [body("fingerprint", "string_type", "Input should be a valid string", 5)]),
    ("/accounts/sign-in/", {"email": "a@example.com", "password": "x", "fingerprint": "f" * 41},
     [body("fingerprint", "string_too_long", "String should have at most 40 characters", "f" * 41)]),
    ("/accounts/email/confirm/", [1], [(["body"], "model_attributes_type", NOT_AN_OBJECT, None)]),
    ("/accounts/email/confirm/", {"confirmationToken": "a.b.c", "fingerprint": 5},
     [body("fingerprint", "string_type", "Input should be a valid string", 5)]),
    ("/accounts/email/confirm/", {"confirmationToken": 5},
     [body("confirmationToken", "string_type", "Input should be a valid string", None)]),
    ("/accounts/token/refresh/", {}, [missing("fingerprint")]),
    ("/chats/", {}, [missing("name")]),
    ("/chats/", None, [(["body"], "missing", "Field required", None)]),
    ("/chats/", {"name": "   "},
     [body("name", "string_too_short", "String should have at least 1 character", "")]),
    ("/chats/", {"name": "n" * 101},
     [body("name", "string_too_long", "String should have at most 100 characters", "n" * 101)]),
    ("/chats/", {"name": "\u3164"}, [body("name", "value_error", "Value error, Name incorrect", "\u3164")]),
    ("/chats/", {"name": "a\u202eb"}, [body("name", "value_error", "Value error, Name incorrect", "a\u202eb")]),
    ("/chats/", {"name": 5}, [body("name", "string_type", "Input should be a valid string", 5)]),
    ("/chats/", {"name": "v", "description": 1},
     [body("description", "string_type", "Input should be a valid string", 1)]),
    ("/chats/", {"name": "v", "description": "d" * 251},
     [body("description", "string_too_long", "String should have at most 250 characters", "d" * 251)]),
    ("/chats/", {"name": "v", "members": "x"},
     [body("members", "list_type", "Input should be a valid list", "x")]),
    ("/chats/", {"name": "v", "members": ["abc", ""]},
     [(["body", "members", 0], "uuid_parsing", NO_UUID + "3", "abc"),
      (["body", "members", 1], "uuid_parsing", NO_UUID + "0", "")]),
    ("/chats/", {"name": "N", "members": TWICE},
     [body("members", "value_error", "Value error, Список участников содержит дубликаты", TWICE)]),
]  # fmt: skip


def envelope(fields: list[Field]) -> dict[str, Any]:
    names = ("field", "code", "text", "input")
    return {
        "status": "error",
        "error": {
            "code": "UNEXPECTED_VALIDATION_ERROR",
            "message": f"{len(fields)} errors in schema",
            "fields": [dict(zip(names, field, strict=True)) for field in fields],
        },
    }


@pytest.mark.parametrize(("path", "sent", "fields"), BODIES)
@pytest.mark.parametrize("original", [False, True])
async def test_bodies(world: HttpWorld, path: str, sent: object, fields: list[Field], original: bool) -> None:
    person = await world.person("ann@example.com")
    client = world.client(person.token, original_statuses=original)
    answer = await client.post(path, json=sent) if sent is not None else await client.post(path)
    assert answer.status_code == (501 if original else 422)
    assert answer.json() == envelope(fields)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/accounts/email/status/?email=zzz",
         [(["query", "email"], "value_error", "Value error, Email incorrect", "zzz")]),
        ("/accounts/email/status/?email=+a@example.com",
         [(["query", "email"], "value_error", "Value error, Email incorrect", " a@example.com")]),
        ("/chats/abc/", [(["path", "chat_id"], "uuid_parsing", NO_UUID + "3", "abc")]),
        ("/profiles/abc/", [(["path", "profile_id"], "uuid_parsing", NO_UUID + "3", "abc")]),
        ("/profiles/?query=a%00b&limit=x",
         [(["query", "limit"], "int_parsing",
           "Input should be a valid integer, unable to parse string as an integer", "x"),
          (["query", "query"], "value_error", "Value error, NUL and lone surrogates cannot be kept", "a\0b")]),
        (f"/chats/{UNKNOWN}/history/?limit=0&offset=-1",
         [(["query", "limit"], "greater_than_equal", "Input should be greater than or equal to 1", "0"),
          (["query", "offset"], "greater_than_equal", "Input should be greater than or equal to 0", "-1")]),
        (f"/chats/{UNKNOWN}/history/?limit=",
         [(["query", "limit"], "int_parsing",
           "Input should be a valid integer, unable to parse string as an integer", "")]),
        (f"/chats/{UNKNOWN}/history/?before=3&after=4",
         [(["query", "after"], "value_error",
           "Value error, Only one of before, after and around can be given", None)]),
        ("/chats/zz/history/?limit=1.5",
         [(["path", "chat_id"], "uuid_parsing",
           NO_LETTER + "found `z` at 1", "zz"),
          (["query", "limit"], "int_parsing",
           "Input should be a valid integer, unable to parse string as an integer", "1.5")]),
    ],
)  # fmt: skip
async def test_paths_and_queries(world: HttpWorld, path: str, fields: list[Field]) -> None:
    person = await world.person("ann@example.com")
    answer = await person.client.get(path)
    assert answer.status_code == 422
    assert answer.json() == envelope(fields)


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({"name": None}, [body("name", "string_type", "Input should be a valid string", None)]),
        ({"name": ""}, [body("name", "string_too_short", "String should have at least 1 character", "")]),
        ({"name": "n" * 101}, [body("name", "string_too_long", "String should have at most 100 characters", "n" * 101)]),
    ],
)  # fmt: skip
async def test_changes_that_the_original_let_pass_or_died_of(
    world: HttpWorld, sent: object, fields: list[Field]
) -> None:
    person = await world.person("ann@example.com")
    answer = await person.client.put(f"/chats/{UNKNOWN}/", json=sent)
    assert (answer.status_code, answer.json()) == (422, envelope(fields))


async def test_names_of_people(world: HttpWorld) -> None:
    person = await world.person("ann@example.com")
    sent = {"firstName": "", "last_name": "Ли", "username": "ab", "phone": "8-800"}
    answer = await person.client.patch("/accounts/profile/", json=sent)
    assert answer.json() == envelope(
        [
            body("firstName", "value_error", "Value error, Name incorrect", ""),
            body("username", "value_error", "Value error, Username incorrect", "ab"),
            body("phone", "value_error", "Value error, Phone incorrect", "8-800"),
        ]
    )


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"email": "a@example.com", "password": "x"}', "", 401),
        (b'{"email": "a@example.com", "password": "x"}', "application/vnd.api+json; charset=utf-8", 401),
        ('{"email": "a@example.com", "password": "x"}'.encode("utf-16"), "application/json", 401),
        (b'{"email": "a@example.com", "password": "x", "more": NaN}', "application/json", 422),
        (b'{"email": "a@example.com", "password": "x"}', "text/plain", 422),
        (b"email=a@example.com&password=x", "application/x-www-form-urlencoded", 422),
        (b'{"email": NaN, "password": "x"}', "application/json", 422),
        (b'{"email": "a@example.com", "password": "\\ud800"}', "application/json", 400),
        (b'{"email": "a@example.com", "password": "x", "password": "y"}', "application/json", 400),
        (b'{"email":', "application/json", 422),
        (b'{"email": "\xff"}', "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'{"email": ' + b"1" * 5000 + b"}", "application/json", 400),
    ],
)
async def test_bodies_of_all_kinds(world: HttpWorld, content: bytes, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await world.client().post("/accounts/sign-in/", content=content, headers=headers)
    assert answer.status_code == status
    if status == 400:
        assert answer.json() == {"detail": "There was an error parsing the body"}


async def test_json_is_told_where_it_breaks(world: HttpWorld) -> None:
    answer = await world.client().post("/accounts/sign-in/", content=b'{"email":}')
    (field,) = answer.json()["error"]["fields"]
    assert field == {"field": ["body", 9], "code": "json_invalid", "text": "JSON decode error", "input": {}}


bodies = st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value).encode())
words = st.text(st.characters(codec="utf-8"), max_size=8)


@given(
    st.sampled_from(
        [
            "POST /accounts/sign-up/",
            "POST /accounts/sign-in/",
            "POST /accounts/sign-in/swagger/",
            "POST /accounts/email/confirm/",
            "POST /accounts/token/refresh/",
            "PATCH /accounts/profile/",
            "POST /chats/",
            f"PUT /chats/{UNKNOWN}/",
            f"GET /chats/{UNKNOWN}/history/",
            "GET /profiles/",
            "GET /accounts/email/status/",
        ]
    ),
    bodies,
    st.sampled_from(
        [
            "",
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ]
    ),
    st.dictionaries(st.sampled_from(["email", "limit", "offset", "before", "query"]), words),
)
async def test_whatever_is_sent_is_answered_and_never_with_500(
    where: str, content: bytes, content_type: str, query: dict[str, str]
) -> None:
    world = make_world()
    person = await world.person("ann@example.com")
    method, path = where.split()
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await person.client.request(method, path, content=content, headers=headers, params=query)
    assert answer.status_code < 500
    assert isinstance(answer.json(), dict)

"""``Idempotency-Key``: one key is one request, however a header or a socket writes it."""

from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.messages.send import SendMessage
from domain.ids import ChatId
from domain.message import NONCE_LIMIT, Body, Nonce
from interfaces.http.requests import written_key
from tests.interfaces.http.conftest import PASSWORD, HttpPerson, HttpWorld

KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=NONCE_LIMIT
)


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    return await world.person("ann@example.com")


@pytest.fixture
async def bob(world: HttpWorld) -> HttpPerson:
    return await world.person("bob@example.com")


def refused(answer: httpx.Response, operation: str) -> dict[str, object]:
    error: dict[str, object] = answer.json()["error"]
    assert (answer.status_code, error["code"], error["operation"]) == (409, "KEY_REUSED", operation)
    return error


@given(KEYS)
@settings(derandomize=True)
def test_every_key_can_be_written_in_a_header(key: str) -> None:
    displayed = f'%"{quote(key, safe="")}"'.encode()
    assert written_key(displayed) == key
    if key.isascii() and key.isprintable():
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        assert written_key(f'"{quoted}"'.encode()) == key
    if not key.startswith(('"', '%"')):
        assert written_key(key.encode()) == key


KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (KEY.encode(), KEY),
        (f'"{KEY}"'.encode(), KEY),
        (f'"{KEY}";a=1'.encode(), KEY),
        (rb'"a \" b \\ c"', r'a " b \ c'),
        (b"a%20b", "a%20b"),
        (b"a b", "a b"),
        ("ключ".encode(), "ключ"),
        (b'%"%d0%ba%d0%bb%d1%8e%d1%87"', "ключ"),
        (b'%"%0a %22"', '\n "'),
        (b"caf\xe9", "café"),
        (b"a, b", "a, b"),
    ],
)
async def test_over_http_and_over_a_socket_it_is_one_key(
    world: HttpWorld, ann: HttpPerson, written: bytes, key: str
) -> None:
    made = await ann.client.post("/chats/", json={"name": "Talk"})
    chat_id = made.json()["data"]["id"]
    command = SendMessage(chat_id=ChatId(UUID(chat_id)), body=Body("Hello"), nonce=Nonce(key))
    first = (await world.messenger.messages.send(ann.actor, command)).event.message
    path, headers = f"/chats/{chat_id}/messages/", {b"Idempotency-Key": written}
    again = await ann.client.post(path, json={"text": "Hello"}, headers=headers)
    assert again.json()["data"]["id"] == str(first.id)
    other = await ann.client.post(path, json={"text": "Bye"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "NONCE_REUSED")


@pytest.mark.parametrize("written", [b'"abc', b'"a"b"', rb'"\x"', b'%"%ff"', b'%"%4"', b'""', b""])
async def test_what_cannot_be_read_is_refused(ann: HttpPerson, written: bytes) -> None:
    headers = {b"Idempotency-Key": written}
    answer = await ann.client.post("/chats/", json={"name": "Talk"}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"]["fields"][0]["field"] == ["body", "Idempotency-Key"]
    assert (await ann.client.get("/chats/")).json()["data"] == []


async def test_one_at_a_time(ann: HttpPerson) -> None:
    two = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await ann.client.post("/chats/", json={"name": "Talk"}, headers=two)
    assert answer.status_code == 422


async def test_a_member_of_the_body_is_no_key(ann: HttpPerson) -> None:
    body = {"name": "Talk", "Idempotency-Key": "a"}
    made = [(await ann.client.post("/chats/", json=body)).json()["data"]["id"] for _ in range(2)]
    assert made[0] != made[1]


async def test_another_group_under_the_key_of_one_is_refused(ann: HttpPerson, bob: HttpPerson) -> None:
    key = {"Idempotency-Key": "one"}
    asked = {"name": "Trip", "members": [bob.id]}
    first = (await ann.client.post("/chats/", json=asked, headers=key)).json()["data"]
    await ann.client.put(f"/chats/{first['id']}/", json={"name": "Journey"})
    again = await ann.client.post("/chats/", json=asked | {"members": [bob.id, ann.id]}, headers=key)
    assert (again.json()["data"]["id"], again.json()["data"]["name"]) == (first["id"], "Journey")
    others: list[dict[str, object]] = [{"members": []}, {"name": "Journey"}, {"description": ""}]
    for other in others:
        error = refused(await ann.client.post("/chats/", json=asked | other, headers=key), "create_chat")
        assert error["subject"] == first["id"]
    direct = await ann.client.post("/chats/direct/", json={"profileId": bob.id}, headers=key)
    refused(direct, "create_chat")
    elsewhere = await bob.client.post("/chats/", json=asked, headers=key)
    assert elsewhere.json()["data"]["id"] != first["id"]


async def test_a_direct_chat_and_members_have_keys_too(
    world: HttpWorld, ann: HttpPerson, bob: HttpPerson
) -> None:
    eve = await world.person("eve@example.com")
    key = {"Idempotency-Key": "direct"}
    made = [
        await ann.client.post("/chats/direct/", json={"profileId": bob.id}, headers=key) for _ in range(2)
    ]
    chat_id = made[0].json()["data"]["id"]
    assert made[1].json()["data"]["id"] == chat_id
    error = refused(
        await ann.client.post("/chats/direct/", json={"profileId": eve.id}, headers=key), "open_direct"
    )
    assert error["subject"] == bob.id
    group = (await ann.client.post("/chats/", json={"name": "Talk"})).json()["data"]["id"]
    members, key = f"/chats/{group}/members/", {"Idempotency-Key": "members"}
    asked = {"profileIds": [bob.id, eve.id]}
    await ann.client.post(members, json=asked, headers=key)
    await ann.client.delete(f"{members}{eve.id}/")
    repeated = await ann.client.post(members, json={"profileIds": [eve.id, bob.id]}, headers=key)
    assert [each["profile"]["id"] for each in repeated.json()["data"]] == [ann.id, bob.id]
    refused(await ann.client.post(members, json={"profileIds": [eve.id]}, headers=key), "add_members")


async def test_a_key_of_a_chat_that_one_has_left_opens_it_no_more(ann: HttpPerson, bob: HttpPerson) -> None:
    key = {"Idempotency-Key": "one"}
    asked = {"name": "Trip", "members": [bob.id]}
    chat_id = (await ann.client.post("/chats/", json=asked, headers=key)).json()["data"]["id"]
    await ann.client.delete(f"/chats/{chat_id}/members/{ann.id}/")
    again = await ann.client.post("/chats/", json=asked, headers=key)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_another_password_under_the_key_of_a_sign_up_is_refused(world: HttpWorld) -> None:
    client, key = world.client(), {"Idempotency-Key": "one"}
    asked = {"email": "new@example.com", "password": PASSWORD}
    for _ in range(2):
        assert (await client.post("/accounts/sign-up/", json=asked, headers=key)).status_code == 200
    other = await client.post("/accounts/sign-up/", json=asked | {"password": "Another-1"}, headers=key)
    assert refused(other, "sign_up")["subject"] is None
    await world.deliver()
    assert len(world.mailbox.tokens) == 1
    stranger = await client.post("/accounts/sign-up/", json=asked | {"email": "b@example.com"}, headers=key)
    assert stranger.status_code == 200

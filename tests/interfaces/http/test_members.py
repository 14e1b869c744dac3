"""Members, direct chats, messages and marks over HTTP: what is answered, and each refusal by its status and code."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from attrs import evolve

from application.actor import Actor
from application.receipts.mark_read import Marked, MarkRead
from tests.interfaces.http.conftest import HttpPerson, HttpWorld
from tests.interfaces.http.test_chats import UNKNOWN, create, nobody

NO_CHAT = (404, "NOT_FOUND", "Chat not found")


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    return await world.person("ann@example.com")


@pytest.fixture
async def bob(world: HttpWorld) -> HttpPerson:
    return await world.person("bob@example.com")


@pytest.fixture
async def eve(world: HttpWorld) -> HttpPerson:
    return await world.person("eve@example.com")


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert body["status"] == "error"
    return answer.status_code, body["error"]["code"], body["error"]["message"]


def roles(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {member["profile"]["id"]: member["role"] for member in answer.json()["data"]}


async def say(
    world: HttpWorld, person: HttpPerson, chat_id: str, text: str, key: str | None = None
) -> httpx.Response:
    world.clock.at += timedelta(milliseconds=1)
    headers = {} if key is None else {"Idempotency-Key": key}
    return await person.client.post(f"/chats/{chat_id}/messages/", json={"text": text}, headers=headers)


class TestMembers:
    async def test_who_is_in_it(self, ann: HttpPerson, bob: HttpPerson) -> None:
        chat = await create(ann, name="Team", members=[bob.id])
        answer = await bob.client.get(f"/chats/{chat['id']}/members/")
        assert answer.json() == {
            "status": "success",
            "data": [
                {
                    "profile": nobody(one),
                    "role": role,
                    "joinedAt": "2026-11-23T03:34:09.900840",
                    "readUpTo": 0,
                }
                for one, role in ((ann, "owner"), (bob, "member"))
            ],
        }

    async def test_adding(self, ann: HttpPerson, bob: HttpPerson, eve: HttpPerson) -> None:
        chat = await create(ann, name="Team")
        path = f"/chats/{chat['id']}/members/"
        added = await ann.client.post(path, json={"profileIds": [bob.id, ann.id]})
        assert roles(added) == {ann.id: "owner", bob.id: "member"}
        assert refusal(await bob.client.post(path, json={"profileIds": [eve.id]}))[:2] == (403, "NOT_ALLOWED")
        assert refusal(await eve.client.post(path, json={"profileIds": [eve.id]})) == NO_CHAT
        missing = await ann.client.post(path, json={"profileIds": [eve.id, UNKNOWN]})
        assert refusal(missing) == (400, "MEMBER_NOT_FOUND", f"1 members not found: [UUID('{UNKNOWN}')]")
        assert roles(await ann.client.get(path)) == {ann.id: "owner", bob.id: "member"}

    async def test_roles(self, ann: HttpPerson, bob: HttpPerson, eve: HttpPerson) -> None:
        chat = await create(ann, name="Team", members=[bob.id, eve.id])
        path = f"/chats/{chat['id']}/members/"
        changed = await ann.client.put(f"{path}{bob.id}/", json={"role": "admin"})
        assert roles(changed) == {ann.id: "owner", bob.id: "admin", eve.id: "member"}
        assert refusal(await bob.client.put(f"{path}{eve.id}/", json={"role": "admin"}))[0] == 403
        assert refusal(await ann.client.put(f"{path}{ann.id}/", json={"role": "member"}))[:2] == (
            403,
            "NOT_ALLOWED",
        )
        assert refusal(await ann.client.put(f"{path}{UNKNOWN}/", json={"role": "member"}))[:2] == (
            404,
            "NO_SUCH_MEMBER",
        )
        handed = await ann.client.put(f"{path}{bob.id}/", json={"role": "owner"})
        assert roles(handed) == {ann.id: "admin", bob.id: "owner", eve.id: "member"}
        assert (await eve.client.get(f"/chats/{chat['id']}/")).json()["data"]["owner"] == nobody(bob)
        assert refusal(await ann.client.delete(f"/chats/{chat['id']}/"))[0] == 403

    async def test_removing_and_leaving(self, ann: HttpPerson, bob: HttpPerson, eve: HttpPerson) -> None:
        chat = await create(ann, name="Team", members=[bob.id, eve.id])
        path = f"/chats/{chat['id']}/members/"
        assert refusal(await bob.client.delete(f"{path}{eve.id}/"))[:2] == (403, "NOT_ALLOWED")
        gone = await ann.client.delete(f"{path}{bob.id}/")
        assert (gone.status_code, gone.json()) == (200, {"status": "success", "data": None})
        assert refusal(await ann.client.delete(f"{path}{bob.id}/"))[:2] == (404, "NO_SUCH_MEMBER")
        assert refusal(await bob.client.get(path)) == NO_CHAT
        assert refusal(await bob.client.delete(f"{path}{bob.id}/")) == NO_CHAT
        assert (await bob.client.get("/chats/")).json()["data"] == []
        assert (await ann.client.delete(f"{path}{ann.id}/")).status_code == 200
        assert roles(await eve.client.get(path)) == {eve.id: "owner"}
        assert (await eve.client.delete(f"{path}{eve.id}/")).status_code == 200
        assert refusal(await eve.client.get(path)) == NO_CHAT


class TestDirect:
    async def test_made_then_found(self, ann: HttpPerson, bob: HttpPerson) -> None:
        made = (await ann.client.post("/chats/direct/", json={"profileId": bob.id})).json()["data"]
        found = (await bob.client.post("/chats/direct/", json={"profileId": ann.id})).json()["data"]
        assert (made["kind"], made["role"], made["memberCount"]) == ("direct", "member", 2)
        assert made["owner"] == found["owner"] == nobody(ann)
        assert made["id"] == found["id"]
        assert (made["other"], found["other"]) == (nobody(bob), nobody(ann))
        for person, other in ((ann, bob), (bob, ann)):
            (listed,) = (await person.client.get("/chats/")).json()["data"]
            details = (await person.client.get(f"/chats/{made['id']}/")).json()["data"]
            assert listed["other"] == details["other"] == nobody(other)
        assert (made["name"], found["name"]) == (bob.id[:8], ann.id[:8]), "each sees the other's"

    async def test_its_two_stay(self, ann: HttpPerson, bob: HttpPerson, eve: HttpPerson) -> None:
        chat = (await ann.client.post("/chats/direct/", json={"profileId": bob.id})).json()["data"]
        path = f"/chats/{chat['id']}/members/"
        only = (409, "ONLY_IN_GROUPS")
        assert refusal(await ann.client.post(path, json={"profileIds": [eve.id]}))[:2] == only
        assert refusal(await ann.client.delete(f"{path}{bob.id}/"))[:2] == only
        assert refusal(await ann.client.delete(f"{path}{ann.id}/"))[:2] == only
        assert refusal(await ann.client.put(f"{path}{bob.id}/", json={"role": "admin"}))[:2] == only
        assert refusal(await ann.client.put(f"/chats/{chat['id']}/", json={"name": "x"}))[:2] == only
        assert (await bob.client.delete(f"/chats/{chat['id']}/")).status_code == 200

    async def test_with_whom_not(self, ann: HttpPerson) -> None:
        oneself = await ann.client.post("/chats/direct/", json={"profileId": ann.id})
        assert refusal(oneself)[:2] == (422, "NOT_TO_ONESELF")
        unknown = await ann.client.post("/chats/direct/", json={"profileId": UNKNOWN})
        assert refusal(unknown)[:2] == (400, "MEMBER_NOT_FOUND")


class TestMessages:
    async def test_sent_and_sent_again_under_its_key(
        self, world: HttpWorld, ann: HttpPerson, bob: HttpPerson
    ) -> None:
        chat = await create(ann, name="Team", members=[bob.id])
        first = await say(world, ann, chat["id"], " Hello ", key="k")
        message = first.json()["data"]
        assert message == {
            "id": str(UUID(message["id"])),
            "text": "Hello",
            "sender": nobody(ann),
            "readAt": None,
            "sentAt": "2026-11-23T03:34:09.901840",
            "chatId": chat["id"],
            "seq": 1,
            "position": 1,
            "nonce": "k",
        }
        again = await say(world, ann, chat["id"], "Hello", key="k")
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        other = await say(world, ann, chat["id"], "Bye", key="k")
        assert refusal(other)[:2] == (409, "NONCE_REUSED")
        error = other.json()["error"]
        assert (error["id"], error["seq"]) == (message["id"], 1)
        assert (await say(world, bob, chat["id"], "Hello", key="k")).json()["data"]["seq"] == 2
        page = (await bob.client.get(f"/chats/{chat['id']}/history/")).json()["data"]
        assert [entity["text"] for entity in page["entities"]] == ["Hello", "Hello"]

    async def test_the_same_text_too_soon(self, world: HttpWorld, ann: HttpPerson) -> None:
        chat = await create(ann, name="Team")
        assert (await say(world, ann, chat["id"], "Hello")).status_code == 200
        blocked = await say(world, ann, chat["id"], "Hello")
        assert refusal(blocked) == (429, "TOO_FREQUENT", "Message blocked: Too frequent. Wait 0.5s")
        assert blocked.headers["Retry-After"] == "1"
        assert (await say(world, ann, chat["id"], "Hello", key="k")).status_code == 200
        world.clock.at += timedelta(seconds=0.5)
        assert (await say(world, ann, chat["id"], "Hello")).json()["data"]["seq"] == 3

    @pytest.mark.parametrize(
        ("body", "key"),
        [
            ({"text": ""}, None),
            ({"text": "   "}, None),
            ({"text": "\u200b"}, None),
            ({"text": "x" * 4001}, None),
            ({"text": "nul\0"}, None),
            ({"text": 7}, None),
            ({"text": None}, None),
            ({}, None),
            ({"text": "x"}, ""),
            ({"text": "x"}, "k" * 65),
        ],
    )
    async def test_what_is_no_message(
        self, ann: HttpPerson, body: dict[str, object], key: str | None
    ) -> None:
        chat = await create(ann, name="Team")
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await ann.client.post(f"/chats/{chat['id']}/messages/", json=body, headers=headers)
        assert refusal(answer)[:2] == (422, "UNEXPECTED_VALIDATION_ERROR")
        (fault,) = answer.json()["error"]["fields"]
        assert fault["field"] == ["body", "text" if key is None else "Idempotency-Key"]
        assert (await ann.client.get(f"/chats/{chat['id']}/history/")).json()["data"]["totalCount"] == 0


class TestReading:
    async def test_up_to_a_number_or_a_message(
        self, world: HttpWorld, ann: HttpPerson, bob: HttpPerson
    ) -> None:
        chat = await create(ann, name="Team", members=[bob.id])
        sent = [(await say(world, ann, chat["id"], text)).json()["data"] for text in "abcd"]
        path = f"/chats/{chat['id']}/read/"
        for up_to, expected in (
            (1, (1, 3)),
            (sent[1]["id"], (2, 2)),
            (0, (2, 2)),
            (sent[0]["id"], (2, 2)),
            (UNKNOWN, (2, 2)),
            (99, (4, 0)),
            (2**64 - 1, (4, 0)),
        ):
            answer = await bob.client.put(path, json={"upTo": up_to})
            assert answer.status_code == 200, answer.text
            assert answer.json()["data"] == {"readUpTo": expected[0], "unreadCount": expected[1]}, up_to
        beyond = await bob.client.put(path, json={"upTo": 2**64})
        assert (beyond.status_code, beyond.json()) == (400, {"detail": "There was an error parsing the body"})
        (listed,) = (await bob.client.get("/chats/")).json()["data"]
        assert (listed["readUpTo"], listed["unreadCount"]) == (4, 0)
        members = (await ann.client.get(f"/chats/{chat['id']}/members/")).json()["data"]
        assert [member["readUpTo"] for member in members] == [0, 4]

    async def test_who_is_let_in_after_the_mark_was_refused_is_refused(
        self, world: HttpWorld, ann: HttpPerson, bob: HttpPerson
    ) -> None:
        """The count of unread messages would find a member, but nothing was marked."""
        chat = await create(ann, name="Team")
        mark_read = world.messenger.messages.mark_read

        async def and_then_let_in(actor: Actor, command: MarkRead) -> Marked:
            marked = await mark_read(actor, command)
            await ann.client.post(f"/chats/{chat['id']}/members/", json={"profileIds": [bob.id]})
            return marked

        world.messenger = evolve(
            world.messenger, messages=evolve(world.messenger.messages, mark_read=and_then_let_in)
        )
        path = f"/chats/{chat['id']}/read/"
        assert refusal(await world.client(bob.token).put(path, json={"upTo": 1})) == NO_CHAT
        assert (await bob.client.put(path, json={"upTo": 1})).status_code == 200

    @pytest.mark.parametrize(
        "body", [{}, {"upTo": None}, {"upTo": "x"}, {"upTo": -1}, {"upTo": 1.5}, {"upTo": [1]}]
    )
    async def test_what_is_no_place(self, ann: HttpPerson, body: dict[str, object]) -> None:
        chat = await create(ann, name="Team")
        answer = await ann.client.put(f"/chats/{chat['id']}/read/", json=body)
        assert refusal(answer)[:2] == (422, "UNEXPECTED_VALIDATION_ERROR")

    async def test_readers(self, world: HttpWorld, ann: HttpPerson, bob: HttpPerson) -> None:
        chat = await create(ann, name="Team", members=[bob.id])
        message = (await say(world, ann, chat["id"], "Hello")).json()["data"]
        path = f"/chats/{chat['id']}/messages/{message['id']}/readers/"
        assert (await ann.client.get(path)).json()["data"] == []
        await bob.client.put(f"/chats/{chat['id']}/read/", json={"upTo": 1})
        assert (await ann.client.get(path)).json()["data"] == [
            {"profile": nobody(bob), "readAt": "2026-11-23T03:34:09.901840"}
        ]
        unknown = await ann.client.get(f"/chats/{chat['id']}/messages/{UNKNOWN}/readers/")
        assert refusal(unknown)[:2] == (404, "MESSAGE_NOT_FOUND")


ROUTES: list[tuple[str, str, dict[str, object] | None]] = [
    ("GET", "members/", None),
    ("POST", "members/", {"profileIds": []}),
    ("PUT", f"members/{UNKNOWN}/", {"role": "admin"}),
    ("DELETE", f"members/{UNKNOWN}/", None),
    ("POST", "messages/", {"text": "x"}),
    ("PUT", "read/", {"upTo": 1}),
    ("GET", f"messages/{UNKNOWN}/readers/", None),
]


async def ask(client: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Response:
    return await client.request(method, path, **({} if body is None else {"json": body}))


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_a_chat_that_is_not_ones_own_is_answered_like_one_that_does_not_exist(
    ann: HttpPerson, bob: HttpPerson, method: str, path: str, body: Any
) -> None:
    chat = await create(ann, name="Ann's")
    strange = await ask(bob.client, method, f"/chats/{chat['id']}/{path}", body)
    unknown = await ask(bob.client, method, f"/chats/{UNKNOWN}/{path}", body)
    assert refusal(strange) == refusal(unknown) == NO_CHAT
    await ann.client.delete(f"/chats/{chat['id']}/")
    assert refusal(await ask(ann.client, method, f"/chats/{chat['id']}/{path}", body)) == NO_CHAT


@pytest.mark.parametrize(
    ("method", "path", "body"), [*ROUTES, ("POST", "../direct/", {"profileId": UNKNOWN})]
)
async def test_nobody_is_answered_without_signing_in(
    world: HttpWorld, method: str, path: str, body: Any
) -> None:
    target = "/chats/direct/" if path.startswith("..") else f"/chats/{UNKNOWN}/{path}"
    assert refusal(await ask(world.client(), method, target, body))[:2] == (401, "AUTH_ERROR")
    assert refusal(await ask(world.client("x.y.z"), method, target, body))[0] == 401


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_what_is_no_id(ann: HttpPerson, method: str, path: str, body: Any) -> None:
    assert refusal(await ask(ann.client, method, f"/chats/x/{path}", body))[:2] == (
        422,
        "UNEXPECTED_VALIDATION_ERROR",
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "members/", {"profileIds": ["x"]}),
        ("POST", "members/", {"profileIds": "x"}),
        ("PUT", "members/x/", {"role": "admin"}),
        ("PUT", f"members/{UNKNOWN}/", {"role": "king"}),
        ("PUT", f"members/{UNKNOWN}/", {"role": None}),
        ("PUT", f"members/{UNKNOWN}/", {}),
        ("DELETE", "members/x/", None),
        ("GET", "messages/x/readers/", None),
    ],
)
async def test_what_cannot_be_asked(ann: HttpPerson, method: str, path: str, body: Any) -> None:
    chat = await create(ann, name="Team")
    answer = await ask(ann.client, method, f"/chats/{chat['id']}/{path}", body)
    assert refusal(answer)[:2] == (422, "UNEXPECTED_VALIDATION_ERROR")

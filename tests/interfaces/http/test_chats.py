from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.ports.views import After, Around, Before, Newest, PageNumber, Where
from domain.ids import ChatId, Seq
from interfaces.http.chats import LAST_PAGE, place
from interfaces.wire.codec import HistoryQuery
from tests.interfaces.http.conftest import HttpPerson, HttpWorld

UNKNOWN = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


def nobody(person: HttpPerson) -> dict[str, object]:
    return dict.fromkeys(["firstName", "lastName", "middleName", "username"]) | {"id": person.id}


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    return await world.person("ann@example.com")


@pytest.fixture
async def bob(world: HttpWorld) -> HttpPerson:
    return await world.person("bob@example.com")


async def create(person: HttpPerson, **body: object) -> dict[str, Any]:
    answer = await person.client.post("/chats/", json=body)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_new_chat(ann: HttpPerson, bob: HttpPerson) -> None:
    chat = await create(ann, name="  Team chat ", description="About", members=[bob.id, ann.id])
    assert chat == {
        "id": str(UUID(chat["id"])),
        "name": "Team chat",
        "description": "About",
        "owner": nobody(ann),
        "other": None,
        "kind": "group",
        "role": "owner",
        "lastMessage": None,
        "unreadCount": 0,
        "readUpTo": 0,
        "lastSeq": 0,
        "lastPosition": 0,
        "memberCount": 2,
    }
    silent: list[dict[str, object]] = [{}, {"members": None}, {"members": []}]
    for no_members in silent:
        assert (await create(ann, name="Solo", description=None, **no_members))["memberCount"] == 1


async def test_the_list_and_the_details(world: HttpWorld, ann: HttpPerson, bob: HttpPerson) -> None:
    assert (await ann.client.get("/chats/")).json() == {"status": "success", "data": []}
    quiet = await create(ann, name="Quiet")
    busy = await create(ann, name="Busy", members=[bob.id])
    await world.say(ann, busy["id"], "hi", "Привет")
    listed = (await bob.client.get("/chats/")).json()["data"]
    message = listed[0]["lastMessage"]
    assert message == {
        "id": str(UUID(message["id"])),
        "text": "Привет",
        "sender": nobody(ann),
        "readAt": None,
        "sentAt": "2026-11-23T03:34:11.900840",
        "chatId": busy["id"],
        "seq": 2,
        "position": message["position"],
    }
    assert listed == [
        busy
        | {
            "role": "member",
            "lastMessage": message,
            "unreadCount": 2,
            "lastSeq": 2,
            "lastPosition": message["position"],
        }
    ]
    assert [chat["id"] for chat in (await ann.client.get("/chats/")).json()["data"]] == [
        busy["id"],
        quiet["id"],
    ]

    for spelling in (busy["id"], busy["id"].replace("-", ""), f"urn:uuid:{busy['id']}", busy["id"].upper()):
        details = (await bob.client.get(f"/chats/{spelling}/")).json()["data"]
        assert details == listed[0] | {
            "createdAt": "2026-11-23T03:34:09.900840",
            "updatedAt": details["updatedAt"],
            "members": [nobody(ann), nobody(bob)],
        }


async def test_changing(ann: HttpPerson, bob: HttpPerson) -> None:
    chat = await create(ann, name="Team", description="About")
    path = f"/chats/{chat['id']}/"
    for body, expected in (
        ({"name": " Renamed "}, {"name": "Renamed", "description": "About"}),
        ({"description": None}, {"name": "Renamed", "description": None}),
        ({"description": "New"}, {"name": "Renamed", "description": "New"}),
        ({}, {"name": "Renamed", "description": "New"}),
        ({"members": [ann.id, bob.id]}, {"memberCount": 2}),
        ({"members": [bob.id]}, {"memberCount": 2}),
        ({"members": None}, {"memberCount": 2}),
    ):
        answer = await ann.client.put(path, json=body)
        assert answer.status_code == 200
        assert expected.items() <= answer.json()["data"].items()


@pytest.mark.parametrize("how", ["create", "change"])
async def test_unknown_members(ann: HttpPerson, how: str) -> None:
    chat = await create(ann, name="Team")
    method, path = ("POST", "/chats/") if how == "create" else ("PUT", f"/chats/{chat['id']}/")
    answer = await ann.client.request(method, path, json={"name": "N", "members": [UNKNOWN, ann.id]})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "MEMBER_NOT_FOUND",
        "message": f"1 members not found: [UUID('{UNKNOWN}')]",
    }
    assert [chat["name"] for chat in (await ann.client.get("/chats/")).json()["data"]] == ["Team"]


async def test_the_same_missing_chat_by_the_route(world: HttpWorld, ann: HttpPerson, bob: HttpPerson) -> None:
    chat = await create(ann, name="Ann's")
    owned = await create(ann, name="Theirs", members=[bob.id])
    only_members = {"code": "AUTH_ERROR", "message": "Only chat members can see chat info"}
    prohibited = {"code": "PROHIBITED_TO_DELETE", "message": "Prohibited to delete chat"}
    not_found = {"code": "NOT_FOUND", "message": "Chat not found"}
    for chat_id in (chat["id"], UNKNOWN):
        for method, path, status, error in (
            ("GET", "", 403, only_members),
            ("PUT", "", 403, prohibited),
            ("DELETE", "", 403, prohibited),
            ("GET", "history/", 404, not_found),
        ):
            body = {"json": {"name": "x"}} if method == "PUT" else {}
            answer = await bob.client.request(method, f"/chats/{chat_id}/{path}", **body)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["error"]) == (status, error)
    for method in ("PUT", "DELETE"):
        body = {"json": {"name": "x"}} if method == "PUT" else {}
        answer = await bob.client.request(method, f"/chats/{owned['id']}/", **body)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]) == (403, prohibited)


async def test_who_is_not_signed_in_is_told_that_before_what_is_wrong_with_a_page(
    world: HttpWorld, ann: HttpPerson
) -> None:
    there = f"/chats/{(await create(ann, name='Team'))['id']}/history/"
    asked = [
        (there, 200),
        (f"{there}?before=3&after=4", 422),
        (f"{there}?limit=none", 422),
        ("/chats/none/history/", 422),
        (f"/chats/{UNKNOWN}/history/", 404),
    ]
    for _ in range(2):  # the session is known when it comes again
        for path, status in asked:
            assert (await ann.client.get(path)).status_code == status
    async with world.client() as nobody:
        assert [(await nobody.get(path)).status_code for path, _ in asked] == [401] * len(asked)
    assert (await ann.client.post("/accounts/sign-out/")).status_code == 200
    assert [(await ann.client.get(path)).status_code for path, _ in asked] == [401] * len(asked)


async def test_deleting(ann: HttpPerson) -> None:
    chat = await create(ann, name="Team")
    path = f"/chats/{chat['id']}/"
    gone = await ann.client.delete(path)
    assert (gone.status_code, gone.json()) == (200, {"status": "success", "data": None})
    assert (await ann.client.delete(path)).status_code == 403
    assert (await ann.client.get(path)).status_code == 403
    assert (await ann.client.get(f"{path}history/")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "shown", "has_before", "has_after"),
    [
        ("", range(1, 26), False, False),
        ("limit=5&offset=0", range(21, 26), True, False),
        ("limit=5&offset=1", range(21, 26), True, False),
        ("limit=5&offset=2", range(16, 21), True, True),
        ("limit=10&offset=3", range(1, 6), False, True),
        ("limit=10&offset=4", (), None, None),
        ("limit=1&limit=2&offset=1", (24, 25), True, False),
        ("limit=+5&offset=1.0", range(21, 26), True, False),
        ("limit=1_0&offset=2", range(6, 16), True, True),
        ("limit=1000000000&offset=1000000000000", (), None, None),
        ("limit=999&offset=1", range(1, 26), False, False),
        ("offset=2", range(1, 26), False, False),
        ("limit=5", range(21, 26), True, False),
        ("before=11&limit=5", range(6, 11), True, True),
        ("after=11&limit=5", range(12, 17), True, True),
        ("after=0&limit=3", (1, 2, 3), False, True),
        ("around=11&limit=4", (9, 10, 11, 12), True, True),
    ],
)
async def test_history(
    world: HttpWorld, ann: HttpPerson, asked: str, shown: Any, has_before: bool | None, has_after: bool | None
) -> None:
    chat = await create(ann, name="Team")
    await world.say(ann, chat["id"], *(f"msg {n}" for n in range(1, 26)))
    page = (await ann.client.get(f"/chats/{chat['id']}/history/?{asked}")).json()["data"]
    assert set(page) == {"totalCount", "entities", "hasBefore", "hasAfter"}
    assert page["totalCount"] == 25
    assert [(entity["seq"], entity["text"]) for entity in page["entities"]] == [
        (n, f"msg {n}") for n in shown
    ]
    if has_before is not None:
        assert (page["hasBefore"], page["hasAfter"]) == (has_before, has_after)


async def test_pages_are_bounded(world: HttpWorld, ann: HttpPerson) -> None:
    chat = await create(ann, name="Team")
    await world.say(ann, chat["id"], *("x" * 9))
    client = world.client(ann.token, history_page=3, history_most=5)
    for asked, count in (("", 3), ("?limit=4", 4), ("?limit=100&offset=1", 5)):
        page = (await client.get(f"/chats/{chat['id']}/history/{asked}")).json()["data"]
        assert len(page["entities"]) == count


@given(st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_pages_have_numbers_that_a_database_can_count(offset: int, limit: int) -> None:
    asked = HistoryQuery(chat_id=ChatId(UUID(int=1)), limit=limit, offset=offset)
    found = place(asked)
    assert isinstance(found, PageNumber)
    assert 1 <= found.number <= LAST_PAGE


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({}, Newest()),
        ({"limit": 3}, Newest()),
        ({"offset": 3}, Newest()),
        ({"limit": 3, "before": 4}, Before(Seq(4))),
        ({"after": 0}, After(Seq(0))),
        ({"around": 9}, Around(Seq(9))),
        ({"limit": 3, "offset": 2, "before": 4}, PageNumber(2)),
    ],
)
def test_where_a_page_lies(asked: dict[str, int], where: Where) -> None:
    assert place(HistoryQuery(chat_id=ChatId(UUID(int=1)), **asked)) == where

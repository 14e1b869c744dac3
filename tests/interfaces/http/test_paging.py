"""Pages over HTTP: a ``Link`` leads through a list while it changes, and only the cursors of a list open it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.errors import Unavailable
from application.paging import ChatPlace, MemberPlace, PersonPlace, Place, ReaderPlace, SessionPlace
from domain.ids import ChatId
from infrastructure.postgres.places import Place as Began
from interfaces.http.paging import Listing
from interfaces.wire.codec import ListQuery
from interfaces.wire.cursors import CURSOR_LIMIT
from interfaces.wire.validation import RequestInvalid
from tests.interfaces.http.conftest import PASSWORD, HttpPerson, HttpWorld
from tests.interfaces.http.test_polling import next_of


def chat_place(running: int, apart: int) -> ChatPlace:
    """A place in a list of chats that was first read while so many transactions were in progress."""
    next_tx = 98_765_432_109
    began = Began(next_tx, frozenset(next_tx - 1 - apart * number for number in range(running)))
    activity = datetime(2026, 11, 23, 3, 34, 9, 900840, UTC)
    return ChatPlace(began=began.written(), activity=activity, id=ChatId(uuid4()))


@pytest.mark.parametrize(("running", "apart"), [(0, 1), (1000, 1), (1000, 999), (800, 99_999)])
def test_hundreds_of_open_transactions_leave_a_cursor_that_is_accepted(running: int, apart: int) -> None:
    listing = Listing(b"key", ChatPlace, "chats")
    place = chat_place(running, apart)
    cursor = listing.write(place)
    assert len(cursor) <= CURSOR_LIMIT
    assert listing.after(ListQuery(cursor=cursor)) == place


def test_a_cursor_that_would_be_refused_is_not_given_out() -> None:
    with pytest.raises(Unavailable):
        Listing(b"key", ChatPlace, "chats").write(chat_place(3000, 99_999))


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    return await world.person("ann@example.com")


async def made(ann: HttpPerson, *members: HttpPerson) -> str:
    body = {"name": "Talk", "members": [member.id for member in members]}
    return str((await ann.client.post("/chats/", json=body)).json()["data"]["id"])


async def sign_in_again(ann: HttpPerson, device: str) -> None:
    body = {"email": "ann@example.com", "password": PASSWORD, "fingerprint": device}
    await ann.client.post("/accounts/sign-in/", json=body)


async def test_revoking_page_by_page_leaves_the_present_session_alone(
    world: HttpWorld, ann: HttpPerson
) -> None:
    for number in range(6):
        await sign_in_again(ann, f"device {number}")
    at: str | None = "/accounts/sessions/?limit=2"
    while at:
        page = await ann.client.get(at)
        for session in page.json()["data"]:
            if not session["current"]:
                path = f"/accounts/sessions/{session['id']}/"
                await ann.client.request("DELETE", path, json={"password": PASSWORD})
        at = next_of(page)
    assert len((await ann.client.get("/accounts/sessions/")).json()["data"]) == 1


async def test_a_chat_that_moves_up_is_seen_once(world: HttpWorld, ann: HttpPerson) -> None:
    chats = [await made(ann) for _ in range(6)]
    for chat_id in chats:
        await world.say(ann, chat_id, "Hello")
    page = await ann.client.get("/chats/?limit=2")
    await world.say(ann, chats[1], "up")
    seen = [chat["id"] for chat in page.json()["data"]]
    while at := next_of(page):
        page = await ann.client.get(at)
        seen += [chat["id"] for chat in page.json()["data"]]
    assert seen == chats[::-1]


async def test_a_member_who_leaves_takes_nobody_out_of_the_walk(world: HttpWorld, ann: HttpPerson) -> None:
    others = [await world.person(f"person{number}@example.com") for number in range(4)]
    chat_id = await made(ann, *others)
    page = await ann.client.get(f"/chats/{chat_id}/members/?limit=2")
    met = [member["profile"]["id"] for member in page.json()["data"]]
    await ann.client.delete(f"/chats/{chat_id}/members/{met[1]}/")
    while at := next_of(page):
        page = await ann.client.get(at)
        met += [member["profile"]["id"] for member in page.json()["data"]]
    assert sorted(met) == sorted([ann.id, *(other.id for other in others)])


async def test_people_are_found_page_by_page_with_the_exact_one_first(
    world: HttpWorld, ann: HttpPerson
) -> None:
    for number in range(23):
        person = await world.person(f"person{number}@example.com")
        changed = {"firstName": "Zed & co", "username": f"a{number:02}" if number else "zed"}
        await person.client.patch("/accounts/profile/", json=changed)
    page = await ann.client.get("/profiles/", params={"query": "zed"})
    found = [person["username"] for person in page.json()["data"]]
    assert (found[0], len(found)) == ("zed", 20)
    at = next_of(page)
    assert at
    page = await ann.client.get(at)
    found += [person["username"] for person in page.json()["data"]]
    assert next_of(page) is None
    assert sorted(found) == sorted(["zed", *(f"a{number:02}" for number in range(1, 23))])


async def test_a_message_that_arrives_does_not_repeat_others_on_the_next_page(
    world: HttpWorld, ann: HttpPerson
) -> None:
    chat_id = await made(ann)
    await world.say(ann, chat_id, *map(str, range(6)))
    page = await ann.client.get(f"/chats/{chat_id}/history/?limit=3&offset=1")
    await world.say(ann, chat_id, "later")
    at = next_of(page)
    assert at
    following = await ann.client.get(at)
    assert [one["text"] for one in following.json()["data"]["entities"]] == ["0", "1", "2"]


async def test_cursors_are_of_one_list_of_one_reader(world: HttpWorld, ann: HttpPerson) -> None:
    bob = await world.person("bob@example.com")
    first, second = [await made(ann, bob) for _ in range(2)]
    await sign_in_again(ann, "another")
    paths = ["/chats/", f"/chats/{first}/members/", f"/chats/{second}/members/", "/accounts/sessions/"]
    cursors = {}
    for path in paths:
        at = next_of(await ann.client.get(f"{path}?limit=1"))
        assert at
        cursors[path] = at.partition("cursor=")[2].partition("&")[0]
    for path in paths:
        for given_out_for, cursor in cursors.items():
            answer = await ann.client.get(path, params={"cursor": cursor, "limit": 1})
            assert answer.status_code == (200 if given_out_for == path else 422)
            if "/sessions/" not in path:
                others = await bob.client.get(path, params={"cursor": cursor})
                assert others.status_code == 422
    own = cursors["/chats/"]
    for forged in ("x", "AAAA", own[:-2], own[:-1] + ("A" if own[-1] != "A" else "B"), own + "é", "A" * 9999):
        answer = await ann.client.get("/chats/", params={"cursor": forged})
        assert answer.status_code == 422
        (fault,) = answer.json()["error"]["fields"]
        assert (fault["field"], fault["code"]) == (["query", "cursor"], "cursor_invalid")
    both = await ann.client.get("/chats/", params={"cursor": own, "skip": 1})
    assert (both.status_code, both.json()["error"]["fields"][0]["field"]) == (422, ["query", "skip"])


@pytest.mark.parametrize("limit", [2**31, 2**63 - 1, 2**70])
async def test_there_may_be_more_asked_for_than_there_is(ann: HttpPerson, limit: int) -> None:
    await made(ann)
    for path in ("/chats/", "/accounts/sessions/", "/profiles/?query=x"):
        page = await ann.client.get(path, params={"limit": limit, **({"query": "x"} if "?" in path else {})})
        assert (page.status_code, next_of(page)) == (200, None)


async def test_nodes_of_one_secret_go_on_where_another_stopped(world: HttpWorld, ann: HttpPerson) -> None:
    for _ in range(2):
        await made(ann)
    one, same, other = (world.client(ann.token, cursor_key=key) for key in (b"one", b"one", b"another"))
    at = next_of(await one.get("/chats/?limit=1"))
    assert at
    answers = [await client.get(at) for client in (one, same, other)]
    assert [answer.status_code for answer in answers] == [200, 200, 422]
    assert answers[0].content == answers[1].content


MOMENTS = st.datetimes(timezones=st.just(UTC))
PLACES = st.one_of(
    st.builds(
        ChatPlace, began=st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,9}){0,9}", fullmatch=True), activity=MOMENTS
    ),
    st.builds(MemberPlace, joined_at=MOMENTS),
    st.builds(ReaderPlace, read_at=MOMENTS),
    st.builds(SessionPlace, created_at=MOMENTS),
    st.builds(PersonPlace, rank=st.integers(0, 5), text=st.text(st.characters(exclude_categories=["Cs"]))),
)


@given(PLACES, st.data())
def test_a_cursor_is_read_as_it_was_written_and_otherwise_not_at_all(
    place: Place, data: st.DataObject
) -> None:
    listing: Listing[Any] = Listing(b"key", type(place), "a list")
    cursor = listing.write(place)
    assert listing.after(ListQuery(cursor=cursor)) == place
    index = data.draw(st.integers(0, len(cursor) - 2))
    letter = data.draw(st.sampled_from("AZaz09-_").filter(lambda each: each != cursor[index]))
    forged = cursor[:index] + letter + cursor[index + 1 :]
    elsewhere = Listing(b"key", type(place), "another list")
    for foreign, asked in (
        (listing, forged),
        (elsewhere, cursor),
        (Listing(b"", type(place), "a list"), cursor),
    ):
        with pytest.raises(RequestInvalid):
            foreign.after(ListQuery(cursor=asked))

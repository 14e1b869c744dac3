"""What was stored before today's rules may be sent again: clients that send whole forms repeat it with every change."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.chat import About
from domain.decision import Decision
from domain.ids import ChatId
from domain.profile import Name, Username
from infrastructure.postgres.account_rows import kept
from tests.interfaces.http.conftest import HttpPerson, HttpWorld

BLANK, TURNED = "\u3164", "a\u202eb"
"""Names that today's rules refuse: of nothing visible, and one that turns the text around it."""


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    """Her names are from before."""
    ann = await world.person("ann@example.com")
    async with world.storage.begin() as work:
        profile = await work.profiles.lock(ann.actor.profile_id)
        profile.first_name, profile.username = kept(Name, BLANK), kept(Username, TURNED)
        await work.profiles.save(profile)
    return ann


async def chat_of(world: HttpWorld, ann: HttpPerson) -> str:
    """A chat that got its name before."""
    chat_id = str((await ann.client.post("/chats/", json={"name": "Talk"})).json()["data"]["id"])
    async with world.storage.begin() as work:
        chat = await work.chats.lock(ChatId(UUID(chat_id)))
        chat.about = About.unjudged(TURNED, "old")
        await work.chats.keep(chat, Decision())
    return chat_id


def faults(answer: httpx.Response) -> list[tuple[Any, ...]]:
    assert answer.status_code == 422, answer.text
    return [(each["field"], each["text"], each["input"]) for each in answer.json()["error"]["fields"]]


async def test_a_whole_profile_with_old_names_changes_the_rest(ann: HttpPerson) -> None:
    own = (await ann.client.get("/accounts/profile/")).json()["data"]
    named = ("firstName", "lastName", "middleName", "username", "phone")
    whole = {name: own[name] for name in named} | {"lastName": "Lee"}
    changed = await ann.client.patch("/accounts/profile/", json=whole)
    assert (changed.status_code, changed.json()["data"]["lastName"]) == (200, "Lee")
    assert (changed.json()["data"]["firstName"], changed.json()["data"]["username"]) == (BLANK, TURNED)


async def test_another_name_of_the_kind_is_refused_and_changes_nothing(ann: HttpPerson) -> None:
    sent = {"firstName": BLANK * 2, "lastName": "Lee", "username": TURNED * 2, "middleName": TURNED}
    assert faults(await ann.client.patch("/accounts/profile/", json=sent)) == [
        (["body", "firstName"], "Value error, Name incorrect", BLANK * 2),
        (["body", "middleName"], "Value error, Name incorrect", TURNED),
        (["body", "username"], "Value error, Username incorrect", TURNED * 2),
    ]
    assert (await ann.client.get("/accounts/profile/")).json()["data"]["lastName"] is None


async def test_an_old_name_that_was_given_up_is_judged_like_any_other(ann: HttpPerson) -> None:
    assert (await ann.client.patch("/accounts/profile/", json={"firstName": "Ann"})).is_success
    assert len(faults(await ann.client.patch("/accounts/profile/", json={"firstName": BLANK}))) == 1


@pytest.mark.parametrize("sent", [{"name": TURNED}, {"name": f" {TURNED} "}, {}])
async def test_a_chat_with_an_old_name_can_be_described(
    world: HttpWorld, ann: HttpPerson, sent: dict[str, str]
) -> None:
    chat_id = await chat_of(world, ann)
    changed = await ann.client.put(f"/chats/{chat_id}/", json={**sent, "description": "new"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["data"]["name"], changed.json()["data"]["description"]) == (TURNED, "new")


@pytest.mark.parametrize("name", [BLANK, TURNED * 2])
async def test_another_name_of_the_kind_is_refused_for_a_chat(
    world: HttpWorld, ann: HttpPerson, name: str
) -> None:
    chat_id = await chat_of(world, ann)
    sent = {"name": name, "description": "new"}
    refused = await ann.client.put(f"/chats/{chat_id}/", json=sent)
    assert faults(refused) == [(["body", "name"], "Value error, Name incorrect", name)]
    assert (await ann.client.get(f"/chats/{chat_id}/")).json()["data"]["description"] == "old"


async def test_what_cannot_be_stored_is_refused_at_its_place(world: HttpWorld, ann: HttpPerson) -> None:
    chat_id = await chat_of(world, ann)
    refused = await ann.client.put(f"/chats/{chat_id}/", json={"name": "a\0b"})
    assert [each[0] for each in faults(refused)] == [["body", "name"]]
    refused = await ann.client.patch("/accounts/profile/", json={"firstName": "a\0b"})
    assert [each[0] for each in faults(refused)] == [["body", "firstName"]]

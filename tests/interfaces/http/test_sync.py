"""`GET /sync/`: pages, parts and waiting. What is told is compared with the other transports in `test_transports`."""

import asyncio
from typing import Any

import httpx
import pytest

from application.accounts.sign_out import SignOut
from application.chats.remove_member import RemoveMember
from interfaces.live import resuming
from tests.all_chats import House, opened
from tests.interfaces.live.test_hub import until
from tests.world import SignedInPerson


async def ask(house: House, person: SignedInPerson, **query: Any) -> Any:
    answer = await house.http.get("/sync/", params=query, headers=person.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()["data"]


async def refused(house: House, person: SignedInPerson, **query: Any) -> httpx.Response:
    answer = await house.http.get("/sync/", params=query, headers=person.headers)
    assert answer.status_code != 200
    return answer


async def whole(
    house: House, person: SignedInPerson, cursor: str, **more: Any
) -> tuple[list[list[Any]], str]:
    """All parts since a cursor, and the cursor after them."""
    parts = []
    while True:
        part = await ask(house, person, since=cursor, **more)
        parts.append(part["frames"])
        cursor = part["cursor"]
        if not part["hasMore"]:
            return parts, cursor


def kinds(frames: list[Any]) -> list[str]:
    return [frame["type"] for frame in frames]


class TestSnapshot:
    async def test_pages_lead_to_every_chat_once_and_leave_the_cursor_alone(self) -> None:
        async with opened(first_page=2) as house:
            ann = await house.world.person("Ann")
            chats = {str(await house.world.chat(ann.actor)) for _ in range(5)}
            answer = await ask(house, ann)
            assert kinds(answer["frames"]) == ["snapshot"]
            assert answer["cursor"]
            pages = [answer["frames"][0]]
            while pages[-1]["next"]:
                answer = await ask(house, ann, next=pages[-1]["next"])
                assert (answer["cursor"], answer["hasMore"]) == (None, False)
                pages += answer["frames"]
            assert [len(page["chats"]) for page in pages] == [2, 2, 1]
            assert {entry["chat"]["id"] for page in pages for entry in page["chats"]} == chats

    async def test_what_cannot_be_read_is_refused_or_a_reset(self) -> None:
        async with opened(first_page=1) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            for _ in range(2):
                await house.world.chat(ann.actor)
            following = (await ask(house, ann))["frames"][0]["next"]
            for wrong in (
                {"next": "forged"},
                {"next": following, "since": "x"},
                {"since": "x", "seen": "no chat:1"},
                {"since": "x", "seen": "21d79d31-3705-5068-a48b-18a2cdd3b0ae:-1"},
                {"since": "x", "wait": "soon"},
            ):
                assert (await refused(house, ann, **wrong)).status_code == 422
            assert (await refused(house, bob, next=following)).status_code == 422  # it is another person's
            for forged in ("forged", following, ""):
                answer = await ask(house, ann, since=forged)
                assert kinds(answer["frames"]) == ["reset", "snapshot"]
                assert (answer["frames"][0]["scope"], answer["frames"][0]["reason"]) == ("all", "malformed")
            assert (await house.http.get("/sync/")).status_code == 401


class TestParts:
    async def test_a_walk_tells_everything_once_whatever_happens_meanwhile(self) -> None:
        async with opened(sync={"frames_most": 3}) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chats = sorted([await house.world.chat(ann.actor, bob.actor) for _ in range(4)])
            cursor = (await ask(house, bob))["cursor"]
            for chat in chats:
                for number in range(5):
                    await house.world.say(ann.actor, chat, f"{number}")
            leaving = RemoveMember(chat_id=chats[3], profile_id=bob.actor.profile_id)
            first = await ask(house, bob, since=cursor)
            assert (len(first["frames"]), first["hasMore"]) == (3, True)
            await house.world.messenger.chats.remove_member(ann.actor, leaving)
            for chat in chats[:3]:
                await house.world.say(ann.actor, chat, "meanwhile")
            parts, after = await whole(house, bob, first["cursor"])
            told = [*first["frames"], *(frame for part in parts for frame in part)]
            for chat in chats[:3]:
                positions = [each["position"] for each in told if each.get("chat_id") == str(chat)]
                assert positions[:5] == [1, 2, 3, 4, 5]
                assert {*positions} == {1, 2, 3, 4, 5, 6}
            (removed,) = [each for each in told if each.get("chat_id") == str(chats[3])]
            assert (removed["type"], removed["reason"]) == ("chat_removed", "removed")
            assert await whole(house, bob, after) == ([[]], after)

    async def test_the_last_part_says_that_something_has_happened_since_the_first(self) -> None:
        """A client that continues after days would otherwise believe that it knows everything."""
        async with opened(sync={"frames_most": 2}) as house:
            ann = await house.world.person("Ann")
            chat = await house.world.chat(ann.actor)
            cursor = (await ask(house, ann))["cursor"]
            for number in range(3):
                await house.world.say(ann.actor, chat, f"{number}")
            first = await ask(house, ann, since=cursor)
            await house.world.say(ann.actor, chat, "meanwhile")
            last = await ask(house, ann, since=first["cursor"])
            assert last["hasMore"]
            parts, _ = await whole(house, ann, last["cursor"])
            told = [*first["frames"], *last["frames"], *(frame for part in parts for frame in part)]
            texts = [each["message"]["text"] for each in told]
            assert list(dict.fromkeys(texts)) == ["0", "1", "2", "meanwhile"]
            assert not (await ask(house, ann, since=(await ask(house, ann))["cursor"]))["hasMore"]

    async def test_a_part_is_limited_in_bytes_too_and_always_goes_on(self) -> None:
        async with opened(sync={"bytes_most": 1}) as house:
            ann = await house.world.person("Ann")
            cursor = (await ask(house, ann))["cursor"]
            chat = await house.world.chat(ann.actor)
            other = await house.world.chat(ann.actor)
            await house.world.say(ann.actor, chat, "one")
            parts, _ = await whole(house, ann, cursor)
            assert sorted(kinds([frame for part in parts for frame in part])) == ["chat_added", "chat_added"]
            assert {frame["chat_id"] for part in parts for frame in part} == {str(chat), str(other)}
            assert all(len(part) <= 1 for part in parts)

    async def test_a_long_log_takes_several_reads_and_parts(self) -> None:
        async with opened(sync={"frames_most": 150}) as house:
            ann = await house.world.person("Ann")
            chat = await house.world.chat(ann.actor)
            cursor = (await ask(house, ann))["cursor"]
            for number in range(230):
                await house.world.say(ann.actor, chat, f"{number}")
            parts, _ = await whole(house, ann, cursor)
            assert [len(part) for part in parts] == [150, 80]
            positions = [frame["position"] for part in parts for frame in part if "position" in frame]
            assert positions == list(range(1, 231))

    async def test_a_gap_keeps_its_state_in_a_later_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resuming, "REPLAY_MOST", 5)
        async with opened(sync={"frames_most": 1}) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chats = sorted([await house.world.chat(ann.actor, bob.actor) for _ in range(2)])
            cursor = (await ask(house, bob))["cursor"]
            await house.world.say(ann.actor, chats[0], "one")
            for number in range(6):
                await house.world.say(ann.actor, chats[1], f"{number}")
            parts, _ = await whole(house, bob, cursor)
            frames = [frame for part in parts for frame in part]
            (gap,) = [frame for frame in frames if frame["type"] == "gap"]
            assert (gap["chat_id"], gap["after"], gap["before"]) == (str(chats[1]), 0, 7)
            assert gap["state"]["unread_count"] == 6

    async def test_who_has_read_is_told_behind_a_gap_in_the_next_part(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resuming, "REPLAY_MOST", 2)
        async with opened(sync={"frames_most": 1}) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat = await house.world.chat(ann.actor, bob.actor)
            cursor = (await ask(house, bob))["cursor"]
            for number in range(3):
                await house.world.say(bob.actor, chat, f"{number}")
            await house.mark(ann.actor, chat, 2)
            parts, _ = await whole(house, bob, cursor)
            assert [kinds(part) for part in parts] == [["gap"], ["read_up_to"]]
            assert parts[1][0]["others_read_up_to"] == 2


class TestWaiting:
    async def test_it_ends_with_the_first_news(self) -> None:
        async with opened() as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat = await house.world.chat(ann.actor, bob.actor)
            cursor = (await ask(house, bob))["cursor"]
            waiting = asyncio.create_task(ask(house, bob, since=cursor, wait=600))
            await until(lambda: not house.hub.all_chats.is_empty)
            await house.world.say(ann.actor, chat, "news")
            answer = await waiting
            assert [each["message"]["text"] for each in answer["frames"]] == ["news"]
            assert house.hub.all_chats.is_empty
            assert house.hub.roster.is_empty

    async def test_what_happened_before_it_waited_is_answered_at_once(self) -> None:
        async with opened() as house:
            ann = await house.world.person("Ann")
            chat = await house.world.chat(ann.actor)
            cursor = (await ask(house, ann))["cursor"]
            await house.world.say(ann.actor, chat, "news")
            answer = await ask(house, ann, since=cursor, wait=600)
            assert "new_message" in kinds(answer["frames"])

    async def test_it_ends_empty_when_nothing_happens_for_so_long_as_the_server_allows(self) -> None:
        async with opened(sync={"wait_most": 0.05}) as house:
            ann = await house.world.person("Ann")
            cursor = (await ask(house, ann))["cursor"]
            answer = await ask(house, ann, since=cursor, wait=600)
            assert (answer["frames"], answer["hasMore"]) == ([], False)
            assert answer["cursor"]

    async def test_typing_is_no_news_and_a_mark_is(self) -> None:
        async with opened() as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat = await house.world.chat(ann.actor, bob.actor)
            await house.world.say(ann.actor, chat, "one")
            cursor = (await ask(house, ann))["cursor"]
            waiting = asyncio.create_task(ask(house, ann, since=cursor, wait=600))
            await until(lambda: not house.hub.all_chats.is_empty)
            await house.type(bob.actor, chat)
            await house.mark(bob.actor, chat, 1)
            frames = (await waiting)["frames"]
            assert [(each["type"], each["others_read_up_to"]) for each in frames] == [("read_up_to", 1)]

    async def test_it_ends_with_the_session(self) -> None:
        async with opened() as house:
            ann = await house.world.person("Ann")
            cursor = (await ask(house, ann))["cursor"]
            waiting = asyncio.create_task(refused(house, ann, since=cursor, wait=600))
            await until(lambda: not house.hub.all_chats.is_empty)
            await house.world.messenger.accounts.sign_out(SignOut(access_token=ann.token))
            assert (await waiting).status_code == 401
            assert house.hub.roster.is_empty

"""People talk: from the letter in the mailbox to what every device hears, over real sockets."""

import asyncio
import itertools
import json
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.system.client import (
    PATIENCE,
    ChatSocket,
    Device,
    Frame,
    Token,
    Visit,
    data,
    error,
    expired,
    token_in,
)
from tests.system.conftest import SECRET
from tests.system.metrics import scrape
from tests.system.server import Server


async def three(visit: Visit) -> tuple[list[Device], str]:
    people = [await visit.user(number) for number in (1, 2, 3)]
    return people, await people[0].create_chat("three", *people[1:])


async def two(visit: Visit) -> tuple[Device, Device, str]:
    anna, boris = await visit.user(1), await visit.user(2)
    return anna, boris, await anna.create_chat("two", boris)


async def test_from_signing_up_to_the_first_message_that_the_other_hears(
    server: Server, visit: Visit
) -> None:
    email = f"anna-{uuid4().hex[:12]}@example.com"
    http = await visit.anonymous()
    account = data(await http.post("/accounts/sign-up/", json={"email": email, "password": "Password1"}))
    assert account["email"] == email
    before = await http.post("/accounts/sign-in/", json={"email": email, "password": "Password1"})
    assert error(before) == (401, "AUTH_ERROR", "Credentials invalid")

    letter = await asyncio.to_thread(server.await_letter, email)
    token = token_in(letter)
    page = await http.get("/confirm-email", params={"token": token})
    assert page.status_code == httpx.codes.OK
    assert page.headers["content-type"].startswith("text/html")

    confirmation = {"confirmationToken": token, "fingerprint": "her phone"}
    tokens = data(await http.post("/accounts/email/confirm/", json=confirmation))
    again = await http.post("/accounts/email/confirm/", json=confirmation)
    assert error(again) == (401, "AUTH_ERROR", "Token Invalid")
    anna = await visit.admit(http, email, "her phone", tokens["accessToken"])
    assert anna.account_id == account["id"]
    username = f"anna_{uuid4().hex[:8]}"
    profile = data(await http.patch("/accounts/profile/", json={"username": username, "firstName": "Анна"}))
    assert (profile["username"], profile["firstName"], profile["id"]) == (username, "Анна", anna.profile_id)

    boris = await visit.user(1)
    found = data(await boris.http.get("/profiles/", params={"query": username}))
    assert [each["id"] for each in found] == [anna.profile_id]
    chat_id = await boris.create_chat("first", anna)
    hears, says = await boris.open(chat_id), await anna.open(chat_id)
    said = await says.say("  Привет, Борис!  ", nonce="first")

    heard = await hears.expect("new_message")
    assert heard == said
    message = heard["message"]
    assert (message["text"], message["seq"], message["sender_id"]) == ("Привет, Борис!", 1, anna.profile_id)
    assert message["sender"]["first_name"] == "Анна"
    assert message["read_at"] is None


async def test_all_devices_of_three_people_hear_all_in_one_order(visit: Visit) -> None:
    people, chat_id = await three(visit)
    devices = [(person, device) for person in (1, 2, 3) for device in ("phone", "desk")]
    sockets = [await (await visit.user(*who)).open(chat_id) for who in devices]

    async def talk(number: int, socket: ChatSocket) -> None:
        for count in range(10):
            await socket.send("send_message", text=f"{number}/{count}", nonce=f"{number}/{count}")
            await asyncio.sleep(0)

    await asyncio.gather(*itertools.starmap(talk, enumerate(sockets)))

    heard = [await socket.take("new_message", 60) for socket in sockets]
    assert all(each == heard[0] for each in heard)
    assert [frame["message"]["seq"] for frame in heard[0]] == list(range(1, 61))
    assert [(frame["after"], frame["position"]) for frame in heard[0]] == [(n, n + 1) for n in range(60)]
    assert all(frame["position"] == frame["message"]["position"] for frame in heard[0])
    said = {f"{number}/{count}" for number in range(6) for count in range(10)}
    assert {frame["message"]["text"] for frame in heard[0]} == said
    for number, socket in enumerate(sockets):
        kinds = [frame["type"] for frame in socket.seen[2:]]
        acks = [frame for frame in socket.seen if frame["type"] == "message_ack"]
        # In the order sent, which is also the order stored.
        assert [ack["nonce"] for ack in acks] == [f"{number}/{count}" for count in range(10)]
        assert [ack["seq"] for ack in acks] == sorted(ack["seq"] for ack in acks)
        assert set(kinds) == {"message_ack", "new_message"}
        assert not any(ack["duplicate"] for ack in acks)
        for ack in acks:
            own = next(f for f in heard[number] if f["message"]["nonce"] == ack["nonce"])
            message = own["message"]
            assert (ack["id"], ack["seq"], ack["position"], ack["sent_at"]) == (
                message["id"],
                message["seq"],
                message["position"],
                message["sent_at"],
            )
            assert socket.seen.index(ack) < socket.seen.index(own)
    kept = await people[2].history(chat_id)
    assert [(m["id"], m["seq"], m["text"], m["sender"]["id"]) for m in kept] == [
        (m["id"], m["seq"], m["text"], m["sender_id"]) for m in (frame["message"] for frame in heard[0])
    ]
    await sockets[0].send("get_chat_history", limit=10)
    newest = await sockets[0].until("chat_history")
    assert newest["messages"] == [frame["message"] for frame in heard[0][-10:]]
    assert newest["total_count"] == 60


async def test_a_repeated_nonce_is_stored_once_and_told_once(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    first, second, hears = await anna.open(chat_id), await anna.open(chat_id), await boris.open(chat_id)
    await first.send("send_message", text="once", nonce="n")
    ack = await first.until("message_ack")
    await second.send("send_message", text=" once ", nonce="n")
    repeat = await second.until("message_ack")
    assert repeat == ack | {"duplicate": True}
    await second.send("send_message", text="twice", nonce="n")
    conflict = await second.until("error")
    assert (conflict["code"], conflict["nonce"]) == ("nonce_reused", "n")
    assert (conflict["id"], conflict["seq"]) == (ack["id"], ack["seq"])
    # Somebody else's nonce is another nonce.
    await hears.send("send_message", text="twice", nonce="n")
    assert (await hears.until("message_ack"))["seq"] == 2
    assert [f["message"]["text"] for f in await first.take("new_message", 2)] == ["once", "twice"]
    assert [m["text"] for m in await boris.history(chat_id)] == ["once", "twice"]
    assert [f["type"] for f in await first.settle()] == []


async def test_a_frame_without_nonce_gets_no_ack_and_may_be_repeated_a_second_later(visit: Visit) -> None:
    anna, _, chat_id = await two(visit)
    socket = await anna.open(chat_id)
    # One right behind the other: an answer may take longer than the interval.
    await socket.send("send_message", text="the same")
    await socket.send("send_message", text="  the same ")
    answers = [await socket.next(), await socket.next()]
    (one,) = [frame for frame in answers if frame["type"] == "new_message"]
    (refused,) = [frame for frame in answers if frame["type"] == "error"]
    assert refused["code"] == "too_frequent"
    assert refused["message"].startswith("Message blocked: Too frequent. Wait ")
    await socket.say("The same")
    await asyncio.sleep(1.1)
    other = await socket.say("the same ")
    assert one["message"]["id"] != other["message"]["id"]
    assert "nonce" not in one["message"]
    assert {frame["type"] for frame in socket.seen[2:]} == {"new_message", "error"}


async def test_whoever_is_removed_hears_nothing_more(visit: Visit) -> None:
    (anna, boris, chloe), chat_id = await three(visit)
    stays, goes = await anna.open(chat_id), await boris.open(chat_id)
    path = f"/chats/{chat_id}/members/{boris.profile_id}/"
    assert data(await anna.http.delete(path)) is None
    await stays.say("he is gone")
    assert (await goes.closed())[0] == 4403
    assert [frame["type"] for frame in goes.seen[2:]] == ["member_removed"]
    assert (await boris.http.get(f"/chats/{chat_id}/history/")).status_code == 404
    assert len(await chloe.history(chat_id)) == 1


async def test_a_socket_that_broke_off_goes_on_where_it_was(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    says = await anna.open(chat_id)
    async with boris.dial(chat_id) as hears:
        epoch = hears.seen[0]["epoch"]
        await says.say("heard")
        position = (await hears.expect("new_message"))["position"]
    missed = [(await says.say(f"missed {number}"))["position"] for number in range(3)]
    async with boris.connect(chat_id) as back:
        await back.send("auth", token=boris.token, since={"epoch": epoch, "position": position})
        await back.expect("auth_success", position=missed[-1])
        assert [(await back.expect("new_message"))["position"] for _ in missed] == missed
        await back.expect("resumed", position=missed[-1], unread_count=4)
        await says.say("live again")
        await back.expect("new_message", position=missed[-1] + 1)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param('{"type": "auth"}', id="no token"),
        pytest.param('{"type": "auth", "token": null}', id="null"),
        pytest.param('{"type": "auth", "token": 5}', id="a number"),
        pytest.param('{"type": "auth", "token": ""}', id="empty token"),
        pytest.param('{"type": "auth", "token": "garbage"}', id="garbage"),
        pytest.param('{"type": "hello", "token": "x"}', id="another type"),
        pytest.param("[1]", id="no object"),
        pytest.param("{", id="no JSON"),
        pytest.param("", id="empty"),
    ],
)
async def test_who_does_not_say_who_it_is_is_sent_away(visit: Visit, first: str) -> None:
    async with visit.dial(str(uuid4())) as socket:
        await socket.send_raw(first)
        refusal = await socket.expect("auth_error", message="Authentication failed")
        assert refusal["code"] != "token_expired"
        assert await socket.closed() == (1008, "Authentication failed")


async def test_tokens_that_open_no_socket(visit: Visit) -> None:
    anna, _, chat_id = await two(visit)
    read = Token.read(anna.token)
    wrong = {
        "the refresh token": (anna.refresh_token, "token_type"),
        "another key": (read.signed("not the key that the server knows 0123456789"), "token_invalid"),
        "over": (expired(anna.token, SECRET), "token_expired"),
        "another audience": (Token(read.head, {**read.claims, "aud": "x"}).signed(SECRET), "token_invalid"),
        "no end": (
            Token(read.head, {k: v for k, v in read.claims.items() if k != "exp"}).signed(SECRET),
            "token_invalid",
        ),
        "no signature": (
            Token({**read.head, "alg": "none"}, read.claims).signed(SECRET).rpartition(".")[0] + ".",
            "token_invalid",
        ),
    }
    for case, (token, code) in wrong.items():
        async with visit.dial(chat_id) as socket:
            await socket.send("auth", token=token)
            refusal = await socket.expect("auth_error", message="Authentication failed")
            assert (case, refusal["code"]) == (case, code)
            assert await socket.closed() == (1008, "Authentication failed")
        bearer = {"Authorization": f"Bearer {token}"}
        status, _, _ = error(await anna.http.get("/accounts/me/", headers=bearer))
        assert (case, status) == (case, 401)
    # Put together by hand and by the right key it is the same token: what was refused above was refused for its reason.
    bearer = {"Authorization": f"Bearer {read.signed(SECRET)}"}
    assert data(await anna.http.get("/accounts/me/", headers=bearer))["id"] == anna.account_id


async def test_strangers_and_unknown_chats(visit: Visit) -> None:
    _, _, chat_id = await two(visit)
    stranger = await visit.user(3)
    async with visit.dial(chat_id) as socket:
        await socket.send("auth", token=stranger.token)
        await socket.expect("auth_error", message="You are not a member of this chat")
        assert await socket.closed() == (1008, "Access denied")
    async with visit.dial(str(uuid4())) as socket:
        await socket.send("auth", token=stranger.token)
        await socket.expect("auth_error", message="Chat not found")
        assert await socket.closed() == (1008, "Chat not found")
    for path in ("not-a-uuid", f"{chat_id}/", "x/y"):
        with pytest.raises(InvalidStatus) as refused:
            async with visit.dial(path):
                pass
        assert (path, refused.value.response.status_code) == (path, httpx.codes.FORBIDDEN)


async def test_whoever_is_silent_for_ten_seconds_is_sent_away(visit: Visit) -> None:
    anna, _, chat_id = await two(visit)
    began = time.monotonic()
    async with visit.dial(chat_id) as silent, anna.dial(chat_id) as known:
        await silent.expect("auth_error", message="Authentication failed")
        assert time.monotonic() - began >= 9.5
        assert await silent.closed() == (1008, "Authentication failed")
        assert await known.settle() == []


async def test_signing_out_ends_the_sockets_of_that_session_only(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    desk = await visit.user(1, "desk")
    gone = [await anna.open(chat_id), await anna.open(chat_id)]
    stays, other = await desk.open(chat_id), await boris.open(chat_id)
    assert data(await anna.http.post("/accounts/sign-out/")) is None
    for socket in gone:
        code, _ = await socket.closed()
        assert code == 4401
    bearer = {"Authorization": f"Bearer {anna.token}"}
    assert error(await anna.http.get("/accounts/me/", headers=bearer)) == (401, "AUTH_ERROR", "Token Invalid")
    await other.say("who is left?")
    assert (await stays.until("new_message"))["message"]["text"] == "who is left?"


async def test_a_deleted_chat_ends_its_sockets_without_another_frame(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    sockets = [await person.open(chat_id) for person in (anna, boris, boris)]
    await sockets[0].say("the last word")
    for socket in sockets[1:]:
        await socket.until("new_message")
    forbidden = await boris.http.delete(f"/chats/{chat_id}/")
    assert error(forbidden) == (403, "PROHIBITED_TO_DELETE", "Prohibited to delete chat")
    assert data(await anna.http.delete(f"/chats/{chat_id}/")) is None
    for socket in sockets:
        before = len(socket.seen)
        assert await socket.closed() == (1008, "Chat not found")
        assert len(socket.seen) == before
    is_told = False
    while not is_told:
        async with visit.dial(chat_id) as late:
            await late.send("auth", token=anna.token)
            # Word of the deletion may come once more, and then ends a socket that is just entering.
            with suppress(ConnectionClosedError):
                await late.expect("auth_error", message="Chat not found")
                is_told = True
            assert await late.closed() == (1008, "Chat not found")
    history = await anna.http.get(f"/chats/{chat_id}/history/")
    assert error(history) == (404, "NOT_FOUND", "Chat not found")
    assert chat_id not in [chat["id"] for chat in data(await anna.http.get("/chats/"))]


async def unread(device: Device, chat_id: str) -> int:
    chats = data(await device.http.get("/chats/"))
    count: int = next(chat["unreadCount"] for chat in chats if chat["id"] == chat_id)
    return count


async def test_reading_is_told_and_counted_the_same_everywhere(visit: Visit) -> None:
    (anna, boris, vera), chat_id = await three(visit)
    by_anna, by_boris, by_vera = [await each.open(chat_id) for each in (anna, boris, vera)]
    messages = [(await by_anna.say(text))["message"] for text in ("a1", "a2", "a3")]
    messages.append((await by_vera.say("v4"))["message"])
    messages.append((await by_boris.say("b5"))["message"])
    messages.append((await by_anna.say("a6"))["message"])
    ids = [message["id"] for message in messages]
    for socket in (by_anna, by_boris, by_vera):
        await socket.settle()
    await by_boris.send("get_unread_count")
    assert (await by_boris.until("unread_count")) == {"type": "unread_count", "chat_id": chat_id, "count": 5}
    assert await unread(boris, chat_id) == 5

    await by_boris.send("mark_read", last_read_message_id=ids[3])
    told = await by_boris.until("messages_read")
    assert told["read_by"] == boris.profile_id
    assert (told["message_ids"], told["read_count"]) == (ids[:4], 4)
    assert (told["from_seq"], told["to_seq"]) == (1, 4)
    assert (await by_anna.until("messages_read"), await by_vera.until("messages_read")) == (told, told)
    for socket, count in ((by_anna, 3), (by_vera, 1)):
        yours = await socket.until("your_messages_read")
        assert (yours["read_by"], yours["read_count"]) == (boris.profile_id, count)
    assert [f["type"] for f in await by_boris.settle()] == []
    assert await unread(boris, chat_id) == 1
    assert [await unread(each, chat_id) for each in (anna, vera)] == [2, 5]
    history = await anna.history(chat_id)
    assert [m["readAt"] is not None for m in history] == [True, True, True, True, False, False]
    assert data(await boris.http.get(f"/chats/{chat_id}/"))["readUpTo"] == 4

    # Again, backwards, a message of elsewhere, nonsense: silence, and nothing moves.
    elsewhere = await anna.create_chat("elsewhere", boris)
    foreign = (await (await anna.open(elsewhere)).say("here"))["message"]["id"]
    for pointer in (ids[3], ids[0], foreign, str(uuid4()), "zzz", 5, None):
        await by_boris.send("mark_read", last_read_message_id=pointer)
    await by_boris.send("mark_read")
    assert await by_boris.settle() == []
    assert await by_anna.settle() == []
    assert await unread(boris, chat_id) == 1

    again = await boris.open(chat_id)
    assert again.seen[-1]["unread_count"] == 1
    await by_boris.send("mark_read", last_read_message_id=ids[5])
    assert (await again.until("messages_read"))["message_ids"] == [ids[5]]
    assert await unread(boris, chat_id) == 0


async def test_typing_is_told_to_everybody_else(visit: Visit) -> None:
    (anna, boris, _), chat_id = await three(visit)
    phone, desk, other = await anna.open(chat_id), await anna.open(chat_id), await boris.open(chat_id)
    await phone.send("typing", is_typing=True)
    told = await other.expect("typing", chat_id=chat_id, user_id=anna.profile_id, is_typing=True)
    assert "Z" not in told["timestamp"]
    await phone.say("done")
    assert [f["type"] for f in await phone.settle()] == []
    assert [f["type"] for f in await desk.settle()] == ["new_message"]


REFUSED: list[tuple[str, str]] = [
    ('{"type": "nope"}', "Unknown message type: nope"),
    ('{"type": "auth", "token": "x"}', "Unknown message type: auth"),
    ('{"type": "join_chat"}', "Unknown message type: join_chat"),
    ('{"type": null}', "Unknown message type: None"),
    ("{}", "Unknown message type: None"),
    ("[1, 2]", "Failed to process message: "),
    ("5", "Failed to process message: "),
    ("{bad", "Failed to process message: "),
    ("", "Failed to process message: "),
    ('{"type": "send_message", "text": 5}', "Failed to process message: "),
    ('{"type": "send_message", "text": ["a"]}', "Failed to process message: "),
    ('{"type": "send_message", "text": {"a": 1}}', "Failed to process message: "),
    (json.dumps({"type": "send_message", "text": "nul\0byte"}), "Failed to send message"),
    (json.dumps({"type": "send_message", "text": "x" * 4001}), "Failed to send message"),
    ('{"type": "get_chat_history", "limit": "abc"}', "Failed to load chat history"),
    ('{"type": "get_chat_history", "limit": -1}', "Failed to load chat history"),
]


async def test_what_makes_no_sense_is_refused_and_the_socket_lives_on(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    socket, other = await anna.open(chat_id), await boris.open(chat_id)
    for frame, message in REFUSED:
        await socket.send_raw(frame)
        refusal = await socket.expect("error")
        assert refusal["message"].startswith(message), frame
        assert refusal["message"] == message or message.endswith(": ")
        assert "code" in refusal
        assert "object has no attribute" not in refusal["message"]
    long = json.dumps({"type": "send_message", "text": "x" * 4001, "nonce": "n"})
    await socket.send_raw(long)
    assert (await socket.expect("error"))["nonce"] == "n"
    for silent in ({}, {"text": ""}, {"text": "  \n"}, {"text": None}, {"text": 0}):
        await socket.send("send_message", **silent)
    assert await socket.settle() == []
    assert await other.settle() == []
    said = await socket.say("x" * 4000)
    assert said["message"]["seq"] == 1


async def test_history_on_the_socket_is_paged_as_over_rest(visit: Visit) -> None:
    anna, _, chat_id = await two(visit)
    socket = await anna.open(chat_id)
    for number in range(1, 26):
        await socket.send("send_message", text=f"m{number}", nonce=str(number))
    await socket.take("new_message", 25)

    async def page(**fields: Any) -> list[str]:
        await socket.send("get_chat_history", **fields)
        frame = await socket.until("chat_history")
        assert frame["total_count"] == 25
        return [message["text"] for message in frame["messages"]]

    def texts(first: int, last: int) -> list[str]:
        return [f"m{number}" for number in range(first, last + 1)]

    assert await page() == texts(16, 25)
    assert await page(limit=None) == texts(16, 25)
    assert (
        await page(limit=5) == await page(limit=5, offset=0) == await page(limit=5, offset=1) == texts(21, 25)
    )
    assert await page(limit=5, offset=2) == texts(16, 20)
    assert await page(limit=10, offset=3) == texts(1, 5)
    assert await page(limit=10, offset=4) == []
    assert await page(limit=0) == []
    assert await page(limit=1000) == texts(1, 25)

    async def rest(query: str) -> dict[str, Any]:
        found: dict[str, Any] = data(await anna.http.get(f"/chats/{chat_id}/history/?{query}"))
        return found

    async def rest_texts(query: str) -> list[str]:
        return [message["text"] for message in (await rest(query))["entities"]]

    assert await rest_texts("limit=5&offset=0") == await rest_texts("limit=5&offset=1") == texts(21, 25)
    assert await rest_texts("limit=10&offset=3") == texts(1, 5)
    assert await rest_texts("limit=3&before=10") == texts(7, 9)
    assert await rest_texts("limit=3&after=10") == texts(11, 13)
    around = await rest("limit=5&around=10")
    assert [m["text"] for m in around["entities"]] == texts(8, 12)
    assert (around["hasBefore"], around["hasAfter"], around["totalCount"]) == (True, True, 25)
    ends = await rest("limit=200&after=0")
    assert (len(ends["entities"]), ends["hasBefore"], ends["hasAfter"]) == (25, False, False)


async def test_leaving_detaches_one_socket(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    left, stays, other = await anna.open(chat_id), await anna.open(chat_id), await boris.open(chat_id)
    await left.send("leave_chat")
    await left.send("leave_chat")
    await left.settle()
    await other.say("do you hear?")
    assert (await stays.until("new_message"))["message"]["text"] == "do you hear?"
    assert await left.settle() == []
    await left.send("send_message", text="not any more")
    assert (await stays.until("new_message"))["message"]["text"] == "not any more"
    assert (await other.until("new_message"))["message"]["text"] == "not any more"
    assert [f["type"] for f in await left.settle()] == []
    assert [m["text"] for m in await boris.history(chat_id)] == ["do you hear?", "not any more"]


async def test_changes_of_a_chat_are_numbered_with_its_messages(visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    vera = await visit.user(3)
    socket = await boris.open(chat_id)
    await (await anna.open(chat_id)).say("one")
    renamed = {"name": " renamed ", "description": "about"}
    assert data(await anna.http.put(f"/chats/{chat_id}/", json=renamed))["name"] == "renamed"
    data(await anna.http.put(f"/chats/{chat_id}/", json={"members": [vera.profile_id]}))
    await (await vera.open(chat_id)).say("two")

    told = [await socket.next() for _ in range(4)]
    assert [f["type"] for f in told] == ["new_message", "chat_changed", "member_added", "new_message"]
    assert [(f["after"], f["position"]) for f in told] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert all(f["chat_id"] == chat_id for f in told)
    assert (told[1]["name"], told[1]["description"]) == ("renamed", "about")
    assert told[2]["by"] == anna.profile_id
    assert told[3]["message"]["seq"] == 2


async def test_frames_sent_right_behind_auth_are_answered_in_order(visit: Visit) -> None:
    anna, _, chat_id = await two(visit)
    async with visit.dial(chat_id) as socket:
        await socket.send("auth", token=anna.token)
        await socket.send("send_message", text="early", nonce="e")
        await socket.send("get_unread_count")
        kinds = [(await socket.next())["type"] for _ in range(5)]
    assert kinds[:2] == ["auth_success", "chat_history"]
    assert kinds[2] == "message_ack"
    assert sorted(kinds[3:]) == ["new_message", "unread_count"]


def run(frames: list[Frame]) -> list[int]:
    return [frame["message"]["seq"] for frame in frames if frame["type"] == "new_message"]


async def test_whoever_connects_under_load_sees_each_message_exactly_once(visit: Visit) -> None:
    """D14: the snapshot says its position, and what is live starts at the next one."""
    anna, boris, chat_id = await two(visit)
    flood, sockets = await anna.open(chat_id), list[ChatSocket]()
    comers, apart = 20, 32

    async def come() -> None:
        sockets.append(await boris.open(chat_id))

    async with asyncio.TaskGroup() as coming:
        count = 0
        while len(sockets) < comers:
            if count % apart == 0 and count < comers * apart:
                coming.create_task(come())
            await flood.send("send_message", text=f"{count}", nonce=f"{count}")
            if count % 8 == 7:  # so far ahead of the answers, and no further
                await flood.until("message_ack", nonce=f"{count - 7}")
            count += 1
    starts = set()
    for socket in sockets:
        while not (heard := run(socket.seen)) or heard[-1] < count:
            await socket.next()
        greeting, history = socket.seen[:2]
        snapshot = [message["seq"] for message in history["messages"]]
        assert greeting["seq"] == history["total_count"]
        assert snapshot == list(range(max(1, greeting["seq"] - 9), greeting["seq"] + 1))
        assert run(socket.seen) == list(range(greeting["seq"] + 1, count + 1))
        assert socket.seen[2]["position"] == greeting["position"] + 1
        starts.add(greeting["seq"])
    assert len(starts) > 5, "they come while it pours"


async def test_a_slow_reader_is_cut_and_nobody_else_feels_it(server: Server, visit: Visit) -> None:
    anna, boris, chat_id = await two(visit)
    vera = await visit.user(3)
    data(await anna.http.put(f"/chats/{chat_id}/", json={"members": [vera.profile_id]}))
    says, hears = await anna.open(chat_id), await vera.open(chat_id)
    text = "ж" * 4000  # 8 kB each: what the kernel and the outbox hold is less than five megabytes
    count, most = 0, 0.0

    async with boris.dial(chat_id, receive_buffer=16384) as slow:
        # Everything is stored and heard while it reads nothing at all: a wait for it would never end.
        while True:
            for _ in range(1 if most else 10):
                count += 1
                await says.send("send_message", text=f"{count} {text}"[:4000], nonce=f"{count}")
                await says.until("message_ack")
                await hears.until("new_message")
            waiting = (await scrape(server))["messenger_outbox_bytes"]
            if waiting < most / 2:
                break
            most = max(most, waiting)
            assert count < 700, "it reads nothing, and is not cut"
        # It reads again at once: the close is behind what it had been sent, and it has two seconds to find it.
        code, _ = await slow.closed()
        assert code == 1013
        got = run(slow.seen)
    assert run(hears.seen) == list(range(1, count + 1))
    assert got == list(range(1, len(got) + 1))  # what came before the cut is whole
    assert len(got) < count
    late = await boris.open(chat_id)
    assert late.seen[0]["seq"] == count


def test_acknowledged_means_on_disk(server: Server) -> None:
    with server.database() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
            assert (setting, row) == (setting, ("on",))
        overridden = connection.execute("SELECT count(*) FROM pg_db_role_setting").fetchone()
        assert overridden == (0,)


async def test_others_hear_of_the_first_socket_and_the_last(visit: Visit) -> None:
    anna, boris = await visit.user(1), await visit.user(2)
    chat_id = await anna.create_chat("presence", boris)
    hears = await anna.open(chat_id)
    async with boris.dial(chat_id) as first:
        async with boris.dial(chat_id) as second:
            await second.settle()
        await first.settle()
        await hears.settle()
        assert [frame["type"] for frame in hears.presence] == ["user_joined"]
        assert first.presence == []
    (ended,) = await _presence_after(hears, 1)
    assert (ended["type"], ended["user_id"]) == ("user_disconnected", boris.profile_id)


async def _presence_after(socket: ChatSocket, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        while len(socket.presence) <= count:
            await socket.settle()
    return socket.presence[count:]

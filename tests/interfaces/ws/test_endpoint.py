"""Sockets under an ASGI server that knows nothing of our protocol class."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import define, evolve
from starlette.applications import Starlette

from application.chats.delete import DeleteChat
from application.errors import Overloaded
from application.messages.send import SendMessage
from config.settings.groups import Chat, Settings
from domain.events import SessionEnd, SessionEnded
from domain.ids import ChatId
from domain.message import Body
from interfaces.live.hub import Hub
from interfaces.ws.endpoint import Sockets
from interfaces.ws.options import SocketOptions
from interfaces.ws.services import SocketServices
from tests.interfaces.ws.asgi import ClientSocket, Closed, connected
from tests.strategies import START
from tests.world import SETTINGS, MessengerWorld, SignedInPerson, TickingClock, world


@define(eq=False)
class ServedSockets:
    app: Starlette
    world: MessengerWorld
    hub: Hub

    async def people(self, count: int) -> tuple[ChatId, list[SignedInPerson]]:
        """In a chat of theirs."""
        people = [await self.world.person(f"Person {number}") for number in range(count)]
        return await self.world.chat(*(person.actor for person in people)), people

    @asynccontextmanager
    async def socket(
        self, chat_id: object, token: str | None = None, window: int = 1000
    ) -> AsyncIterator[ClientSocket]:
        async with connected(self.app, f"/chats/{chat_id}/ws", window) as socket:
            if token:
                socket.send_json({"type": "auth", "token": token})
                assert [frame["type"] for frame in await socket.receive(2)] == [
                    "auth_success",
                    "chat_history",
                ]
            yield socket


@asynccontextmanager
async def serving(
    options: SocketOptions | None = None, settings: Settings = SETTINGS, **chat: Any
) -> AsyncIterator[ServedSockets]:
    async with world(settings=evolve(settings, chat=Chat(**chat))) as here:
        messenger = here.messenger
        clock = here.application.adapters.clock()
        hub = Hub(
            feed=messenger.feed,
            clock=clock,
        )
        here.application.updates().subscribe(hub.receive)
        services = SocketServices(messenger=messenger, hub=hub, options=options or SocketOptions())
        sockets = Sockets(services)
        running = asyncio.create_task(services.run())
        try:
            yield ServedSockets(Starlette(routes=sockets.routes()), here, hub)
        finally:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


@pytest.fixture
async def server() -> AsyncIterator[ServedSockets]:
    async with serving() as server:
        yield server


async def test_a_conversation(server: ServedSockets) -> None:
    chat_id, (ann, bob) = await server.people(2)
    async with server.socket(chat_id, ann.token) as anns, server.socket(chat_id, bob.token) as bobs:
        assert (await anns.receive_json())["type"] == "user_joined"
        anns.send_json({"type": "send_message", "text": "Hello, Bob", "nonce": "n"})
        ack, own = (await anns.receive_json()), (await anns.receive_json())
        assert (ack["type"], ack["nonce"], ack["seq"], ack["duplicate"]) == ("message_ack", "n", 1, False)
        assert (own["type"], own["message"]["id"]) == ("new_message", ack["id"])
        assert (await bobs.receive_json()) == own

        bobs.send_json({"type": "get_unread_count"})
        assert (await bobs.receive_json()) == {"type": "unread_count", "chat_id": str(chat_id), "count": 1}
        bobs.send_json({"type": "mark_read", "last_read_message_id": ack["id"]})
        assert (await bobs.receive_json())["type"] == "messages_read"
        assert [(await anns.receive_json())["type"] for _ in range(2)] == [
            "messages_read",
            "your_messages_read",
        ]

        bobs.send_json({"type": "typing", "is_typing": True})
        assert (await anns.receive_json())["type"] == "typing"

        anns.send_json({"type": "send_message", "text": "Hello, Bob", "nonce": "n"})
        assert (await anns.receive_json()) == ack | {"duplicate": True}
        anns.send_json({"type": "send_message", "text": "Bye", "nonce": "n"})
        refused = await anns.receive_json()
        assert (refused["code"], refused["id"], refused["seq"]) == ("nonce_reused", ack["id"], 1)

        bobs.send_json({"type": "ping", "id": [1, "x"]})
        assert (await bobs.receive_json()) == {"type": "pong", "id": [1, "x"]}, "and nothing in between"


async def test_requests_are_answered_in_their_order(server: ServedSockets) -> None:
    chat_id, (ann, _) = await server.people(2)
    async with server.socket(chat_id, ann.token) as socket:
        for number in range(20):
            socket.send_json({"type": "send_message", "text": str(number), "nonce": str(number)})
            socket.send_json({"type": "get_chat_history", "limit": 1})
        seen = await socket.receive(60)
    histories = [frame for frame in seen if frame["type"] == "chat_history"]
    assert [frame["messages"][0]["text"] for frame in histories] == [str(number) for number in range(20)]
    assert [frame["nonce"] for frame in seen if frame["type"] == "message_ack"] == [str(n) for n in range(20)]


async def test_a_pipelined_burst_keeps_its_order() -> None:
    async with serving(SocketOptions(pending_sends=4, waiting_frames=4)) as server:
        chat_id, (ann,) = await server.people(1)
        async with server.socket(chat_id, ann.token) as socket:
            for number in range(100):
                socket.send_json({"type": "send_message", "text": str(number), "nonce": str(number)})
            frames = await socket.receive(200)
        acks = [frame for frame in frames if frame["type"] == "message_ack"]
        messages = [frame["message"] for frame in frames if frame["type"] == "new_message"]
        assert [(ack["nonce"], ack["seq"]) for ack in acks] == [(str(n), n + 1) for n in range(100)]
        assert [message["text"] for message in messages] == [str(number) for number in range(100)]
        answered: set[str] = set()
        for frame in frames:
            if frame["type"] == "message_ack":
                answered.add(frame["nonce"])
            else:
                assert frame["message"]["nonce"] in answered, (
                    "an answer comes before what it is the answer to"
                )


async def test_too_much_at_once_is_refused_by_name() -> None:
    async with serving(send_backlog=2) as server:
        chat_id, (ann,) = await server.people(1)
        async with server.socket(chat_id, ann.token) as socket:
            command = SendMessage(chat_id=chat_id, body=Body("x"))
            answers, refused = [], 0
            for _ in range(20):
                try:
                    answers.append(server.world.messenger.messages.send(ann.actor, command))
                except Overloaded:
                    refused += 1
            await asyncio.gather(*answers)
            assert (len(answers), refused) == (2, 18)
            assert [(await socket.receive_json())["message"]["seq"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "auth", "token": "none of ours"}, "token_invalid"),
        ({"type": "auth"}, "token_invalid"),
        ({"type": "send_message", "text": "x"}, "token_invalid"),
        ([], "malformed"),
    ],
)
async def test_who_does_not_say_who_it_is(server: ServedSockets, first: object, code: str) -> None:
    chat_id, _ = await server.people(1)
    async with server.socket(chat_id) as socket:
        socket.send_json(first)
        assert (await socket.receive_json()) == {
            "type": "auth_error",
            "message": "Authentication failed",
            "code": code,
        }
        assert await socket.closed() == (1008, "Authentication failed")


async def test_who_says_nothing() -> None:
    async with serving(SocketOptions(auth_timeout=0.1)) as server:
        chat_id, _ = await server.people(1)
        async with server.socket(chat_id) as socket:
            assert (await socket.receive_json())["code"] == "auth_timeout"
            assert await socket.closed() == (1008, "Authentication failed")


async def test_a_chat_of_others(server: ServedSockets) -> None:
    chat_id, _ = await server.people(1)
    stranger = await server.world.person("Stranger")
    for id_, code, close in (
        (chat_id, "not_a_member", (1008, "Access denied")),
        (ChatId(uuid4()), "chat_not_found", (1008, "Chat not found")),
    ):
        async with server.socket(id_) as socket:
            socket.send_json({"type": "auth", "token": stranger.token})
            assert (await socket.receive_json())["code"] == code
            assert await socket.closed() == close
    assert len(server.hub.channels) == 0


async def test_no_chat_at_all_refuses_the_handshake(server: ServedSockets) -> None:
    with pytest.raises(Closed):
        async with server.socket("nonsense"):
            pass


async def test_noise_is_answered(server: ServedSockets) -> None:
    chat_id, (ann,) = await server.people(1)
    async with server.socket(chat_id, ann.token) as socket:
        socket.send_text("noise")
        socket.send_bytes(b"noise")
        socket.send_json({"type": "dance"})
        assert [(await socket.receive_json())["code"] for _ in range(3)] == [
            "malformed",
            "malformed",
            "unknown_type",
        ]
        deep = "[" * 500 + "]" * 500
        socket.send_text('{"type": "ping", "id": ' + deep + "}")
        assert (await socket.receive_json())["code"] == "malformed"
        socket.send_json({"type": "ping", "id": 1})
        assert (await socket.receive_json())["type"] == "pong"


async def test_history(server: ServedSockets) -> None:
    chat_id, (ann,) = await server.people(1)
    async with server.socket(chat_id, ann.token) as socket:
        for number in range(1, 8):
            socket.send_json({"type": "send_message", "text": str(number)})
            assert (await socket.receive_json())["type"] == "new_message"
        pages = []
        for asked in ({}, {"limit": 3}, {"limit": 3, "offset": 2}, {"limit": 3, "offset": 9}, {"limit": 0}):
            socket.send_json({"type": "get_chat_history", **asked})
            pages.append(await socket.receive_json())
    assert ["".join(m["text"] for m in page["messages"]) for page in pages] == [
        "1234567",
        "567",
        "234",
        "",
        "",
    ]
    assert {page["total_count"] for page in pages} == {7}
    assert {page["unread_count"] for page in pages} == {0}


async def test_leaving_is_of_this_socket_alone(server: ServedSockets) -> None:
    chat_id, (ann, bob) = await server.people(2)
    async with server.socket(chat_id, ann.token) as here, server.socket(chat_id, ann.token) as left:
        left.send_json({"type": "leave_chat"})
        left.send_json({"type": "ping", "id": 1})
        assert (await left.receive_json())["type"] == "pong"
        await server.world.say(bob.actor, chat_id, "Hello")
        assert (await here.receive_json())["type"] == "new_message"
        left.send_json({"type": "get_unread_count"})
        assert (await left.receive_json())["count"] == 1


async def test_the_end_of_a_session_and_of_a_chat(server: ServedSockets) -> None:
    chat_id, (ann, bob) = await server.people(2)
    async with server.socket(chat_id, ann.token) as anns, server.socket(chat_id, bob.token) as bobs:
        ended = SessionEnded(
            profile_id=bob.actor.profile_id,
            session_id=bob.actor.session_id,
            reason=SessionEnd.SIGNED_OUT,
            at=START,
        )

        async def end() -> None:
            server.world.application.updates().publish([ended])

        await end()
        assert await bobs.closed() == (4401, "session ended")
        assert (await anns.receive_json())["type"] == "user_joined"
        await server.world.messenger.chats.delete(ann.actor, DeleteChat(chat_id=chat_id))
        assert await anns.closed() == (1008, "Chat not found")


@pytest.mark.parametrize("path", ["/chats/{}/ws", "/ws"])
async def test_a_session_that_reaches_its_last_day_while_a_socket_is_open(path: str) -> None:
    lasting = evolve(
        SETTINGS,
        auth=evolve(SETTINGS.auth, session_days=1),
        jwt=evolve(SETTINGS.jwt, access_lifetime=timedelta(days=1)),
    )
    async with serving(settings=lasting) as server:
        chat_id, (ann,) = await server.people(1)
        clock = server.world.application.adapters.clock()
        assert isinstance(clock, TickingClock)
        clock.step = timedelta()
        clock.at = START + timedelta(days=1, seconds=-0.05)
        async with connected(server.app, path.format(chat_id)) as socket:
            socket.send_json({"type": "auth", "token": ann.token})
            assert (await socket.receive_json())["type"] == "auth_success"
            clock.at += timedelta(minutes=1)
            with pytest.raises(Closed) as closed:
                await socket.receive(10)
        assert (closed.value.code, closed.value.reason) == (4401, "session ended")


async def test_a_message_of_who_has_gone_is_stored(server: ServedSockets) -> None:
    chat_id, (ann, bob) = await server.people(2)
    async with server.socket(chat_id, bob.token) as bobs:
        async with server.socket(chat_id, ann.token) as anns:
            anns.send_json({"type": "send_message", "text": "Bye", "nonce": "n"})
        told = {frame["type"]: frame for frame in await bobs.receive(3)}
        assert told.keys() == {"user_joined", "user_disconnected", "new_message"}
        assert told["new_message"]["message"]["text"] == "Bye"
        assert [len(channel.audience.live) for channel in server.hub.channels] == [1]


async def test_who_does_not_read_is_cut_and_others_go_on() -> None:
    async with serving(SocketOptions(outbox_frames=8, close_timeout=0.1)) as server:
        chat_id, (ann, bob) = await server.people(2)
        async with (
            server.socket(chat_id, ann.token) as anns,
            server.socket(chat_id, bob.token, window=2) as bobs,
        ):
            assert (await anns.receive_json())["type"] == "user_joined"
            for number in range(30):
                anns.send_json({"type": "send_message", "text": str(number)})
                assert (await anns.receive_json())["message"]["text"] == str(number)
            read = []
            try:
                while True:
                    read.append((await bobs.receive_json())["position"])
            except Closed as close:
                assert close.code == 1013  # noqa: PT017  # what was read before it counts as much
            assert read == list(range(1, len(read) + 1)), "up to where it was cut, without a gap"


async def test_what_a_socket_is_denied_is_logged_with_its_handshake(
    server: ServedSockets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "security")
    chat_id, _ = await server.people(1)
    stranger = await server.world.person("Stranger")
    async with server.socket(chat_id) as socket:
        socket.send_json({"type": "auth", "token": stranger.token})
        assert (await socket.receive_json())["code"] == "not_a_member"
    (line,) = [vars(record) for record in caplog.records if record.name == "security"]
    assert (line["act"], line["reason"], str(line["chat_id"])) == (
        "access_denied",
        "not_a_member",
        str(chat_id),
    )
    assert line["profile_id"] == stranger.actor.profile_id

"""
Both ways of serving a socket, over real uvicorn and real TCP: handed over under our protocol class, and the plain loop
under another class. What a client sees is the same.
"""

import asyncio
import asyncio.selector_events
import gc
import time
from typing import Any

import orjson
import pytest
from websockets.frames import Frame, Opcode

from application.ports.updates import Typing
from application.views import Snapshot
from domain.events import SessionEnd, SessionEnded
from domain.message import BODY_LIMIT
from interfaces.ws.protocol import FINAL_GRACE
from tests.interfaces.connections import note_connections, without_collections
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import ENOUGH, FRAME_LIMIT, MEBIBYTE, House, framed, serving, used
from tests.strategies import START

PROMPT = 10_000
"""
Turns of an event loop that no answer takes for which no timer is waited. A few are enough; they pass within a tenth of a
second or so.
"""

MOST_ATTRIBUTES = 21
"""The attributes that fit into a dictionary of 464 bytes. A dictionary with 22 of them takes nearly twice as much."""


class TestConversation:
    async def test_all_of_it(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann = await house.enter("Ann", chat)
        bob = await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        ann.say(type="send_message", text="Привет 🙂", nonce="n")
        ack, own = await ann.hear(), await ann.hear()
        assert (ack["type"], ack["seq"], ack["duplicate"]) == ("message_ack", 1, False)
        told = await bob.hear()
        assert own == told
        assert (told["type"], told["after"], told["message"]["text"]) == ("new_message", 0, "Привет 🙂")
        ann.say(type="send_message", text="Привет 🙂", nonce="n")
        assert (await ann.hear())["duplicate"] is True
        bob.say(type="typing", is_typing=True)
        assert (await ann.hear())["type"] == "typing"
        bob.say(type="get_unread_count")
        assert (await bob.hear())["count"] == 1
        bob.say(type="mark_single_read", message_id=told["message"]["id"])
        assert (await ann.hear())["type"] == "message_read"
        bob.say(type="get_chat_history", limit=5)
        history = await bob.hear()
        assert (history["type"], history["unread_count"], len(history["messages"])) == ("chat_history", 0, 1)
        bob.say(type="dance")
        assert (await bob.hear())["code"] == "unknown_type"
        bob.say(type="leave_chat")
        assert (await ann.hear())["type"] == "user_left"
        bob.say(type="ping", id=[1])
        assert await bob.hear() == {"type": "pong", "id": [1]}

    async def test_a_fragmented_frame(self, house: House) -> None:
        chat = await house.chat("Ann")
        ann = await house.enter("Ann", chat)
        text = orjson.dumps({"type": "send_message", "text": "Привет", "nonce": "n"})
        ann.write(Opcode.TEXT, text[:30], fin=False)
        ann.write(Opcode.PING, b"between")
        ann.write(Opcode.CONT, text[30:33], fin=False)
        ann.write(Opcode.CONT, text[33:])
        assert await ann.frame() == (Opcode.PONG, b"between")
        assert (await ann.hear())["type"] == "message_ack"

    async def test_what_came_before_the_handshake_was_answered(self, house: House) -> None:
        """A client need not wait: the first frames may come with the handshake in one packet."""
        chat, person = await house.chat("Ann"), await house.person("Ann")
        line = await house.line(chat)
        line.write(Opcode.TEXT, orjson.dumps({"type": "auth", "token": person.token}))
        for number in range(20):
            line.say(type="ping", id=number)
        assert [(await line.hear())["type"] for _ in range(2)] == ["auth_success", "chat_history"]
        assert [(await line.hear())["id"] for _ in range(20)] == list(range(20))

    @pytest.mark.parametrize("many", [1, 100])
    async def test_pipelined_frames_keep_their_order(self, house: House, many: int) -> None:
        house.hub.many = many
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        for number in range(300):
            ann.say(type="send_message", text=str(number), nonce=str(number))
            if number % 50 == 49:
                ann.say(type="ping", id=number)
        acks: list[int] = []
        told: list[int] = []
        while len(told) < 300:
            match await ann.hear():
                case {"type": "message_ack", "nonce": nonce, "seq": seq}:
                    acks.append(int(nonce))
                    assert seq == len(acks)
                case {"type": "pong", "id": id_}:
                    assert len(acks) == id_ + 1, "after the sends before it"
                case {"type": "new_message", "position": position, "message": message}:
                    assert message["seq"] <= len(acks), "an answer comes first"
                    told.append(position)
        assert acks == list(range(300))
        assert told == list(range(1, 301))
        assert [(await bob.hear())["message"]["text"] for _ in range(300)] == [str(n) for n in range(300)]

    async def test_removal_and_an_ended_session_close_it(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        bob.say(type="auth", token="again")
        assert (await bob.hear())["code"] == "unknown_type"
        person = await house.person("Ann")
        ended = SessionEnded(
            profile_id=person.actor.profile_id,
            session_id=person.actor.session_id,
            reason=SessionEnd.SIGNED_OUT,
            at=START,
        )
        house.hub.receive([ended])
        await ann.until_close()
        assert ann.close == (4401, "session ended")
        assert (await bob.hear())["type"] == "user_disconnected"
        await bob.round_trip()


class TestTheFirstSeconds:
    async def test_who_says_nothing_is_let_go(self, way: str) -> None:
        async with serving(way, auth_timeout=0.5) as house:
            chat = await house.chat("Ann")
            began = time.monotonic()
            line = await house.line(chat)
            (error,) = await line.until_close()
            assert (error["type"], error["code"], line.close) == (
                "auth_error", "auth_timeout", (1008, "Authentication failed"),
            )  # fmt: skip
            assert time.monotonic() - began > 0.4

    @pytest.mark.parametrize("said", [b"hello", b'{"type": "ping"}', b'{"type": "auth", "token": "x.y.z"}'])
    async def test_who_is_nobody(self, house: House, said: bytes) -> None:
        line = await house.line(await house.chat("Ann"))
        line.write(Opcode.TEXT, said)
        (error,) = await line.until_close()
        assert (error["type"], line.close) == ("auth_error", (1008, "Authentication failed"))

    async def test_a_stranger(self, house: House) -> None:
        chat, stranger = await house.chat("Ann"), await house.person("Eve")
        line = await house.line(chat)
        line.say(type="auth", token=stranger.token)
        (error,) = await line.until_close()
        assert (error["code"], line.close) == ("not_a_member", (1008, "Access denied"))


class TestFramesThatNobodyMaySend:
    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (framed(Opcode.TEXT, b"x" * (FRAME_LIMIT + 1)), 1009),
            (framed(Opcode.TEXT, b"x" * FRAME_LIMIT, fin=False) + framed(Opcode.CONT, b"x"), 1009),
            (framed(Opcode.TEXT, b'{"type": "\xff"}'), 1007),
            (framed(Opcode.TEXT, b'"\xed\xa0\x80"'), 1007),
            (framed(Opcode.CONT, b"x"), 1002),
            (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
            (b"\x8b\x80\0\0\0\0", 1002),
        ],
        ids=[
            "oversize",
            "oversize in parts",
            "no UTF-8",
            "a surrogate",
            "no beginning",
            "unmasked",
            "reserved",
        ],
    )
    async def test_it_is_told_why(self, house: House, raw: bytes, code: int) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        bob.writer.write(raw)
        await bob.until_close()
        assert bob.close is not None
        assert bob.close[0] == code
        assert await bob.until_cut() < 5, "also from one that does not answer the close"
        assert await ann.round_trip() < PROMPT

    async def test_a_binary_frame_is_answered(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        ann.write(Opcode.BINARY, b"\x00\xff")
        assert (await ann.hear())["code"] == "malformed"
        ann.say(type="ping", id=1)
        assert (await ann.hear())["type"] == "pong"

    async def test_a_frame_of_the_greatest_size(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        said = orjson.dumps({"type": "ping", "id": "x"})
        ann.write(Opcode.TEXT, said[:-2] + b"x" * (FRAME_LIMIT - len(said)) + said[-2:])
        assert len((await ann.hear())["id"]) > FRAME_LIMIT - 100


class TestEnds:
    async def test_a_client_that_closes_is_answered(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        bob.write(Opcode.CLOSE, (1000).to_bytes(2) + b"bye")
        await bob.until_close()
        assert bob.close is not None
        assert bob.close[0] == 1000
        assert await bob.until_cut() < 5
        assert (await ann.hear())["type"] == "user_disconnected"

    async def test_a_client_that_is_cut_is_gone(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        bob.writer.transport.abort()
        assert (await ann.hear())["type"] == "user_disconnected"

    async def test_one_that_does_not_answer_the_close_is_not_waited_for(self, house: House) -> None:
        line = await house.line(await house.chat("Ann"))
        line.say(type="ping")
        await line.until_close()
        assert await line.until_cut() < house.patience


class TestCrowds:
    async def test_what_is_told_in_one_go_is_written_in_one_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For each listener: the system call is most of what telling costs."""
        written: list[bytes] = []

        def write(transport: Any, data: bytes) -> None:
            written.append(bytes(data))
            plainly(transport, data)

        async with serving("handed over") as house:
            chat = await house.chat("Ann", "Bob")
            lines = [await house.enter("Ann", chat) for _ in range(3)]
            plainly = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]
            monkeypatch.setattr(asyncio.selector_events._SelectorSocketTransport, "write", write)  # type: ignore[attr-defined]
            bob = (await house.person("Bob")).actor.profile_id
            house.hub.receive(
                [Typing(chat_id=chat, profile_id=bob, is_typing=n % 2 == 1, at=START) for n in range(5)]
            )
            for line in lines:
                assert [(await line.hear())["is_typing"] for _ in range(5)] == [
                    False,
                    True,
                    False,
                    True,
                    False,
                ]
        assert [data.count(b'"typing"') for data in written if b'"typing"' in data] == [5, 5, 5]

    async def test_all_who_come_at_once_are_let_in_a_few_at_a_time(self, way: str) -> None:
        now, most = 0, 0

        async with serving(way, entering=4) as house:
            snapshot = house.hub.entry.snapshot

            async def counted(*asked: Any) -> Snapshot:
                nonlocal now, most
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1
                return await snapshot(*asked)

            house.hub.entry.snapshot = counted
            chat = await house.chat("Ann")
            await asyncio.gather(*(house.enter("Ann", chat) for _ in range(20)))
        assert most == 4

    async def test_one_who_reads_slowly_what_was_missed_keeps_nobody_out(self, way: str) -> None:
        async with serving(way, entering=1, entry_timeout=ENOUGH) as house:
            chat = await house.chat("Ann")
            ann = await house.person("Ann")
            for number in range(400):
                await house.world.say(ann.actor, chat, str(number).zfill(BODY_LIMIT))
            first = await house.line(chat)
            first.say(type="auth", token=ann.token)
            since = {"epoch": (await first.hear())["epoch"], "position": 0}
            slow = await house.line(chat, narrow=True)
            slow.say(type="auth", token=ann.token, since=since)
            assert (await slow.hear())["type"] == "auth_success"
            assert (await slow.hear())["type"] == "new_message"
            await house.enter("Ann", chat)
            assert slow.close is None

    async def test_one_who_waits_too_long_for_a_turn_is_told_to_come_again(
        self, way: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(way, entering=1, entry_timeout=0.05) as house:
            snapshot, is_in, goes_on = house.hub.entry.snapshot, asyncio.Event(), asyncio.Event()

            async def slow(*asked: Any) -> Snapshot:
                is_in.set()
                await goes_on.wait()
                return await snapshot(*asked)

            house.hub.entry.snapshot = slow
            chat = await house.chat("Ann")
            first = asyncio.create_task(house.enter("Ann", chat))
            await is_in.wait()
            late = await house.line(chat)
            late.say(type="auth", token=(await house.person("Ann")).token)
            await late.until_close()
            assert late.close == (1013, "try again in 1 s")
            assert "Too many sockets enter at once: some are refused (WS_ENTERING)" in caplog.text
            goes_on.set()
            await first


class TestFloods:
    async def test_a_slow_reader_is_cut_while_the_others_go_on(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob", "Eve")
        eve = await house.enter("Eve", chat, narrow=True)
        bob = await house.enter("Bob", chat)
        actor = (await house.person("Ann")).actor
        before = used()
        for batch in range(10):
            await asyncio.gather(
                *(house.world.say(actor, chat, f"{batch}.{number} {'x' * 3900}") for number in range(40))
            )
            while not (await bob.hear())["message"]["text"].startswith(f"{batch}.39 "):
                pass
            assert await bob.round_trip() < PROMPT
        assert used() - before < 64 * MEBIBYTE
        heard = await eve.until_close()
        assert eve.close is not None
        assert eve.close[0] == 1013
        positions = [frame["position"] for frame in heard if "after" in frame]
        assert positions == list(range(1, len(positions) + 1)), "whole as far as it goes"
        assert len(positions) < 400
        assert await eve.until_cut() < house.patience + 2
        assert await bob.round_trip() < PROMPT, "who read all along goes on"

    async def test_thousands_of_frames_from_one_that_does_not_read(self, house: House) -> None:
        chat, other = await house.chat("Eve"), await house.chat("Ann")
        eve, ann = await house.enter("Eve", chat, narrow=True), await house.enter("Ann", other)
        profile = (await house.person("Eve")).actor.profile_id

        async def stored() -> int:
            return (await house.world.messenger.feed.snapshot(profile, chat, 1)).seq

        before = used()
        for number in range(4000):
            eve.say(type="send_message", text=f"{number} " + "x" * 1000, nonce=str(number))
        for _ in range(20):
            earlier = await stored()
            assert await ann.round_trip() < PROMPT
            assert await stored() - earlier < 500, (
                "at most a read or two of Eve's between a question and its answer"
            )
        assert used() - before < 64 * MEBIBYTE
        heard = await eve.until_close()
        assert eve.close is not None
        assert eve.close[0] == 1013, "it was told more than it read"
        acks = [int(frame["nonce"]) for frame in heard if frame["type"] == "message_ack"]
        assert acks == list(range(len(acks)))
        assert len(acks) < 4000

    async def test_thousands_of_frames_from_one_that_reads(self, house: House) -> None:
        """Each is carried out; and what waits for its turn is bounded, so that it is held up instead."""
        ann = await house.enter("Ann", await house.chat("Ann"))
        count = 3000
        for number in range(count):
            ann.say(type="get_unread_count") if number % 2 else ann.say(type="ping", id=number)
        pongs = counts = 0
        for _ in range(count):
            match await ann.hear():
                case {"type": "pong", "id": id_}:
                    assert id_ == 2 * pongs
                    pongs += 1
                case {"type": "unread_count"}:
                    counts += 1
                    assert counts == pongs
        assert (pongs, counts) == (count // 2, count // 2)


class TestLeaving:
    """uvicorn's own class cuts the line behind its close, and with it what others hear of that."""

    @pytest.fixture(params=["handed over"])
    def way(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    async def test_who_is_talking_when_the_server_goes_is_told_so(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        house.server.should_exit = True
        await ann.until_close()
        assert ann.close == (1012, "")
        for number in range(2):  # a line that was cut is reset by the first, and fails with the second
            ann.say(type="ping", id=number)
        ann.write(Opcode.CLOSE, (1012).to_bytes(2))
        assert await ann.reader.read() == b""
        ann.writer.close()
        await ann.writer.wait_closed()

    async def test_who_does_not_answer_is_not_waited_for_long(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        house.server.should_exit = True
        await ann.until_close()
        assert await ann.until_cut() < FINAL_GRACE, "which others get"


async def test_what_read_the_handshake_is_freed_while_the_socket_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted = note_connections(monkeypatch)
    async with serving("handed over") as house:
        chat = await house.chat("Ann")
        with without_collections():
            ann = await house.enter("Ann", chat)
            assert noted.made == 1
            await until(lambda: not noted.there)
        ann.say(type="ping", id=1)
        assert await ann.hear() == {"type": "pong", "id": 1}


async def test_an_open_socket_keeps_little_of_its_way_in() -> None:
    async with serving("handed over") as house:
        ann = await house.enter("Ann", await house.chat("Ann"))
        token = (await house.person("Ann")).token.encode()
        ann.write(Opcode.PING, b"by the library")
        assert await ann.frame() == (Opcode.PONG, b"by the library")
        frames = [bytes(each.data) for each in gc.get_objects() if isinstance(each, Frame)]
        assert not [data for data in frames if data == b"by the library" or token in data]
        (open_one,) = house.server.server_state.connections
        assert len(vars(open_one)) <= MOST_ATTRIBUTES
        ann.say(type="ping", id=1)
        assert await ann.hear() == {"type": "pong", "id": 1}

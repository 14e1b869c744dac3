"""The chaos switch: what it does to sockets and requests, and that one seed does the same again."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.frames import Opcode

from infrastructure.system.chance import seeded
from interfaces.chaos.chance import Chaos, Rates
from interfaces.chaos.requests import LostAnswers
from interfaces.chaos.sockets import chaotic
from interfaces.wire.frames import Frame
from interfaces.ws.endpoint import Opening
from tests.interfaces.ws.house import ENOUGH, Line, serving

NOTHING: dict[str, Any] = {
    "drops": 0,
    "tears": 0,
    "delays": 0,
    "repeats": 0,
    "resets": 0,
    "lost_answers": 0,
}


def chaos(seed: int = 1, **rates: float) -> Chaos:
    return Chaos(Rates(**NOTHING | rates), seeded(seed))


async def heard(line: Line) -> list[dict[str, Any]]:
    """Everything until the connection breaks, which it does without a close frame."""
    frames = []
    while True:
        try:
            frames.append(await line.hear())
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return frames


class TestSockets:
    async def test_nothing_happens_at_rates_of_zero(self) -> None:
        async with serving(chaotic(chaos())) as house:
            line = await house.enter("Ann", await house.chat("Ann"))
            line.say(type="send_message", text="hello", nonce="n")
            assert [(await line.hear())["type"] for _ in range(2)] == ["message_ack", "new_message"]

    async def test_durable_frames_come_twice(self) -> None:
        async with serving(chaotic(chaos(repeats=1))) as house:
            line = await house.enter("Ann", await house.chat("Ann"))
            line.say(type="send_message", text="hello", nonce="n")
            line.say(type="ping", id=1)
            ack, first, second, pong = [await line.hear() for _ in range(4)]
            assert first == second
            assert [ack["type"], first["type"], pong["type"]] == ["message_ack", "new_message", "pong"]

    async def test_a_connection_breaks_in_place_of_a_frame(self) -> None:
        async with serving(chaotic(chaos(drops=1))) as house:
            chat = await house.chat("Ann")
            line = await house.line(chat)
            line.say(type="auth", token=(await house.person("Ann")).token)
            assert await heard(line) == []

    async def test_a_connection_breaks_within_a_frame(self) -> None:
        async with serving(chaotic(chaos(tears=1))) as house:
            chat = await house.chat("Ann")
            line = await house.line(chat)
            line.say(type="auth", token=(await house.person("Ann")).token)
            async with asyncio.timeout(ENOUGH):
                begun = await line.reader.read(65536)
            assert begun[0] == 128 + Opcode.TEXT
            assert b'"auth_success"' in begun
            assert not begun.endswith(b"}")
            assert await line.reader.read(65536) == b""

    async def test_everything_behind_a_delay_keeps_its_order(self) -> None:
        async with serving(chaotic(chaos(delays=1, delay_seconds=0.01))) as house:
            line = await house.enter("Ann", await house.chat("Ann"))
            for number in range(50):
                line.say(type="ping", id=number)
            assert [(await line.hear())["id"] for _ in range(50)] == list(range(50))

    async def test_what_is_delayed_comes_before_the_close(self) -> None:
        async with serving(chaotic(chaos(delays=1, delay_seconds=60))) as house:
            line = await house.line(await house.chat("Ann"))
            line.say(type="auth", token="not one")
            assert [frame["type"] for frame in await line.until_close()] == ["auth_error"]

    async def test_a_resume_fails(self) -> None:
        async with serving(chaotic(chaos(resets=1))) as house:
            line, token = await house.line(await house.chat("Ann")), (await house.person("Ann")).token
            line.say(type="auth", token=token, since={"epoch": "e", "position": 0})
            frames = [await line.hear() for _ in range(3)]
            assert [frame["type"] for frame in frames] == ["auth_success", "reset", "chat_history"]
            assert frames[1]["reason"] == "malformed"

    async def test_a_resume_fails_also_behind_a_ping(self) -> None:
        """Then the first message comes as a plain frame, which `websockets` does not parse."""
        async with serving(chaotic(chaos(resets=1))) as house:
            line, token = await house.line(await house.chat("Ann")), (await house.person("Ann")).token
            line.write(Opcode.PING)
            async with asyncio.timeout(ENOUGH):
                assert await line.frame() == (Opcode.PONG, b"")
            line.say(type="auth", token=token, since={"epoch": "e", "position": 0})
            frames = [await line.hear() for _ in range(2)]
            assert [frame["type"] for frame in frames] == ["auth_success", "reset"]
            assert frames[1]["reason"] == "malformed"

    async def test_the_outcome_of_a_message_is_unknown_and_it_is_stored(self) -> None:
        async with serving(chaotic(chaos(lost_answers=1))) as house:
            line = await house.enter("Ann", await house.chat("Ann"))
            line.say(type="send_message", text="hello", nonce="n")
            refusal, told = await line.hear(), await line.hear()
            assert (refusal["type"], refusal["code"], refusal["nonce"]) == ("error", "outcome_unknown", "n")
            assert told["message"]["nonce"] == "n"

    async def test_one_seed_does_the_same_again_and_another_does_not(self) -> None:
        async def run(seed: int) -> list[int]:
            """For three connections, the frames that were written before it broke."""
            written: list[int] = []

            class Counting(chaotic(chaos(seed, drops=0.02, tears=0.02))):  # type: ignore[misc]
                def hand_over(self, opening: Opening) -> None:
                    written.append(0)
                    super().hand_over(opening)

                def _write_now(self, frame: Frame) -> None:
                    written[-1] += 1
                    super()._write_now(frame)

            async with serving(Counting) as house:
                chat = await house.chat("Ann")
                token = (await house.person("Ann")).token
                for _ in range(3):
                    line = await house.line(chat)
                    line.say(type="auth", token=token)
                    for number in range(500):
                        line.say(type="ping", id=number)
                    await heard(line)
            return written

        first = await run(7)
        assert len(set(first)) > 1, "each connection has chance of its own"
        assert await run(7) == first
        assert await run(8) != first


class TestRequests:
    @pytest.fixture
    def done(self) -> list[str]:
        return []

    @pytest.fixture
    def client(self, done: list[str]) -> Callable[[float], httpx.AsyncClient]:
        async def do(request: Request) -> PlainTextResponse:
            done.append(request.method)
            return PlainTextResponse("done")

        routes = [Route("/", do, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]

        def make(share: float) -> httpx.AsyncClient:
            app = LostAnswers(Starlette(routes=routes), chaos(lost_answers=share))
            return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")

        return make

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_what_is_asked_is_done_and_answered_with_an_error(
        self, method: str, done: list[str], client: Callable[[float], httpx.AsyncClient]
    ) -> None:
        async with client(1) as http:
            answers = [await http.request(method, "/") for _ in range(40)]
        assert done == [method] * 40
        assert {answer.status_code for answer in answers} == {500, 502, 503, 504}
        promised = [answer.json()["error"]["code"] for answer in answers if answer.status_code == 503]
        assert set(promised) == {"OUTCOME_UNKNOWN"}, "any other 503 promises that nothing was done"

    async def test_reading_is_left_alone(self, client: Callable[[float], httpx.AsyncClient]) -> None:
        async with client(1) as http:
            assert (await http.get("/")).text == "done"

    async def test_nothing_happens_at_a_rate_of_zero(
        self, client: Callable[[float], httpx.AsyncClient]
    ) -> None:
        async with client(0) as http:
            assert (await http.post("/")).text == "done"

"""
A short run of both fuzzers, the same each time, and faults that are planted: a fuzzer that found nothing could otherwise be
one that looks nowhere.
"""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from interfaces.http.catalogues import Catalogues
from interfaces.http.chats import Chats
from interfaces.http.middleware import LastResort
from interfaces.ws.all_chats_desk import AllChatsDesk
from tests.fuzzing.oracle import Oracle
from tests.fuzzing.run import KINDS, Kind, fuzz
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import serving

pytestmark = pytest.mark.frames_unheld

COUNT = {"http": 150, "frames": 60}


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_found(kind: Kind) -> None:
    oracle = await fuzz(kind, 1, count=COUNT[kind])
    assert oracle.faults == []
    assert oracle.sent >= COUNT[kind]
    assert len(oracle.answers) > 8, "many kinds of answers, so it gets further than the door"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_control_costs_the_fuzzer_as_much_and_reaches_no_messenger(
    kind: Kind,
) -> None:
    oracle = await fuzz(kind, 1, count=0, quiet=3, control=40)
    assert len(oracle.quiet) == 3
    assert oracle.control is not None
    assert set(oracle.control.answers) == {"no answer" if kind == "http" else "cut"}
    assert len(oracle.control.waits) == 40 // (20 if kind == "http" else 10)
    assert (oracle.faults, oracle.sent, oracle.waits) == ([], 0, [])


def test_the_report_says_what_of_a_delay_is_the_messengers() -> None:
    oracle = Oracle(quiet=[0.010] * 3, control=Oracle(waits=[0.020] * 2), waits=[0.030] * 4)
    assert oracle.delay() == (
        "the p99 of a well-behaved client: before 10.0 ms (3 times), control 20.0 ms (2 times), meanwhile 30.0 ms (4 times),"
        " 3.00 of before, 1.50 of the control"
    )
    assert Oracle(waits=[0.030]).delay().endswith("meanwhile 30.0 ms (1 times)")


async def _fails(*_: object) -> Any:
    raise LookupError("SELECT password_hash FROM account")


def _handler_fails(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Chats, "read_all", _fails)
    patch.setattr(Chats, "read", _fails)
    patch.setattr(Chats, "create", _fails)


def _details_in_500(patch: pytest.MonkeyPatch) -> None:
    _handler_fails(patch)

    async def careless(self: LastResort, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except LookupError as error:
            await PlainTextResponse(f"LookupError: {error}", 400)(scope, receive, send)

    patch.setattr(LastResort, "__call__", careless)


def _socket_fails(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AllChatsDesk, "execute", _fails)


def _noisy_log(patch: pytest.MonkeyPatch) -> None:
    async def noisy(*_: object) -> Any:
        logging.getLogger("interfaces").error("cannot read %s", "\x00")
        raise KeyError

    patch.setattr(Catalogues, "read", noisy, raising=False)
    _handler_fails(patch)


@pytest.mark.parametrize(
    ("plant", "kind", "said"),
    [
        (_handler_fails, "http", "the server failed with 500"),
        (_details_in_500, "http", "shows internals"),
        (_noisy_log, "http", "the log has an error"),
        (_socket_fails, "frames", "the server failed with 1011"),
    ],
)
async def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], kind: Kind, said: str
) -> None:
    plant(monkeypatch)
    oracle = await fuzz(kind, 1, count=COUNT[kind])
    assert any(said in fault for fault in oracle.faults), oracle.report()


async def test_a_client_that_is_gone_before_its_connection_ends_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by fuzzing: the client had reset the connection when the server ended its output."""
    ended = []

    def write_eof(transport: Any) -> None:
        ended.append(transport)
        raise OSError(107, "Transport endpoint is not connected")

    async with serving("handed over") as house:
        chat_id = await house.chat("Ann")
        monkeypatch.setattr("asyncio.selector_events._SelectorSocketTransport.write_eof", write_eof)
        line = await house.line(chat_id)
        line.writer.write(b"\xff\xff")
        await line.until_close()
        other = await house.dial()
        other.writer.write(b"POST / HTTP/1.1\r\nHost: server\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n")
        assert " 400 " in await other.head() or ended
        await until(lambda: len(ended) >= 2)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

"""Our uvicorn HTTP class over real sockets: requests as RFC 9112 has them, and what one client may cost the others."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from attrs import define, field
from starlette.applications import Starlette
from starlette.requests import Request
from uvicorn.config import Config
from uvicorn.server import ServerState

from application.accounts.sign_in import SignIn, SignInHandler
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated, Overloaded, SecondFactorNeeded, Unavailable
from application.ports.limiter import Allowance, TooManyRequests
from interfaces.http import protocol
from interfaces.http.addresses import Networks
from interfaces.http.authentication import SIGN_INS, WEIGHT, trying_password
from interfaces.http.explanations import EXPLANATIONS
from interfaces.http.node import MOST_PIECES, PAUSE, READ, SLICE, WORK, HttpLimits, Node, Places, Turns
from interfaces.http.options import HttpOptions
from interfaces.http.protocol import HttpConnection, HttpConnections
from interfaces.pace import BYTES, NETWORK_WAITS, REFUSED_SIGN_IN, Moments, Pace
from interfaces.throttled import ThrottledWarning
from tests.interfaces.connections import note_connections, without_collections
from tests.interfaces.http.conftest import PASSWORD
from tests.interfaces.http.serving import BIG, ENOUGH, MEDIUM, STREAMED, Answer, Line, Site, app_of, serving

GET = b"GET /livez HTTP/1.1\r\nHost: server\r\n\r\n"
SMUGGLED = b"GET /url?smuggled HTTP/1.1\r\nHost: server\r\n\r\n"


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: server", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENOUGH):
        while not condition():  # noqa: ASYNC110 - of a server that tells of nothing
            await asyncio.sleep(0.005)


async def refused(line: Line, status: int) -> Answer:
    """The answer, which must be the last one: nothing that was sent behind the refused request is answered."""
    answer = await line.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    error = json.loads(answer.body)["error"]
    assert error["code"] in EXPLANATIONS
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    assert await line.rest() == b""
    return answer


class TestRequestsAsTheStandardHasThem:
    @pytest.mark.parametrize(
        ("target", "seen"),
        [
            ("/url?a=b", "GET /url?a=b server"),
            ("http://other:81/url?a=b", "GET /url?a=b other:81"),
            ("HTTPS://other/url", "GET /url? other"),
            ("http://[2001:db8::1]:81/url", "GET /url? [2001:db8::1]:81"),
        ],
    )
    async def test_targets(self, site: Site, target: str, seen: str) -> None:
        """RFC 9112, 3.2.2: the host of a target in absolute form counts, and ``Host`` does not."""
        answer = await site.ask(f"GET {target} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
        assert (answer.status, answer.body.decode()) == (200, seen)

    async def test_a_url_without_a_path_is_the_root(self, site: Site) -> None:
        for target in ("http://server", "http://server?x=1", "http://server/"):
            answer = await site.ask(f"GET {target} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
            assert (answer.status, answer.headers["location"]) == (307, "/docs")

    @pytest.mark.parametrize(
        "line",
        [
            "CONNECT server:80 HTTP/1.1",
            "GET livez HTTP/1.1",
            "GET * HTTP/1.1",
            "GET ftp://server/livez HTTP/1.1",
            "GET http:///livez HTTP/1.1",
            "GET http://user@server/livez HTTP/1.1",
        ],
    )
    async def test_targets_of_no_form(self, site: Site, line: str) -> None:
        asking = await site.line()
        asking.send(f"{line}\r\nHost: server\r\n\r\n".encode() + SMUGGLED)
        await refused(asking, 400)

    @pytest.mark.parametrize("empty", [b"\r\n", b"\n", b"\r\n\r\n\r\n"])
    async def test_empty_lines_before_a_request(self, site: Site, empty: bytes) -> None:
        """RFC 9112, 2.2: old clients put one behind a body."""
        line = await site.line()
        first = post("/echo", "Content-Length: 2", body=b"hi")
        line.send(empty + first + empty + GET + empty + GET)
        assert [(await line.answer()).status for _ in range(3)] == [200] * 3
        line.send(empty)
        assert (await line.ask(GET)).status == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            (["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
            (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
            (["Content-Length: 5", "Content-Length: 6"], 400),
            (["Content-Length: 5, 6"], 400),
            (["Content-Length: +5"], 400),
            (["Content-Length: 0x5"], 400),
            (["Content-Length: -1"], 400),
            (["Content-Length: 5 5"], 400),
            (["Content-Length : 5"], 400),
            (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 501),
            (["Transfer-Encoding: chunked, chunked"], 501),
            (["Transfer-Encoding: gzip, chunked"], 501),
            (["Transfer-Encoding: identity"], 501),
            (["Transfer-Encoding: \x0bchunked"], 400),
            (["X: a\rb"], 400),
            (["X: a\x00b"], 400),
            (["Host: other"], 400),
        ],
    )
    async def test_a_message_whose_end_is_in_two_places(
        self, site: Site, headers: list[str], status: int
    ) -> None:
        """RFC 9112, 6.1 and 6.3, and 11.2: what a proxy may read otherwise is refused, with all that follows."""
        line = await site.line()
        line.send(post("/echo", *headers, body=b"0\r\n\r\n" + SMUGGLED))
        await refused(line, status)

    @pytest.mark.parametrize(
        "body",
        [
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhelloXX0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"5;\nhello\r\n0\r\n\r\n",
            b"g\r\n",
        ],
    )
    async def test_chunks_that_are_none(self, site: Site, body: bytes) -> None:
        line = await site.line()
        line.send(post("/echo", "Transfer-Encoding: chunked", body=body + SMUGGLED))
        await refused(line, 400)

    async def test_old_and_new_versions(self, site: Site) -> None:
        line = await site.line()
        line.send(b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x") + SMUGGLED)
        await refused(line, 400)
        line = await site.line()
        line.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        await refused(line, 505)
        assert (await site.ask(b"GET /livez HTTP/1.0\r\n\r\n")).status == 200

    async def test_an_answer_tells_no_version_of_a_server(self, site: Site) -> None:
        answer = await site.ask(GET)
        assert "server" not in answer.headers
        assert "date" in answer.headers

    async def test_head_has_no_content(self, site: Site) -> None:
        line = await site.line()
        line.send(GET.replace(b"GET", b"HEAD") + GET)
        async with asyncio.timeout(ENOUGH):
            head = await line.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 43" in head.lower()
        assert (await line.answer()).status == 200


@define(eq=False)
class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    written: bytearray = field(factory=bytearray)
    is_closed: bool = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


async def answers_to(app: Starlette, pieces: list[bytes], last: bytes) -> bytes:
    """What is answered to bytes that come in these pieces, until ``last`` is in it."""
    config = Config(app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False)
    node = Node(HttpLimits(), descriptors=1024)
    wire = Wire()
    connection = HttpConnection(node, config=config, server_state=ServerState(), app_state={})
    connection.connection_made(wire)
    for piece in pieces:
        connection.data_received(piece)
        await asyncio.sleep(0)
    await until(lambda: last in wire.written or wire.is_closed)
    connection.connection_lost(None)
    assert (node.places.taken, node.bodies.held) == (0, 0)
    return bytes(wire.written)


async def test_however_it_is_cut_it_is_read_alike() -> None:
    app = app_of(HttpOptions())
    sent = (
        b"\r\n"
        + post(
            "/echo", "Transfer-Encoding: chunked", body=chunked(b"one", b"\r\n\r\n", end=b"0\r\nX: y\r\n\r\n")
        )
        + post("/echo", "Content-Length: 6", body=b"\r\n\r\nab")
        + b"\r\nGET /url?last HTTP/1.1\r\nHost: server\r\n\r\n"
    )
    last = b"GET /url?last server"
    whole = await answers_to(app, [sent], last)
    assert [part in whole for part in (b"one\r\n\r\n", b"\r\n\r\nab", last)] == [True] * 3
    for cut in range(1, len(sent)):
        assert await answers_to(app, [sent[:cut], sent[cut:]], last) == whole, cut
    assert await answers_to(app, [sent[at : at + 1] for at in range(len(sent))], last) == whole


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("behind", [b"\r\n", b"no request\r\n\r\n", SMUGGLED, b"x" * 2 * SLICE])
async def test_nothing_behind_the_last_request_of_a_connection_is_looked_at(
    site: Site, version: str, behind: bytes
) -> None:
    """RFC 9112, 9.6. Old clients send an empty line behind a body (2.2); the answer is that of the request all the same."""
    last = (
        f"POST /echo {version}\r\nHost: server\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi".encode()
    )
    together = await site.line()
    together.send(last + behind)
    one_by_one = await site.line()
    for at in range(len(last) - 1):
        one_by_one.send(last[at : at + 1])
        await asyncio.sleep(0)
    one_by_one.send(last[-1:] + behind)
    for line in (together, one_by_one):
        answer = await line.answer()
        assert (answer.status, answer.headers["connection"], answer.body) == (200, "close", b"hi")
        assert await line.rest() == b""


class TestTheLastAnswer:
    """Clients that first send everything and only then read, as many do, can read the last answer (RFC 9112, 9.6)."""

    @pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
    @pytest.mark.parametrize("path", ["/unread", "/nope", "/accounts/sign-in/"])
    async def test_it_is_not_lost_behind_a_body_that_nobody_reads(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, path: str, framing: str
    ) -> None:
        monkeypatch.setattr(protocol, "FINAL_GRACE", ENOUGH)
        body = b"x" * 1_000_000 if "Length" in framing else chunked(*[b"x" * 100_000] * 10)
        line = await site.line()
        line.writer.transport.set_write_buffer_limits(0)
        line.send(post(path, "Connection: close", framing, body=body))
        await line.writer.drain()
        answer = await line.answer()
        assert (answer.status < 500, answer.headers["connection"]) == (True, "close")
        async with asyncio.timeout(ENOUGH):
            assert await line.reader.read() == b"", "no reset"

    @pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
    async def test_it_is_announced_where_the_rest_of_a_body_is_too_much_to_be_read(
        self, site: Site, framing: str
    ) -> None:
        line = await site.line()
        line.send(post("/unread", framing))
        assert (await line.answer()).headers["connection"] == "close"

    async def test_a_body_that_is_nearly_there_ends_no_connection(self, site: Site) -> None:
        line = await site.line()
        line.send(post("/unread", "Content-Length: 1000", body=b"x" * 900))
        assert "connection" not in (await line.answer()).headers
        line.send(b"x" * 100 + post("/unread", "Content-Length: 0"))
        assert (await line.answer()).status == 200

    async def test_no_more_is_dropped_for_it_than_so_much(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "FINAL_GRACE", ENOUGH)
        monkeypatch.setattr(protocol, "DROPPED", 200_000)
        line = await site.line()
        line.send(post("/unread", "Connection: close", "Content-Length: 1000000000"))
        assert (await line.answer()).status == 200
        line.writer.transport.set_write_buffer_limits(0)
        line.send(b"x" * 20_000_000)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(line.writer.drain(), ENOUGH)


class TestBoundsOfARequest:
    async def test_headers_are_counted(self, site: Site) -> None:
        for count, is_taken in ((99, True), (100, False), (4000, False)):
            line = await site.line()
            line.send(b"GET /livez HTTP/1.1\r\nHost: server\r\n" + b"a:\r\n" * count + b"\r\n" + SMUGGLED)
            if is_taken:
                assert (await line.answer()).status == 200
            else:
                await refused(line, 431)

    async def test_a_head_is_so_long(self, site: Site) -> None:
        for size, is_taken in ((15_000, True), (20_000, False), (200_000, False)):
            line = await site.line()
            line.send(b"GET /livez HTTP/1.1\r\nHost: server\r\nA: " + b"x" * size + b"\r\n\r\n")
            if is_taken:
                assert (await line.answer()).status == 200
            else:
                await refused(line, 431)

    async def test_chunks_are_counted(self) -> None:
        async with serving(chunks=50) as site:
            taken = await site.ask(post("/echo", "Transfer-Encoding: chunked", body=chunked(*[b"x"] * 50)))
            assert (taken.status, taken.body) == (200, b"x" * 50)
            line = await site.line()
            line.send(post("/echo", "Transfer-Encoding: chunked", body=chunked(*[b"x"] * 51) + SMUGGLED))
            await refused(line, 400)

    @pytest.mark.parametrize(
        "body",
        [
            b"1;" + b"x" * 20_000 + b"\r\nx\r\n0\r\n\r\n",
            b"0\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
            b"0\r\na: " + b"x" * 20_000 + b"\r\n\r\n",
        ],
    )
    async def test_extensions_of_chunks_and_trailers_are_so_long(self, site: Site, body: bytes) -> None:
        line = await site.line()
        line.send(post("/echo", "Transfer-Encoding: chunked", body=body))
        await refused(line, 431)

    async def test_requests_sent_ahead_are_counted(self) -> None:
        async with serving(pipelined=10) as site:
            line = await site.line()
            line.send(GET * 30)
            answers = [await line.answer() for _ in range(11)]
            assert [answer.headers.get("connection") for answer in answers] == [None] * 10 + ["close"]
            assert await line.rest() == b""
            patient = await site.line()
            for _ in range(30):
                assert (await patient.ask(GET)).status == 200

    async def test_a_body_that_is_too_long_is_told_so_before_the_end(self) -> None:
        async with serving(body_limit=1000) as site:
            line = await site.line()
            line.send(post("/echo", "Content-Length: 100000", body=b"x" * 100_000))
            answer = await line.answer()
            assert answer.status == 413
            assert (await line.ask(GET)).status == 200, "the rest was read and dropped"
            line.send(post("/echo", "Content-Length: 10000000"))
            assert (await line.answer()).status == 413
            line.send(b"x" * 1_000_000)
            assert await line.rest() == b"", "nobody reads ten megabytes to drop them"

    async def test_who_expects_a_go_ahead_hears_a_refusal_instead(self) -> None:
        async with serving(body_limit=1000) as site:
            line = await site.line()
            headers = "Content-Length: 5", "Expect: 100-continue"
            line.send(post("/echo", *headers))
            async with asyncio.timeout(ENOUGH):
                assert b" 100 " in await line.reader.readuntil(b"\r\n\r\n")
            assert (await line.ask(b"hello")).body == b"hello"
            answer = await site.ask(post("/echo", "Content-Length: 5000", "Expect: 100-continue"))
            assert answer.status == 413

    async def test_a_body_that_is_refused_gets_no_go_ahead(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Found by fuzzing: the refusal had ended the output when the endpoint asked for the body."""
        line = await site.line()
        line.send(post("/echo", "Transfer-Encoding: chunked", "Expect: 100-continue", body=b"g\r\n"))
        await refused(line, 400)
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


class TestDeadlines:
    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            (b"", b""),
            (b"\r\n", b""),
            (b"GET /live", b"HTTP/1.1 408 "),
            (b"GET /livez HTTP/1.1\r\nHost: server\r\n", b"HTTP/1.1 408 "),
        ],
    )
    async def test_a_head_that_never_comes_is_not_waited_for(self, sent: bytes, told: bytes) -> None:
        await self.ends(sent, told, head_seconds=0.5)

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            (post("/echo", "Content-Length: 10", body=b"{"), b"HTTP/1.1 408 "),
            (post("/echo", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n"), b"HTTP/1.1 408 "),
            (post("/wait", "Content-Length: 10", body=b"{"), b"HTTP/1.1 405 "),
        ],
    )
    async def test_a_body_that_never_comes_is_not_waited_for(self, sent: bytes, told: bytes) -> None:
        await self.ends(sent, told, body_seconds=0.5)

    async def ends(self, sent: bytes, told: bytes, **limits: Any) -> None:
        others: dict[str, Any] = {
            "head_seconds": 10 * ENOUGH,
            "body_seconds": 10 * ENOUGH,
            "idle_seconds": 10 * ENOUGH,
        }
        async with serving(**{**others, **limits}) as site:
            line = await site.line()
            line.send(sent)
            assert (await line.rest())[:13] == told
            line.writer.transport.abort()
            await until(lambda: site.node.places.taken == 0)
            assert site.node.bodies.held == 0

    async def test_a_byte_now_and_then_moves_no_deadline(self) -> None:
        async with serving(head_seconds=0.3, body_seconds=0.3) as site:
            for begun in (b"GET /", post("/echo", "Content-Length: 100000")):
                line = await site.line()
                line.send(begun)

                async def drip(line: Line = line) -> None:
                    while True:
                        line.send(b"x")
                        await asyncio.sleep(0.02)

                dripping = asyncio.create_task(drip())
                assert (await line.answer()).status == 408
                dripping.cancel()
                await asyncio.wait({dripping})

    async def test_between_requests_it_may_be_longer(self) -> None:
        async with serving(head_seconds=1.0, body_seconds=1.0, idle_seconds=ENOUGH) as site:
            line = await site.line()
            assert (await line.ask(GET)).status == 200
            await asyncio.sleep(1.2)
            assert (await line.ask(GET)).status == 200
        async with serving(idle_seconds=0.1) as site:
            line = await site.line()
            assert (await line.ask(GET)).status == 200
            assert await line.rest() == b""

    def test_balancers_close_first(self) -> None:
        assert HttpLimits().idle_seconds > 60

    async def test_an_answer_that_takes_its_time_is_waited_for(self) -> None:
        limits: dict[str, Any] = dict.fromkeys(
            ("head_seconds", "body_seconds", "idle_seconds", "write_seconds"), 1.0
        )
        async with serving(**limits) as site:
            line = await site.line()
            line.send(b"GET /wait HTTP/1.1\r\nHost: server\r\n\r\n")
            await asyncio.sleep(1.2)
            site.app.state.door.set()
            assert (await line.answer()).body == b"at last"

    async def test_an_answer_that_is_not_read_is_given_up(self, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(write_seconds=0.3) as site:
            line = await site.line(narrow=True)
            line.send(b"GET /big HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: site.node.places.taken == 1)
            await until(lambda: site.node.places.taken == 0)
            assert len(await line.rest()) < BIG
        assert any("deadline" in record.getMessage() for record in caplog.records)

    async def test_who_reads_slowly_gets_all_of_it(self) -> None:
        # Longer than a busy machine keeps this process waiting: the deadline and the client's reads are in one event loop.
        async with serving(write_seconds=5.0) as site:
            line = await site.line(narrow=True)
            line.send(b"GET /big HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n")
            got, loop = 0, asyncio.get_running_loop()
            began = loop.time()
            async with asyncio.timeout(2 * ENOUGH):
                for _ in range(11):
                    got += len(await line.reader.readexactly(BIG // 12))
                    await asyncio.sleep(0.5)
                assert loop.time() - began > 5.0
                got += len(await line.reader.read())
            assert got > BIG


class TestStopping:
    async def test_a_client_that_stalls_is_given_up_first(self, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(shutdown_seconds=3.0) as site:
            sending, reading = await site.line(), await site.line(narrow=True)
            sending.send(post("/echo", "Content-Length: 10", body=b"half"))
            reading.send(b"GET /big HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: site.node.bodies.held == 4)
            open_ones = cast("set[HttpConnection]", site.server.server_state.connections)
            await until(lambda: any(each.flow.write_paused for each in open_ones))
            await site.stop()
            await refused(sending, 408)
            assert len(await reading.rest()) < BIG
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []

    async def test_a_request_that_does_not_end_is_told_so(self, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(shutdown_seconds=0.1) as site:
            line = await site.line()
            line.send(b"GET /wait HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: len(site.server.server_state.tasks) == 1)
            await site.stop()
            answer = await refused(line, 503)
            assert json.loads(answer.body)["error"]["code"] == "OUTCOME_UNKNOWN"
        (told,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
        assert told.startswith("Cancel 1 running task(s)")

    async def test_a_request_that_ends_is_answered(self) -> None:
        async with serving(shutdown_seconds=ENOUGH) as site:
            asking, sending = await site.line(), await site.line()
            asking.send(b"GET /wait HTTP/1.1\r\nHost: server\r\n\r\n")
            sending.send(post("/echo", "Content-Length: 10", body=b"half"))
            await until(lambda: site.node.bodies.held == 4)
            stopping = asyncio.create_task(site.stop())
            await until(lambda: not site.server.servers[0].is_serving())
            sending.send(b"a whole")
            site.app.state.door.set()
            assert (await asking.answer()).body == b"at last"
            assert (await sending.answer()).body == b"halfa whol"
            await stopping


class TestMemoryOfBodies:
    async def test_the_oldest_unfinished_body_gives_way(self, caplog: pytest.LogCaptureFixture) -> None:
        limits = HttpLimits(bodies_bytes=100_000)
        connections = HttpConnections(limits, 1024)
        async with serving(connections=connections) as site:
            lines = []
            for number in range(1, 11):
                lines.append(await site.line())
                lines[-1].send(post("/echo", "Content-Length: 200000", body=b"x" * 20_000))
                await until(lambda n=number: site.node.bodies.held == min(n, 5) * 20_000)  # type: ignore[misc]
            for line in lines[:5]:
                await refused(line, 503)
            assert site.node.bodies.held <= 100_000
            quick = await site.ask(post("/echo", "Content-Length: 1000", body=b"y" * 1000))
            assert quick.body == b"y" * 1000
            for line in lines:
                line.writer.transport.abort()
            await until(lambda: site.node.bodies.held == 0)
        lines_told = [record for record in caplog.records if "API_BODIES_LIMIT" in record.getMessage()]
        assert len(lines_told) == 1

    async def test_what_was_held_is_released_when_the_connections_end(self) -> None:
        async with serving(connections=HttpConnections(HttpLimits(), 1024)) as site:
            lines = [await site.line() for _ in range(40)]
            for line in lines:
                line.send(post("/echo", "Content-Length: 262144", body=b"x" * 262_000))
            await until(lambda: site.node.bodies.held == 40 * 262_000)
            for line in lines:
                line.writer.transport.abort()
            await until(lambda: site.node.bodies.held == 0)


async def narrow_on_both_sides(site: Site) -> Line:
    """The only connection, for which the system keeps next to nothing: what its client does not read waits in the transport."""
    line = await site.line(narrow=True)
    await until(lambda: len(site.server.server_state.connections) == 1)
    (connection,) = cast("set[HttpConnection]", site.server.server_state.connections)
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return line


class TestMemoryOfAnswers:
    async def test_what_waits_longest_for_its_reader_is_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(answers_bytes=3 * BIG) as site:
            lines = []
            for number in range(1, 8):
                lines.append(await site.line(narrow=True))
                lines[-1].send(b"GET /big HTTP/1.1\r\nHost: server\r\n\r\n")
                await until(lambda n=number: site.node.answers.held >= min(n, 2) * BIG)  # type: ignore[misc]
                assert site.node.answers.held <= 3 * BIG
                assert (await site.ask(b"GET /url HTTP/1.1\r\nHost: server\r\n\r\n")).status == 200
            whole = [len((await line.rest_of(BIG)).partition(b"\r\n\r\n")[2]) for line in lines]
            assert all(length < BIG for length in whole[:5])
            assert whole[5:] == [BIG, BIG]
            await until(lambda: site.node.answers.held == 0)
        lines_told = [record for record in caplog.records if "API_ANSWERS_LIMIT" in record.getMessage()]
        assert len(lines_told) == 1

    async def test_who_reads_at_once_makes_nothing_wait(self) -> None:
        async with serving(answers_bytes=BIG) as site:
            for _ in range(3):
                line = await site.line()
                assert len((await line.ask(b"GET /big HTTP/1.1\r\nHost: server\r\n\r\n")).body) == BIG
            await until(lambda: site.node.answers.held == 0)

    async def test_a_stream_that_was_read_does_not_wait_any_more(self) -> None:
        async with serving() as site:
            line = await site.line(narrow=True)
            line.send(b"GET /stream HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: site.node.answers.held > 0)
            assert site.node.answers.held < BIG
            head = await line.reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head.lower()
            async with asyncio.timeout(ENOUGH):
                for _ in range(BIG // STREAMED):
                    await line.reader.readuntil(b"x\r\n")
            assert site.node.answers.held == 0
            assert len(site.server.server_state.tasks) == 1, "the stream is still open"

    async def test_what_was_read_does_not_wait_until_more_is_written(self) -> None:
        async with serving() as site:
            line = await narrow_on_both_sides(site)
            line.send(b"GET /part HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: site.node.answers.held > MEDIUM // 2)
            assert b"transfer-encoding: chunked" in (await line.reader.readuntil(b"\r\n\r\n")).lower()
            async with asyncio.timeout(ENOUGH):
                size = int(await line.reader.readuntil(b"\r\n"), 16)
                assert await line.reader.readexactly(size) == b"x" * MEDIUM
            await until(lambda: site.node.answers.held == 0)
            assert len(site.server.server_state.tasks) == 1, "the stream is still open"

    async def test_what_waits_is_counted_although_the_answer_is_complete(self) -> None:
        async with serving() as site:
            line = await narrow_on_both_sides(site)
            line.send(b"GET /medium HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: site.node.answers.held > MEDIUM // 2)
            assert not site.server.server_state.tasks, "the answer is complete"
            assert (await line.answer()).body == b"x" * MEDIUM
            assert site.node.answers.held == 0


class TestPlaces:
    async def test_the_longest_waited_for_of_a_network_gives_way(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(connections_per_network=5) as site:
            other = await site.line(source="127.0.0.2")
            assert (await other.ask(GET)).status == 200
            lines = []
            for _ in range(12):
                lines.append(await site.line())
                await until(lambda: site.node.places.taken <= 6)
            assert (await lines[-1].ask(GET)).status == 200
            for line in lines[:7]:
                assert await line.rest() == b""
            for line in [*lines[7:], other]:
                assert (await line.ask(GET)).status == 200
        told = [record for record in caplog.records if "API_CONNECTIONS_PER_NETWORK" in record.getMessage()]
        assert len(told) == 1

    async def test_who_is_being_answered_keeps_the_place(self) -> None:
        async with serving(connections_per_network=3) as site:
            lines = [await site.line() for _ in range(3)]
            for line in lines:
                line.send(b"GET /wait HTTP/1.1\r\nHost: server\r\n\r\n")
            await until(lambda: not site.node.places._waited and site.node.places.taken == 3)
            answer = await refused(await site.line(), 503)
            assert answer.headers["retry-after"] == "5"
            site.app.state.door.set()
            for line in lines:
                assert (await line.answer()).body == b"at last"
            assert (await site.ask(GET)).status == 200

    async def test_descriptors_are_kept_for_the_rest(self) -> None:
        async with serving(descriptors=24) as site:
            assert (await site.ask(GET)).status == 200
            assert site.node.places.most == 18
            lines = [await site.line() for _ in range(40)]
            assert (await lines[-1].ask(GET)).status == 200
            await until(lambda: site.node.places.taken <= 18)

    def test_proxies_count_for_the_node_alone(self) -> None:
        places = Places(4, 2, Networks.of(["10.0.0.0/8"]))
        assert all(places.take("10.0.0.1") for _ in range(3))
        assert places.take("203.0.113.5")
        assert places.take("203.0.113.5") is None

    def test_a_network_is_one_client(self) -> None:
        places = Places(10, 2)
        assert places.take("2001:db8:1:1::1")
        assert places.take("2001:db8:1:1::2")
        assert places.take("2001:db8:1:1:ffff::3") is None
        other = places.take("2001:db8:1:2::1")
        assert other
        other.leave()
        other.leave()
        assert places.taken == 2

    def test_defaults(self) -> None:
        async def made() -> tuple[int, int]:
            node = Node(HttpLimits(), descriptors=1024)
            return node.places.most, node.places.most_of_network

        assert asyncio.run(made()) == (896, 672)


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        pytest.param(b"", lambda each: not each._tail, id="silent"),
        pytest.param(GET[:-4], lambda each: each._tail, id="half a head"),
        pytest.param(
            GET * 3, lambda each: each.server_state.total_requests == 3 and not each._serving, id="answered"
        ),
        pytest.param(
            post("/echo", "Content-Length: 100000", body=b"x" * 50_000),
            lambda each: each._serving and each._remaining == 50_000,
            id="half a body",
        ),
        pytest.param(
            post("/livez", "Transfer-Encoding: chunked", body=b"nonsense"),
            lambda each: each._drops_input and not each._serving,
            id="ending",
        ),
    ],
)
async def test_a_connection_that_is_over_is_freed_without_a_collection(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, state: Callable[[HttpConnection], object]
) -> None:
    noted = note_connections(monkeypatch)
    with without_collections():
        async with serving() as site:
            line = await site.line()
            line.send(sent)
            await until(lambda: noted.made == 1 and all(state(each) for each in noted.there))
            line.writer.transport.abort()
            await until(lambda: not noted.there)


class Takes(Pace):
    """A pace that remembers what it was asked for."""

    def __init__(self, per_second: int, **more: Any) -> None:
        super().__init__(per_second, warning=NETWORK_WAITS, **more)
        self.waits: list[float] = []
        self.networks: list[object] = []

    def take(self, asking: Any, requests: int = 1) -> float:
        self.networks.append(asking)
        self.waits.append(super().take(asking, requests))
        return self.waits[-1]


class TestPace:
    @asynccontextmanager
    async def paced(self, per_second: int, **more: Any) -> AsyncIterator[tuple[Site, Takes]]:
        """The clock stands still, so that a moment is as far away as those who came before it make it."""
        async with serving() as site:
            assert (await site.ask(GET)).status == 200
            pace = Takes(per_second, **{"saved_seconds": 0.0, "now": lambda: 0.0, **more})
            site.node.moments = Moments(pace)
            yield site, pace

    async def test_who_asks_too_often_waits(self) -> None:
        loop = asyncio.get_running_loop()
        async with self.paced(10) as (site, pace):
            line = await site.line()
            began = loop.time()
            line.send(GET * 3)
            for tenths in range(3):
                assert (await line.answer()).status == 200
                assert loop.time() - began > tenths / 10 - 0.01, "uvloop counts in milliseconds"
            assert pace.waits == [0.0, 0.1, 0.2]
            assert pace.take("127.0.0.2") == 0.0

    @pytest.mark.parametrize(
        ("sent", "moments"), [(b"", 1), (GET, 1), (GET * 3, 3), (b"no request\r\n\r\n", 1)]
    )
    async def test_what_takes_a_moment(self, sent: bytes, moments: int) -> None:
        """A connection with its first request, and each further one, also if it is sent ahead or is refused."""
        async with self.paced(0) as (site, pace):
            line = await site.line()
            line.send(sent)
            for _ in range(sent.count(b"\r\n\r\n")):
                await line.answer()
            await until(lambda: len(pace.networks) >= moments)
            assert pace.networks == ["127.0.0.1"] * moments

    @pytest.mark.parametrize(("password", "requests"), [(PASSWORD, 1), ("wrong", REFUSED_SIGN_IN)])
    @pytest.mark.parametrize("form", ["json", "x-www-form-urlencoded"])
    async def test_a_refused_sign_in_counts_as_many(self, form: str, password: str, requests: int) -> None:
        path = "/accounts/sign-in/" if form == "json" else "/accounts/sign-in/swagger/"
        fields = {"email": "one@example.com", "password": password}
        body = json.dumps(fields) if form == "json" else urlencode(fields)
        async with self.paced(10) as (site, pace):
            await site.app.state.world.person("one@example.com")
            headers = [f"Content-Type: application/{form}", f"Content-Length: {len(body.encode())}"]
            answer = await site.ask(post(path, *headers, body=body.encode()))
            assert answer.status == (200 if password == PASSWORD else 401)
            assert pace.take("127.0.0.1") == pytest.approx(requests / 10)

    async def test_a_wrong_password_counts_as_many_also_if_its_sender_leaves_before_the_answer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, is_over = asyncio.Event(), asyncio.Event()

        async def refuses(self: SignInHandler, command: SignIn) -> SignedIn:
            begun.set()
            await is_over.wait()
            raise NotAuthenticated("credentials_invalid")

        monkeypatch.setattr(SignInHandler, "__call__", refuses)
        body = json.dumps({"email": "one@example.com", "password": "wrong"}).encode()
        headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        async with self.paced(10) as (site, pace):
            line = await site.line()
            line.send(post("/accounts/sign-in/", *headers, body=body))
            async with asyncio.timeout(ENOUGH):
                await begun.wait()
            (connection,) = [
                each
                for each in site.server.server_state.connections
                if isinstance(each, HttpConnection) and each._serving
            ]
            line.writer.transport.abort()
            await until(lambda: connection._is_over)
            is_over.set()
            await until(lambda: not site.server.server_state.tasks)
            assert pace.take("127.0.0.1") == pytest.approx(REFUSED_SIGN_IN / 10)

    async def test_guesses_that_are_sent_at_once_wait_for_each_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three begin at once. One more begins when one of them was right, and none when one was wrong."""
        begun: list[asyncio.Future[None]] = []

        async def verifies(self: SignInHandler, command: SignIn) -> SignedIn:
            begun.append(is_over := asyncio.get_running_loop().create_future())
            await is_over
            raise AssertionError

        monkeypatch.setattr(SignInHandler, "__call__", verifies)
        body = json.dumps({"email": "one@example.com", "password": "a guess"}).encode()
        headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        sign_in = post("/accounts/sign-in/", *headers, body=body)
        async with serving() as site:
            pace = Takes(1, saved_seconds=2.0, most_seconds=2000.0, now=lambda: 0.0)
            setattr(site.app.state, SIGN_INS, Moments(pace))
            lines = [await site.line() for _ in range(6)]
            for line in lines[:3]:
                line.send(sign_in)
            await until(lambda: len(begun) == 3)
            pace.charge("127.0.0.1", 1000 * BYTES)  # the next moment comes later than the test ends
            for line in lines[3:5]:
                line.send(sign_in)
            await until(lambda: len(pace.waits) == 5)
            assert len(begun) == 3
            assert min(pace.waits[3:]) >= 1000.0

            begun[0].set_exception(NotAuthenticated("credentials_invalid"))
            assert (await lines[0].answer()).status == 401
            assert len(begun) == 3, "a wrong password is not given back"
            begun[1].set_exception(SecondFactorNeeded("token", 300))
            assert (await lines[1].answer()).status == 403
            await until(lambda: len(begun) == 4)
            begun[2].set_exception(Overloaded())
            assert (await lines[2].answer()).status == 503
            await until(lambda: len(begun) == 5)

            pace.charge("127.0.0.1", 10**12)
            lines[5].send(sign_in)
            answer = await lines[5].answer()
            assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
            assert pace.networks == ["127.0.0.1"] * 6
            for each in begun[3:]:
                each.set_exception(NotAuthenticated("credentials_invalid"))
            assert [(await line.answer()).status for line in lines[3:5]] == [401] * 2
            assert len(begun) == 5, "one that was refused tries nothing"

    async def test_who_signs_in_rightly_keeps_nobody_of_the_network_waiting(self) -> None:
        async with serving() as site:
            pace = Takes(1, saved_seconds=2.0, now=lambda: 0.0)
            setattr(site.app.state, SIGN_INS, Moments(pace))
            await site.app.state.world.person("one@example.com")
            body = json.dumps({"email": "one@example.com", "password": PASSWORD}).encode()
            headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
            for _ in range(5):
                assert (await site.ask(post("/accounts/sign-in/", *headers, body=body))).status == 200
            assert pace.waits == [0.0] * 5

    @pytest.mark.parametrize(
        ("error", "weight"),
        [
            (NotAuthenticated("credentials_invalid"), REFUSED_SIGN_IN),
            (SecondFactorNeeded("token", 300), None),
            (TooManyRequests(1.0, Allowance("sign-in", 1, timedelta(hours=1))), None),
            (Overloaded(), None),
            (Unavailable(), None),
            (asyncio.CancelledError(), None),
        ],
        ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else "",
    )
    async def test_only_a_refused_password_counts_as_many(
        self, error: BaseException, weight: int | None
    ) -> None:
        app = Starlette()
        pace = Takes(1, saved_seconds=0.0, now=lambda: 0.0)
        setattr(app.state, SIGN_INS, Moments(pace))
        request = Request({"type": "http", "app": app, "client": ("127.0.0.1", 1)})
        with pytest.raises(type(error)):
            async with trying_password(request):
                raise error
        assert request.scope.get(WEIGHT) == weight
        assert pace.take("127.0.0.1") == (0.0 if weight is None else 1.0)

    async def test_while_it_waits_nothing_is_parsed_and_little_is_read(self) -> None:
        async with self.paced(1, most_seconds=10.0 * ENOUGH) as (site, pace):
            pace.charge("127.0.0.1", 150 * BYTES)  # it waits longer than the test lasts
            site.node.turns = watched = Watched(asyncio.get_running_loop())
            waiting = await site.line()
            waiting.send(post("/echo", "Content-Length: 10000000") + b"x" * 10_000_000)
            await until(lambda: bool(_unread_of(site)))
            await asyncio.sleep(0.1)
            assert (watched.turns, watched.most) == (0, 0)
            assert _unread_of(site) <= [2 * READ]

    async def test_who_waits_is_told_that_the_place_is_needed(self) -> None:
        async with self.paced(1) as (site, pace):
            await site.line()
            await until(lambda: len(pace.waits) == 1)
            waiting = await site.line()
            waiting.send(GET)
            await until(lambda: bool(_unread_of(site)))
            (connection,) = [
                each
                for each in site.server.server_state.connections
                if isinstance(each, HttpConnection) and each._unread
            ]
            connection.give_way()
            await refused(waiting, 503)

    async def test_who_asks_far_too_often_is_told_so(self, caplog: pytest.LogCaptureFixture) -> None:
        async with self.paced(1, most_seconds=0.0) as (site, _):
            assert (await site.ask(GET)).status == 200
            answer = await refused(await site.line(), 503)
            assert answer.headers["retry-after"] == "5"
        (told,) = [
            each for each in caplog.records if "API_REQUESTS_PER_NETWORK_AND_SECOND" in each.getMessage()
        ]
        assert told.__dict__["whose"] == "127.0.0.1"

    async def test_the_wait_does_not_count_against_the_client(self) -> None:
        async with serving(head_seconds=1.0) as site:
            assert (await site.ask(GET)).status == 200
            pace = Takes(2, saved_seconds=0.0, now=lambda: 0.0)
            pace.charge("127.0.0.1", 3 * BYTES)
            site.node.moments = Moments(pace)
            assert (await site.ask(GET)).status == 200
            assert pace.waits == [1.5]

    async def test_proxies_have_none(self) -> None:
        async with serving(
            connections=HttpConnections(HttpLimits(), 1024, Networks.of(["127.0.0.1"]))
        ) as site:
            assert (await site.ask(GET)).status == 200
            pace = Takes(1)
            site.node.moments = Moments(pace)
            assert (await site.ask(GET * 2)).status == 200
            assert pace.networks == []


def _unread_of(site: Site) -> list[int]:
    """How much each connection has read and not parsed, where there is something."""
    connections = site.server.server_state.connections
    return [len(each._unread) for each in connections if isinstance(each, HttpConnection) and each._unread]


@define(eq=False)
class Watched(Turns):
    """Turns that remember the most that was spent in one, and how much later work was done, in all and at most in one."""

    most: int = 0
    turns: int = 0
    done_later: int = 0
    most_of_later: int = 0

    def _begin(self) -> None:
        self.most = max(self.most, self.work - self._left)
        self.turns += 1
        before = self.done_later
        super()._begin()
        self.most_of_later = max(self.most_of_later, self.done_later - before)

    def _next_of_later(self) -> Callable[[], None]:
        self.done_later += 1
        return super()._next_of_later()


class TestTurns:
    async def test_all_together_have_so_much_of_each_turn(self) -> None:
        async with serving() as site:
            assert (await site.ask(GET)).status == 200
            watched = site.node.turns = Watched(asyncio.get_running_loop())
            flood = post("/echo", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 800 + b"0\r\n\r\n")
            lines = [await site.line() for _ in range(20)]
            for line in lines:
                line.send(flood)
            answers = [await line.answer() for line in lines]
            assert {answer.status for answer in answers} == {200}
            await until(lambda: watched.turns > 20 * 800 * 6 // (WORK + SLICE))
            assert watched.most <= WORK + 2 * (SLICE + 1)

    async def test_chunks_wait_for_a_further_turn(self) -> None:
        """Those of the first KiB, too: a request with as many of them as fit would cost a millisecond at once."""
        node, wire = Node(HttpLimits(), descriptors=1024), Wire()
        config = Config(app_of(HttpOptions()), log_config=None, access_log=False, lifespan="off", ws="none")
        connection = HttpConnection(node, config=config, server_state=ServerState(), app_state={})
        connection.connection_made(wire)
        body = b"1\r\nx\r\n" * 100 + b"0\r\n\r\n"
        connection.data_received(post("/echo", "Transfer-Encoding: chunked", body=body))
        assert (connection._chunks, len(connection._unread)) == (0, len(body))
        await until(lambda: b"x" * 100 in wire.written)
        connection.connection_lost(None)

    async def test_deadlines_that_are_over_at_once_end_connections_one_by_one(self) -> None:
        async with serving(head_seconds=1.0) as site:
            assert (await site.ask(GET)).status == 200
            site.node.turns = watched = Watched(asyncio.get_running_loop())
            lines = []
            for _ in range(20):
                lines.append(await site.line())
                lines[-1].send(GET[:-4])
            open_ones = cast("set[HttpConnection]", site.server.server_state.connections)
            await until(lambda: sum(bool(each._tail) for each in open_ones) == 20)
            time.sleep(1.0)  # noqa: ASYNC251 - all deadlines are over when the event loop goes on
            for line in lines:
                assert (await line.rest())[:13] == b"HTTP/1.1 408 "
            assert watched.done_later == 20
            assert watched.most_of_later <= MOST_PIECES

    async def test_networks_take_turns_with_later_work(self) -> None:
        turns = Turns(asyncio.get_running_loop())
        said: list[str] = []
        for network in ("a", "a", "a", "b", "a"):
            turns.wait(network, lambda network=network: said.append(network))  # type: ignore[misc]
        await until(lambda: len(said) == 5)
        assert said == ["a", "b", "a", "a", "a"]

    async def test_later_work_has_a_tenth_of_the_time(self) -> None:
        """By the clock of the CPU, so that it does not depend on who else runs."""
        turns = Turns(asyncio.get_running_loop())
        began = time.monotonic()
        spent: list[float] = []

        def work() -> None:
            start = time.thread_time()
            while time.thread_time() < start + 0.004:
                pass
            spent.append(time.monotonic())

        for _ in range(4):
            turns.wait("a", work)
        await until(lambda: len(spent) == 4)
        assert spent[-1] - began >= 3 * (1 + PAUSE) * 0.004

    async def test_each_in_its_turn(self) -> None:
        turns = Turns(asyncio.get_running_loop(), work=10)
        said: list[str] = []

        def wants(name: str, times: int) -> None:
            def parse() -> None:
                said.append(name)
                turns.spend(10)
                if said.count(name) < times:
                    turns.wait("", parse)

            turns.wait("", parse)

        wants("a", 3)
        wants("b", 2)
        await until(lambda: len(said) == 5)
        assert said == ["a", "b", "a", "b", "a"]

    async def test_a_first_slice_waits_for_no_later_work(self) -> None:
        turns = Turns(asyncio.get_running_loop(), work=10)
        said: list[str] = []

        def floods() -> None:
            said.append("flood")
            turns.spend(10)
            turns.wait("", floods)

        for _ in range(20):
            turns.wait("", floods)
        await until(lambda: len(said) > 20)
        before = len(said)
        turns.wait_for_first(lambda: said.append("first"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert said.index("first") <= before + 1
        turns._later.clear()


def test_a_throttled_warning_counts_what_it_leaves_out(caplog: pytest.LogCaptureFixture) -> None:
    throttled = ThrottledWarning("Too much", seconds=1000)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            throttled.warn()
        throttled._next = 0.0
        throttled.warn()
    assert [record.getMessage() for record in caplog.records] == [
        "Too much",
        "Too much (4 more since the last line)",
    ]

"""`GET /events/`: what is particular about a stream. What is told is compared with the other transports in `test_transports`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from attrs import evolve

from application.accounts.sign_out import SignOut
from application.meter import Unmetered
from domain.ids import ChatId
from interfaces.app import create_app
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.live.hub import Hub
from interfaces.live.sync import SyncOptions
from interfaces.wire.registry import Channel, of_server
from interfaces.ws.options import SocketOptions
from interfaces.ws.services import SocketServices
from tests.all_chats import House, Picture, opened
from tests.frame_schemas import of_server_frames
from tests.interfaces.http.event_client import Events, Listening, listening
from tests.interfaces.http.promises import Promises
from tests.interfaces.live.test_hub import until
from tests.world import SignedInPerson


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened() as house:
        yield house


ASKED = httpx.Request("GET", "http://server/events/")


async def talk_on(house: House, person: SignedInPerson, chat: ChatId) -> None:
    """Says something now and then until it is cancelled."""
    while True:
        await asyncio.sleep(0.2)
        await house.world.say(person.actor, chat, "and more")


@pytest.fixture
def promises(house: House) -> Promises:
    return Promises([route for route in house.app.routes if isinstance(route, Endpoint)], HttpOptions())


async def never_looked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the node one that has not looked for changes yet and is not going to."""
    is_stopped = asyncio.Event()

    async def never(*_: object) -> None:
        is_stopped.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Hub, "_look", never)
    await is_stopped.wait()  # or the look that is under way would make it one that sees changes
    hub._is_watching.clear()


class TestDescribed:
    async def test_the_example_is_made_of_frames_that_there_are(self, promises: Promises) -> None:
        (stream,) = [said.stream for one in promises.endpoints if (said := one.described) and said.stream]
        frames = [frame for frame, _ in Events().feed(stream.encode())]
        for frame in frames:
            assert of_server_frames(Channel.EVENTS, frame["type"]).is_valid(frame), frame
        assert frames[-1]["type"] == "end"

    async def test_it_names_the_types_of_all_events(self, promises: Promises) -> None:
        content = promises.document["paths"]["/events/"]["get"]["responses"]["200"]["content"]
        told = content["text/event-stream"]["schema"]["description"]
        assert {row.type for row in of_server(Channel.EVENTS)} >= {"end", "new_message", "goaway", "resumed"}
        assert all(f"`{row.type}`" in told for row in of_server(Channel.EVENTS))

    async def test_a_stream_comes_as_it_says(self, house: House, promises: Promises) -> None:
        """The frames of all streams are held to the registry by `tests.frames_held`."""
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token) as stream:
            await stream.until("resumed")
            responses = promises.document["paths"]["/events/"]["get"]["responses"]
            assert stream.headers["content-type"] in responses["200"]["content"]
            await house.world.messenger.accounts.sign_out(SignOut(access_token=ann.token))
            assert (await stream.until("end"))[-1]["come_back"] is False

    @pytest.mark.parametrize("status", [401, 422])
    async def test_a_refusal_comes_as_it_says(self, house: House, promises: Promises, status: int) -> None:
        ann = await house.world.person("Ann")
        query: dict[str, Any] = {"seen": "nonsense"} if status == 422 else {}
        async with listening(house.app, "" if status == 401 else ann.token, **query) as stream:
            await stream.answered()
        assert stream.status == status
        await promises.hold(
            httpx.Response(status, headers=stream.headers, content=stream.body, request=ASKED)
        )


class TestEntering:
    async def test_the_head_keeps_caches_and_proxies_from_holding_it_up(self, house: House) -> None:
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token) as stream:
            frames = await stream.until("resumed")
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
        assert [frame["type"] for frame in frames] == ["auth_success", "snapshot", "resumed"]
        assert stream.events.retry is not None
        assert 1000 <= stream.events.retry < 5000
        assert house.hub.roster.is_empty

    async def test_the_id_of_an_event_is_the_cursor_that_holds_after_it(self, house: House) -> None:
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token) as stream:
            success = await stream.frame()
            assert stream.last_id is None, "without its chats a client could not go on from here"
            await stream.frame()
            assert stream.last_id == success["cursor"]
            resumed = await stream.frame()
            assert stream.last_id == resumed["cursor"]

    @pytest.mark.parametrize("token", ["nonsense", ""])
    async def test_who_is_not_signed_in_gets_an_answer_and_no_stream(self, house: House, token: str) -> None:
        async with listening(house.app, token) as stream:
            await stream.answered()
        assert stream.status == 401
        assert stream.headers["content-type"] == "application/json"

    async def test_a_node_that_sees_no_changes_yet_refuses_for_the_moment(
        self, house: House, promises: Promises
    ) -> None:
        ann = await house.world.person("Ann")
        hub = Hub(feed=house.hub.feed, clock=house.hub.clock, interval=0.01)
        services = SocketServices(messenger=house.world.messenger, hub=hub, options=SocketOptions())
        app = create_app(house.world.messenger, HttpOptions(), new_request_id=lambda: "x", live=services)
        async with listening(app, ann.token) as stream:
            await stream.answered()
        assert stream.status == 503
        assert "retry-after" in stream.headers
        await promises.hold(httpx.Response(503, headers=stream.headers, content=stream.body, request=ASKED))

    async def test_who_cannot_enter_in_time_is_refused_for_the_moment(self) -> None:
        async with opened(entering=1, entry_timeout=0.01) as house:
            ann = await house.world.person("Ann")
            await house.services.entering.acquire()
            async with listening(house.app, ann.token) as stream:
                await stream.answered()
            assert stream.status == 503
            house.services.entering.release()
            assert house.hub.roster.is_empty

    async def test_the_head_alone_is_answered_at_once(self, house: House) -> None:
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token, method="HEAD") as stream:
            async with asyncio.timeout(10):
                while not stream.is_complete:
                    await stream._read()
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")


class TestResuming:
    async def test_the_header_counts_for_more_than_the_address(self, house: House) -> None:
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token) as stream:
            await stream.until("resumed")
        last = stream.last_id
        async with listening(house.app, ann.token, last_id=last, since="stale", seen="") as stream:
            frames = await stream.until("resumed")
        assert [frame["type"] for frame in frames] == ["auth_success", "resumed"]
        async with listening(house.app, ann.token, last_id="forged") as stream:
            frames = await stream.until("resumed")
        assert [frame["type"] for frame in frames] == ["auth_success", "reset", "snapshot", "resumed"]

    async def test_nothing_is_lost_wherever_a_stream_breaks(self, house: House) -> None:
        """A client that comes back with the id of the last event that it handled knows everything again."""
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        first = await house.world.chat(ann.actor, bob.actor)
        heard: list[tuple[Any, str | None]] = []
        async with listening(house.app, bob.token) as stream:
            while not heard or heard[-1][0]["type"] != "resumed":
                heard.append((await stream.frame(), stream.last_id))
            for number in range(3):
                await house.world.say(ann.actor, first, f"{number}")
            second = await house.world.chat(ann.actor, bob.actor)
            await house.world.say(ann.actor, second, "and here")
            await house.mark(bob.actor, first, 2)
            # who is busy when a cursor is told gets the next one, for which something must happen
            talking = asyncio.create_task(talk_on(house, ann, first))
            while heard[-1][0]["type"] != "cursor" or heard[-2][0]["type"] == "cursor":
                heard.append((await stream.frame(), stream.last_id))
            talking.cancel()
            await asyncio.wait({talking})
        expected = await house.state_of(bob.actor)
        for cut in range(len(heard)):
            picture = Picture(str(bob.actor.profile_id))
            for frame, _ in heard[: cut + 1]:
                picture.take(frame)
            repeated = {
                (each["chat_id"], each["position"]) for each, _ in heard[: cut + 1] if "after" in each
            }
            async with listening(house.app, bob.token, last_id=heard[cut][1]) as stream:
                for frame in await stream.until("resumed"):
                    picture.take(frame)
                    if (frame.get("chat_id"), frame.get("position")) in repeated:
                        assert frame["position"] <= picture.chats[frame["chat_id"]].position
            assert picture.state() == expected, f"after {cut} events"
            assert picture.resets == []


class TestHearing:
    async def test_a_comment_shows_that_a_silent_stream_lives(self) -> None:
        async with opened(heartbeat_interval=0.02) as house:
            ann = await house.world.person("Ann")
            async with listening(house.app, ann.token) as stream:
                await stream.until("resumed")
                await stream.heartbeat()
                await stream.heartbeat()

    async def test_it_ends_with_the_session_and_says_so(self, house: House) -> None:
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token) as stream:
            await stream.until("resumed")
            await house.world.messenger.accounts.sign_out(SignOut(access_token=ann.token))
            end = (await stream.until("end"))[-1]
            with pytest.raises(EOFError):
                await stream.frame()
        assert end == {"type": "end", "code": 4401, "reason": "session ended", "come_back": False}
        assert house.hub.roster.is_empty
        async with listening(house.app, ann.token, last_id=stream.last_id) as stream:
            await stream.answered()
        assert stream.status == 401

    async def test_clients_are_asked_to_leave_and_then_sent_away(self, house: House) -> None:
        ann = await house.world.person("Ann")
        async with listening(house.app, ann.token) as stream:
            await stream.until("resumed")
            house.services.send_away(0.05)
            frames = await stream.until("end")
        assert "goaway" in [frame["type"] for frame in frames]
        assert (frames[-1]["code"], frames[-1]["come_back"]) == (1012, True)

    async def test_one_who_reads_slowly_gets_a_gap_before_it_is_cut(self) -> None:
        async with opened(outbox_frames=16) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat = await house.world.chat(ann.actor, bob.actor)
            picture = Picture(str(bob.actor.profile_id))
            async with listening(house.app, bob.token, window=1) as stream:
                for frame in await stream.until("resumed"):
                    picture.take(frame)
                for number in range(60):
                    await house.world.say(ann.actor, chat, f"{number} " + "long " * 600)
                while picture.chats[str(chat)].position < 60:
                    picture.take(await stream.frame())
            assert picture.gaps > 0
            assert picture.state() == await house.state_of(bob.actor)

    async def test_one_who_does_not_read_is_cut_and_comes_back(self) -> None:
        async with opened(outbox_frames=16, gap_percent=100, close_timeout=0.1) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat = await house.world.chat(ann.actor, bob.actor)
            text = "long " * 600
            async with listening(house.app, bob.token, window=1) as stream:
                await stream.until("resumed")
                for number in range(60):
                    await house.world.say(ann.actor, chat, f"{number} {text}")
                await until(lambda: house.hub.roster.is_empty)
                assert house.services.outboxes.used == 0
                heard = await unread(stream)
            positions = [frame["position"] for frame in heard if frame["type"] == "new_message"]
            assert positions == list(range(1, len(positions) + 1))
            assert len(positions) < 60
            async with listening(house.app, bob.token, last_id=stream.last_id) as stream:
                rest = await stream.until("resumed")
            again = [frame["position"] for frame in rest if frame["type"] == "new_message"]
            assert again[-1] == 60
            assert set(range(1, 61)) <= {*positions, *again}


async def unread(stream: Listening) -> list[Any]:
    """What lies unread of a stream that was cut."""
    frames = []
    while True:
        try:
            frames.append(await stream.frame())
        except EOFError:
            return frames


class Counted(Unmetered):
    def __init__(self) -> None:
        self.sockets = 0
        self.answers: list[tuple[str, float]] = []

    def socket_opened(self) -> None:
        self.sockets += 1

    def socket_closed(self) -> None:
        self.sockets -= 1

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self.answers.append((route, seconds))


async def test_it_counts_as_a_socket_and_its_length_is_not_taken_for_slowness() -> None:
    async with opened() as house:
        meter = Counted()
        services = evolve(house.services, meter=meter)
        app = create_app(
            house.world.messenger,
            HttpOptions(cursor_key=b"key"),
            new_request_id=lambda: "x",
            live=services,
            meter=meter,
            sync=SyncOptions(wait_most=0.3),
        )
        ann = await house.world.person("Ann")
        now = asyncio.get_running_loop().time
        began = now()
        async with listening(app, ann.token) as stream:
            await stream.until("resumed")
            began_after = now() - began
            assert meter.sockets == 1
            await asyncio.sleep(0.3)  # what is measured is that this is not counted
        assert meter.sockets == 0
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://server", headers=ann.headers
        ) as http:
            cursor = (await http.get("/sync/")).json()["data"]["cursor"]
            began = now()
            await http.get("/sync/", params={"since": cursor, "wait": 600})
            took = now() - began
        (stream_seconds,) = [seconds for route, seconds in meter.answers if route == "/events/"]
        assert stream_seconds <= began_after
        assert took >= 0.3
        assert meter.answers[-1][0] == "/sync/"
        assert meter.answers[-1][1] <= took - 0.3


def test_a_stream_is_read_however_it_is_cut() -> None:
    data = b'retry: 1500\ndata: {"a":1}\n\n:\n\nid: x\ndata: {"b":"\xc3\xa9"}\n\n'
    for size in range(1, len(data)):
        events = Events()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert [frame for piece in pieces for frame, _ in events.feed(piece)] == [{"a": 1}, {"b": "é"}]
        assert (events.last_id, events.retry, events.heartbeats) == ("x", 1500, 1)

"""The requests of one account wait for each other, whatever they come by, and for nobody else's."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from application.actor import Actor
from application.errors import Overloaded
from application.meter import Unmetered
from domain.ids import AccountId
from interfaces import pace as pace_module
from interfaces.http import authentication
from interfaces.http.authentication import ASKING
from interfaces.http.metering import Metered
from interfaces.live.listener import End
from interfaces.pace import BYTES, CHANGE, PUT, Moments, Pace
from interfaces.ws import all_chats_desk
from interfaces.ws.crowds import Crowds, TooManySockets
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import House, Line, handshake, serving

ANN, BOB = AccountId(UUID(int=1)), AccountId(UUID(int=2))
PER_SECOND = 50


@define
class Hand:
    """A clock that is moved by hand."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@given(
    moves=st.lists(
        st.tuples(st.sampled_from([ANN, BOB]), st.integers(0, 40), st.floats(0, 3)), min_size=1, max_size=60
    )
)
def test_no_account_gets_more_than_its_rate_and_what_it_saved(
    moves: Sequence[tuple[AccountId, int, float]],
) -> None:
    hand = Hand()
    pace = Pace(10, 2.0, now=hand)
    begun: dict[AccountId, list[float]] = {ANN: [], BOB: []}
    for account, count, seconds in moves:
        hand.at += seconds
        for _ in range(count):
            has_room = pace.has_room(account)
            try:
                wait = pace.take(account)
            except Overloaded:
                assert not has_room
                assert begun[account][-1] + 0.1 > hand.at + pace.most_seconds
                continue
            assert wait <= pace.most_seconds
            assert has_room == (wait == 0.0)
            begun[account].append(hand.at + wait)
    for moments in begun.values():
        assert moments == sorted(moments), "they begin in the order in which they came"
        for first, start in enumerate(moments):
            for last in range(first, len(moments)):
                # one more at each end than whole shares of the time fit in
                assert last - first + 1 <= 10 * (2.0 + moments[last] - start) + 2


def test_an_account_that_asks_slowly_never_waits() -> None:
    hand = Hand()
    pace = Pace(10, 2.0, now=hand)
    for _ in range(1000):
        assert pace.take(ANN) == 0.0
        hand.at += 0.1


def test_without_a_limit_nobody_waits_and_nothing_is_kept() -> None:
    pace = Pace(0)
    assert {pace.take(ANN) for _ in range(10_000)} == {0.0}
    pace.charge(ANN, 10**9)
    assert pace.busy == 0


def test_nobody_waits_for_somebody_else() -> None:
    pace = Pace(1, 0.0, now=Hand())
    assert [pace.take(ANN) for _ in range(3)] == [0.0, 1.0, 2.0]
    assert pace.take(BOB) == 0.0


def test_long_answers_count_as_more_requests() -> None:
    hand = Hand()
    pace = Pace(10, 0.0, now=hand)
    assert pace.take(ANN) == 0.0
    pace.charge(ANN, BYTES - 1)
    assert pace.take(ANN) == pytest.approx(0.1)
    pace.charge(ANN, 3 * BYTES)
    assert pace.take(ANN) == pytest.approx(0.5)


def test_changes_that_come_together_have_a_moment_each() -> None:
    pace = Pace(10, 0.0, now=Hand())
    waits = [pace.take(ANN, CHANGE) for _ in range(4)]
    assert waits == pytest.approx([0.0, CHANGE / 10, 2 * CHANGE / 10, 3 * CHANGE / 10])


@pytest.mark.parametrize(("people", "requests"), [(0, 0), (1, PUT), (9, PUT), (10, PUT + 1), (55, PUT + 5)])
def test_people_who_are_named_count_as_more_requests(people: int, requests: int) -> None:
    pace = Pace(10, 0.0, now=Hand())
    assert pace.take(ANN) == 0.0
    pace.charge_named(ANN, people)
    assert pace.take(ANN) == pytest.approx((1 + requests) / 10)


def test_the_log_says_that_it_may_be_a_proxy(caplog: pytest.LogCaptureFixture) -> None:
    pace = Moments.of_networks(1).pace
    while not pace.take("192.0.2.1"):
        assert not caplog.records
    (warning,) = caplog.records
    assert (warning.levelname, vars(warning)["whose"]) == ("WARNING", "192.0.2.1")
    for setting in ("API_REQUESTS_PER_NETWORK_AND_SECOND", "API_TRUSTED_PROXIES"):
        assert setting in warning.message


def test_nobody_owes_more_than_the_longest_wait() -> None:
    hand = Hand()
    pace = Pace(10, 0.0, 10.0, hand)
    pace.charge(ANN, 10**12)
    with pytest.raises(Overloaded):
        pace.take(ANN)
    hand.at = 0.2
    assert pace.take(ANN) == pytest.approx(9.9)


def test_accounts_are_forgotten_when_their_time_is_over() -> None:
    hand = Hand()
    pace = Pace(10, 1.0, now=hand)
    for number in range(100):
        pace.take(AccountId(UUID(int=number)))
    assert pace.busy == 100
    hand.at = 1.0
    pace.take(ANN)
    assert pace.busy == 1


async def test_event_streams_are_charged_to_nobody() -> None:
    """What an event stream writes in hours is no answer to a request."""
    pace = Pace(1, 0.0, now=Hand())

    async def answer(media_type: bytes) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope[ASKING] = ANN
            headers = [(b"content-type", media_type)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": bytes(5 * BYTES)})

        async def ignore(*_: Any) -> Any: ...

        scope = {"type": "http", "method": "GET", "path": "/"}
        await Metered(app, Unmetered(), pace)(scope, ignore, ignore)

    await answer(b"text/event-stream; charset=utf-8")
    assert pace.take(ANN) == 0.0
    await answer(b"application/json")
    assert pace.take(ANN) == 1.0 + 5.0


# Moments of networks


def standing(per_second: int, saved_seconds: float = 0.0) -> Moments:
    """On a clock that stands still: nothing is given back by time."""
    return Moments(Pace(per_second, saved_seconds, now=lambda: 0.0))


class Waiting:
    """Requests of one network, with the numbers of those that began."""

    def __init__(self, moments: Moments, network: str = "here") -> None:
        self.moments, self.network = moments, network
        self.begun: list[int] = []
        self.gone: set[int] = set()

    def ask(self, number: int) -> None:
        def begin() -> bool:
            if number not in self.gone:
                self.begun.append(number)
            return number not in self.gone

        if self.moments.take(self.network, begin):
            self.begun.append(number)


async def test_moments_that_are_given_back_are_those_of_the_next_in_order() -> None:
    requests, elsewhere = Waiting(moments := standing(1)), Waiting(moments, "elsewhere")
    for number in range(4):
        requests.ask(number)
        elsewhere.ask(number)
    assert requests.begun == [0]
    moments.give_back("here")
    moments.give_back("here")
    assert requests.begun == [0, 1, 2]
    requests.ask(4)
    moments.give_back("here")
    assert requests.begun == [0, 1, 2, 3], "others waited before"
    moments.give_back("here")
    moments.give_back("here")
    requests.ask(5)
    assert requests.begun == [0, 1, 2, 3, 4, 5], "one that nobody waits for is saved"
    assert elsewhere.begun == [0]


async def test_moments_of_those_who_are_gone_are_the_next_ones() -> None:
    requests = Waiting(moments := standing(1))
    for number in range(4):
        requests.ask(number)
    requests.gone |= {1, 2}
    moments.give_back("here")
    assert requests.begun == [0, 3]


async def test_each_begins_when_its_moment_comes() -> None:
    requests = Waiting(standing(100))
    began = time.monotonic()
    for number in range(6):
        requests.ask(number)
    assert requests.begun == [0]
    await until(lambda: len(requests.begun) == 6)
    assert requests.begun == [*range(6)]
    assert time.monotonic() - began >= 0.05 - 0.01


# On real connections


@pytest.fixture(params=["handed over", "plain loop"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    async with serving(request.param, pace=Pace(PER_SECOND, 0.0)) as house:
        yield house


async def actor_of(house: House, name: str) -> Actor:
    return (await house.person(name)).actor


async def test_frames_wait_for_their_moment_and_keep_their_order(house: House) -> None:
    line = await house.enter("Ann", await house.chat("Ann"))
    began = time.monotonic()
    for number in range(11):
        line.say(type="ping", id=number)
    heard = [(await line.hear())["id"] for _ in range(11)]
    assert heard == [*range(11)]
    assert time.monotonic() - began >= 10 / PER_SECOND - 0.01


async def test_sends_behind_waiting_frames_keep_their_order(house: House) -> None:
    line = await house.enter("Ann", await house.chat("Ann"))
    for number in range(5):
        line.say(type="ping", id=number)
        line.say(type="send_message", text=f"{number}", nonce=f"{number}")
    heard: list[tuple[str, int]] = []
    while len(heard) < 10:
        frame = await line.hear()
        if frame["type"] in {"pong", "message_ack"}:
            heard.append((frame["type"], int(frame["nonce"] if "nonce" in frame else frame["id"])))
    assert heard == [(kind, number) for number in range(5) for kind in ("pong", "message_ack")]


async def test_sockets_of_one_account_share_its_requests(house: House) -> None:
    chat = await house.chat("Ann", "Bob")
    lines = [await house.enter("Ann", chat) for _ in range(5)]
    began = time.monotonic()
    for line in lines:
        for number in range(2):
            line.say(type="ping", id=number)
    for line in lines:
        assert [(await line.hear())["id"] for _ in range(2)] == [0, 1]
    assert time.monotonic() - began >= 9 / PER_SECOND - 0.01


async def test_others_are_answered_meanwhile(house: House) -> None:
    chat = await house.chat("Ann", "Bob")
    ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
    house.services.pace.charge((await actor_of(house, "Ann")).account_id, 60 * PER_SECOND * BYTES)
    ann.say(type="ping", id="late")
    bob.say(type="ping", id="soon")
    assert (await bob.hear())["id"] == "soon"
    bob.say(type="send_message", text="hello", nonce="1")
    while (frame := await ann.hear())["type"] != "new_message":
        assert frame["type"] != "pong"
    assert frame["message"]["text"] == "hello", "who waits is told as ever"


async def test_a_socket_that_goes_while_it_waits_leaves_nothing(house: House) -> None:
    line = await house.enter("Ann", await house.chat("Ann"))
    house.services.pace.charge((await actor_of(house, "Ann")).account_id, 60 * PER_SECOND * BYTES)
    line.say(type="ping", id="never")
    line.writer.close()
    await until(lambda: not [*house.hub.roster.listeners])
    assert house.services.waiting.used == 0


async def test_a_closed_socket_does_not_wait_to_hear_the_answer_to_its_close(house: House) -> None:
    line = await house.enter("Ann", await house.chat("Ann"))
    house.services.pace.charge((await actor_of(house, "Ann")).account_id, 60 * PER_SECOND * BYTES)
    [listener] = house.hub.roster.listeners
    listener.end(End.SESSION_ENDED)
    line.say(type="ping", id="never")
    await line.until_close()
    assert house.services.waiting.used == 0


async def test_requests_over_http_wait_for_those_of_sockets(house: House) -> None:
    chat = await house.chat("Ann")
    ann = await house.person("Ann")
    line = await house.enter("Ann", chat)
    began = time.monotonic()
    for number in range(10):
        line.say(type="ping", id=number)
    for _ in range(10):
        await line.hear()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
        answer = await client.get(f"/chats/{chat}/history/", headers={"Authorization": f"Bearer {ann.token}"})
    assert answer.status_code == 200
    assert time.monotonic() - began >= 10 / PER_SECOND - 0.01


async def test_a_long_answer_over_http_is_charged(house: House) -> None:
    chat = await house.chat("Ann")
    ann = await house.person("Ann")
    line = await house.enter("Ann", chat)
    for number in range(20):
        line.say(type="send_message", text="x" * 4000, nonce=f"{number}")
    acknowledged = 0
    while acknowledged < 20:
        acknowledged += (await line.hear())["type"] == "message_ack"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
        answer = await client.get(
            f"/chats/{chat}/history/?limit=20", headers={"Authorization": f"Bearer {ann.token}"}
        )
    assert len(answer.content) >= 4 * BYTES
    assert house.services.pace.take(ann.actor.account_id) > 3 / PER_SECOND


async def on_all_chats(house: House, name: str) -> Line:
    """A socket of all chats that has entered."""
    line = await house.dial()
    line.writer.write(handshake("/ws"))
    await line.head()
    line.say(type="auth", token=(await house.person(name)).token)
    assert (await line.hear())["type"] == "auth_success"
    return line


@asynccontextmanager
async def asking(house: House, name: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {(await house.person(name)).token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}", headers=headers) as client:
        yield client


@pytest.fixture
def charged(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The accounts whose changes were charged, in order."""
    found: list[object] = []
    take = Pace.take

    def note(pace: Pace, asking: Any, requests: int = 1) -> float:
        if requests in {CHANGE, CHANGE - 1}:  # a frame has been counted as one already
            found.append(asking)
        return take(pace, asking, requests)

    monkeypatch.setattr(Pace, "take", note)
    return found


async def test_changes_are_charged_over_http(house: House, charged: list[object]) -> None:
    chat, owner, bob = (
        await house.chat("Ann"),
        (await house.person("Ann")).actor,
        (await house.person("Bob")).actor,
    )
    async with asking(house, "Ann") as client:
        changes = [
            client.post("/chats/", json={"name": "new"}),
            client.put(f"/chats/{chat}/", json={"name": "renamed"}),
            client.post(f"/chats/{chat}/members/", json={"profileIds": [str(bob.profile_id)]}),
            client.delete(f"/chats/{chat}/members/{bob.profile_id}/"),
            client.delete(f"/chats/{chat}/"),
        ]
        for number, change in enumerate(changes, 1):
            answer = await change
            assert answer.is_success, answer.text
            assert charged == [owner.account_id] * number
        assert (await client.get("/chats/")).is_success
        assert len(charged) == len(changes)


async def test_people_who_are_named_are_charged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    charged: list[tuple[object, int]] = []
    monkeypatch.setattr(Pace, "charge_named", lambda _, asking, people: charged.append((asking, people)))
    chat, owner = await house.chat("Ann"), await actor_of(house, "Ann")
    two = [str((await actor_of(house, name)).profile_id) for name in ("Bob", "Cid")]
    async with asking(house, "Ann") as client:
        for way, (change, named) in enumerate(
            (
                (client.post("/chats/", json={"name": "new", "members": two}), 2),
                (client.put(f"/chats/{chat}/", json={"members": two[:1]}), 1),
                (client.post(f"/chats/{chat}/members/", json={"profileIds": two}), 2),
            ),
            1,
        ):
            answer = await change
            assert answer.is_success, answer.text
            assert charged == [*charged[: way - 1], (owner.account_id, named)]
    line = await on_all_chats(house, "Ann")
    charged.clear()
    changes: list[tuple[str, dict[str, Any], int]] = [
        ("create_chat", {"name": "new", "members": two}, 2),
        ("change_chat", {"chat_id": chat, "members": two[:1]}, 1),
        ("add_members", {"chat_id": chat, "profile_ids": two}, 2),
        ("remove_member", {"chat_id": chat, "profile_id": two[0]}, 0),
    ]
    for number, (asked, fields, named) in enumerate(changes, 1):
        line.say(type=asked, id=number, **fields)
        while (await line.hear()).get("id") != number:
            pass
        assert charged == [*charged[: number - 1], (owner.account_id, named)]


async def test_changes_are_charged_on_sockets(house: House, charged: list[object]) -> None:
    ann = await house.person("Ann")
    line = await on_all_chats(house, "Ann")
    for number, asked in enumerate(("create_chat", "get_history"), 1):
        line.say(type=asked, id=number, name="new", chat_id=str(ann.actor.profile_id))
        while (await line.hear()).get("id") != number:
            pass
    assert charged == [ann.actor.account_id]


async def test_changes_on_several_sockets_have_a_moment_each(house: House) -> None:
    lines = [await on_all_chats(house, "Ann") for _ in range(3)]
    began = time.monotonic()
    for line in lines:
        line.say(type="create_chat", id="new", name="new")
    for line in lines:
        while (frame := await line.hear()).get("id") != "new":
            pass
        assert frame["type"] == "answer", frame
    # the last begins when the two before it have had all their time, and it has a frame of its own
    assert time.monotonic() - began >= 2 * CHANGE / PER_SECOND - 0.01


async def test_a_change_on_a_socket_waits_longer_than_requests_over_http(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await on_all_chats(house, "Ann")
    pace = house.services.pace
    pace.most_seconds = 0.2
    account = (await actor_of(house, "Ann")).account_id
    take = Pace.take

    def when_taken(pace: Pace, asking: Any, requests: int = 1) -> float:
        if requests == CHANGE - 1:  # another socket was sooner
            monkeypatch.undo()
            pace.charge_as(account, PER_SECOND)
        return take(pace, asking, requests)

    monkeypatch.setattr(Pace, "take", when_taken)
    began = time.monotonic()
    line.say(type="create_chat", id="new", name="new")
    while (frame := await line.hear()).get("id") != "new":
        pass
    assert frame["type"] == "answer", frame
    assert time.monotonic() - began > pace.most_seconds


async def test_a_change_whose_socket_goes_before_its_moment_is_not_made(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await on_all_chats(house, "Ann")
    pace, now = house.services.pace, time.monotonic()
    pace._now = lambda: now  # so that the moment of its frame has not passed
    wakes = asyncio.Event()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await wakes.wait()

    with monkeypatch.context() as patched:
        patched.setattr(all_chats_desk, "asyncio", SimpleNamespace(sleep=sleep))
        line.say(type="create_chat", id="never", name="never")
        await until(lambda: bool(waits))
        line.writer.close()
        await until(lambda: not [*house.hub.roster.listeners])
        wakes.set()
    pace._now = time.monotonic
    async with asking(house, "Ann") as client:
        assert (await client.get("/chats/")).json()["data"] == []


@pytest.mark.parametrize("by_http", [False, True], ids=["socket", "HTTP"])
async def test_messages_are_charged_by_the_sockets_that_they_are_told_to(
    house: House, monkeypatch: pytest.MonkeyPatch, *, by_http: bool
) -> None:
    monkeypatch.setattr(pace_module, "SOCKETS", 2)
    chat, actor = await house.chat("Ann", "Bob"), await actor_of(house, "Ann")
    lines = [await house.enter(name, chat) for name in ("Ann", "Bob", "Bob", "Bob", "Bob")]
    pace, now = house.services.pace, time.monotonic()
    pace._taken_until.clear()
    pace._now = lambda: now
    for _ in range(2):  # a repeat is told to nobody
        if by_http:
            async with asking(house, "Ann") as client:
                said = {"text": "hello"}
                answer = await client.post(
                    f"/chats/{chat}/messages/", json=said, headers={"Idempotency-Key": "once"}
                )
                assert answer.is_success, answer.text
        else:
            lines[0].say(type="send_message", text="hello", nonce="once")
            while (await lines[0].hear())["type"] != "message_ack":
                pass
    both, told = 2, 5 // 2
    assert pace.take(actor.account_id) == pytest.approx((both + told) / PER_SECOND)


@pytest.mark.parametrize("path", ["/ws/", "/ws"], ids=["one chat", "all chats"])
async def test_typing_is_charged_by_the_sockets_that_it_is_told_to(
    house: House, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(pace_module, "SOCKETS", 2)
    chat, ann = await house.chat("Ann", "Bob"), await house.person("Ann")
    lines = [await house.enter("Bob", chat) for _ in range(4)]
    if path == "/ws":
        line = await on_all_chats(house, "Ann")
    else:
        line = await house.enter("Ann", chat)
    pace, now = house.services.pace, time.monotonic()
    pace._taken_until.clear()
    pace._now = lambda: now
    for _ in range(2):  # others know the second already
        line.say(type="typing", chat_id=str(chat), is_typing=True, id=1)
    while (await lines[0].hear())["type"] != "typing":
        pass
    line.say(type="ping", id=2)
    while (await line.hear())["type"] != "pong":
        pass
    asked, told = 3, 5 // 2
    assert pace.take(ann.actor.account_id) == pytest.approx((asked + told) / PER_SECOND)


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks to which moments were given back, in order."""
    found: list[str] = []
    monkeypatch.setattr(Moments, "give_back", lambda _, network: found.append(network))
    return found


async def test_a_request_that_the_account_may_not_make_costs_its_network_a_moment(
    house: House, given_back: list[str]
) -> None:
    actor, now = await actor_of(house, "Ann"), time.monotonic()
    async with asking(house, "Ann") as client:
        assert (await client.get("/chats/")).status_code == 200
        assert given_back == ["127.0.0.1"]
        house.services.pace._now = lambda: now
        house.services.pace.charge(actor.account_id, 10**12)
        assert (await client.get("/chats/")).status_code == 503
        assert given_back == ["127.0.0.1"]


async def test_a_long_answer_costs_its_network_nothing_while_it_lasts(
    house: House, given_back: list[str]
) -> None:
    """An event stream lasts for hours, and who waits for news is answered when there are any."""
    async with asking(house, "Ann") as client:
        async with client.stream("GET", "/events/") as stream:
            assert stream.is_success
            assert given_back == ["127.0.0.1"]
        cursor = (await client.get("/sync/")).json()["data"]["cursor"]
        assert given_back == ["127.0.0.1"] * 2
        waiting = asyncio.create_task(client.get("/sync/", params={"since": cursor, "wait": 20}))
        await until(lambda: len(given_back) == 3)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait({waiting})
    assert given_back == ["127.0.0.1"] * 3


async def test_a_socket_that_finds_no_place_costs_its_network_a_moment(
    house: House, given_back: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await house.chat("Ann")
    await house.enter("Ann", chat)
    assert given_back == ["127.0.0.1"]

    def refuse(*_: object) -> None:
        raise TooManySockets("account", 1)

    monkeypatch.setattr(Crowds, "take", refuse)
    line = await house.line(chat)
    line.say(type="auth", token=(await house.person("Ann")).token)
    await line.until_close()
    assert given_back == ["127.0.0.1"]


@pytest.mark.parametrize("before", ["nothing was asked", "a page was asked", "the page itself was read"])
async def test_a_session_that_ends_while_its_request_waits_gets_no_answer(
    house: House, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await house.chat("Ann")
    actor = await actor_of(house, "Ann")
    if before != "nothing was asked":
        async with asking(house, "Ann") as client:
            assert (await client.get(f"/chats/{chat}/history/")).is_success
    if before == "the page itself was read":  # as of two requests at once that both find room for one
        monkeypatch.setattr(Pace, "has_room", lambda *_: True)
    waits, has_ended = asyncio.Event(), asyncio.Event()

    async def wait_for_the_end(_: float) -> None:
        waits.set()
        await has_ended.wait()

    monkeypatch.setattr(authentication, "asyncio", SimpleNamespace(sleep=wait_for_the_end))
    house.services.pace.charge(actor.account_id, PER_SECOND * BYTES)
    async with asking(house, "Ann") as client, asking(house, "Ann") as owner:
        waiting = asyncio.create_task(client.get(f"/chats/{chat}/history/"))
        await waits.wait()
        ended = await owner.delete(f"/accounts/sessions/{actor.session_id}/")
        assert ended.is_success
        has_ended.set()
        assert (await waiting).status_code == 401


async def test_what_the_owner_does_about_the_account_does_not_wait_for_other_sessions(house: House) -> None:
    chat = await house.chat("Ann")
    actor = await actor_of(house, "Ann")
    now = time.monotonic()
    house.services.pace._now = lambda: now  # a moment later the request would wait, and would not be refused
    house.services.pace.charge(actor.account_id, 10**12)
    async with asking(house, "Ann") as client:
        refused = await client.get(f"/chats/{chat}/history/")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert (await client.get("/accounts/sessions/")).status_code == 200
        assert (await client.delete(f"/accounts/sessions/{actor.session_id}/")).is_success


async def test_a_socket_that_is_not_read_is_not_taken_for_dead() -> None:
    """What it sends, its pongs among it, waits in front of a server that does not read."""
    # It is not read for two seconds. Its time is over within them, unless it takes as long to enter on a busy machine.
    async with serving("handed over", pings=(0.1, 1.5), pace=Pace(PER_SECOND, 0.0)) as house:
        line = await house.enter("Ann", await house.chat("Ann"))
        for number in range(100):
            line.say(type="ping", id=number)
        assert [(await line.hear())["id"] for _ in range(100)] == [*range(100)]


@pytest.mark.parametrize("way", ["handed over", "plain loop"])
async def test_a_network_may_have_any_number_of_people(way: str) -> None:
    """Requests and sockets of people who are signed in cost their network nothing; those of strangers do."""
    async with serving(way, moments=(moments := standing(1, saved_seconds=3.0))) as house:
        chat = await house.chat("Ann")
        for _ in range(6):
            line = await house.enter("Ann", chat)
            line.writer.close()
        token = (await house.person("Ann")).token
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
            for _ in range(6):
                (await client.get("/chats/", headers={"Authorization": f"Bearer {token}"})).raise_for_status()
        assert moments.pace.take("127.0.0.1") == 0.0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
            for _ in range(3):
                assert (await client.get("/chats/")).status_code == 401
        assert moments.pace.take("127.0.0.1") == 1.0

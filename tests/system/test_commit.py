"""The write path from outside: what leaves the messenger while a COMMIT is on its way, and what a batch costs."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from attrs import frozen
from psycopg import sql
from psycopg.rows import TupleRow

from tests.system.client import PATIENCE, ChatSocket, Device, Visit, data
from tests.system.ledger import Ledger, Said, Stored, faults
from tests.system.postgres import DATABASE, Postgres, Statement
from tests.system.proxy import Proxy
from tests.system.server import Server

TRANSACTION = {"BEGIN", "COMMIT", "END", "ROLLBACK", "START"}


@frozen
class WatchedMessenger:
    """A messenger whose database is reached through a proxy and writes down every statement."""

    server: Server
    postgres: Postgres
    proxy: Proxy

    def connect(self) -> psycopg.Connection[TupleRow]:
        return self.postgres.connect("messenger")

    def batches(self, chat_id: str) -> list[int]:
        """How many messages of the chat each transaction stored, in order: `xmin` names it."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT count(*) FROM message WHERE chat_id = %s GROUP BY xmin ORDER BY min(seq)", [chat_id]
            )
            return [count for (count,) in rows]

    def await_stored(self, chat_id: str, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while sum(self.batches(chat_id)) < count:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture(scope="module")
def module_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedMessenger]:
    with (
        Postgres(
            tmp_path_factory.mktemp("database"), {"log_statement": "all"}, lived_in=True
        ).running() as postgres,
        closing(Proxy(postgres.port)) as proxy,
    ):
        url = postgres.url(DATABASE, port=proxy.port)
        with Server(tmp_path_factory.mktemp("server"), {"DATABASE_URL": url}).running() as server:
            yield WatchedMessenger(server, postgres, proxy)


@pytest.fixture
def house(module_house: WatchedMessenger) -> WatchedMessenger:
    return module_house


@pytest.fixture
async def people(house: WatchedMessenger) -> AsyncIterator[list[Device]]:
    async with Visit(house.server.url, house.server.ws_url) as visit:
        yield [await visit.user(number) for number in (1, 2, 3)]


async def test_nothing_is_told_while_the_commit_is_under_way(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, _ = people
    chat_id = await anna.create_chat("held", boris)
    says, own, hears = await anna.open(chat_id), await anna.open(chat_id), await boris.open(chat_id)
    with house.proxy.rule("COMMIT", "hold") as commit:
        await says.send("send_message", text="wait", nonce="n")
        await asyncio.to_thread(commit.await_caught)
        for socket in (own, hears):
            assert await socket.settle() == []  # reads are answered meanwhile
        assert await boris.history(chat_id) == []
        assert data(await boris.http.get("/chats/"))[0]["id"] == chat_id
        with pytest.raises(TimeoutError):
            await says.next(within=0.3)
        commit.release()
        ack = await says.expect("message_ack", nonce="n", seq=1)
        for socket in (says, own, hears):
            heard = await socket.expect("new_message")
            assert heard["message"]["id"] == ack["id"]
    assert [m["id"] for m in await boris.history(chat_id)] == [ack["id"]]


async def test_a_lost_answer_to_the_commit_is_unknown_and_a_repeat_settles_it(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, _ = people
    chat_id = await anna.create_chat("unknown", boris)
    says, hears = await anna.open(chat_id), await boris.open(chat_id)
    with house.proxy.rule("COMMIT", "swallow") as commit:
        await says.send("send_message", text="stored or not?", nonce="n")
        await asyncio.to_thread(commit.await_caught)
        await asyncio.to_thread(house.await_stored, chat_id, 1)
        commit.cut()
        told = await says.until("error")
        assert (told["code"], told["nonce"]) == ("outcome_unknown", "n")
    await says.send("send_message", text="stored or not?", nonce="n")
    ack = await says.until("message_ack")
    assert (ack["seq"], ack["duplicate"]) == (1, True)
    for socket in (says, hears):
        heard = await socket.heard(ack["id"])
        assert heard["position"] == 1
        assert [f["type"] for f in await socket.settle()] == []
    assert len(await boris.history(chat_id)) == 1


async def test_a_commit_that_never_arrives_stores_nothing(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, _ = people
    chat_id = await anna.create_chat("cut", boris)
    says, hears = await anna.open(chat_id), await boris.open(chat_id)
    with house.proxy.rule("COMMIT", "hold") as commit:
        await says.send("send_message", text="not stored", nonce="n")
        await asyncio.to_thread(commit.await_caught)
        commit.cut()
        told = await says.until("error")
        assert (told["code"], told["nonce"]) == ("outcome_unknown", "n")
    assert await boris.history(chat_id) == []
    await says.send("send_message", text="not stored", nonce="n")
    ack = await says.until("message_ack")
    assert (ack["seq"], ack["duplicate"]) == (1, False)
    assert (await hears.expect("new_message"))["message"]["id"] == ack["id"]


async def test_a_hundred_at_once_are_a_few_transactions(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, _ = people
    chat_id = await anna.create_chat("many", boris)
    sockets = [await anna.open(chat_id) for _ in range(50)] + [await boris.open(chat_id) for _ in range(50)]
    for number, socket in enumerate(sockets):
        await socket.send("send_message", text=f"{number}", nonce=f"{number}")
    acks = [await socket.until("message_ack") for socket in sockets]
    assert sorted(ack["seq"] for ack in acks) == list(range(1, 101))
    batches = house.batches(chat_id)
    assert sum(batches) == 100
    assert len(batches) <= 25, batches


async def gathered(*others: ChatSocket) -> None:
    """What was sent before this has been read by the server: other sockets were answered twice since, one by one."""
    for _ in range(2):
        for other in others:
            await other.settle()


async def test_a_refused_one_beside_good_ones_is_refused_alone(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, vera = people
    chat_id = await anna.create_chat("beside", boris)
    other = await anna.create_chat("beside too", boris, vera)
    says, again, elsewhere = await anna.open(chat_id), await boris.open(chat_id), await vera.open(other)
    waits = await anna.open(chat_id)
    await says.send("send_message", text="first", nonce="taken")
    await says.until("message_ack")
    with house.proxy.rule("COMMIT", "hold") as commit:
        await says.send("send_message", text="opens the batch", nonce="opens")
        await asyncio.to_thread(commit.await_caught)
        for number in range(3):
            await says.send("send_message", text=f"good {number}", nonce=f"good {number}")
            await says.send("send_message", text="another text", nonce="taken")
            await again.send("send_message", text=f"good {number}", nonce=f"good {number}")
            await elsewhere.send("send_message", text=f"good {number}", nonce=f"good {number}")
        await says.send("send_message", text="good 0", nonce="good 0")
        await gathered(waits)
        commit.release()
    answers = [await says.until_any("message_ack", "error") for _ in range(8)]
    assert [(f["type"], f["nonce"]) for f in answers] == [
        ("message_ack", "opens"),
        ("message_ack", "good 0"),
        ("error", "taken"),
        ("message_ack", "good 1"),
        ("error", "taken"),
        ("message_ack", "good 2"),
        ("error", "taken"),
        ("message_ack", "good 0"),
    ]
    assert {f["code"] for f in answers if f["type"] == "error"} == {"nonce_reused"}
    assert (answers[7]["id"], answers[7]["duplicate"]) == (answers[1]["id"], True)
    await again.take("message_ack", 3)
    await elsewhere.take("message_ack", 3)
    assert [m["seq"] for m in await boris.history(chat_id)] == list(range(1, 9))
    assert house.batches(chat_id) == [1, 1, 6]
    assert [m["text"] for m in await boris.history(other)] == ["good 0", "good 1", "good 2"]


POISON = """
CREATE OR REPLACE FUNCTION spit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = TG_ARGV[0]; END $$;
CREATE TRIGGER spit BEFORE INSERT ON message FOR EACH ROW WHEN (NEW.body = 'poison') EXECUTE FUNCTION spit({});
"""


@pytest.fixture(params=["22021", "23514"])
def poisonous(house: WatchedMessenger, request: pytest.FixtureRequest) -> Iterator[None]:
    """A database that refuses one text, which the domain does not: with a class of error that concerns one row."""
    with house.connect() as connection:
        connection.execute(sql.SQL(POISON).format(sql.Literal(request.param)))
        yield
        connection.execute("DROP TRIGGER spit ON message")


@pytest.mark.usefixtures("poisonous")
async def test_a_poison_command_hurts_none_of_its_batch(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, vera = people
    chat_id = await anna.create_chat("poison", boris)
    other = await anna.create_chat("poison too", vera)
    says, beside, waits = await anna.open(chat_id), await vera.open(other), await anna.open(chat_id)
    with house.proxy.rule("COMMIT", "hold") as commit:
        await says.send("send_message", text="opens the batch", nonce="opens")
        await asyncio.to_thread(commit.await_caught)
        for number in range(20):
            text = "poison" if number == 13 else f"good {number}"
            await says.send("send_message", text=text, nonce=f"{number}")
            await beside.send("send_message", text=f"good {number}", nonce=f"{number}")
        await gathered(waits)
        commit.release()
    answers = [await says.until_any("message_ack", "error") for _ in range(21)]
    assert [f["nonce"] for f in answers if f["type"] == "error"] == ["13"]
    await beside.take("message_ack", 20)
    history = await boris.history(chat_id)
    good = [f"good {number}" for number in range(20) if number != 13]
    assert [m["text"] for m in history] == ["opens the batch", *good]
    assert [m["seq"] for m in history] == list(range(1, 21))
    assert [m["seq"] for m in await vera.history(other)] == list(range(1, 21))


def of_sending(said: list[Statement]) -> list[list[str]]:
    """The statements of each transaction that stored messages."""
    lane = {s.session for s in said if "INSERT INTO message " in s.text}
    transactions: list[list[str]] = []
    for statement in said:
        if statement.session in lane:
            if statement.verb == "BEGIN":
                transactions.append([])
            if transactions:
                transactions[-1].append(statement.text)
    return [each for each in transactions if any("INSERT INTO message " in text for text in each)]


async def test_a_batch_is_three_statements_however_many_it_carries(
    house: WatchedMessenger, people: list[Device]
) -> None:
    anna, boris, _ = people
    chat_id = await anna.create_chat("counted", boris)
    says, also, waits = [await person.open(chat_id) for person in (anna, boris, boris)]
    since = len(house.postgres.log())
    with house.proxy.rule("COMMIT", "hold") as commit:
        await says.send("send_message", text="one", nonce="one")
        await asyncio.to_thread(commit.await_caught)
        for number in range(50):  # of one socket it takes no more than 64 at a time
            for socket in (says, also):
                await socket.send("send_message", text=f"{number}", nonce=f"{number}")
        await gathered(waits)
        commit.release()
    await says.take("message_ack", 51)
    await also.take("message_ack", 50)
    assert house.batches(chat_id) == [1, 100]
    one, hundred = of_sending(house.postgres.statements(since))
    assert one == hundred
    assert (one[0].split()[0], one[-1], len(one)) == ("BEGIN", "COMMIT", 5)


LETTERS = re.compile(r"\b(FROM|UPDATE|INTO) letter\b")
"""Statements of the workers that send letters, which a letter written lately makes busy. No list or page reads letters."""


class Count:
    """Statements that the messenger says for one request, its own loops left out: those said while nobody asks."""

    def __init__(self, house: WatchedMessenger) -> None:
        self.house = house
        self.noise: set[str] = set()

    async def listen(self, seconds: float) -> None:
        since = len(self.house.postgres.log())
        await asyncio.sleep(seconds)
        self.noise = {statement.text for statement in self.house.postgres.statements(since)} - TRANSACTION

    async def of(self, device: Device, path: str) -> list[str]:
        """What all of three requests have in common, so that a loop that is due once in a while does not count."""
        found = []
        for _ in range(3):
            since = len(self.house.postgres.log())
            data(await device.http.get(path))
            said = self.house.postgres.statements(since)
            found.append(
                Counter(s.text for s in said if s.verb not in TRANSACTION and s.text not in self.noise)
            )
        common = (found[0] & found[1] & found[2]).elements()
        return sorted(text for text in common if not LETTERS.search(text))


async def test_lists_and_pages_are_as_many_statements_however_long_they_are(
    house: WatchedMessenger, people: list[Device]
) -> None:
    _, boris, vera = people
    email = f"anna-{uuid4().hex[:12]}@example.com"
    async with Visit(house.server.url, house.server.ws_url) as visit:
        http = await visit.anonymous()
        data(await http.post("/accounts/sign-up/", json={"email": email, "password": "Password1"}))
        letter = await asyncio.to_thread(house.server.await_letter, email)
        anna = await visit.confirm(http, email, letter)
        chats = [await anna.create_chat(f"chat {number}", boris, vera) for number in range(3)]
        for chat_id in chats:
            socket = await boris.open(chat_id)
            for number in range(3 if chat_id == chats[0] else 120):
                await socket.send("send_message", text=f"{number}", nonce=f"{number}")
            await socket.take("message_ack", 3 if chat_id == chats[0] else 120)
        count = Count(house)
        await count.listen(2.5)
        short = await count.of(anna, f"/chats/{chats[0]}/history/?limit=100")
        long = await count.of(anna, f"/chats/{chats[1]}/history/?limit=100")
        assert short == long
        three = await count.of(anna, "/chats/")
        for number in range(27):
            chat_id = await anna.create_chat(f"more {number}", boris, vera)
            await (await boris.open(chat_id)).say("hello")
        assert len(data(await anna.http.get("/chats/"))) == 30
        thirty = await count.of(anna, "/chats/")
        assert three == thirty
        assert 1 < len(three) <= 6, three
        assert 1 < len(short) <= 6, short


async def test_two_messengers_on_one_database_number_without_a_hole(
    house: WatchedMessenger, make_server: Callable[..., Server]
) -> None:
    url = house.postgres.url("messenger")
    secret = (house.server.var / "secrets" / "jwt_secret_key").read_text().strip()
    second = make_server(settings={"DATABASE_URL": url, "JWT_SECRET_KEY": secret})
    second.start()
    ledger = Ledger()
    async with (
        Visit(house.server.url, house.server.ws_url) as here,
        Visit(second.url, second.ws_url) as there,
    ):
        anna, boris = await here.user(1), await there.user(2, "there")
        chats = [await anna.create_chat(f"both {number}", boris) for number in range(3)]

        async def talk(socket: ChatSocket, chat_id: str, name: str) -> None:
            for number in range(150):
                said = Said(chat_id, f"{name} {chat_id} {number}")
                ledger.send(said)
                await socket.send("send_message", text=said.text, nonce=said.nonce)
            while len(heard := [f for f in socket.seen if f["type"] == "new_message"]) < 300:
                frame = await socket.next()
                assert frame["type"] in {"new_message", "message_ack"}, frame
                if frame["type"] == "message_ack":
                    ledger.ack(frame)
            for frame in heard:
                ledger.hear(frame)

        places = [(chat_id, device) for chat_id in chats for device in (anna, boris)]
        sockets = [await device.open(chat_id) for chat_id, device in places]
        await asyncio.gather(
            *(
                talk(socket, chat_id, device.email)
                for socket, (chat_id, device) in zip(sockets, places, strict=True)
            )
        )
        for socket in sockets:
            seqs = [f["message"]["seq"] for f in socket.seen if f["type"] == "new_message"]
            assert seqs == list(range(1, 301))
        kept = {
            chat_id: [Stored(m["id"], m["seq"], m["text"]) for m in await boris.history(chat_id)]
            for chat_id in chats
        }
    assert not ledger.unanswered
    assert faults(ledger, kept) == []

"""The cursor of `/ws`, `/sync/` and `/events/` on PostgreSQL: other nodes, restarts, restored dumps, and what it costs."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import make_url

from application.accounts import recent_sessions
from config.container import PostgresAdapters, close_connections
from domain.ids import ChatId
from infrastructure.postgres.schema.check import STAMP
from infrastructure.stored_events import MESSAGE_SENT
from tests.all_chats import Device, House, opened
from tests.infrastructure.postgres.test_restored import dump, restore
from tests.interfaces.live.test_hub import until
from tests.postgres import PostgresServer
from tests.statements import counted
from tests.world import SETTINGS

TRANSPORTS = ("ws", "sync", "events")


@asynccontextmanager
async def node(url: str, *, interval: float = 0.05, **options: Any) -> AsyncIterator[House]:
    """One process of the messenger. Nodes hear of each other by the database alone."""
    async with AsyncExitStack() as stack:
        adapters = PostgresAdapters(settings=SETTINGS, url=url)
        stack.push_async_callback(close_connections, adapters)
        yield await stack.enter_async_context(opened(adapters, interval=interval, **options))


def moved(device: Device, house: House, over: str) -> Device:
    """The same client at another node, over another transport."""
    other = Device(house, device.person, over)
    other.picture = device.picture
    other.picture.frames.clear()
    return other


async def test_a_cursor_holds_on_another_node_and_after_a_restart(messenger_database: str) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(node(messenger_database))
        ann, bob = [await first.world.person(name) for name in ("Ann", "Bob")]
        chats = [await first.world.chat(ann.actor, bob.actor) for _ in range(3)]
        devices = []
        for over in TRANSPORTS:
            device = Device(first, bob, over)
            await device.come()
            await device.go()
            devices.append(device)
        async with node(messenger_database) as second:
            said = ["on the second node"]
            await second.world.say(ann.actor, chats[0], said[0])
            for device, over in zip(devices, ("events", "ws", "sync"), strict=True):
                other = moved(device, second, over)
                await other.come_back()
                assert sorted(each["message"]["text"] for each in other.of("new_message")) == sorted(said)
                assert not other.of("reset", "snapshot", "chat_added")
                # and what is said on the first node is heard on the second
                said.append(f"on the first node, heard over {over}")
                await first.world.say(ann.actor, chats[1], said[-1])
                await until(lambda: said[-1] in str(other.picture.frames))  # noqa: B023
                await other.go()
        await stack.aclose()
        async with node(messenger_database) as again:
            await again.world.say(ann.actor, chats[2], "after the restart")
            for device, over in zip(devices, ("sync", "events", "ws"), strict=True):
                other = moved(device, again, over)
                await other.come_back()
                assert other.picture.state() == await again.state_of(bob.actor)
                assert other.picture.resets == []
                await other.go()


async def restored(server: PostgresServer, url: str, dumped: bytes) -> None:
    """The node reads meanwhile. Where the two lock tables in another order, PostgreSQL ends one of them: then once more."""
    for _ in range(20):
        try:
            await restore(server, url, dumped)
        except subprocess.CalledProcessError as error:
            if b"deadlock" not in error.stderr:
                raise
        else:
            return
    raise AssertionError("the node was always in the way")


async def test_every_client_resynchronises_after_a_restore(
    postgres_server: PostgresServer, messenger_database: str
) -> None:
    """A dump is restored under a running node: everybody starts anew, and a message sent again under its nonce is one."""
    async with node(messenger_database) as house:
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        chat = await house.world.chat(ann.actor, bob.actor)
        await house.world.say(ann.actor, chat, "kept", nonce="1")
        devices = [Device(house, bob, over) for over in TRANSPORTS]
        away = [Device(house, bob, over) for over in TRANSPORTS]
        for device in (*devices, *away):
            await device.come()
        for device in away:
            await device.go()
        dumped = await dump(postgres_server, messenger_database)
        await house.world.say(ann.actor, chat, "lost", nonce="2")
        later = await house.world.chat(ann.actor, bob.actor)
        await until(lambda: all(str(later) in device.picture.chats for device in devices))

        await restored(postgres_server, messenger_database, dumped)
        socket, polling, stream = devices
        await until(lambda: socket.close is not None and stream.close is not None)
        assert (socket.close and socket.close.code, stream.close and stream.close.code) == (1012, 1012)
        await until(lambda: polling.picture.resets != [])
        for device in (socket, stream):
            await device.go()
            await device.come_back()
        # what had been acknowledged is sent again under its nonce, and what was in the dump is not doubled
        for text, nonce in (("kept", "1"), ("lost", "2"), ("new", "3")):
            await house.world.say(ann.actor, chat, text, nonce=nonce)
        for device in away:
            await device.come_back()
        expected = await house.state_of(bob.actor)
        assert list(expected) == [str(chat)]
        assert (expected[str(chat)]["seq"], expected[str(chat)]["last_message"]["text"]) == (3, "new")
        await until(lambda: all(each.picture.state() == expected for each in (*devices, *away)))
        # one that polls may come between the restore and the new line of history that the node begins
        assert polling.picture.resets in (["epoch"], ["epoch", "epoch"])
        assert [each.picture.resets for each in (socket, stream, *away)] == [["epoch"]] * 5


GROW = f"""
WITH stamp AS (SELECT {STAMP} AS tx), posted AS (
    INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
    SELECT %(chat)s, n, gen_random_uuid(), n, %(author)s, 'm:' || n, 'text', now()
    FROM generate_series(%(count)s, %(count)s) AS n
), logged AS (
    INSERT INTO chat_log (chat_id, position, kind, seq, tx)
    SELECT %(chat)s, n, {MESSAGE_SENT}, n, (SELECT tx FROM stamp) FROM generate_series(1, %(count)s) AS n
)
UPDATE chat_head SET last_seq = %(count)s, last_position = %(count)s, last_at = now(), tx = (SELECT tx FROM stamp)
WHERE chat_id = %(chat)s
"""
"""Adds a number of entries to the log of a chat that had none. Of the messages only the last one is there, which is enough for a gap."""


async def test_too_much_in_one_chat_is_a_gap_in_that_chat_alone(
    postgres_server: PostgresServer, messenger_database: str
) -> None:
    many = 100_000
    async with node(messenger_database) as house:
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        loud, quiet = [await house.world.chat(ann.actor, bob.actor) for _ in range(2)]
        devices = [Device(house, bob, over) for over in TRANSPORTS]
        for device in devices:
            await device.come()
            await device.go()
            device.picture.frames.clear()
        name = make_url(messenger_database).database
        assert name is not None
        with postgres_server.connect(name) as connection:
            given = {"chat": loud, "author": ann.actor.profile_id, "count": many}
            connection.execute(GROW, given)
        await house.world.say(ann.actor, quiet, "quiet")
        for device in devices:
            await device.come_back()
            (gap,) = device.of("gap")
            assert (gap["chat_id"], gap["after"], gap["before"]) == (str(loud), 0, many + 1)
            assert gap["state"]["seq"] == many
            assert [each["chat_id"] for each in device.of("new_message")] == [str(quiet)]
            assert device.picture.resets == []


async def test_opening_and_resuming_cost_the_same_with_few_chats_and_with_many(
    messenger_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Per page: 20 of 40 chats are shown first, and all of them have news that fit into one read."""
    monkeypatch.setattr(
        recent_sessions, "SECONDS", 0.0
    )  # or a quick machine would read the session less often
    costs: dict[tuple[str, str], list[int]] = {}
    async with node(messenger_database, first_page=20, interval=3600) as house:
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        chats: list[ChatId] = []
        for many in (2, 40):
            while len(chats) < many:
                chats.append(await house.world.chat(ann.actor, bob.actor))
            for over in TRANSPORTS:
                device = Device(house, bob, over)
                with counted() as opening:
                    await device.come()
                    await device.go()
                for chat in chats:
                    await house.world.say(ann.actor, chat, "missed", nonce=f"{over} {many}")
                with counted() as resuming:
                    await device.come_back()
                    await device.go()
                assert len(device.of("new_message")) == many
                costs.setdefault((over, "opening"), []).append(opening.statements)
                costs.setdefault((over, "resuming"), []).append(resuming.statements)
    assert {name: few for name, (few, _) in costs.items()} == {
        name: many for name, (_, many) in costs.items()
    }
    assert max(few for few, _ in costs.values()) < 15

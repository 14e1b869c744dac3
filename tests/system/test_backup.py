"""
A messenger is dumped while it runs, and restored elsewhere: clients that come back are told to begin anew, and what they send
again under its nonce is not doubled.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import make_url

from tests.postgres import PostgresServer
from tests.system.client import Device, Frame, Visit
from tests.system.conftest import SECRET
from tests.system.postgres import DATABASE, Postgres, binaries, unprivileged
from tests.system.server import Server
from tests.system.test_commands import Line, done


async def come_back(device: Device, chat_id: str, epoch: str, position: int) -> tuple[Frame, Frame, Frame]:
    """The first three frames after a resume."""
    async with device.connect(chat_id) as socket:
        await socket.send("auth", token=device.token, since={"epoch": epoch, "position": position})
        return await socket.next(), await socket.next(), await socket.next()


async def test_clients_resynchronise_after_a_restore(
    make_server: Callable[..., Server], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    server = make_server(settings={"JWT_SECRET_KEY": SECRET})
    line = Line(server.folder)
    server.start()
    dump, later = str(tmp_path / "of a moment"), str(tmp_path / "of the end")
    async with Visit(server.url, server.ws_url) as visit:
        anna, boris = await visit.user(1), await visit.user(2)
        chat_id = await anna.create_chat("A chat", boris)
        async with anna.dial(chat_id) as socket:
            epoch = socket.seen[0]["epoch"]
            first = await socket.say("In the dump", nonce="first")
            made = done(await asyncio.to_thread(line, "db", "dump", dump))
            assert f"is dumped to {dump}: " in made
            lost = await socket.say("After the dump", nonce="second")
        # Its connections are in the way, and the file of a dump is never written over.
        refused = await asyncio.to_thread(line, "db", "restore", dump, "--replace", "--yes")
        assert "stop the messenger first" in done(refused, 1)
        assert "is there already" in done(await asyncio.to_thread(line, "db", "dump", dump), 1)
    await asyncio.to_thread(server.interrupt)

    # The embedded database is started for each of these, and has data.
    done(await asyncio.to_thread(line, "db", "dump", later))
    assert "give --replace" in done(await asyncio.to_thread(line, "db", "restore", dump), 1)

    name = postgres_server.fresh_database()
    postgres_server.drop_database(name)
    elsewhere = {"DATABASE_URL": postgres_server.url(name)}
    restored = await asyncio.to_thread(line, "db", "restore", dump, **elsewhere)
    assert "is restored to 20" in done(restored)
    try:
        other = make_server(settings={"JWT_SECRET_KEY": SECRET, **elsewhere})
        other.start()
        async with Visit(other.url, other.ws_url) as visit:
            anna.ws_url, boris.ws_url = other.ws_url, other.ws_url
            greeted, reset, page = await come_back(anna, chat_id, epoch, lost["message"]["position"])
            assert greeted["epoch"] != epoch
            assert (reset["type"], reset["reason"]) == ("reset", "epoch")
            assert [message["text"] for message in page["messages"]] == ["In the dump"]
            async with boris.dial(chat_id) as socket:
                listening = await socket.settle()
                assert listening == []
                async with anna.dial(chat_id) as speaking:
                    await speaking.send("send_message", text="In the dump", nonce="first")
                    again = await speaking.expect("message_ack", nonce="first", duplicate=True)
                    assert again["id"] == first["message"]["id"]
                    anew = await speaking.say("After the dump", nonce="second")
                    assert anew["message"]["id"] != lost["message"]["id"]
                assert (await socket.next())["message"]["id"] == anew["message"]["id"]
            there = await visit.user(2)
            assert [message["text"] for message in await there.history(chat_id)] == [
                "In the dump",
                "After the dump",
            ]
        await asyncio.to_thread(other.interrupt)
        assert "Everything is consistent" in done(await asyncio.to_thread(line, "db", "check", **elsewhere))
        replaced = await asyncio.to_thread(line, "db", "restore", later, "--replace", "--yes", **elsewhere)
        assert "is restored to 20" in done(replaced)
        with postgres_server.connect(make_url(elsewhere["DATABASE_URL"]).database or "") as connection:
            found = connection.execute("SELECT count(*) FROM message WHERE nonce = 'c:second'").fetchone()
        assert found == (1,)
    finally:
        postgres_server.drop_database(name)


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "backup.md").read_text()


async def test_a_moment_is_recovered_as_the_page_has_it(
    make_server: Callable[..., Server], make_postgres: Callable[..., Postgres], tmp_path: Path
) -> None:
    """The lines of the page, with other folders and another moment."""
    _, _, section = PAGE.partition("## Point-in-time recovery\n")
    section = (
        section.partition("\n## ")[0]
        .replace("/backup", str(tmp_path))
        .replace("/var/lib/postgresql", str(tmp_path))
    )
    configured, copy, recover = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    (tmp_path / "wal").mkdir()
    postgres = make_postgres(
        lived_in=True, fsync="off", **dict(re.findall(r"^(\w+) = '?(.*?)'?$", configured, re.MULTILINE))
    )
    settings = {"JWT_SECRET_KEY": SECRET, "DATABASE_URL": postgres.url(DATABASE)}
    server = make_server(settings=settings)
    server.start()
    async with Visit(server.url, server.ws_url) as visit:
        anna = await visit.user(1)
        chat_id = await anna.create_chat("A chat")
        await asyncio.to_thread(shell, copy, PGHOST="127.0.0.1", PGPORT=str(postgres.port), PGUSER="postgres")
        async with anna.dial(chat_id) as socket:
            epoch = socket.seen[0]["epoch"]
            await socket.say("After the copy", nonce="first")
            with postgres.connect() as connection:
                (moment,) = connection.execute("SELECT clock_timestamp()::text").fetchone() or ("",)
            lost = await socket.say("After the moment", nonce="second")
    await asyncio.to_thread(server.interrupt)
    await asyncio.to_thread(postgres.stop)
    shell(recover.replace("2026-11-29 14:30:00+00", moment))

    recovered = make_postgres(tmp_path / "recovered")
    other = make_server(settings={**settings, "DATABASE_URL": recovered.url(DATABASE)})
    other.start()
    async with Visit(other.url, other.ws_url):
        anna.ws_url = other.ws_url
        greeted, reset, page = await come_back(anna, chat_id, epoch, lost["message"]["position"])
        assert greeted["epoch"] != epoch
        assert (reset["type"], reset["reason"]) == ("reset", "epoch")
        assert [message["text"] for message in page["messages"]] == ["After the copy"]
        async with anna.dial(chat_id) as socket:
            await socket.send("send_message", text="After the copy", nonce="first")
            await socket.expect("message_ack", nonce="first", duplicate=True)
            await socket.say("After the moment", nonce="second")
    await asyncio.to_thread(other.interrupt)
    checked = await asyncio.to_thread(Line(other.folder), "db", "check", DATABASE_URL=recovered.url(DATABASE))
    assert "Everything is consistent" in done(checked)


def shell(lines: str, **environment: str) -> None:
    environment |= {"PATH": f"{binaries()}:{os.environ['PATH']}"}
    subprocess.run(unprivileged(["sh", "-ec", lines]), env=environment, check=True, capture_output=True)

"""
The clients where people use them: in programs on their machines, with a messenger that has a bad day.

One messenger serves all of it, with its chaos switch on.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from messenger_client import MessengerClient, NewMessage, Options, State
from tests.checker.history import AllConnecting, Belongs, Kept, Quiet
from tests.checker.judge import judge
from tests.system.device import PASSWORD, Observer, Record
from tests.system.devices import CHAOS, Run
from tests.system.server import PATIENCE, Server
from tests.system.test_generated_clients import with_node

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "interfaces" / "clients" / "python"

BREAKS = 24
"""Connections that break in the shortened run; `python -m tests.system.devices` has a thousand."""


@pytest.fixture(scope="module")
def bad_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("bad_day"), {"CHAOS_SEED": "1", **CHAOS}, is_new=False)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("client", "number"), [("python", 1), pytest.param("javascript", 2, marks=with_node)]
)
async def test_devices_hold_what_is_stored_after_many_broken_connections(
    bad_day: Server, tmp_path: Path, client: str, number: int
) -> None:
    """Each with chats of its own on the one messenger."""
    assert "connections are broken on purpose" in bad_day.log()
    outcome = await Run(number, bad_day, tmp_path, BREAKS, client).run()
    assert outcome.faults == []
    assert outcome.record.breaks >= BREAKS
    assert outcome.messages > BREAKS


def test_a_client_of_a_device_that_crashed_knows_what_its_storage_held() -> None:
    """Also if the client before had just begun anew: its storage held the former cursor until there was a new one."""
    record, chat, person = Record(), "chat", "ann"
    entry = {"chat": {"id": chat, "name": "one", "member_count": 1}, "last_message": None, "seq": 0}
    page = {"chats": [{**entry, "position": 0, "read_up_to": 0, "unread_count": 0}], "next": None}
    record.events.append(Belongs(at=record.at, chat=chat, profile=person))

    def hear(observer: Observer, type: str, **fields: object) -> None:
        observer.heard(json.dumps({"type": type, **fields}))

    crashed = Observer(record, "phone", person)
    crashed.opened(has_cursor=False, is_behind=False)
    hear(crashed, "auth_success", cursor="c0")
    hear(crashed, "snapshot", **page)
    hear(crashed, "resumed", cursor="c1")
    crashed.ended(1006, is_break=True)
    crashed.opened(has_cursor=True, is_behind=False)
    hear(crashed, "auth_success", cursor="c1")
    hear(crashed, "reset", scope="all", reason="malformed")
    crashed.ended(1006, is_break=True)
    later = Observer(record, "phone", person, is_restored=True)
    later.opened(has_cursor=True, is_behind=False)
    hear(later, "auth_success", cursor="c1")
    hear(later, "resumed", cursor="c2")
    later.opened(has_cursor=True, is_behind=False)
    hear(later, "auth_success", cursor="c2")
    hear(later, "resumed", cursor="c2")
    record.events.append(Kept(at=record.at, chat=chat, messages=[], changes={}, members=[person]))
    record.events.append(Quiet(at=record.at))
    assert judge(record.events) == []
    opened = [event for event in record.events if isinstance(event, AllConnecting)]
    assert [event.is_restored for event in opened] == [False, False, True, False]


def bot() -> str:
    """The bot of docs/clients.md, as it stands there."""
    page = (ROOT / "docs" / "clients.md").read_text()
    (text,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return str(text)


async def start_bot(folder: Path, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "bot.py",
        url,
        "user1@example.com",
        PASSWORD,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT)},
    )


async def test_the_bot_of_the_page_answers_everything_once(bad_day: Server, tmp_path: Path) -> None:
    """Through a restart of the server, and one of the bot."""
    (tmp_path / "bot.py").write_text(bot())
    assert len([line for line in bot().splitlines() if line]) <= 10
    options = Options(first_pause=0.05, longest_pause=1)
    person = MessengerClient(bad_day.url, email="user2@example.com", password=PASSWORD, options=options)
    answers: list[str] = []
    come = asyncio.Event()

    async with asyncio.timeout(3 * PATIENCE), person:
        await person.until(State.LIVE)
        bots = MessengerClient(bad_day.url, email="user1@example.com", password=PASSWORD, options=options)
        async with bots:
            await bots.until(State.LIVE)
            chat = await person.create_chat("bot", [bots.profile_id])

        def hear(change: object) -> None:
            if isinstance(change, NewMessage) and change.chat.id == chat.id and not change.is_own:
                answers.append(change.message.text)
                come.set()

        async def answered(text: str) -> None:
            while f"You said: {text}" not in answers:
                come.clear()
                await come.wait()

        person.on_change(hear)
        running = await start_bot(tmp_path, bad_day.url)
        try:
            while not answers:  # what is said before the bot comes for the first time it does not hear
                await person.say(chat.id, "are you there?", nonce=f"there {len(person.messages(chat.id))}")
                come.clear()
                with_patience = asyncio.create_task(come.wait())
                await asyncio.wait({with_patience}, timeout=0.5)
                with_patience.cancel()
            for number in range(3):
                await person.send(chat.id, f"before {number}")
            await answered("before 2")
            assert bad_day.process is not None
            bad_day.process.send_signal(signal.SIGTERM)
            for number in range(3):
                await person.send(chat.id, f"meanwhile {number}")
            await asyncio.to_thread(bad_day.process.wait, PATIENCE)
            await asyncio.to_thread(bad_day.start)
            await answered("meanwhile 2")
            running.kill()
            await running.wait()
            for number in range(3):
                await person.say(chat.id, f"after {number}")
            running = await start_bot(tmp_path, bad_day.url)
            await answered("after 2")
        finally:
            running.kill()
            await running.wait()
    expected = [f"You said: {when} {n}" for when in ("before", "meanwhile", "after") for n in range(3)]
    assert [text for text in answers if text != "You said: are you there?"] == expected

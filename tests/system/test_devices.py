"""
The clients where people use them: in programs on their machines, with a messenger that has a bad day.

One messenger serves all of it, with its chaos switch on.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from messenger_client import MessengerClient, NewMessage, Options, State
from tests.system.device import PASSWORD
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

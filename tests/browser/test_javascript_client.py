"""
The JavaScript client in a bare page, and the Python bot of docs/clients.md, talk to each other while connections break on
purpose, answers are lost and the server restarts.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome

from tests.browser.browser import Page
from tests.system.device import PASSWORD
from tests.system.devices import CHAOS
from tests.system.server import PATIENCE, Server
from tests.system.test_devices import CLIENT, bot

BEGIN = """
const [address, email, password, done] = arguments;
const url = location.origin;
import(address).then(async ({ Messenger, Tokens, WebStorage }) => {
  const tokens = new Tokens({ url, fingerprint: "bare page" });
  // Answers of the server are lost on purpose, those of HTTP, too.
  const again = async (act) => {
    for (let attempt = 1; ; attempt++)
      try {
        return await act();
      } catch (error) {
        if (attempt > 20) throw error;
      }
  };
  await again(() => tokens.signIn(email, password));
  const storage = new WebStorage(localStorage, "bare.");
  const messenger = new Messenger({ url, tokens, storage, catchUp: true, remember: true, shortestPause: 50, longestPause: 1000, patience: 5000 });
  Object.assign(window, { messenger, heard: [], seqs: [] });
  messenger.on("message", ({ message }) => {
    if (message.sender_id !== messenger.model.profileId) heard.push(message.text);
    seqs.push(message.seq);
  });
  await messenger.start();
  const [anna] = await again(() => tokens.call("GET", `/profiles/?query=${encodeURIComponent("Морозова")}`));
  const { chat_id } = await again(() => messenger.openDirect(anna.id, "the bot"));
  window.chat = chat_id;
}).then(() => done(null), (error) => done(String(error)));
"""

SAY = "messenger.send(chat, arguments[0])"

ASK = f"""
if (heard.length === 0 && Date.now() > (window.askAfter ?? 0)) {{
  {SAY};
  window.pause = 2 * (window.pause ?? 250);
  window.askAfter = Date.now() + pause;
}}
return heard.length > 0;
"""
"""Says it again from time to time, at most some ten times: the history is read in one page."""


@pytest.fixture
def unsteady(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server", {"CHAOS_SEED": "2", **CHAOS}, is_new=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bare(chromium: Chrome, unsteady: Server) -> Iterator[Page]:
    """A page of the messenger that has no script, and may now run one."""
    page = Page(chromium, unsteady.url)
    page.emulate("Page.setBypassCSP", enabled=True)
    page.open(f"{unsteady.url}/errors/KEY_REUSED")
    chromium.set_script_timeout(PATIENCE)
    yield page
    page.emulate("Page.setBypassCSP", enabled=False)
    page.open("about:blank")


def begin(page: Page, server: Server) -> None:
    index = httpx.get(f"{server.url}/app/", timeout=PATIENCE).text
    (address,) = re.findall(r'href="([^"]*/clients/javascript/index\.js)"', index)
    arguments = (address, "user2@example.com", PASSWORD)
    assert page.driver.execute_async_script(BEGIN, *arguments) is None


def await_answer(page: Page, text: str) -> None:
    page.until(lambda: page.run("return heard.includes(arguments[0])", f"You said: {text}"))


def test_the_bot_and_the_page_talk_through_a_restart(bare: Page, unsteady: Server, tmp_path: Path) -> None:
    page = bare
    (tmp_path / "bot.py").write_text(bot())
    running = subprocess.Popen(
        [sys.executable, "bot.py", unsteady.url, "user1@example.com", PASSWORD],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT)},
    )
    try:
        begin(page, unsteady)
        # What is said before the bot came for the first time it does not hear.
        page.until(lambda: page.run(ASK, "are you there?"))
        for number in range(3):
            page.run(SAY, f"before {number}")
        await_answer(page, "before 2")
        unsteady.interrupt()
        for number in range(3):
            page.run(SAY, f"meanwhile {number}")
        unsteady.start()
        await_answer(page, "meanwhile 2")
        page.run(SAY, "last words")
        page.driver.refresh()  # a restart of the client: it goes on from what its storage holds
        begin(page, unsteady)
        page.run(SAY, "after")
        await_answer(page, "after")
        page.until(lambda: page.run("return messenger.outbox.all().length === 0"))
        texts = page.driver.execute_async_script(HISTORY)
    finally:
        running.kill()
        running.wait()
    said = [text for text in texts if not text.startswith("You said: ") and text != "are you there?"]
    expected = [
        *(f"{when} {n}" for when in ("before", "meanwhile") for n in range(3)),
        "last words",
        "after",
    ]
    assert said == expected
    answers = [text.removeprefix("You said: ") for text in texts if text.startswith("You said: ")]
    assert [text for text in answers if text != "are you there?"] == expected
    seqs = page.run("return seqs")
    assert seqs == sorted(set(seqs))


HISTORY = """
const [done] = arguments;
const read = async () => {
  for (;;)
    try {
      return (await messenger.history(chat, { limit: 100 })).messages.map(({ text }) => text);
    } catch {}
};
read().then(done);
"""

"""
The web client in a real browser, as a person has it, on loopback:

    python -m tests.benchmarks.web_client [--messages 10000] [--visits 7] [--said 40] [--chats 3000]

- arriving: how long until the form to sign in, and until the chats, can be used, and how many bytes come over the network,
  with an empty cache;
- scrolling: a conversation from its newest message to its first and back, how many elements it has at most in the document,
  and the longest time for which the page did not listen;
- listing: the list of somebody with thousands of chats from its beginning to its end, and until a message is shown in it;
- talking: from the key that sends a message to its being shown in the other person's window.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

import httpx
from attrs import frozen

from tests.benchmarks.filling import Grown, fill
from tests.benchmarks.house import quantile
from tests.browser.browser import Page, start
from tests.browser.web import PASSWORD, Somebody, Tab, somebody
from tests.system.server import Server

FIRST_PAINT: Final = 300
"""Milliseconds until the page can be used."""

TRANSFERRED: Final = 120_000
"""Bytes of a first visit."""

ELEMENTS: Final = 400
"""In the conversation."""

LONG_TASK: Final = 50
"""Milliseconds for which the page may not listen. Browsers report those that are longer."""

HEARD: Final = 100
"""Milliseconds until a message is shown to the other person."""

PATIENCE: Final = 300

WATCH: Final = """
window.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
  .observe({ type: "longtask", buffered: true });
addEventListener("DOMContentLoaded", () => {
  const seek = () => {
    if (document.querySelector("[name=email], nav .row") === null) return;
    watching.disconnect();
    requestAnimationFrame(() => setTimeout(() => (window.usable = performance.now())));
  };
  const watching = new MutationObserver(seek);
  watching.observe(document.body, { childList: true, subtree: true });
});
"""
"""Runs in each page before its own scripts."""

FIRST_CONTENT: Final = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"

SCROLL: Final = """
const [step, last, done] = arguments;
const scroller = document.querySelector(".scroller");
const seqs = () => [...scroller.querySelectorAll("[data-seq]")].map((each) => Number(each.dataset.seq));
const seen = new Set();
let [most, frames, before] = [0, 0, performance.now()];
const pauses = [];
longTasks.length = 0;
function frame() {
  const now = performance.now();
  pauses.push(now - before);
  before = now;
  frames++;
  const shown = seqs();
  shown.forEach((seq) => seen.add(seq));
  most = Math.max(most, document.querySelectorAll(".conversation *").length);
  if (shown.includes(last) && (last === 1 ? scroller.scrollTop < 1 : scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 1)) {
    setTimeout(() => done({ most, frames, seen: seen.size, longTasks, longestPause: Math.max(...pauses.slice(1)) }), 200);
    return;
  }
  scroller.scrollTop += step;
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""
"""Scrolls as fast as frames are shown, and notes what was in the document in each."""

SCROLL_LIST: Final = """
const [step, done] = arguments;
const rows = document.querySelector(".rows");
const seen = new Set();
let [most, frames, before] = [0, 0, performance.now()];
const pauses = [];
longTasks.length = 0;
function frame() {
  const now = performance.now();
  pauses.push(now - before);
  before = now;
  frames++;
  for (const each of rows.querySelectorAll("[data-chat]")) seen.add(each.dataset.chat);
  most = Math.max(most, rows.querySelectorAll("*").length);
  const at = rows.scrollTop;
  rows.scrollTop += step;
  if (rows.scrollTop === at) setTimeout(() => done({ most, frames, seen: seen.size, longTasks, longestPause: Math.max(...pauses.slice(1)) }), 200);
  else requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""
"""The same for the list of chats, to its end."""

HEAR_IN_LIST: Final = """
window.heard = new Map();
new MutationObserver(() => {
  const said = document.querySelector("nav .row .last")?.innerText.split(": ").at(-1);
  if (!heard.has(said)) {
    heard.set(said, null);
    requestAnimationFrame(() => setTimeout(() => heard.set(said, performance.timeOrigin + performance.now())));
  }
}).observe(document.querySelector(".rows"), { childList: true, subtree: true, characterData: true });
"""

HEAR: Final = """
window.heard = new Map();
new MutationObserver(() => {
  for (const text of document.querySelectorAll(".message:not(.own) .text"))
    if (!heard.has(text.innerText)) {
      heard.set(text.innerText, null);
      const said = text.innerText;
      requestAnimationFrame(() => setTimeout(() => heard.set(said, performance.timeOrigin + performance.now())));
    }
}).observe(document.querySelector(".scroller"), { childList: true, subtree: true });
"""

SAY: Final = """
const field = document.querySelector("textarea");
field.value = arguments[0];
field.dispatchEvent(new InputEvent("input", { bubbles: true }));
return new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
  const at = performance.timeOrigin + performance.now();
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
  done(at);
})));
"""


@frozen
class Arrival:
    first_content: float
    usable: float
    transferred: int
    requests: int


def transferred(page: Page) -> tuple[int, int]:
    """The bytes on the network since this was last asked, with headers and frames, and the number of requests."""
    total = count = 0
    for method, told in page.events():
        if method == "Network.loadingFinished":
            total += int(told["encodedDataLength"])
            count += 1
        elif method in {"Network.webSocketFrameReceived", "Network.webSocketFrameSent"}:
            total += len(told["response"]["payloadData"].encode())
    return total, count


def arrive(page: Page, url: str) -> Arrival:
    page.emulate("Network.clearBrowserCache")
    page.open("about:blank")
    page.events()
    page.open(url)
    usable = page.until(lambda: page.run("return window.usable"))
    page.until(lambda: page.run(FIRST_CONTENT) is not None)
    total, count = transferred(page)
    return Arrival(page.run(FIRST_CONTENT), usable, total, count)


def arrivals(tab: Tab, visits: int) -> list[Arrival]:
    # The first visit of all also compresses the files, and starts the browser's processes.
    return [arrive(tab.turn(), f"{tab.home}/app/") for _ in range(visits + 1)][1:]


def grow(server: Server, who: Sequence[Somebody], messages: int) -> None:
    """A chat of texts as people write them: short ones, long ones, emoji and links."""
    chat = Grown(
        name="A long story",
        messages=messages,
        members=[UUID(each.profile_id) for each in who],
        steps=(messages,),
    )
    with server.database() as connection:
        fill(connection, [chat])
        connection.execute(
            """
            UPDATE message SET body = CASE seq % 10
                WHEN 0 THEN repeat('Она молчала, и он тоже. ', 12)
                WHEN 3 THEN 'See https://example.com/story/' || seq || ' and write what you think of it.'
                WHEN 7 THEN '👍🎉'
                ELSE 'Number ' || seq || ', ' || repeat('and then ', (seq % 7)::int) END
            """
        )


def scroll(page: Page, step: int, last: int) -> dict[str, Any]:
    page.driver.set_script_timeout(PATIENCE)
    told: dict[str, Any] = page.driver.execute_async_script(SCROLL, step, last)
    return told


def talk(one: Tab, two: Tab, said: int) -> list[float]:
    """Milliseconds from the key to the other window, message by message."""
    two.turn().run(HEAR)
    sent = {f"message {number} of {said}": 0.0 for number in range(said)}
    one.turn()
    for text in sent:
        sent[text] = one.page.run(SAY, text)
        one.await_sent(text)
    page = two.turn()
    page.until(lambda: page.run("return [...heard.values()].filter((each) => each !== null).length") >= said)
    heard = dict(json.loads(page.run("return JSON.stringify([...heard])")))
    return [heard[text] - at for text, at in sent.items()]


@contextmanager
def browser(folder: Path, server: Server) -> Iterator[Page]:
    driver = start(folder)
    try:
        yield Page(driver, server.url)
    finally:
        driver.quit()


def judged(value: float, limit: float) -> str:
    return "yes" if value < limit else "no"


def row(what: str, figure: str, target: str, reached: str) -> None:
    print(f"| {what} | {figure} | {target} | {reached} |", flush=True)


def show_arrivals(what: str, found: Sequence[Arrival]) -> None:
    usable = [each.usable for each in found]
    painted = statistics.median(each.first_content for each in found)
    most = max(each.transferred for each in found)
    median = statistics.median(usable)
    row(
        f"{what}: usable",
        f"{median:.0f} ms ({min(usable):.0f} to {max(usable):.0f}), first content {painted:.0f}",
        f"{FIRST_PAINT} ms",
        judged(median, FIRST_PAINT),
    )
    row(
        f"{what}: transferred",
        f"{most:,} bytes, {found[0].requests} requests",
        f"{TRANSFERRED:,}",
        judged(most, TRANSFERRED),
    )


def show_scrolling(what: str, told: dict[str, Any], rows: str = "messages") -> None:
    tasks = sorted(told["longTasks"], reverse=True)
    row(
        f"{what}: elements",
        f"{told['most']} at most, {told['seen']:,} {rows} shown in {told['frames']:,} frames",
        f"{ELEMENTS}",
        judged(told["most"], ELEMENTS),
    )
    row(
        f"{what}: long tasks",
        f"{len(tasks)}{f', the longest {tasks[0]:.0f} ms' if tasks else ''}; longest frame {told['longestPause']:.0f} ms",
        f"none over {LONG_TASK} ms",
        "no" if tasks else "yes",
    )


def measure(folder: Path, messages: int, visits: int, said: int) -> None:
    with Server(folder / "server", is_new=False).running() as server, browser(folder, server) as page:
        one, two = (somebody(server, name) for name in ("Anna", "Boris"))
        grow(server, (one, two), messages)
        print("| what | figure | target | reached |\n| --- | --- | --- | --- |", flush=True)
        tabs = [Tab.opened(page, home) for home in (server.url, server.url.replace("127.0.0.1", "localhost"))]
        for tab in tabs:
            tab.turn().emulate("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        show_arrivals("signed out", arrivals(tabs[0], visits))
        for tab, person in zip(tabs, (one, two), strict=True):
            tab.turn()
            tab.sign_in(person.email, PASSWORD)
        show_arrivals("signed in", arrivals(tabs[0], visits))
        tabs[0].row("A long story").click()
        page.first("[data-seq]").found()
        for what, step, last in (("up", -600, 1), ("down", 600, messages)):
            show_scrolling(f"{messages:,} messages {what}", scroll(page, step, last))
        tabs[1].row("A long story").click()
        page.first("[data-seq]").found()
        taken = talk(tabs[0], tabs[1], said)
        median = statistics.median(taken)
        row(
            "a message at the other window",
            f"p50 {median:.0f} ms, p90 {quantile(taken, 0.9):.0f}, most {max(taken):.0f}",
            f"{HEARD} ms",
            judged(median, HEARD),
        )


def heard_of(page: Page, text: str) -> float:
    """Waits until the text is shown in the list, and returns when that was, in milliseconds since 1970."""
    at: float = page.until(lambda: page.run("return window.heard.get(arguments[0])", text))
    return at


def measure_list(folder: Path, chats: int, said: int) -> None:
    """With a server and a browser of its own, because these people have a list that would be in all other figures."""
    with Server(folder / "server", is_new=False).running() as server, browser(folder, server) as page:
        reader, writer = (somebody(server, name) for name in ("Clara", "Dora"))
        members = [UUID(each.profile_id) for each in (reader, writer)]
        many = [Grown(name=f"Chat {number}", messages=1, members=members) for number in range(chats)]
        with server.database() as connection:
            fill(connection, many)
        tab = Tab.opened(page, server.url)
        page.emulate("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        tab.sign_in(reader.email, PASSWORD)
        page.until(lambda: page.driver.title == f"({chats}) Messenger")
        page.open(f"{tab.home}/app/")
        page.until(lambda: page.driver.title == f"({chats}) Messenger")
        told = page.driver.execute_async_script(SCROLL_LIST, 600)
        show_scrolling(f"{chats:,} chats down", told, "chats")
        page.run("document.querySelector('.rows').scrollTop = 0")
        page.run(HEAR_IN_LIST)
        taken = []
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {writer.token}"}) as http:
            for number in range(said):
                at, text = time.time() * 1000, f"news {number}"
                chat = many[number * 37 % chats].id
                http.post(f"/chats/{chat}/messages/", json={"text": text}).raise_for_status()
                heard = heard_of(page, text)
                taken.append(heard - at)
        median = statistics.median(taken)
        row(
            f"a message at the top of {chats:,} chats",
            f"p50 {median:.0f} ms, p90 {quantile(taken, 0.9):.0f}, most {max(taken):.0f}, with the request that sends it",
            f"{HEARD} ms",
            judged(median, HEARD),
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--visits", type=int, default=7)
    parser.add_argument("--said", type=int, default=40)
    parser.add_argument("--chats", type=int, default=3000)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="messenger-bench-") as place:
        measure(Path(place), given.messages, given.visits, given.said)
        measure_list(Path(place) / "list", given.chats, given.said)


if __name__ == "__main__":
    main()

"""The list of chats of somebody who has a thousand of them."""

from uuid import UUID

import httpx
from selenium.webdriver.common.keys import Keys

from tests.benchmarks.filling import Grown, fill
from tests.browser.axe import findings, require_axe
from tests.browser.browser import Page
from tests.browser.web import PASSWORD, Browser, Somebody, somebody
from tests.system.client import data
from tests.system.server import Server

MANY = 1000

MOST = 60
"""Rows in the document, whatever there is."""

SHOWN = """
const { top, bottom } = document.querySelector(".rows").getBoundingClientRect();
return [...document.querySelectorAll("nav .row")]
  .filter((each) => each.getBoundingClientRect().bottom > top && each.getBoundingClientRect().top < bottom)
  .map((each) => each.querySelector(".name").innerText);
"""
"""The names that can be seen."""

TOP = """
const row = [...document.querySelectorAll("nav .row")].find((each) => each.querySelector(".name").innerText === arguments[0]);
return row.getBoundingClientRect().top;
"""

PLACES = """
return [...document.querySelectorAll("nav [role=listitem]")]
  .map((each) => [Number(each.ariaPosInSet), Number(each.ariaSetSize), each.querySelector(".name").innerText]);
"""
"""What a screen reader reads, in its order."""

SCROLL = """
const [done] = arguments;
const rows = document.querySelector(".rows");
const frame = () => new Promise(requestAnimationFrame);
const seen = new Map();
let most = 0;
(async () => {
  while (true) {
    const { top, bottom } = rows.getBoundingClientRect();
    let end = null;
    for (const each of rows.querySelectorAll("[role=listitem]")) {
      const box = each.getBoundingClientRect();
      if (box.bottom <= top || box.top >= bottom) continue;
      if (end !== null && Math.abs(box.top - end) > 1) throw new Error(`a hole before ${each.innerText}`);
      end = box.bottom;
      seen.set(each.dataset.chat, Number(each.ariaPosInSet));
    }
    most = Math.max(most, rows.querySelectorAll(".row").length);
    const before = rows.scrollTop;
    rows.scrollTop += rows.clientHeight - 100;
    if (rows.scrollTop === before) break;
    await frame(); // events about scrolling come before it, and what they change is in the document
  }
  done({ seen: seen.size, places: [...seen.values()], most });
})().catch((error) => done({ error: String(error) }));
"""
"""Turns the pages of the list to its end, and notes what was seen."""


def chats_of(server: Server, reader: Somebody, writer: Somebody) -> list[Grown]:
    members = [UUID(each.profile_id) for each in (reader, writer)]
    made = [Grown(name=f"Chat {number}", messages=1, members=members) for number in range(MANY)]
    with server.database() as connection:
        fill(connection, made, analyze=False)
    return made


def test_a_thousand_chats(page: Page, server: Server, browser: Browser) -> None:
    reader, writer = somebody(server, "Алла"), somebody(server, "Яков")
    made = chats_of(server, reader, writer)
    tab = browser.open()
    tab.sign_in(reader.email, PASSWORD)
    page.await_title(f"({MANY}) Messenger")
    places = page.until(lambda: [*page.run(PLACES)][20:] and page.run(PLACES))
    assert len(places) < MOST
    assert [place for place, *_ in places] == sorted(place for place, *_ in places)
    assert {size for _, size, _ in places} == {MANY}
    assert [place for place, *_ in places[:20]] == list(range(1, 21))

    # Each row is shown once on the way, in the order of the list.
    told = page.driver.execute_async_script(SCROLL)
    assert told.get("error") is None
    assert (told["seen"], told["places"]) == (MANY, list(range(1, MANY + 1)))
    assert told["most"] < MOST

    # What is looked at stays there when chats come up from below and from above.
    page.run("document.querySelector('.rows').scrollTop = 6400")
    page.until(lambda: len(page.run(SHOWN)) > 8)
    before: list[str] = page.run(SHOWN)
    looked_at = before[6]
    top = page.run(TOP, looked_at)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {writer.token}"}) as http:
        for name in ("Chat 0", before[3]):
            (chat,) = (each for each in made if each.name == name)
            data(http.post(f"/chats/{chat.id}/messages/", json={"text": "Up to the top"}))
            page.until(lambda: page.run(PLACES)[0][2] == name)  # noqa: B023  # it is called at once
            assert abs(page.run(TOP, looked_at) - top) <= (64 if name == before[3] else 1)
    stay = [name for name in before if name != before[3]]
    assert [name for name in page.run(SHOWN) if name in before] == stay

    # By keyboard: the focus walks over the edge of what was in the document, and is not lost when the list is scrolled away.
    page.run("document.querySelector('.rows').scrollTop = 0")
    page.one("#search").click()
    page.type(*[Keys.ARROW_DOWN] * 70)
    page.until(lambda: page.run("return document.activeElement.parentElement.ariaPosInSet") == "70")
    page.until(
        lambda: page.run("return document.activeElement.querySelector('.name').innerText") in page.run(SHOWN)
    )
    page.run("document.querySelector('.rows').scrollTop = 1e6")
    page.until(lambda: page.run(PLACES)[-2][0] == MANY - 1)
    assert page.run("return document.activeElement.parentElement.ariaPosInSet") == "70"
    assert len(page.run(PLACES)) < MOST
    page.type(Keys.ARROW_DOWN)
    page.until(lambda: page.run("return document.activeElement.parentElement.ariaPosInSet") == "71")
    page.until(
        lambda: page.run("return document.activeElement.querySelector('.name').innerText") in page.run(SHOWN)
    )
    opened = page.run("return document.activeElement.querySelector('.name').innerText")
    page.type(Keys.ENTER)
    page.await_texts(".about h1", opened)

    # Back from the conversation the focus is on its row, although it was not on the screen.
    page.run("document.querySelector('.rows').scrollTop = 1e6")
    page.type(Keys.ESCAPE)
    page.until(lambda: page.run("return document.activeElement.querySelector('.name')?.innerText") == opened)

    # Searching shows what was found from its beginning.
    tab.find("Chat 718")
    page.await_texts(".about h1", "Chat 718")
    page.until(lambda: "Chat 718" in page.run(SHOWN))
    require_axe()
    assert findings(page) == []

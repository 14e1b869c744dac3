"""Two people talk by the web client: from signing up to groups, through broken connections and a restart of the server."""

from uuid import UUID

import httpx
from selenium.webdriver.common.keys import Keys

from tests.benchmarks.filling import Grown, fill
from tests.browser.browser import Page
from tests.browser.conftest import APP
from tests.browser.hostile import NAME, OTHER_NAME, TEXTS
from tests.browser.web import NUMBERS, PASSWORD, Browser, assert_well, somebody
from tests.system.client import data
from tests.system.server import Server

TRANSFERRED = """
return performance.getEntries().map(({ transferSize }) => transferSize ?? 0).reduce((sum, each) => sum + each);
"""
"""The bytes of a visit, with headers."""

NOTE_TYPING = """
window.typing = false;
const look = () => (window.typing ||= document.querySelector(".about p").innerText === "typing …");
new MutationObserver(look).observe(document.querySelector(".about"), { childList: true, characterData: true, subtree: true });
"""

AWAY = {
    *((0, path) for path in ("/ws", "/accounts/token/refresh/", "/accounts/me/", "/accounts/profile/")),
    *((503, path) for path in ("/ws", "/accounts/token/refresh/", "/accounts/me/", "/accounts/profile/")),
}
"""What is asked in vain while the server is away."""


def test_from_signing_up_to_the_first_message(page: Page, server: Server, browser: Browser) -> None:
    bob = somebody(server, "Борис")
    email = f"web{next(NUMBERS)}@example.com"
    alice = browser.open()
    page.await_heading("Messenger")
    assert 0 < page.run(TRANSFERRED) < 120_000
    page.press("Create an account")
    alice.fill(email=email, password="weak")
    page.press("Create an account")
    page.until(
        lambda: (
            page.texts(".problem")
            == [
                "This password is too weak here: take a longer one, with small and capital letters and a digit."
            ]
        )
    )
    page.expected.append((422, "/accounts/sign-up/"))
    alice.fill(email=email, password=PASSWORD)
    page.press("Create an account")
    page.await_heading("Look into your mail")
    server.await_letter(email)
    page.first(".letters li a").click()
    page.press("Confirm the address")
    page.await_heading("Your address is confirmed")
    assert page.one("a").get("href") == APP
    page.open(f"{page.home}/chats/ui/")  # the original's address
    alice.sign_in(email, PASSWORD)
    assert page.one("dialog").attribute("aria-label") == "Welcome! What is your name?"
    assert_well(page)
    alice.fill(firstName="Alice", lastName="Liddell")
    page.press("Save")
    page.await_count(0, "dialog")
    alice.find("Борис")
    alice.write("Hello, Boris!")
    alice.await_sent("Hello, Boris!")

    boris = browser.open(language="ru")
    boris.sign_in(bob.email, PASSWORD)
    page.await_title("(1) Мессенджер")
    boris.row("Alice Liddell").click()
    boris.await_message("Hello, Boris!")
    page.await_title("Мессенджер")  # it was on the screen, so it is read
    alice.turn()
    page.until(lambda: page.texts(".message.own .meta")[0].endswith("✓✓"))
    page.await_texts(".about p", "online")
    page.await_count(1, "nav .there")
    # Typing is seen by the other. It is noted when it comes, because it lasts only for some seconds.
    page.run(NOTE_TYPING)
    boris.turn()
    page.one("textarea").put("Приве")
    alice.turn()
    page.until(lambda: page.run("return typing"))
    boris.turn()
    page.await_focus("textarea")
    page.type(Keys.END, "т!", Keys.ENTER)
    alice.await_message("Привет!")
    boris.write("👍🎉")
    alice.await_message("👍🎉")
    sizes = "return [...document.querySelectorAll('.message .text')].map((each) => parseFloat(getComputedStyle(each).fontSize))"
    assert page.run(sizes) == [16, 16, 16 * 2.6]  # nothing but emoji is large
    assert_well(page)


def test_nothing_is_lost_when_the_network_or_the_server_goes(
    page: Page, server: Server, browser: Browser
) -> None:
    ann, bob = somebody(server, "Анна"), somebody(server, "Боб")
    one, two = browser.open(), browser.open()
    one.sign_in(ann.email, PASSWORD)
    two.sign_in(bob.email, PASSWORD)
    one.find("Боб")
    one.write("first")
    one.await_sent("first")
    two.row("Анна").click()
    two.await_message("first")

    page.tolerated = AWAY
    server.interrupt()
    one.write("while it was away")
    two.write("me too")
    page.first(".outgoing").found()
    two.turn()
    page.first(".banner").found()
    one.turn()
    page.open("about:blank")  # what was not sent survives the page, and the session does, too
    server.start()
    page.open(f"{one.home}/app/")
    one.row("Боб").click()
    for tab in (one, two):
        tab.await_message("while it was away")
        tab.await_message("me too")
        tab.turn()
        page.await_count(0, ".outgoing")
        assert sorted(tab.messages()) == ["first", "me too", "while it was away"]

    # A second tab of the same browser; both stay signed in when each refreshes.
    other = browser.open_beside(one.home)
    other.row("Боб").click()
    other.write("from the other tab")
    for tab in (one, two, other):
        tab.await_message("from the other tab")
    # Signing out in one tab signs the other one out, too.
    one.turn()
    page.one("[aria-label=Menu]").click()
    page.press("Sign out")
    page.first("[name=email]").found()
    other.turn()
    page.first("[name=email]").found()


def test_a_group_and_its_roles(page: Page, server: Server, browser: Browser) -> None:
    owner, friend, third = somebody(server, "Ольга"), somebody(server, "Фёдор"), somebody(server, "Третий")
    one, two = browser.open(), browser.open()
    one.sign_in(owner.email, PASSWORD)
    two.sign_in(friend.email, PASSWORD)
    one.turn()
    page.one("[aria-label='New group']").click()
    one.fill(name="Trip")
    for name in ("Фёдор", "Третий"):
        page.one("dialog input[type=search]").put(name)
        page.one(f".picker label:has(input)[data-name='{name}']").click()
    assert_well(page)
    page.press("Create")
    page.await_texts(".about p", "3 members")
    one.write("Where to?")
    two.row("Trip").click()
    two.await_message("Where to?")

    one.turn()
    page.until(lambda: page.texts(".message.own .meta")[0].endswith("✓✓"))
    page.one(".message.own button.meta").click()
    page.until(lambda: [text.split("\n")[-2] for text in page.texts("dialog .entry")] == ["Фёдор"])
    page.one("dialog [aria-label=Close]").click()
    page.one(".top [aria-label=Details]").click()
    page.await_count(3, ".members li")
    page.one(f"[aria-label='Actions for {third.name}']").click()
    page.press("Remove")
    page.press("OK")
    page.await_count(2, ".members li")
    page.one(f"[aria-label='Actions for {friend.name}']").click()
    page.press("Hand the group over")
    assert_well(page)
    page.press("OK")
    page.await_texts(".members small", "owner", "You · admin")
    one.fill(name="The trip")
    page.press("Save")
    two.row("The trip").found()
    one.turn()
    page.press("Leave the group")
    page.press("OK")
    page.await_texts("nav .name")
    two.turn()
    page.await_texts(".about p", "1 member")
    page.one(".top [aria-label=Details]").click()
    page.press("Delete the group")
    page.press("OK")
    page.await_texts("nav .name")
    page.await_count(0, "dialog")


def test_any_text_is_a_text_and_fits(page: Page, server: Server, browser: Browser) -> None:
    writer, reader = somebody(server, NAME), somebody(server, OTHER_NAME)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {writer.token}"}) as http:
        # A group, where the name of who writes stands beside each message.
        body = {"name": NAME, "description": TEXTS[0], "members": [reader.profile_id]}
        chat = data(http.post("/chats/", json=body))["id"]
        for text in TEXTS:
            data(http.post(f"/chats/{chat}/messages/", json={"text": text}))
    tab = browser.open()
    tab.sign_in(reader.email, PASSWORD)
    page.first("nav .row").click()
    page.until(lambda: tab.messages() == TEXTS)
    tab.write(TEXTS[1])  # and an own one on the other side
    tab.await_sent(TEXTS[1])
    page.await_title("Messenger")
    assert page.texts(".about h1") == page.texts(".author") == [NAME]
    assert page.count(".message img, .message b, .message script") == 0
    assert page.texts(".message a") == ["https://example.com/path?x=1&y="]
    assert page.one(".message a").attribute("rel") == "noopener noreferrer"
    for width, height, scheme in (
        (1200, 900, "light"),
        (1200, 900, "dark"),
        (360, 740, "dark"),
        (360, 740, "light"),
    ):
        page.resize(width, height)
        page.prefer(scheme)
        page.first(".message .text").found()
        assert_well(page)
        page.until(lambda: page.run(MISPLACED) == [])
    page.one(".top [aria-label=Details]").click()
    page.await_texts("dialog h2", NAME)
    page.await_count(2, ".members li")
    assert_well(page)
    assert page.run(MISPLACED) == []
    page.one("dialog [aria-label=Close]").click()
    page.one("[aria-label='Back to the chats']").click()
    page.first("nav .row").found()
    assert page.count(".conversation:not(.nothing)") == 0
    assert_well(page)
    assert page.run(MISPLACED) == []


MISPLACED = """
const wrong = [];
for (const list of [".scroller [data-seq]", "nav .row", ".members li"]) {
  let end = -Infinity;
  for (const each of document.querySelectorAll(list)) {
    if (!each.checkVisibility()) continue;
    const { top, bottom } = each.getBoundingClientRect();
    if (top < end - 0.5) wrong.push([list, "overlaps", each.innerText.slice(0, 40)]);
    end = bottom;
    for (const part of [each, ...each.querySelectorAll("*")]) {
      const { left, right, width } = part.getBoundingClientRect();
      if (width > 0 && (left < -0.5 || right > innerWidth + 0.5)) wrong.push([list, "is cut off", part.className]);
    }
  }
}
return wrong;
"""
"""Messages and rows that cover each other or leave the window."""


def test_many_messages_are_scrolled_with_few_elements(page: Page, server: Server, browser: Browser) -> None:
    ann, bob = somebody(server, "Аня"), somebody(server, "Боря")
    many = 150
    # Each of another author and on another day than the one before: as many elements as there can be.
    chat = Grown(name="Long", messages=many, members=[UUID(each.profile_id) for each in (ann, bob)])
    with server.database() as connection:
        fill(connection, [chat], analyze=False)
    tab = browser.open()
    tab.sign_in(bob.email, PASSWORD)
    tab.row("Long").click()
    page.first(".divider").found()
    page.until(lambda: page.one(".jump").text == str(page.run(UNSEEN)))
    # Down to the end and up again: each message, few elements, and what is read stays where it is while more comes.
    for step, last in ((400, many), (-400, 1)):
        told = page.driver.execute_async_script(SCROLL, step, last)
        assert sorted(told["seen"]) == list(range(1, many + 1))
        assert told["most"] < 400
        assert told["drift"] < 2
    page.await_title("Messenger")  # all were on the screen


UNSEEN = """
const bottom = document.querySelector(".scroller").getBoundingClientRect().bottom + 8;
const { dataset } = [...document.querySelectorAll("[data-seq]")].filter((each) => each.getBoundingClientRect().bottom <= bottom).at(-1);
return Math.ceil((150 - Number(dataset.seq)) / 2);
"""
"""How many messages of the other person are below the screen: every second one."""

SCROLL = """
const [step, last, done] = arguments;
const scroller = document.querySelector(".scroller");
const seen = new Set();
let [most, drift] = [0, 0];
const frame = () => new Promise(requestAnimationFrame);
(async () => {
  while (true) {
    const shown = [...scroller.querySelectorAll("[data-seq]")];
    const seqs = shown.map((each) => Number(each.dataset.seq));
    if (seqs.some((seq, at) => seq !== seqs[0] + at)) throw new Error(`out of order: ${seqs}`);
    seqs.forEach((seq) => seen.add(seq));
    most = Math.max(most, document.querySelectorAll(".conversation *").length);
    const before = scroller.scrollTop;
    const anchor = shown.find((each) => each.getBoundingClientRect().bottom > scroller.getBoundingClientRect().top + Math.abs(step));
    const top = anchor?.getBoundingClientRect().top;
    scroller.scrollTop += step;
    const moved = scroller.scrollTop - before;
    if (moved === 0 && seqs.includes(last)) break;
    for (let count = 0; count < 3; count++) await frame();
    if (anchor?.isConnected) drift = Math.max(drift, Math.abs(anchor.getBoundingClientRect().top - (top - moved)));
  }
  done({ seen: [...seen], most, drift });
})().catch((error) => done({ error: String(error) }));
"""
"""Scrolls to the message `last`, and returns what was in the document and how far anything moved that should have stayed."""

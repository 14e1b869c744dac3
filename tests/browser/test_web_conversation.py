"""What a person of the web client is told, what becomes of what they write, and where they are in a long conversation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx

from tests.benchmarks.filling import Grown, fill
from tests.browser.browser import Page
from tests.browser.web import PASSWORD, Browser, Somebody, Tab, somebody
from tests.system.client import data
from tests.system.server import Server

ICON = "return document.querySelector('link[rel=icon]').href.split('/').at(-1)"

STUBS = """
window.told = [];
window.Notification = class {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, { body, tag }) {
    told.push([title, body, tag]);
    window.lastNotification = this;
  }
  close() {}
};
const anything = new Proxy(() => anything, { get: (_, name) => (name === Symbol.toPrimitive ? () => 0 : anything), set: () => true });
window.AudioContext = class {
  constructor() {
    told.push("sound");
    return anything;
  }
};
"""
"""Notes what the browser would show and play."""

HIDE = """
Object.defineProperty(document, "visibilityState", { value: arguments[0], configurable: true });
document.dispatchEvent(new Event("visibilitychange"));
"""

ANCHOR = """
const { top } = document.querySelector(".scroller").getBoundingClientRect();
const first = [...document.querySelectorAll("[data-seq]")].find((each) => each.getBoundingClientRect().bottom > top);
return first ? [Number(first.dataset.seq), first.getBoundingClientRect().top - top] : null;
"""
"""The first message on the screen, and how far from the upper edge it begins."""

TAP = """
const { send } = WebSocket.prototype;
window.spoils = arguments[0];
window.spoiled = 0;
window.sent = [];
WebSocket.prototype.send = function (text) {
  const frame = JSON.parse(text);
  if (spoils && frame.type === "auth" && frame.since) {
    frame.since.cursor = "spoiled";
    window.spoiled++;
  }
  window.socket = this;
  sent.push(frame);
  send.call(this, JSON.stringify(frame));
};
"""
"""Keeps the socket, so that a test can break it, and what was sent. If told so, the client comes back with a cursor that no server has told."""

FORGET = """
const done = arguments[0];
const address = performance.getEntriesByType("resource").map(({ name }) => name).find((name) => name.endsWith("/session.js"));
import(address).then(({ session }) => {
  session.messenger.model.epoch = "another";
  done(true);
});
"""
"""Has the client believe that it was last told of another line of history: the database was restored meanwhile."""


@contextmanager
def as_(server: Server, who: Somebody) -> Iterator[httpx.Client]:
    """What somebody does elsewhere, on another device."""
    headers = {"Authorization": f"Bearer {who.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as http:
        yield http


def say(http: httpx.Client, chat: str, text: str) -> dict[str, Any]:
    said: dict[str, Any] = data(http.post(f"/chats/{chat}/messages/", json={"text": text}))
    return said


def open_direct(http: httpx.Client, other: Somebody) -> str:
    return str(data(http.post("/chats/direct/", json={"profileId": other.profile_id}))["id"])


def open_menu(page: Page, item: str) -> None:
    page.one("[aria-label=Menu]").click()
    page.press(item)


def outgoing(page: Page) -> list[list[str]]:
    """The texts that were not stored yet, and what became of them."""
    found: list[list[str]] = page.run(
        "return [...document.querySelectorAll('.outgoing')]"
        ".map((each) => [each.querySelector('.text').innerText, each.dataset.state])"
    )
    return found


def test_a_person_is_told_of_messages_that_they_do_not_see(
    page: Page, server: Server, browser: Browser
) -> None:
    reader, writer = somebody(server, "Лиза"), somebody(server, "Пётр")
    tab = browser.open()
    tab.sign_in(reader.email, PASSWORD)
    page.run(STUBS)
    page.one("[aria-label=Menu]").click()
    for _ in range(2):
        page.first("dialog input:not(:checked)").click()
    page.await_count(2, "dialog input:checked")
    page.one("dialog [aria-label=Close]").click()
    with as_(server, writer) as http:
        chat = open_direct(http, reader)
        say(http, chat, "Are you there?")
        page.until(lambda: page.run("return told") == ["sound", ["Пётр", "Пётр: Are you there?", chat]])
        page.await_title("(1) Messenger")
        assert page.run(ICON) == "icon-unread.svg"
        page.run("lastNotification.onclick()")
        tab.await_message("Are you there?")
        page.await_title("Messenger")
        assert page.run(ICON) == "icon.svg"
        # A person is not told of what they see. What is open in a hidden page stays unread.
        say(http, chat, "I see you read this")
        tab.await_message("I see you read this")
        page.await_title("Messenger")
        assert page.run("return told.length") == 2
        page.run(TAP, False)
        page.run(HIDE, "hidden")
        say(http, chat, "You are away")
        page.until(lambda: page.run("return told.length") == 4)
        tab.await_message("You are away")
        page.driver.execute_async_script("setTimeout(arguments[0], 600)")  # a mark is told after 300
        assert 3 not in page.run("return sent.map((frame) => frame.up_to)")
        page.run(HIDE, "visible")
        page.await_title("Messenger")
        # Somebody who comes online is seen to be there, in the list.
        assert page.count("nav .there") == 0


def test_what_is_written_is_kept_until_it_is_stored(page: Page, server: Server, browser: Browser) -> None:
    owner, writer = somebody(server, "Ольга"), somebody(server, "Мария")
    with as_(server, owner) as http:
        open_direct(http, writer)
        body = {"name": "Choir", "description": "We sing", "members": [writer.profile_id]}
        group = str(data(http.post("/chats/", json=body))["id"])
        tab = browser.open()
        tab.sign_in(writer.email, PASSWORD)
        # A draft belongs to its chat, and survives the page.
        tab.row("Choir").click()
        page.one("textarea").put("half a sent")
        tab.row("Ольга").click()
        page.until(lambda: page.one("textarea").get("value") == "")
        page.open(f"{tab.home}/app/")
        tab.row("Choir").click()
        page.until(lambda: page.one("textarea").get("value") == "half a sent")
        page.one("textarea").put("")

        # Without a network what is written waits, and goes out by itself.
        page.connect(online=False)
        page.first(".banner").found()
        tab.write("First of May")
        page.until(lambda: [text for text, _ in outgoing(page)] == ["First of May"])
        page.connect(online=True)
        tab.await_sent("First of May")
        page.await_count(0, ".banner")
        page.until(lambda: outgoing(page) == [])
        assert page.texts(".day") == ["Today"]

        # It is refused if one was removed meanwhile, and is still there to be sent when one is back.
        page.run(TAP, False)
        page.one("textarea").put("Second")  # of which the others are told
        page.until(lambda: page.run("return window.socket !== undefined"))
        page.tolerated = {(0, "/ws")}
        page.connect(online=False)
        page.run("socket.close(4000)")
        page.one("textarea").put("")
        tab.write("Second of May")
        page.until(lambda: outgoing(page) == [["Second of May", "waiting"]])
        nonce = page.one(".outgoing").attribute("data-nonce")
        data(http.delete(f"/chats/{group}/members/{writer.profile_id}/"))
        page.connect(online=True)
        page.until(lambda: outgoing(page) == [["Second of May", "refused"]])
        page.until(lambda: "This chat is gone." in page.text("main"))
        data(http.post(f"/chats/{group}/members/", json={"profileIds": [writer.profile_id]}))
        page.first("textarea").found()
        assert page.one(".outgoing").attribute("data-nonce") == nonce
        page.press("Try again")
        tab.await_sent("Second of May")
        page.until(lambda: outgoing(page) == [])
        # Both stand together: only the first one of a person begins anew.
        page.await_count(1, ".message.first")
        history = data(http.get(f"/chats/{group}/history/"))["entities"]
        assert [message["text"] for message in history].count("Second of May") == 1


def awaited_reset(page: Page, tab: Tab, http: httpx.Client, chat: str, number: int) -> None:
    """Breaks the connection, and waits until the client has been reset and has come back, which it may do more than once."""
    page.run("socket.close(4000)")
    page.until(lambda: page.run("return spoiled") >= number)
    text = f"after reset {number}"
    say(http, chat, text)
    page.until(lambda: text in tab.row("Long").text)


def test_a_reset_keeps_the_place_where_one_reads(page: Page, server: Server, browser: Browser) -> None:
    reader, writer = somebody(server, "Анна"), somebody(server, "Семён")
    many = 120
    members = [UUID(each.profile_id) for each in (writer, reader)]
    long = Grown(name="Long", messages=many, members=members, steps=(many,))
    with server.database() as connection:
        fill(connection, [long], analyze=False)
    tab = browser.open()
    tab.sign_in(reader.email, PASSWORD)
    page.run(TAP, True)
    tab.row("Long").click()
    page.until(lambda: page.count("[data-seq]") > 20)
    page.run("document.querySelector('.scroller').scrollTop -= 300")
    page.first(".jump").found()
    page.one("textarea").put("what I was about to say")
    page.until(lambda: page.run("return window.socket !== undefined"))  # typing was told by it
    seq, top = page.until(lambda: page.run(ANCHOR))

    def is_in_place() -> bool:
        """To within a pixel: heights of lines are fractions of one."""
        found = page.run(ANCHOR)
        return found is not None and found[0] == seq and abs(found[1] - top) <= 1

    with as_(server, writer) as http:
        # The client keeps what it has of the same line of history, and loads all anew of another one.
        awaited_reset(page, tab, http, str(long.id), 1)
        page.until(is_in_place)
        page.await_texts(".jump .badge", "1")
        assert page.driver.execute_async_script(FORGET)
        awaited_reset(page, tab, http, str(long.id), 2)
        page.until(is_in_place)
        page.await_texts(".jump .badge", "2")
    page.await_focus("textarea")
    assert page.one("textarea").get("value") == "what I was about to say"
    page.one(".jump").click()
    tab.await_message("after reset 2")
    page.await_title("Messenger")
    page.await_count(0, ".jump")


def test_an_account_from_a_forgotten_password_to_its_end(
    page: Page, server: Server, browser: Browser
) -> None:
    who = somebody(server, "Нина")
    tab = browser.open()
    page.first("[name=email]").found()
    page.press("Forgot your password?")
    tab.fill(email=who.email)
    page.press("Send the letter")
    page.await_heading("Look into your mail")
    server.await_letter(who.email, number=2)
    page.first(".letters li a[href*='password']").click()
    tab.fill(first="Another-1-password", second="Another-1-password")
    page.one("form button").click()
    page.await_count(0, "input[type=password]")
    page.open(f"{tab.home}/app/")
    tab.sign_in(who.email, "Another-1-password")

    open_menu(page, "Profile")
    tab.fill(lastName="Орлова", username="nina_orlova")
    page.press("Save")
    page.await_count(0, "dialog")
    with httpx.Client(base_url=server.url, timeout=30) as http:
        body = {"email": who.email, "password": "Another-1-password", "fingerprint": "a tablet"}
        data(http.post("/accounts/sign-in/", json=body, headers={"User-Agent": "Firefox/1 Android"}))
    open_menu(page, "Devices")
    page.await_count(2, "dialog .entry")
    assert sorted("this device" in each for each in page.texts("dialog .entry")) == [False, True]
    page.press("Sign out all other devices")
    page.expected.append((403, "/accounts/sessions/"))
    tab.fill(password="not this one 1A")
    page.press("Sign out all other devices")
    page.until(lambda: "This is not your password." in page.texts("dialog .problem"))
    page.press("Cancel")
    page.press("Sign out")
    tab.fill(password="Another-1-password")
    page.press("Sign out")
    page.await_count(1, "dialog .entry")
    page.one("dialog [aria-label=Close]").click()

    open_menu(page, "Profile")
    page.press("Close the account …")
    page.await_texts("dialog h2", "Close the account")
    page.expected.append((403, "/accounts/me/"))
    tab.fill(password="not this one 1A")
    page.press("Close the account")
    page.until(lambda: "This is not your password." in page.texts("dialog .problem"))
    tab.fill(password="Another-1-password")
    page.press("Close the account")
    page.first("[name=email]").found()
    assert (
        page.run(
            "return Object.keys(localStorage).filter((name) => name.includes(arguments[0]))", who.profile_id
        )
        == []
    )
    page.expected.append((401, "/accounts/sign-in/"))
    tab.fill(email=who.email, password="Another-1-password")
    page.press("Sign in")
    page.until(lambda: page.texts(".problem")[0].startswith("This address and password"))

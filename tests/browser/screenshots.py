"""
Takes the pictures of the web client that the README shows, of a messenger with its example people.

    python -m tests.browser.screenshots [FOLDER]
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from tests.browser.browser import Page, start
from tests.browser.hostile import NAME, OTHER_NAME, TEXTS
from tests.browser.web import PASSWORD as PEOPLE_PASSWORD
from tests.browser.web import Tab, somebody
from tests.system.client import data
from tests.system.server import Server

ROOT: Final = Path(__file__).resolve().parents[2]
PASSWORD: Final = "admin"

NEWCOMER: Final = {"email": "newcomer@example.com", "password": "Кошка-и-чай-1"}
"""Somebody whose letter is shown."""

MOMENT: Final = 0.5
"""Seconds for what moves to come to rest."""


def take(page: Page, folder: Path, name: str) -> None:
    time.sleep(MOMENT)
    page.driver.save_screenshot(str(folder / f"{name}.png"))


def take_texts(page: Page, server: Server, folder: Path) -> None:
    """Pictures of what people write to break a page."""
    writer, reader = somebody(server, NAME), somebody(server, OTHER_NAME)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {writer.token}"}) as http:
        chat = data(http.post("/chats/", json={"name": NAME, "members": [reader.profile_id]}))["id"]
        # The longest ones are cut, so that the others can be seen, too.
        for text in (*(text[:300] for text in TEXTS if len(text) > 3000), *TEXTS):
            if len(text) <= 3000:
                data(http.post(f"/chats/{chat}/messages/", json={"text": text[:700]}))
    tab = Tab.opened(page, f"http://localhost:{server.port}")
    page.resize(1200, 1100)
    tab.sign_in(reader.email, PEOPLE_PASSWORD)
    page.first("nav .row").click()
    page.first(".message").found()
    tab.write(TEXTS[1])
    tab.await_sent(TEXTS[1])
    take(page, folder, "texts")
    page.resize(390, 1100, phone=True)
    take(page, folder, "texts-narrow")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        server = Server(Path(place) / "server", is_new=False)
        server.start()
        driver = start(Path(place))
        try:
            page = Page(driver, server.url)
            page.resize(1200, 760)
            entrance = Tab.opened(page, server.url)
            page.resize(1200, 760)
            page.one("[name=email]").found()
            take(page, folder, "sign-in")
            httpx.post(f"{server.url}/accounts/sign-up/", json=NEWCOMER).raise_for_status()
            server.await_letter(NEWCOMER["email"])
            page.open(f"{server.url}/app/status")
            take(page, folder, "status")
            page.open(f"{server.url}/app/")
            page.one("[name=email]").found()
            entrance.sign_in("user1@example.com", PASSWORD)
            page.until(lambda: page.count("nav .row") >= 3)
            page.first("nav .row").click()
            page.first(".message").found()
            take(page, folder, "light")
            page.prefer("dark")
            take(page, folder, "dark")
            page.resize(390, 760, phone=True)
            take(page, folder, "narrow")
            page.resize(1200, 760)
            page.prefer("light")
            page.speak("ru")
            page.open(f"{server.url}/app/")
            page.until(lambda: page.count("nav .row") >= 3)
            page.one("nav .row:nth-child(3)").click()
            page.first(".message").found()
            page.one(".top [aria-label=Подробнее]").click()
            page.first(".members li").found()
            take(page, folder, "russian")
            take_texts(page, server, folder)
        finally:
            driver.quit()
            server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")

"""A real browser, and what a person does with a page in it: read, press, type."""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from attrs import define, field, frozen
from selenium.common.exceptions import (
    ElementNotInteractableException,
    JavascriptException,
    MoveTargetOutOfBoundsException,
    NoSuchFrameException,
    NoSuchWindowException,
    StaleElementReferenceException,
)
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which something hangs."""

PROGRAMS = ("chromium", "chromedriver")

FEATURES = (
    "BackForwardCache",
    "HttpsUpgrades",
    "MediaRouter",
    "OptimizationHints",
    "PaintHolding",
    "RenderDocument",
    "SpareRendererForSitePerProcess",
    "Translate",
)

FLAGS = (
    "--headless",
    "--window-size=1200,1000",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    # What saves people time by doing things beforehand, or keeps what they may come back to, costs a test more than it saves.
    f"--disable-features={','.join(FEATURES)}",
    "--no-proxy-server",
    # Whatever a page wants from elsewhere fails there and then, and nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)

NOT_YET: Final = (
    ElementNotInteractableException,
    JavascriptException,
    LookupError,
    MoveTargetOutOfBoundsException,
    StaleElementReferenceException,
)
"""These are raised where a page has not come so far yet, or has just replaced, moved or hidden an element."""

SHORTEST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.2
"""Seconds between two questions. The pauses grow, because each question costs five milliseconds of a processor."""

VISIBLE = "[...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility())"

AIM: Final = """
element.scrollIntoView({ block: "nearest", inline: "nearest" });
const box = [...element.getClientRects()].find(({ width, height }) => width > 0 && height > 0);
if (box === undefined || element.disabled) return false;
const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
if (found === null || !element.contains(found)) return false;
window.aim = { hit: false };
const { aim } = window;
addEventListener("click", (event) => {
  if (window.aim !== aim) return;
  aim.hit = event.composedPath().includes(element);
  if (aim.hit) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true, once: true });
return element;
"""
"""
Returns the element if a click into its middle would meet it, and notes whether the next one does. One that does not, because
the page has moved meanwhile, is without effect: in a menu it would open something else.
"""

HAS_HIT: Final = """
const { aim } = window;
window.aim = undefined;
return aim?.hit ?? true;
"""
"""Tells whether the click that `AIM` prepared met its element. A click that led to another page has met it."""

PUT: Final = """
const [, text] = arguments;
element.focus();
if (document.activeElement !== element) return false;
element.select();
if (text === "") document.execCommand("delete");
else document.execCommand("insertText", false, text);
return element.value === text;
"""
"""Types a text over what is there, as one step: nothing can replace the field or take the focus meanwhile."""


def start(folder: Path) -> Chrome:
    """Chromium with a profile of its own, which remembers what it asked for and what it complained of."""
    browser, driver = (shutil.which(program) for program in PROGRAMS)
    options = ChromeOptions()
    options.binary_location = str(browser)
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", *sandbox()):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    options.add_experimental_option("perfLoggingPrefs", {"enableNetwork": True, "enablePage": False})
    service = ChromeService(driver, env={**os.environ, "HOME": str(folder), "TZ": about_noon()})
    chromium = Chrome(options, service)
    chromium.set_script_timeout(PATIENCE)
    return chromium


def about_noon() -> str:
    """The name of a time zone in which no day ends soon: pages call the day of a message "Today"."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+}"  # they are named by what is added to the local time


def sandbox() -> Sequence[str]:
    return ("--no-sandbox",) if os.geteuid() == 0 else ()


CONTRASTS: Final = """
const pixel = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const paint = (colour) => {
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (colour) => {
  const [red, green, blue] = colour.map((each) => each / 255).map(
    (each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
return [...document.querySelectorAll("body *")]
  .filter((each) => each.checkVisibility() && !["SCRIPT", "STYLE", "NOSCRIPT"].includes(each.tagName))
  .filter((each) => !(arguments[0] ?? []).some((other) => each.closest(other)))
  .filter((each) => each.matches("input") || [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((each) => {
    const behind = [];
    for (let at = each; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [back] = behind.map(paint).slice(-1);
    const ratio = [luminance(paint(getComputedStyle(each).color)), luminance(back)].sort((a, b) => a - b);
    return [each.outerHTML, (ratio[1] + 0.05) / (ratio[0] + 0.05), luminance(back)];
  });
"""
"""Measures the contrast of each text with its background (WCAG 2.2, 1.4.3)."""


@frozen
class Place:
    """
    An element, named by how it is found. It is found anew each time that it is used, and once more where the page replaced it at
    that moment: the application draws itself anew whenever it is told something, which no person notices. What a test reads
    right after it did something has to be awaited, by `Page.until` and its like: pages answer when they can.
    """

    page: "Page"
    script: str
    """An expression that gives a list of elements."""
    arguments: tuple[Any, ...] = ()
    is_only: bool = True
    """There has to be exactly one. Otherwise, the first one is meant."""

    def found(self) -> WebElement:
        """The element as it is now. Waits until it is there."""
        found: list[WebElement] = self.page.until(self._wanted)
        return found[0]

    def _wanted(self) -> list[WebElement]:
        found: list[WebElement] = self.page.run(f"return {self.script}", *self.arguments)
        return found if len(found) == 1 or not self.is_only else []

    def ask(self, question: str, *arguments: Any) -> Any:
        """The answer of a script about `element`, which is found and asked in one step. Waits until it is there."""
        return self._asked(question, arguments)[0]

    def _asked(self, question: str, arguments: tuple[Any, ...]) -> list[Any]:
        script = (
            f"const found = (function () {{ return {self.script}; }})(...arguments[0]);"
            f"if (found.length === 0 || (arguments[2] && found.length > 1)) return [];"
            f"return [(function (element) {{ {question} }})(found[0], ...arguments[1])];"
        )
        given = (list(self.arguments), list(arguments), self.is_only)
        return self.page.until(lambda: self.page.run(script, *given))

    def click(self) -> None:
        """Clicks with the pointer, and again if the page has moved the element away from it in that moment."""
        self.page.until(self._clicked)

    def _clicked(self) -> bool:
        element: WebElement | None = self.ask(AIM) or None
        if element is None:
            return False
        ActionChains(self.page.driver, duration=0).click(element).perform()
        if not self.page.runs_scripts:
            return True  # nothing moves there, and nothing could take notes
        try:
            return bool(self.page.run(HAS_HIT))
        except (NoSuchFrameException, NoSuchWindowException):
            return True  # it led away from the frame

    def put(self, text: str) -> None:
        """Types instead of what is there, all at once, as programs that keep passwords do."""
        self.page.until(lambda: self.ask(PUT, text))

    def get(self, name: str) -> Any:
        """A property of the element, as the browser understands it now."""
        return self.ask("return element[arguments[1]];", name)

    def attribute(self, name: str) -> str | None:
        """An attribute as the document has it."""
        text: str | None = self.ask("return element.getAttribute(arguments[1]);", name)
        return text

    @property
    def text(self) -> str:
        text: str = self.ask("return element.innerText.trim();")
        return text

    @property
    def accessible_name(self) -> str:
        """The name that screen readers say."""
        return self.page.until_answered(lambda: self.found().accessible_name)

    @property
    def has_focus(self) -> bool:
        has_focus: bool = self.ask("return element === document.activeElement;")
        return has_focus

    def enter(self) -> None:
        """Makes the document of this frame the one that the driver talks to."""
        self.page.until_answered(lambda: self.page.driver.switch_to.frame(self.found()))


@define(eq=False)
class Page:
    """
    A single tab in the state of a new one. Requests may fail only as the test ``expected``; anything else that the console reports
    is a fault.
    """

    driver: Chrome
    home: str
    """Where the messenger is. Nothing may be asked for anywhere else, but for `elsewhere`."""
    expected: list[tuple[int, str]] = field(factory=list)
    """Statuses and paths of answers that are no success, 0 where there was none."""
    elsewhere: tuple[str, ...] = ()
    """Addresses of other services to which the messenger sends people."""
    tolerated: set[tuple[int, str]] = field(factory=set)
    """The same, of those that may come any number of times: what a page asks while its server is away."""
    runs_scripts: bool = True

    def __attrs_post_init__(self) -> None:
        if self.driver.current_url != "about:blank":
            self.open("about:blank")
        self.emulate("Network.clearBrowserCookies")
        self.emulate("Emulation.clearDeviceMetricsOverride")
        self.prefer("light")
        self.run_scripts(allowed=True)
        self.connect(online=True)
        self.speak("en")
        self.events()
        self._log("browser")

    def emulate(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def speak(self, language: str) -> None:
        """What the person has chosen in the browser's settings."""
        agent = self.emulate("Browser.getVersion")["userAgent"]
        self.emulate("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        self.emulate(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    def prefer(self, scheme: str, *, motion: str = "reduce") -> None:
        """Emulates what the person has chosen in the system's settings. By default that is less motion, which most tests do not need."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.emulate("Emulation.setEmulatedMedia", features=features)

    def run_scripts(self, *, allowed: bool) -> None:
        self.emulate("Emulation.setScriptExecutionDisabled", value=not allowed)
        self.runs_scripts = allowed

    def connect(self, *, online: bool) -> None:
        self.emulate(
            "Network.emulateNetworkConditions",
            offline=not online,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def open(self, url: str) -> None:
        self.driver.get(url)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def count(self, selector: str) -> int:
        """How many such elements can be seen."""
        number: int = self.run(f"return {VISIBLE}.length", selector)
        return number

    def texts(self, selector: str) -> list[str]:
        """The texts of the visible elements."""
        found: list[str] = self.run(f"return {VISIBLE}.map((each) => each.innerText.trim())", selector)
        return found

    def accessible_names(self, selector: str) -> list[str]:
        """What screen readers say of the visible elements of a page that stands still."""
        found: list[WebElement] = self.run(f"return {VISIBLE}", selector)
        return [each.accessible_name for each in found]

    def one(self, selector: str) -> Place:
        """The only visible element. Whatever uses it waits until there is exactly one."""
        return Place(self, VISIBLE, (selector,))

    def first(self, selector: str) -> Place:
        """The first visible element."""
        return Place(self, VISIBLE, (selector,), is_only=False)

    def text(self, selector: str = "main") -> str:
        return self.one(selector).text

    def button(self, name: str) -> Place:
        """The only visible button with this name."""
        named = f"{VISIBLE}.filter((each) => each.innerText.trim() === arguments[1])"
        return Place(self, named, ("button", name))

    def press(self, name: str) -> None:
        self.button(name).click()

    def type(self, *keys: str) -> None:
        """To whatever has the focus."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    @property
    def focused(self) -> Place:
        return Place(self, "[document.activeElement].filter((each) => each !== null)")

    def until(self, found: Callable[[], T]) -> T:
        """Asks until the answer is not empty. Raises what kept it from answering last, after a long time."""
        start, pause = time.monotonic(), SHORTEST_PAUSE
        while True:
            kept: Exception | None = None
            try:
                if answer := found():
                    return answer
            except NOT_YET as error:
                kept = error
            if time.monotonic() - start > PATIENCE:
                raise AssertionError(self.run("return document.body.innerText")) from kept
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)

    def until_answered(self, asked: Callable[[], T]) -> T:
        """The same where an empty answer is one."""
        return self.until(lambda: (asked(),))[0]

    def await_count(self, number: int, selector: str) -> None:
        self.until(lambda: self.count(selector) == number)

    def await_texts(self, selector: str, *texts: str) -> None:
        """Waits until the visible elements have these texts."""
        self.until(lambda: self.texts(selector) == list(texts))

    def await_focus(self, selector: str) -> None:
        """Waits until such an element has the focus."""
        self.until(lambda: self.run("return document.activeElement.matches(arguments[0])", selector))

    def await_title(self, title: str) -> None:
        self.until(lambda: self.driver.title == title)

    def await_heading(self, heading: str) -> None:
        """A heading that is to be seen: there may be one for screen readers alone, which says no more than the page's name."""
        self.await_texts("h1:not(.unseen)", heading)

    def verify(self) -> None:
        """At the end of a test, over everything that happened in it."""
        addresses: dict[str, str] = {}
        refused = []
        unguarded = []
        for method, told in self.events():
            match method:
                case "Network.requestWillBeSent":
                    addresses[told["requestId"]] = told["request"]["url"]
                case "Network.webSocketCreated":
                    addresses[told["requestId"]] = told["url"]
                case "Network.responseReceived":
                    answer = told["response"]
                    if answer["status"] >= 400:
                        refused.append((answer["status"], urlsplit(answer["url"]).path))
                    headers = {name.lower() for name in answer["headers"]}
                    if answer["mimeType"] == "text/html" and "content-security-policy" not in headers:
                        unguarded.append(answer["url"])
                case "Network.loadingFailed" if told["requestId"] in addresses and not told.get("canceled"):
                    refused.append((0, urlsplit(addresses[told["requestId"]]).path))
        asked = {url for url in addresses.values() if not url.startswith(("data:", "about:"))}
        assert asked, "what is looked at would be seen"
        assert {url for url in asked if not url.startswith((*self._homes(), *self.elsewhere))} == set()
        assert unguarded == [], unguarded
        surprising = [each for each in refused if each not in self.tolerated]
        assert Counter(surprising) == Counter(self.expected), f"{surprising}, expected: {self.expected}"
        # Those of source `network` are the refusals again; advice is not a complaint.
        said = [line for line in self._log("browser") if line["source"] not in {"network", "recommendation"}]
        assert said == [], said

    def _homes(self) -> tuple[str, ...]:
        """The beginnings of this server's addresses, which has two names."""
        port = urlsplit(self.home).port
        return tuple(
            f"{scheme}://{host}:{port}/" for scheme in ("http", "ws") for host in ("localhost", "127.0.0.1")
        )

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What the network did since this was last asked for."""
        entries = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [(entry["method"], entry["params"]) for entry in entries]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        """What came into it since it was last asked for."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


def assert_readable(page: Page, *, without: Sequence[str] = ()) -> None:
    """Each text has the contrast that WCAG asks of small ones. ``without`` holds selectors of what is not ours."""
    pale = [each for each in page.run(CONTRASTS, list(without)) if each[1] < 4.5]
    assert pale == [], pale

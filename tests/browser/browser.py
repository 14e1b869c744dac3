"""A real browser, and what a person does with a page in it: read, press, type."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from attrs import define, field, frozen
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which something hangs."""

PROGRAMS = ("chromium", "chromedriver")

FLAGS = (
    "--headless",
    "--window-size=1200,1000",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # Whatever a page wants from elsewhere fails there and then, and nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)

MOVED: Final = (
    StaleElementReferenceException,
    ElementClickInterceptedException,
    ElementNotInteractableException,
)
"""The driver raises these where a page has just replaced, covered or hidden an element."""

VISIBLE = "[...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility())"


def start(folder: Path) -> Chrome:
    """Chromium with a profile of its own, which remembers what it asked for and what it complained of."""
    browser, driver = (shutil.which(program) for program in PROGRAMS)
    options = ChromeOptions()
    options.binary_location = str(browser)
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", *sandbox()):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = ChromeService(driver, env={**os.environ, "HOME": str(folder)})
    return Chrome(options, service)


def sandbox() -> Sequence[str]:
    return ("--no-sandbox",) if os.geteuid() == 0 else ()


FOCUS: Final = """
const { localName, id, className } = document.activeElement;
return [localName, id, className];
"""

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


class Focus(NamedTuple):
    """What has the focus."""

    tag: str
    id: str
    classes: str


@frozen
class Place:
    """
    An element, named by how it is found. It is found anew each time that it is used, and once more where the page replaced it at
    that moment: the application draws itself anew whenever it is told something, which no person notices.
    """

    page: "Page"
    script: str
    """An expression that gives a list of elements."""
    arguments: tuple[Any, ...] = ()
    is_only: bool = True
    """There has to be exactly one. Otherwise, the first one is meant."""

    def _with(self, use: Callable[[WebElement], T]) -> T:
        return self.page.until_answered(lambda: use(self.found()))

    def found(self) -> WebElement:
        """The element as it is now. Waits until it is there."""
        found: list[WebElement] = self.page.until(self._wanted)
        return found[0]

    def _wanted(self) -> list[WebElement]:
        found: list[WebElement] = self.page.run(f"return {self.script}", *self.arguments)
        return found if len(found) == 1 or not self.is_only else []

    def click(self) -> None:
        self._with(lambda element: element.click())

    def send_keys(self, text: str) -> None:
        self._with(lambda element: element.send_keys(text))

    def clear(self) -> None:
        self._with(lambda element: element.clear())

    def get(self, name: str) -> Any:
        """A property of the element, as the browser understands it now."""
        return self._with(lambda element: element.get_property(name))

    def attribute(self, name: str) -> str | None:
        """An attribute as the document has it."""
        return self._with(lambda element: element.get_dom_attribute(name))

    @property
    def text(self) -> str:
        return self._with(lambda element: element.text)

    @property
    def accessible_name(self) -> str:
        """The name that screen readers say."""
        return self._with(lambda element: element.accessible_name)

    @property
    def has_focus(self) -> bool:
        return self._with(lambda element: bool(element == self.page.driver.switch_to.active_element))

    def enter(self) -> None:
        """Makes the document of this frame the one that the driver talks to."""
        self._with(self.page.driver.switch_to.frame)


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

    def __attrs_post_init__(self) -> None:
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

    def prefer(self, scheme: str, *, motion: str = "no-preference") -> None:
        """What the person has chosen in the system's settings."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.emulate("Emulation.setEmulatedMedia", features=features)

    def run_scripts(self, *, allowed: bool) -> None:
        self.emulate("Emulation.setScriptExecutionDisabled", value=not allowed)

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

    def all(self, selector: str) -> list[WebElement]:
        """Those that can be seen."""
        found: list[WebElement] = self.run(f"return {VISIBLE}", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """The texts of the visible elements."""
        found: list[str] = self.run(f"return {VISIBLE}.map((each) => each.innerText.trim())", selector)
        return found

    def one(self, selector: str) -> Place:
        """The visible element. Waits until there is exactly one."""
        place = Place(self, VISIBLE, (selector,))
        place.found()
        return place

    def first(self, selector: str) -> Place:
        """The first visible element. Waits until there is one."""
        place = Place(self, VISIBLE, (selector,), is_only=False)
        place.found()
        return place

    def text(self, selector: str = "main") -> str:
        (text,) = self.until(lambda: self.texts(selector))
        return text

    def button(self, name: str) -> Place:
        """Waits until there is a button with this name."""
        named = f"{VISIBLE}.filter((each) => each.innerText.trim() === arguments[1])"
        place = Place(self, named, ("button", name))
        place.found()
        return place

    def press(self, name: str) -> None:
        self.button(name).click()

    def type(self, *keys: str) -> None:
        """To whatever has the focus."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def put(self, place: Place, text: str) -> None:
        """Instead of what is there, all at once, as programs that keep passwords do."""
        self.until_answered(lambda: self.run("arguments[0].select()", place.found()))
        self.emulate("Input.insertText", text=text)

    @property
    def focused(self) -> Place:
        return Place(self, "[document.activeElement]")

    @property
    def focus(self) -> Focus:
        """Read all at once: a page that draws itself anew may replace the element between two questions."""
        return Focus(*self.run(FOCUS))

    def until(self, found: Callable[[], T]) -> T:
        """Asks until the answer is neither empty nor about an element that the page replaced meanwhile."""
        try:
            wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02, ignored_exceptions=MOVED)
            return wait.until(lambda _: found())
        except TimeoutException:
            raise AssertionError(self.run("return document.body.innerText")) from None

    def until_answered(self, asked: Callable[[], T]) -> T:
        """The same where an empty answer is one."""
        return self.until(lambda: (asked(),))[0]

    def await_heading(self, heading: str) -> None:
        self.until(lambda: self.texts("h1") == [heading])

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
                case "Network.loadingFailed" if not told.get("canceled"):
                    refused.append((0, urlsplit(addresses[told["requestId"]]).path))
        asked = {url for url in addresses.values() if not url.startswith(("data:", "about:"))}
        assert asked, "what is looked at would be seen"
        assert {url for url in asked if not url.startswith((*self._homes(), *self.elsewhere))} == set()
        assert unguarded == [], unguarded
        assert Counter(each for each in refused if each not in self.tolerated) == Counter(self.expected)
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

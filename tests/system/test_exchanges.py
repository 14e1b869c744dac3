"""
Everything that was recorded of the original messenger and touches what is built, asked again of ours.

Each difference stands in `DIFFERENT` with the line that it comes from; one that is not there fails, and so does one that
is there and does not occur. What is not asked stands in `LEFT` with its reason, so that no number is missing silently.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from difflib import SequenceMatcher
from typing import Any
from uuid import uuid4

import httpx
import pytest
from attrs import define, field, frozen
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.system.client import ChatSocket, Device, Frame, Token, Visit, data, dial, expired, token_in
from tests.system.conftest import SECRET
from tests.system.postgres import DATABASE, Postgres
from tests.system.replay import Comparison, Known, attributes, filled, recorded
from tests.system.server import Server
from tests.system.test_workers import on_both

RECORDINGS = 195


LEFT: dict[str, list[int]] = {
    "it takes seconds of waiting between texts; test_conversation says it again, with them": [153],
    "it shows that the original marks what one may not see (docs/original.md Q4); here that is silence": [
        161
    ],
    "a member removed by hand from the original's tables; test_conversation removes one": [164],
    "a login whose password the original kept to itself; ours are those of its README (docs/original.md 12)": [
        35
    ],
    "a row that the original's tables allowed, planted by hand: a username of two characters": [136],
    "no exchange but a token taken apart; its claims are changed by docs/original.md and tested with the tokens": [
        41,
        42,
    ],
}


@frozen
class Different:
    """
    Some of the differences, in these exchanges, and where it is written that we differ. ``gone``: not with
    ``API_ORIGINAL_STATUSES``, which brings the original's statuses back; ``{invalid}`` is that of a wrong request.
    """

    line: str
    said: tuple[str, ...]
    exchanges: tuple[int, ...]
    gone: bool = False


INVALID = "SYSTEM_ERROR -> UNEXPECTED_VALIDATION_ERROR", "status: 500 -> {invalid}"
WORKS = "SYSTEM_ERROR -> success", "status: 500 -> 200"

DIFFERENT: list[Different] = [
    Different(
        "docs/original.md: validation errors are 501 -> 422, same body",
        ("status: 501 -> 422",),
        (
            *(
                13,
                14,
                17,
                18,
                19,
                21,
                25,
                32,
                39,
                40,
                51,
                64,
                71,
                77,
                101,
                102,
                103,
                104,
                105,
                106,
                129,
                130,
                131,
            ),
            *(169, 180, 181, 183, 184, 185, 186, 188, 189, 195),
        ),
        gone=True,
    ),
    *(
        Different(
            "docs/original.md: validation errors echo the input, passwords too -> secret inputs left out;"
            " docs/original.md Q54: also whole bodies",
            (f".error.fields[].input: {echoed} -> null",),
            numbers,
        )
        for echoed, numbers in (
            ("password1", (14,)),
            ('{"email": "x1@example.com"}', (17,)),
            ("[1]", (19,)),
            ('["a"]', (21,)),
            ("{}", (71, 77, 102)),
            ('{"emial": "user1@example.com", "password": "my-secret-pas...', (169,)),
            ("x", (180,)),
        )
    ),
    Different(
        "docs/original.md: unknown path and wrong method outside the envelope -> inside it, same status",
        ("no envelope -> NOT_FOUND",),
        (2, 92),
        gone=True,
    ),
    Different(
        "RFC 9110, 15.5.22: a request for a socket without its headers -> 426, which says what a proxy lacks",
        ("no envelope -> UPGRADE_REQUIRED", "status: 404 -> 426"),
        (6,),
    ),
    Different("RFC 9110, 9.3.2: HEAD wherever GET is", ("allow: GET -> ", "status: 405 -> 200"), (5,)),
    Different("RFC 9110, 9.3.2: HEAD wherever GET is", ("allow: GET -> ", "status: 405 -> 307"), (176,)),
    Different("docs/original.md: `Allow` names all methods of a path", ("allow: GET -> GET, HEAD",), (93,)),
    Different(
        "docs/original.md: unknown path and wrong method outside the envelope -> inside it, same status",
        ("no envelope -> METHOD_NOT_ALLOWED",),
        (26, 93),
        gone=True,
    ),
    Different(
        "docs/original.md Q56/Q57: wrong content type, NUL characters -> 500; ours a wrong request",
        INVALID,
        (20, 22, 33),
    ),
    Different(
        "docs/original.md Q41: an address of more than 42 characters -> 500; ours has no such limit",
        WORKS,
        (167, 168),
    ),
    Different(
        "RFC 5321, 4.5.3.1.1: an address whose local part is too long for any mail server -> 500; ours a wrong request",
        INVALID,
        (23,),
    ),
    Different(
        "docs/original.md: e-mail compared by case -> case-insensitive",
        ("AUTH_ERROR -> success", "status: 401 -> 200"),
        (34,),
    ),
    Different(
        "docs/original.md 4.3: neither e-mail nor username in the form is a fault of its own",
        (
            ".error.fields: 1 entries -> more",
            ".error.fields[].field[]: password -> username",
            ".error.message: 1 errors in schema -> 2 errors in schema",
        ),
        (40,),
    ),
    Different(
        "docs/original.md: signing up again before confirmation -> each letter activates the password that was given with it",
        ("AUTH_ERROR -> success", "status: 401 -> 200"),
        (52,),
    ),
    Different("docs/original.md Q44: a body that is no object -> 500; ours a wrong request", INVALID, (55,)),
    Different(
        "docs/original.md Q44: a forged mail token without an end -> 500; ours a wrong token",
        ("SYSTEM_ERROR -> AUTH_ERROR", "status: 500 -> 401"),
        (58,),
    ),
    Different(
        "docs/original.md: password change and reset leave sessions alive -> every other session ends",
        ("success -> AUTH_ERROR", "status: 200 -> 401"),
        (73,),
    ),
    Different(
        "docs/original.md: rotation with families; within 10 s the last one gets the same new pair again",
        ("AUTH_ERROR -> success", "status: 401 -> 200"),
        (80,),
    ),
    Different(
        "docs/original.md: sign-out clears the cookie on the wrong path -> on `/accounts/`",
        ("set-cookie.path: / -> /accounts/",),
        (87, 89),
    ),
    Different(
        "docs/original.md Q43: sign-out by a bearer alone ends nothing; ours ends that session",
        ("success -> AUTH_ERROR", "status: 200 -> 401"),
        (88,),
    ),
    Different(
        "docs/original.md: LOCAL data without chats -> chats and messages between the five",
        (".data: 0 entries -> more",),
        (94,),
    ),
    Different(
        "docs/original.md: LOCAL data without chats -> chats and messages between the five",
        (".data: 7 entries -> more",),
        (107,),
    ),
    Different(
        "docs/original.md Q33: an empty name is accepted by PUT; ours a wrong request",
        ("success -> UNEXPECTED_VALIDATION_ERROR", "status: 200 -> {invalid}"),
        (116,),
    ),
    Different("docs/original.md Q35: limit and offset of any size -> 500; ours bounded", WORKS, (132,)),
    Different(
        "docs/original.md: a message of 4 001 characters poisons the chat -> refused, nothing stored",
        WORKS,
        (155,),
    ),
    Different(
        "docs/original.md: `read_at` always null -> true values",
        (".data.entities[].readAt: null -> <time>",),
        (162,),
    ),
    Different(
        "docs/original.md Q52: database outage -> 503 DATA_ERROR",
        ("SYSTEM_ERROR -> DATA_ERROR", "status: 500 -> 503"),
        (172,),
    ),
    Different(
        "docs/original.md Q52: database outage, sign-out 200 -> 503; nothing was signed out, the cookie stays",
        (
            'set-cookie: {"value": "\\"\\"", "expires": "<date>", "max-age": "0", "p... -> null',
            "status: 200 -> 503",
            "success -> DATA_ERROR",
        ),
        (173,),
    ),
    Different(
        "docs/original.md Q23: membership first, and only `auth_error`",
        ("admin: auth_success -> nothing",),
        (150,),
    ),
    Different(
        "docs/original.md Q22: what is no JSON closes with 1011; ours answers `error` and goes on, hearing what follows",
        (
            "user1: 1011 Internal server error -> open",
            "user1: nothing -> error",
            "user1: nothing -> new_message",
        ),
        (156,),
    ),
    Different(
        "docs/original.md Q22: what is no object closes with 1011; ours answers `error` and goes on",
        ("user1: 1011 Internal server error -> open", "user1: nothing -> error"),
        (170,),
    ),
    Different(
        "docs/original.md Q24: typing is throttled to about one a second",
        ("user2: typing -> nothing",),
        (157,),
    ),
    Different(
        "docs/original.md: `user_disconnected` per device -> with the last, and here they all go at once",
        ("user2: user_disconnected -> nothing",),
        (157, 158),
    ),
    Different(
        "docs/original.md Q11: `leave_chat` detaches this socket only, `user_left` with the last",
        ("user2: user_left -> nothing",),
        (158,),
    ),
    *(
        Different(
            "docs/original.md: `user_joined` under an inverted condition -> with a user's first socket in the chat",
            (f"{who}: nothing -> user_joined",),
            exchanges,
        )
        for who, exchanges in (
            ("user1", (151, 156, 157, 160, 166)),
            ("user1:dev2", (157,)),
            ("user2", (158,)),
            ("user3", (160,)),
        )
    ),
    Different(
        "docs/original.md Q8: nothing is told of sockets that never said who they are",
        ("user2: user_disconnected -> nothing",),
        (159,),
    ),
    Different(
        "docs/original.md Q11: `leave_chat` detaches this socket only",
        ("user1:d2: nothing -> new_message",),
        (158,),
    ),
    Different(
        "docs/original.md: `unread_count` always 0 -> true values",
        ("chat_history.unread_count: 0 -> 3", "chat_history.unread_count: 0 -> 4"),
        (158,),
    ),
    Different(
        "docs/original.md: `unread_count` always 0, `read_at` always null -> true values",
        ("chat_history.unread_count: 0 -> 2", "chat_history.messages[].read_at: null -> <time>"),
        (160,),
    ),
    Different(
        "docs/original.md Q25: `read_count` counts all senders' messages; ours counts per sender",
        ("your_messages_read.read_count: 4 -> 1", "your_messages_read.read_count: 4 -> 3"),
        (160,),
    ),
    Different(
        "docs/original.md: 4401, the session is over (signed out); takes the place of docs/original.md Q15's 1008",
        ("user2: new_message -> nothing", "user2: open -> 4401 session ended"),
        (165,),
    ),
    Different(
        "docs/protocol.md: durable frames, `chat_changed {name, description}`",
        ("user1: nothing -> chat_changed", "user2: nothing -> chat_changed"),
        (166,),
    ),
]

_CHAT = (
    *("other", "kind", "role", "lastMessage", "unreadCount", "readUpTo"),
    *("lastSeq", "lastPosition", "memberCount"),
)

ADDED: dict[str, set[str]] = {
    "docs/protocol.md: `GET /accounts/me/`, plus `profileId`": {".data.profileId"},
    "docs/protocol.md: an access token comes with `expiresIn`": {".data.expiresIn", ".expires_in"},
    "docs/protocol.md: the original's chat plus `other`, `kind`, `role`, ...": {
        f"{place}.{name}" for place in (".data", ".data[]") for name in _CHAT
    },
    "docs/protocol.md: `GET /chats/{id}/history/`: `hasBefore`, `hasAfter`": {
        ".data.hasBefore",
        ".data.hasAfter",
    },
    "docs/protocol.md: a message carries `seq`, `position` and, where one was given, `nonce`": {
        *(".data.entities[].seq", ".data.entities[].position"),
        *("chat_history.messages[].seq", "chat_history.messages[].position"),
        *("new_message.message.seq", "new_message.message.position"),
    },
    "docs/original.md: the cookie is cleared as it was set": {"set-cookie.httponly"},
    "docs/protocol.md: `auth_success` of the socket of one chat": {
        f"auth_success.{name}"
        for name in ("session_id", "epoch", "seq", "position", "heartbeat_interval", "limits")
    },
    "docs/protocol.md: `auth_error` and `error` have a `code`": {"auth_error.code", "error.code"},
    "docs/protocol.md: durable frames carry `chat_id`, `position` and `after`": {
        "new_message.chat_id",
        "new_message.position",
        "new_message.after",
    },
    "docs/protocol.md: `messages_read` with `from_seq`, `to_seq`": {
        "messages_read.from_seq",
        "messages_read.to_seq",
    },
}
"""What our answers and frames have beside the recorded, by the line that adds it."""

ALL_ADDED = set().union(*ADDED.values())


@define(eq=False)
class ReplayedMessenger:
    """A fresh messenger on a database that can be killed, and the people of the recordings."""

    server: Server
    postgres: Postgres
    visit: Visit
    http: httpx.AsyncClient
    people: dict[str, Device] = field(factory=dict)
    known: Known = field(factory=dict)
    letters: dict[str, int] = field(factory=lambda: defaultdict(int))
    between: list[ChatSocket] = field(factory=list)
    """Sockets of one chat on all workers, if there are several."""

    async def meet(self, stack: AsyncExitStack) -> None:
        """Opens the sockets in ``between``."""
        somebody = await self.visit.sign_in("admin@admin.ru", "between")
        chat_id = await somebody.create_chat("between workers")
        self.between = await on_both(self.server, stack, somebody, chat_id)

    async def workers_agree(self) -> None:
        """
        Returns when each worker has heard what the others have told so far: what is said now on any of them follows that, and
        comes to all.
        """
        texts = [str(uuid4()) for _ in self.between]
        for socket, text in zip(self.between, texts, strict=True):
            await socket.send("send_message", text=text, nonce=text)
        for socket in self.between:
            missing = set(texts)
            while missing:
                missing.discard((await socket.until("new_message"))["message"]["text"])

    async def settle_in(self) -> None:
        for name, email in (
            ("user1", "user1@example.com"),
            ("user2", "user2@example.com"),
            ("user3", "user3@example.com"),
            ("admin", "admin@admin.ru"),
        ):
            self.knows(name, await self.visit.sign_in(email, "replay"))
        self.known |= {
            "url": self.server.url,
            "access expired user1": expired(self.known["access user1"], SECRET),
        }

    def knows(self, name: str, device: Device) -> None:
        self.people[name] = device
        self.known |= {
            f"access {name}": device.token,
            f"refresh {name}": device.refresh_token,
            f"profile {name}": device.profile_id,
            f"account {name}": device.account_id,
        }

    async def sign_up(self, email: str, password: str) -> str:
        """The token in the letter that this brings."""
        data(await self.http.post("/accounts/sign-up/", json={"email": email, "password": password}))
        return await self.letter(email)

    async def letter(self, email: str) -> str:
        """The token in the next letter to this address."""
        self.letters[email] += 1
        number = self.letters[email]
        return token_in(await asyncio.to_thread(self.server.await_letter, email, number=number))

    async def ask(self, request: dict[str, Any]) -> httpx.Response:
        asked = filled(request, self.known)
        headers = asked.get("headers", {})
        if "as" in asked:
            headers["Authorization"] = f"Bearer {self.known['access ' + asked['as']]}"
        content = asked["raw"].encode("latin-1") if "raw" in asked else None
        self.http.cookies.clear()  # only those that the recording says
        return await self.http.request(
            asked["method"],
            asked["path"],
            headers=headers,
            json=asked.get("json"),
            data=asked.get("form"),
            content=content,
        )


Step = Callable[[ReplayedMessenger], Awaitable[None]]
BEFORE: dict[int, Step] = {}
"""What the recordings took for granted."""


def before(number: int) -> Callable[[Step], Step]:
    def remember(step: Step) -> Step:
        BEFORE[number] = step
        return step

    return remember


def refresh_cookie(response: httpx.Response) -> str:
    return response.cookies["refresh_token"].strip('"')


def remember_refreshed(world: ReplayedMessenger, response: httpx.Response) -> None:
    world.known["access refreshed"] = data(response)["accessToken"]
    world.known["second refresh"] = refresh_cookie(response)


def remember_unnamed(world: ReplayedMessenger, response: httpx.Response) -> None:
    world.known["unnamed refresh"] = refresh_cookie(response)


def remember_confirmed(world: ReplayedMessenger, response: httpx.Response) -> None:
    world.known["access confirmed"] = data(response)["accessToken"]


def remember_redeemed(world: ReplayedMessenger, response: httpx.Response) -> None:
    world.known["access redeemed"] = data(response)["accessToken"]


AFTER: dict[int, Callable[[ReplayedMessenger, httpx.Response], None]] = {
    60: remember_confirmed,
    69: remember_redeemed,
    79: remember_refreshed,
    83: remember_unnamed,
}


@before(27)
async def two_letters(world: ReplayedMessenger) -> None:
    """The second sign-up is the one whose letter is used; that the first one's is superseded is asked with another."""
    await world.letter("new1@example.com")
    world.known["letter new1"] = await world.sign_up("new1@example.com", "Password2")
    world.known["superseded letter"] = await world.sign_up("new2@example.com", "Password1")
    await world.sign_up("new2@example.com", "Password2")


@before(57)
async def forgeries(world: ReplayedMessenger) -> None:
    claims = {"userId": world.known["account user1"], "email": "u@example.com", "tokenType": "confirmation"}
    head = {"alg": "HS256", "typ": "JWT"}
    for name, forged in (
        ("forged letter", claims | {"exp": "2126-11-23T03:37:53.515712"}),
        ("forged letter without end", claims),
        ("forged letter without claims", {"userId": claims["userId"]}),
    ):
        world.known[name] = Token(head, forged).signed("whatever a stranger has")


@before(69)
async def reset_letter(world: ReplayedMessenger) -> None:
    """After those of the sign-ups and the one about a new device."""
    number = 1
    while True:
        letter = await asyncio.to_thread(world.server.await_letter, "new1@example.com", number=number)
        if "new password" in letter["Subject"]:
            break
        number += 1
    world.known["reset letter"] = token_in(letter)


@before(75)
async def another_letter(world: ReplayedMessenger) -> None:
    world.known["letter x7"] = await world.sign_up("x7@example.com", "Password1")


async def third(world: ReplayedMessenger, fingerprint: str) -> Device:
    return await world.visit.sign_in("user3@example.com", fingerprint)


@before(77)
async def first_pair(world: ReplayedMessenger) -> None:
    device = await third(world, "dev-r")
    world.known |= {"first refresh": device.refresh_token, "first access": device.token}


@before(82)
async def wrong_fingerprint(world: ReplayedMessenger) -> None:
    cookie = {"Cookie": f"refresh_token={world.known['second refresh']}"}
    refused = await world.http.post("/accounts/token/refresh/", json={"fingerprint": "x"}, headers=cookie)
    assert refused.status_code == httpx.codes.UNAUTHORIZED


@before(85)
async def three_sign_ins(world: ReplayedMessenger) -> None:
    world.known["access replaced"] = (await third(world, "same")).token
    second = await third(world, "same")
    world.known |= {"access other device": second.token, "signed-out refresh": second.refresh_token}
    await third(world, "other")


@before(88)
async def sign_out_by_bearer(world: ReplayedMessenger) -> None:
    token = world.known["access bearer that signed out"] = world.known["access other device"]
    world.http.cookies.clear()
    data(await world.http.post("/accounts/sign-out/", headers={"Authorization": f"Bearer {token}"}))


@before(107)
async def more_chats(world: ReplayedMessenger) -> None:
    for chat in ({"name": "Solo2"}, {"name": "DescEmpty", "description": ""}, {"name": "n" * 100}):
        data(await world.people["user1"].http.post("/chats/", json=chat))


async def add_to_solo(world: ReplayedMessenger, *names: str) -> None:
    members = [world.known[f"profile {name}"] for name in names]
    path = f"/chats/{world.known['chat solo']}/"
    data(await world.people["user1"].http.put(path, json={"members": members}))


@before(118)
async def one_more(world: ReplayedMessenger) -> None:
    await add_to_solo(world, "user2")


@before(119)
async def two_more(world: ReplayedMessenger) -> None:
    await add_to_solo(world, "user2", "user3")


@before(124)
async def twenty_five_messages(world: ReplayedMessenger) -> None:
    async with world.people["user1"].dial(world.known["chat team"]) as socket:
        for number in range(1, 26):
            await socket.say(f"msg {number}")


@before(137)
async def fresh_account(world: ReplayedMessenger) -> None:
    token = await world.letter("x2@example.com")
    body = {"confirmationToken": token, "fingerprint": "replay"}
    http = await world.visit.anonymous()
    answer = data(await http.post("/accounts/email/confirm/", json=body))
    world.knows("fresh", await world.visit.admit(http, "x2@example.com", "replay", answer["accessToken"]))


@before(155)
async def poisoned(world: ReplayedMessenger) -> None:
    one, two = world.people["user1"], world.people["user2"]
    world.known["chat poisoned"] = chat_id = await one.create_chat("poisoned", two)
    async with one.dial(chat_id) as socket:
        await socket.say("before")
        await socket.send("send_message", text="y" * 4001)
        await socket.expect("error")


@before(162)
async def read_by_the_other(world: ReplayedMessenger) -> None:
    one, two = world.people["user1"], world.people["user2"]
    world.known["chat read"] = chat_id = await one.create_chat("read", two)
    async with one.dial(chat_id) as says, two.dial(chat_id) as reads:
        said = await says.say("one")
        await reads.send("mark_read", last_read_message_id=said["message"]["id"])
        await reads.until("messages_read")


@before(163)
async def with_live_sockets(world: ReplayedMessenger) -> None:
    one, two = world.people["user1"], world.people["user2"]
    world.known["chat live"] = chat_id = await one.create_chat("live", two)
    await two.open(chat_id)


@before(187)
async def chat_val(world: ReplayedMessenger) -> None:
    chat_id = await world.people["user1"].create_chat("val")
    world.known |= {"chat val": chat_id, "chat val bare": chat_id.replace("-", "")}


WITHOUT_DATABASE = (171, 172, 173)


def compared(world: ReplayedMessenger, recording: dict[str, Any], response: httpx.Response) -> Comparison:
    comparison = Comparison(world.known)
    wanted = recording["answer"]
    comparison.compare(wanted["status"], response.status_code, "status")
    for name, was in wanted.get("headers", {}).items():
        now = response.headers.get_list(name)
        if name == "set-cookie":
            comparison.compare(attributes(was), attributes(now[0]) if now else None, name)
        elif name == "location" and was.startswith("{url}"):  # relative or not, it leads to the same place
            comparison.compare(was, ", ".join(str(response.url.join(each)) for each in now), name)
        else:
            comparison.compare(was, ", ".join(now), name)
    if "json" in wanted:
        try:
            now = response.json()
        except json.JSONDecodeError:
            comparison.differ("body", "JSON", response.text)
        else:
            comparison.bodies(wanted["json"], now)
    elif "text" in wanted:
        comparison.compare(wanted["text"], response.text, "text")
    return comparison


@define(eq=False)
class Verdict:
    """What was found over all exchanges, held against the tables."""

    original_statuses: bool
    found: dict[int, set[str]] = field(factory=dict)
    added: set[str] = field(factory=set)

    def add(self, number: int, comparison: Comparison) -> None:
        self.found[number] = comparison.found
        self.added |= comparison.added

    def check(self) -> None:
        named: dict[int, set[str]] = defaultdict(set)
        invalid = "501" if self.original_statuses else "422"
        for each in DIFFERENT:
            if not (each.gone and self.original_statuses):
                for number in each.exchanges:
                    if number in self.found:
                        named[number] |= {said.replace("{invalid}", invalid) for said in each.said}
        unnamed = {n: sorted(said - named[n]) for n, said in self.found.items() if said - named[n]}
        missing = {n: sorted(named[n] - said) for n, said in self.found.items() if named[n] - said}
        assert (unnamed, missing) == ({}, {})


@pytest.fixture
def original_statuses(request: pytest.FixtureRequest) -> bool:
    return bool(getattr(request, "param", False))


@pytest.fixture
def workers(request: pytest.FixtureRequest) -> int:
    return int(getattr(request, "param", 1))


@pytest.fixture
async def world(
    make_server: Callable[..., Server],
    make_postgres: Callable[..., Postgres],
    original_statuses: bool,
    workers: int,
) -> AsyncIterator[ReplayedMessenger]:
    postgres = make_postgres(lived_in=True)
    settings = {
        "DATABASE_URL": postgres.url(DATABASE),
        "JWT_SECRET_KEY": SECRET,
        "API_ORIGINAL_STATUSES": str(original_statuses),
        "API_WORKERS": str(workers),
        "MODULES_SECTION_ENABLED_MODULES": "BASE,catalogues_module",  # as in the recordings
        # Whatever is typed again comes too soon, however long a busy machine takes.
        "WS_TYPING_INTERVAL_SECONDS": "60",
        "WS_TYPING_EXPIRY_SECONDS": "300",
    }
    server = make_server(settings=settings)
    server.start()
    async with Visit(server.url, server.ws_url) as visit:
        world = ReplayedMessenger(server, postgres, visit, await visit.anonymous())
        await world.settle_in()
        yield world


async def what_was_asked_over_http(world: ReplayedMessenger, original_statuses: bool) -> None:
    """In the end without the database."""
    verdict = Verdict(original_statuses)
    recordings = list(recorded("http"))
    recordings.sort(key=lambda each: (each["n"] in WITHOUT_DATABASE, each["n"]))
    for recording in recordings:
        number = recording["n"]
        if number == WITHOUT_DATABASE[0]:
            world.postgres.kill()
        if (prepare := BEFORE.get(number)) is not None:
            await prepare(world)
        response = await world.ask(recording["request"])
        verdict.add(number, compared(world, recording, response))
        if (remember := AFTER.get(number)) is not None:
            remember(world, response)
    verdict.check()
    assert verdict.added == {path for path in ALL_ADDED if path.startswith((".", "set-cookie"))}


@define(eq=False)
class Line:
    """One recorded connection, played."""

    who: str
    got: list[Frame] = field(factory=list)
    closed: tuple[int, str] | None = None
    socket: ChatSocket | None = None
    questions: int = 0
    """The number of requests for the unread count without an answer."""

    async def say(self, frame: Any) -> None:
        assert self.socket is not None
        if self.closed:
            return
        try:
            await self.socket.send_raw(frame if isinstance(frame, str) else json.dumps(frame))
        except ConnectionClosed:
            self.closed = await self.socket.closed()
        self.questions += isinstance(frame, dict) and frame["type"] == "get_unread_count"

    async def settle(self, *, greeting: bool = False) -> None:
        """
        Takes what has come: up to the answer to one more question, which all before it have been answered by then; or up
        to the end of the greeting.
        """
        if self.closed or self.socket is None:
            return
        try:
            if not greeting:
                await self.socket.send("get_unread_count")
            while True:
                frame = await self.socket.next()
                if frame["type"] == "unread_count":
                    if self.questions == 0:
                        return
                    self.questions -= 1
                self.got.append(frame)
                if greeting and frame["type"] == "chat_history":
                    return
        except ConnectionClosed:
            self.closed = await self.socket.closed()


Hook = Callable[[ReplayedMessenger, str], Awaitable[None]]


async def three_unread(world: ReplayedMessenger, chat_id: str) -> None:
    async with world.people["user2"].dial(chat_id) as socket:
        for number in range(3):
            await socket.say(f"earlier {number}")


async def sign_out(world: ReplayedMessenger, _chat_id: str) -> None:
    headers = {"Cookie": f"refresh_token={world.known['refresh user2']}"}
    data(await world.http.post("/accounts/sign-out/", headers=headers))
    world.knows("user2", await world.visit.sign_in("user2@example.com", "replay"))  # for what comes after


async def rename(world: ReplayedMessenger, chat_id: str) -> None:
    data(await world.people["user1"].http.put(f"/chats/{chat_id}/", json={"name": "renamed"}))


AT_FIRST: dict[int, Hook] = {158: three_unread}
WHEN_ALL_ARE_IN: dict[int, Hook] = {165: sign_out, 166: rename}


async def play(world: ReplayedMessenger, recording: dict[str, Any]) -> Comparison:
    one, two, three = (world.people[name] for name in ("user1", "user2", "user3"))
    who = {line["who"].split(":")[0] for line in recording["connections"]}
    chat_id = await one.create_chat(f"recording {recording['n']}", two, *([three] if "user3" in who else []))
    elsewhere = [await one.create_chat("elsewhere", two), await one.create_chat("not user2's")]
    known = world.known | {"chat": chat_id}
    for number, other in enumerate(elsewhere, 1):
        async with one.dial(other) as socket:
            known[f"elsewhere {number}"] = (await socket.say("elsewhere"))["message"]["id"]
    if (hook := AT_FIRST.get(recording["n"])) is not None:
        await hook(world, chat_id)
    comparison = Comparison(known)
    lines = {line["who"]: Line(line["who"]) for line in recording["connections"]}
    async with AsyncExitStack() as stack:

        async def connect(line: dict[str, Any]) -> None:
            path = filled(line["path"], known).removeprefix("/chats/").removesuffix("/ws")
            try:
                opening = dial(world.server.ws_url, path, additional_headers=line.get("headers"))
                opened = await stack.enter_async_context(opening)
                opened.minds_presence = True
                lines[line["who"]].socket = opened
                status = 101
            except InvalidStatus as refused:
                status = refused.response.status_code
            comparison.compare(line["handshake"], status, f"{line['who']}: handshake")

        spoken = {step["who"] for step in recording["frames"] if "out" in step}
        silent = [line for line in recording["connections"] if line["who"] not in spoken]
        by_name = {line["who"]: line for line in recording["connections"]}
        waiting = set(spoken)
        steps = recording["frames"]
        for step, following in zip(steps, [*steps[1:], {}], strict=False):
            if "out" not in step:
                continue
            line = lines[step["who"]]
            if line.socket is None:
                await connect(by_name[step["who"]])
            await line.say(filled(step["out"], known))
            if "out" in following and following["who"] == step["who"]:
                continue  # it did not wait for an answer
            if step["who"] in waiting:
                await line.settle(greeting=True)
                waiting.discard(step["who"])
                if not waiting and (hook := WHEN_ALL_ARE_IN.get(recording["n"])) is not None:
                    await hook(world, chat_id)
            await line.settle()
            await world.workers_agree()
            for name in spoken - waiting:
                await lines[name].settle()
            name_messages(recording, lines.values(), known)
        for each in silent:
            await connect(each)
            if (opened := lines[each["who"]].socket) is not None:
                await opened.close()
        await world.workers_agree()
        for name in spoken:
            await lines[name].settle()
    for each in recording["connections"]:
        wanted = [step["in"] for step in recording["frames"] if step["who"] == each["who"] and "in" in step]
        hold(lines[each["who"]], wanted, each.get("closed"), comparison)
    return comparison


def name_messages(recording: dict[str, Any], lines: Iterable[Line], known: Known) -> None:
    """Maps each recorded message to ours with the same text, so that later requests can name it."""
    ours = {
        frame["message"]["text"]: frame["message"]["id"]
        for line in lines
        for frame in line.got
        if frame["type"] == "new_message"
    }
    for step in recording["frames"]:
        message = step.get("in", {}).get("message")
        if isinstance(message, dict) and (found := re.fullmatch("<new (.+)>", message["id"])):
            text = filled(message["text"], known)
            if text in ours:
                known[found[1]] = ours[text]


def hold(line: Line, wanted: list[Frame], closed: list[Any] | None, comparison: Comparison) -> None:
    """Frames are held beside those of their kind, in order; what has no counterpart is a difference."""
    kinds, ours = [frame["type"] for frame in wanted], [frame["type"] for frame in line.got]
    for how, start, end, our_start, our_end in SequenceMatcher(a=kinds, b=ours, autojunk=False).get_opcodes():
        if how == "equal":
            for was, now in zip(wanted[start:end], line.got[our_start:our_end], strict=True):
                comparison.compare(was, now, was["type"])
        else:
            comparison.found |= {f"{line.who}: {kind} -> nothing" for kind in kinds[start:end]}
            comparison.found |= {f"{line.who}: nothing -> {kind}" for kind in ours[our_start:our_end]}
    was_closed, now_closed = closed or ["open"], list(line.closed or ["open"])
    if was_closed != now_closed:
        comparison.found.add(
            f"{line.who}: {' '.join(map(str, was_closed))} -> {' '.join(map(str, now_closed))}"
        )


async def what_was_said_on_sockets(world: ReplayedMessenger, workers: int) -> None:
    verdict = Verdict(original_statuses=False)
    async with AsyncExitStack() as stack:
        if workers > 1:
            await world.meet(stack)
        for recording in recorded("sockets"):
            verdict.add(recording["n"], await play(world, recording))
    verdict.check()
    assert verdict.added == {path for path in ALL_ADDED if not path.startswith((".", "set-cookie"))}


@pytest.mark.parametrize(("original_statuses", "workers"), [(False, 1), (True, 1), (False, 2)], indirect=True)
async def test_everything_is_answered_as_it_was_or_as_the_tables_say(
    world: ReplayedMessenger, original_statuses: bool, workers: int
) -> None:
    """On one messenger, because a second worker takes two seconds of a processor to start."""
    if not original_statuses:  # which are those of HTTP
        await what_was_said_on_sockets(world, workers)
    await what_was_asked_over_http(world, original_statuses)


def test_no_recording_is_missing() -> None:
    asked = [recording["n"] for name in ("http", "sockets") for recording in recorded(name)]
    left = [number for numbers in LEFT.values() for number in numbers]
    assert sorted(asked + left) == list(range(1, RECORDINGS + 1))
    known = set(asked)
    assert all(set(each.exchanges) <= known for each in DIFFERENT)
